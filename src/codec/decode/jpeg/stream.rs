//! The segments of a JPEG (ITU-T T.81, annex B): what they say, and whether they are all there.
//!
//! Knows markers and lengths; what lies between them is walked elsewhere ([`super::entropy`]).

use super::entropy::Walk;
use super::frame::{Component, Frame, be16, damaged, next_ff, unsupported};
use crate::codec::exif::{self, CM_PER_INCH};
use crate::codec::{DecodeError, Format};
use crate::metadata::{self, Found};

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;

/// What a segment with a piece of an ICC profile begins with (ICC.1:2022, B.4).
const ICC: &[u8] = b"ICC_PROFILE\0";

/// What segments with XMP (XMP part 3, 1.1.3), with what did not fit into it, and with Photoshop's resources begin with.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const EXTENDED_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
const RESOURCES: &[u8] = b"Photoshop 3.0\0";

/// Zeros behind the data of a sequential picture instead of its end marker. The decoder reads at most 8 bytes ahead, so a
/// whole picture never meets the end of the buffer; one whose data ends early would, which is an error.
const RUN_OUT: usize = 16;

/// Colour model of the stored components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
    /// Black beside what becomes the other inks' complements by the formulas of YCbCr.
    Ycck,
}

/// Everything before the first scan's data.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) frame: Frame,
    /// The EXIF block, from its TIFF header on.
    pub(super) exif: Option<&'a [u8]>,
    /// Pieces of an ICC profile: number, of how many, bytes.
    icc: Vec<(u8, u8, &'a [u8])>,
    /// The XMP packet.
    xmp: Option<&'a [u8]>,
    /// Whether more XMP stands in segments of its own.
    has_more_xmp: bool,
    /// Whether there is a comment (COM).
    has_comment: bool,
    /// Pieces of Photoshop's resources.
    resources: Vec<&'a [u8]>,
    /// Resolution by JFIF.
    pub(super) dpi: exif::Resolution,
    /// Colour transform by Adobe's segment.
    transform: Option<u8>,
    is_jfif: bool,
    /// Components of the first scan.
    first_scan: u8,
    /// Segments that the decoder needs, markers included.
    tables: Vec<&'a [u8]>,
    /// Where the first scan's marker is.
    scan: usize,
}

/// A segment with its marker.
struct Segment<'a> {
    marker: u8,
    /// Marker, length and payload.
    whole: &'a [u8],
    payload: &'a [u8],
    end: usize,
}

fn truncated(what: &'static str) -> DecodeError {
    DecodeError::truncated(Format::Jpeg, what)
}

/// Reads the segment whose marker is at `at`.
fn segment(bytes: &[u8], mut at: usize) -> Result<Segment<'_>, DecodeError> {
    const CUT: &str = "it ends within its headers";
    if *bytes.get(at).ok_or_else(|| truncated(CUT))? != 0xFF {
        return Err(damaged(format!("there is no marker at byte {at}")));
    }
    // Any number of fill bytes may stand before a marker (B.1.1.2).
    while *bytes.get(at + 1).ok_or_else(|| truncated(CUT))? == 0xFF {
        at += 1;
    }
    let marker = bytes[at + 1];
    if matches!(marker, 0x00 | 0x01 | 0xD0..=EOI) {
        return Ok(Segment { marker, whole: &bytes[at..at + 2], payload: &[], end: at + 2 });
    }
    let length = usize::from(be16(bytes, at + 2).ok_or_else(|| truncated(CUT))?);
    if length < 2 {
        return Err(damaged(format!("the segment at byte {at} has no length")));
    }
    let end = at + 2 + length;
    let whole = bytes.get(at..end).ok_or_else(|| truncated(CUT))?;
    Ok(Segment { marker, whole, payload: &whole[4..], end })
}

impl<'a> Head<'a> {
    /// Reads up to the first scan.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (mut frame, mut exif, mut dpi, mut transform, mut is_jfif) = (None, None, Ok(None), None, false);
        let (mut tables, mut icc, mut resources) = (Vec::new(), Vec::new(), Vec::new());
        let (mut xmp, mut has_more_xmp, mut has_comment) = (None, false, false);
        let mut at = 2;
        loop {
            let found = segment(bytes, at)?;
            let payload = found.payload;
            match found.marker {
                0xC0..=0xC2 => {
                    if frame.is_some() {
                        return Err(damaged("it has two frame headers"));
                    }
                    frame = Some(Frame::read(payload, found.marker == 0xC2)?);
                    tables.push(found.whole);
                }
                DHT | DQT | DRI => tables.push(found.whole),
                SOS => {
                    let frame = frame.ok_or_else(|| damaged("its picture begins before its size is given"))?;
                    let first_scan = payload.first().copied().unwrap_or(0);
                    return Ok(Self {
                        frame,
                        exif,
                        icc,
                        xmp,
                        has_more_xmp,
                        has_comment,
                        resources,
                        dpi,
                        transform,
                        is_jfif,
                        first_scan,
                        tables,
                        scan: at,
                    });
                }
                0xE0 if payload.starts_with(b"JFIF\0") => {
                    is_jfif = true;
                    dpi = jfif_dpi(payload);
                }
                0xE1 if payload.starts_with(b"Exif\0") && payload.len() > 6 && exif.is_none() => exif = Some(&payload[6..]),
                0xE1 if payload.starts_with(XMP) => xmp = xmp.or(Some(&payload[XMP.len()..])),
                0xE1 if payload.starts_with(EXTENDED_XMP) => has_more_xmp = true,
                0xFE => has_comment = true,
                0xED => resources.extend(payload.strip_prefix(RESOURCES)),
                0xE2 => {
                    if let Some([number, count, piece @ ..]) = payload.strip_prefix(ICC) {
                        icc.push((*number, *count, piece));
                    }
                }
                0xEE if payload.starts_with(b"Adobe") => transform = payload.get(11).copied(),
                EOI => return Err(truncated("it has no picture before its end marker")),
                0xC3 => return Err(unsupported("lossless JPEG")),
                0xC5..=0xC7 | 0xDE | 0xDF => return Err(unsupported("hierarchical JPEG")),
                0xC8..=0xCF => return Err(unsupported("arithmetic coding")),
                0xF7 => return Err(unsupported("JPEG-LS")),
                0xDC => return Err(unsupported("a height given after the picture (DNL)")),
                0x00 | 0x01 | 0xD0..=SOI => return Err(damaged(format!("there is a stray marker at byte {at}"))),
                // Other applications' segments and reserved ones do not concern the picture.
                _ => {}
            }
            at = found.end;
        }
    }

    /// The ICC profile, put together from its pieces, if there is one; words when pieces are missing.
    pub(super) fn icc(&self) -> Result<Option<Vec<u8>>, String> {
        let Some(&(_, count, _)) = self.icc.first() else { return Ok(None) };
        if count == 0 {
            return Err("the ICC profile was not used: its pieces are not numbered".to_owned());
        }
        let mut pieces = self.icc.clone();
        pieces.sort_by_key(|&(number, ..)| number);
        let whole = pieces.len() == usize::from(count)
            && pieces.iter().zip(1_u16..).all(|(&(number, of, _), place)| u16::from(number) == place && of == count);
        if !whole {
            return Err(format!("the ICC profile was not used: {} of its {count} pieces were found", pieces.len()));
        }
        Ok(Some(pieces.into_iter().flat_map(|(.., piece)| piece).copied().collect()))
    }

    /// What the file says beside its picture and EXIF.
    pub(super) fn metadata(&self) -> Found {
        let mut found = Found { xmp: self.xmp.map(<[u8]>::to_vec), ..Found::default() };
        found.iptc = metadata::iim_of_resources(&self.resources.concat());
        if self.has_comment {
            found.dropped.say("the JPEG comment");
        }
        if self.has_more_xmp {
            found.dropped.say("the part of XMP that did not fit into one segment");
        }
        found
    }

    /// The colour model, as libjpeg tells it: JFIF means YCbCr, then Adobe's word counts, then the components' names.
    pub(super) fn colour(&self) -> Result<Colour, DecodeError> {
        match (self.frame.components.len(), self.transform) {
            (1, _) => Ok(Colour::Grey),
            (3, _) if self.is_named_rgb() => Ok(Colour::Rgb),
            (3, Some(0)) if !self.is_jfif => Ok(Colour::Rgb),
            (3, _) => Ok(Colour::YCbCr),
            (4, Some(2)) => Ok(Colour::Ycck),
            (4, _) => Ok(Colour::Cmyk),
            (count, _) => Err(unsupported(format!("{count} components"))),
        }
    }

    /// Whether inks are stored as their complements, which Adobe's segment stands for.
    pub(super) fn is_inverted(&self) -> bool {
        self.transform.is_some()
    }

    /// Lets those ways to sample and arrange components pass that the decoder below is known to get right. It takes a
    /// sequential picture with one scan a component and chroma of lower resolution for one in reading order, and returns
    /// a wrong picture without an error.
    pub(super) fn require_known_sampling(&self) -> Result<(), DecodeError> {
        let [luma, chroma @ ..] = &self.frame.components[..] else { return Ok(()) };
        if chroma.is_empty() {
            // Alone, a component is in reading order whatever its factors say (A.2.2).
            return Ok(());
        }
        // Of four components the decoder is known to get right only those of one size.
        if chroma.len() == 3 && self.frame.components.iter().any(|one| (one.horizontal, one.vertical) != (1, 1)) {
            return Err(unsupported("CMYK with components of several sizes"));
        }
        let is_single = |component: &Component| (component.horizontal, component.vertical) == (1, 1);
        if !chroma.iter().all(is_single) || !matches!((luma.horizontal, luma.vertical), (1 | 2, 1 | 2) | (4, 1)) {
            let factors = self.frame.components.iter().map(|one| format!("{}×{}", one.horizontal, one.vertical));
            return Err(unsupported(format!("sampling factors {}", factors.collect::<Vec<_>>().join(", "))));
        }
        if !self.frame.progressive && !self.is_one_scan() && !is_single(luma) {
            return Err(unsupported("a sequential picture in several scans with subsampled chroma"));
        }
        Ok(())
    }

    /// Whether the first scan has all components.
    fn is_one_scan(&self) -> bool {
        usize::from(self.first_scan) == self.frame.components.len()
    }

    /// Whether the components call themselves R, G and B.
    pub(super) fn is_named_rgb(&self) -> bool {
        self.frame.components.iter().map(|component| component.id).eq(*b"RGB")
    }

    /// Bytes of coefficients that a decoder must hold until the last scan: all of them unless one scan has everything.
    pub(super) fn coefficient_bytes(&self) -> u64 {
        if !self.frame.progressive && self.is_one_scan() {
            return 0;
        }
        let blocks: u64 = self.frame.components.iter().map(|one| u64::from(one.horizontal) * u64::from(one.vertical)).sum();
        // 64 coefficients of 16 bits a block, and a bit for each of them.
        self.frame.units().pixels() * blocks * 136
    }

    /// A copy of everything the picture is made of, and nothing else.
    ///
    /// # Errors
    /// When the end-of-image marker or a scan is missing, or a scan's data is not that of its blocks.
    pub(super) fn picture(&self, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut copy = Vec::with_capacity(bytes.len() + RUN_OUT);
        copy.extend([0xFF, SOI]);
        let mut walk = Walk::new(&self.frame);
        for table in &self.tables {
            copy.extend_from_slice(table);
            note_table(&mut walk, &segment(table, 0)?)?;
        }
        let mut at = self.scan;
        loop {
            let found = segment(bytes, at)?;
            at = found.end;
            match found.marker {
                SOS => {
                    self.require_known_scan(found.payload)?;
                    let end = entropy_end(bytes, at)?;
                    walk.scan(found.payload, &bytes[at..end])?;
                    copy.extend_from_slice(found.whole);
                    copy.extend_from_slice(&bytes[at..end]);
                    at = end;
                }
                DHT | DQT | DRI => {
                    note_table(&mut walk, &found)?;
                    copy.extend_from_slice(found.whole);
                }
                EOI => break,
                0xDC => return Err(unsupported("a height given after the picture (DNL)")),
                0xE0..=0xEF | 0xFE => {}
                marker => return Err(damaged(format!("a marker 0xFF{marker:02X} stands within its picture"))),
            }
        }
        walk.finish()?;
        if self.frame.progressive {
            copy.extend([0xFF, EOI]);
        } else {
            copy.extend([0; RUN_OUT]);
        }
        Ok(copy)
    }

    fn require_known_scan(&self, payload: &[u8]) -> Result<(), DecodeError> {
        let count = usize::from(payload.first().copied().unwrap_or(0));
        if !self.frame.progressive && count > 1 && !self.is_one_scan() {
            return Err(unsupported("a sequential picture in scans of some components each"));
        }
        Ok(())
    }
}

/// Tells the walk of a table that scans behind it use.
fn note_table(walk: &mut Walk<'_>, table: &Segment<'_>) -> Result<(), DecodeError> {
    match table.marker {
        DHT => walk.tables(table.payload),
        DRI => walk.restart_interval(table.payload),
        _ => Ok(()),
    }
}

/// Resolution by a JFIF segment's payload: unit at 7, densities at 8 and 10. Unit 0 is a mere aspect ratio.
fn jfif_dpi(payload: &[u8]) -> exif::Resolution {
    let Some((x, y)) = be16(payload, 8).zip(be16(payload, 10)) else { return Ok(None) };
    let (x, y) = (f64::from(x), f64::from(y));
    match payload[7] {
        0 => Ok(None),
        1 => exif::plausible(x, y),
        2 => exif::plausible(x * CM_PER_INCH, y * CM_PER_INCH),
        other => Err(exif::unknown_unit(other.into())),
    }
}

/// Where the entropy-coded data that begins at `at` ends: at the first marker that is no restart.
fn entropy_end(bytes: &[u8], mut at: usize) -> Result<usize, DecodeError> {
    const CUT: &str = "its end-of-image marker is missing";
    loop {
        let found = next_ff(bytes, at).ok_or_else(|| truncated(CUT))?;
        match bytes.get(found + 1) {
            None => return Err(truncated(CUT)),
            Some(0x00 | 0xD0..=0xD7) => at = found + 2,
            // A fill byte: the marker is behind it.
            Some(0xFF) => at = found + 1,
            Some(_) => return Ok(found),
        }
    }
}
