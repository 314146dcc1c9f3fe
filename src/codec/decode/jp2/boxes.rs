//! The boxes of a JP2 file (T.800, annex I) and the outermost markers of its codestream (annex A): what they say, and whether they are all
//! there. Decodes no coefficient.

use std::borrow::Cow;

use super::{damaged, unsupported};
use crate::codec::exif::{self, Resolution};
use crate::codec::{DecodeError, Format};
use crate::imaging::Size;

const SOC_SIZ: &[u8] = &[0xFF, 0x4F, 0xFF, 0x51];
const SOT: u16 = 0xFF90;
const EOC: u16 = 0xFFD9;

/// Kinds of UUID boxes: XMP (XMP part 3, 1.1.4), EXIF and IPTC as they are written.
const XMP: &[u8] = &[0xBE, 0x7A, 0xCF, 0xCB, 0x97, 0xA9, 0x42, 0xE8, 0x9C, 0x71, 0x99, 0x94, 0x91, 0xE3, 0xAF, 0xAC];
const EXIF: &[u8] = b"JpgTiffExif->JP2";
const IPTC: &[u8] = &[0x33, 0xC7, 0xA4, 0xD2, 0xB8, 0x1D, 0x47, 0x23, 0xA0, 0xBA, 0xF1, 0xA3, 0xE0, 0x97, 0xAD, 0x38];

/// Most components of a picture: colours, alpha, and some to be refused by number.
const MAX_COMPONENTS: usize = 16;

/// Most tiles of a picture: their numbers have 16 bits (A.4.2).
const MAX_TILES: u64 = 65_535;

/// Metres an inch.
const METRES_PER_INCH: f64 = 0.0254;

/// What stands around the coefficients.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    pub(super) size: Size,
    /// Bits of the deepest component, or of the palette's entries.
    pub(super) bits: u8,
    /// What the scanner captured, and what a screen should show.
    pub(super) resolutions: [Resolution; 2],
    /// The ICC profile, whatever it is for.
    pub(super) icc: Option<&'a [u8]>,
    /// Where in the file a tile-part gives 0 for its length, and the length that it has.
    open_end: Option<(usize, u32)>,
    pub(super) xmp: Option<&'a [u8]>,
    pub(super) exif: Option<&'a [u8]>,
    pub(super) iptc: Option<&'a [u8]>,
}

fn truncated(what: &'static str) -> DecodeError {
    DecodeError::truncated(Format::Jpeg2000, what)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A box's kind and content, and what follows it.
type Next<'a> = ([u8; 4], &'a [u8], &'a [u8]);

/// The box at the beginning of `bytes`.
fn next(bytes: &[u8]) -> Result<Next<'_>, DecodeError> {
    const CUT: &str = "a box is cut";
    let length = be32(bytes, 0).ok_or_else(|| truncated(CUT))?;
    let kind = *bytes.get(4..).and_then(<[u8]>::first_chunk).ok_or_else(|| truncated(CUT))?;
    let (head, end) = match length {
        // Up to the end of the file.
        0 => (8, bytes.len()),
        1 => {
            let length = bytes.get(8..).and_then(<[u8]>::first_chunk).map(|eight| u64::from_be_bytes(*eight));
            (16, usize::try_from(length.ok_or_else(|| truncated(CUT))?).unwrap_or(usize::MAX))
        }
        length => (8, length as usize),
    };
    if end < head {
        return Err(damaged("a box has no length"));
    }
    let (whole, rest) = bytes.split_at_checked(end).ok_or_else(|| truncated(CUT))?;
    Ok((kind, &whole[head..], rest))
}

impl<'a> Outline<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.starts_with(SOC_SIZ) {
            let Picture { size, bits, open_end } = codestream(bytes)?;
            let resolutions = [Ok(None), Ok(None)];
            return Ok(Self { size, bits, resolutions, icc: None, open_end, xmp: None, exif: None, iptc: None });
        }
        let (mut picture, mut palette, mut rest) = (None, None, bytes);
        let (mut resolutions, mut colour, mut xmp, mut exif, mut iptc) = (None, None, None, None, None);
        while !rest.is_empty() {
            let (kind, content, behind) = next(rest)?;
            rest = behind;
            match &kind {
                b"jp2h" => {
                    let mut inner = content;
                    while !inner.is_empty() {
                        let (kind, content, behind) = next(inner)?;
                        inner = behind;
                        match &kind {
                            b"colr" => {
                                require_known_space(content)?;
                                // Further ones must mean the same and are passed over, as the decoder does (I.5.3.3).
                                colour = colour.or(Some(content));
                            }
                            b"pclr" => palette = content.get(3).map(|bits| (bits & 0x7F) + 1),
                            b"res " => resolutions = resolutions.or_else(|| Some(resolutions_of(content))),
                            _ => {}
                        }
                    }
                }
                b"jp2c" if picture.is_none() => {
                    let mut found = codestream(content)?;
                    let begin = bytes.len() - rest.len() - content.len();
                    found.open_end = found.open_end.map(|(at, length)| (begin + at, length));
                    picture = Some(found);
                }
                b"jp2c" => return Err(unsupported("several codestreams in one file")),
                b"uuid" => match content.split_at_checked(16) {
                    Some((XMP, block)) => xmp = Some(block),
                    Some((EXIF, block)) => exif = Some(block),
                    Some((IPTC, block)) => iptc = Some(block),
                    _ => {}
                },
                _ => {}
            }
        }
        let Picture { size, bits, open_end } = picture.ok_or_else(|| truncated("it has no codestream"))?;
        let resolutions = resolutions.unwrap_or([Ok(None), Ok(None)]);
        let icc = colour.and_then(profile);
        Ok(Self { size, bits: palette.unwrap_or(bits), resolutions, icc, open_end, xmp, exif, iptc })
    }

    /// The file with the length of every tile-part given: the decoder takes the end marker for a part of one that runs up to it.
    pub(super) fn closed(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some((at, length)) = self.open_end else { return Cow::Borrowed(bytes) };
        let mut closed = bytes.to_vec();
        if let Some(field) = closed.get_mut(at..at + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        Cow::Owned(closed)
    }
}

/// The profile in a colour box, restricted (method 2) or of any kind (method 3, T.801); it stands behind method, precedence and
/// approximation.
fn profile(colr: &[u8]) -> Option<&[u8]> {
    match colr {
        [2 | 3, _, _, profile @ ..] => Some(profile),
        _ => None,
    }
}

/// Colour spaces that the decoder turns into grey, RGB or inks (table I.10); others would come out as something else.
fn require_known_space(colr: &[u8]) -> Result<(), DecodeError> {
    // Method 1 names a space; others embed a profile.
    if colr.first() != Some(&1) {
        return Ok(());
    }
    match be32(colr, 3) {
        Some(12 | 16 | 17 | 18) => Ok(()),
        Some(14) => Err(unsupported("CIELab colour")),
        Some(space) => Err(unsupported(format!("colour space {space}"))),
        None => Err(damaged("its colour box is cut")),
    }
}

/// The resolutions in the superbox of them: of capture and of display.
fn resolutions_of(mut content: &[u8]) -> [Resolution; 2] {
    let (mut captured, mut shown) = (Ok(None), Ok(None));
    while let Ok((kind, value, rest)) = next(content) {
        content = rest;
        let axis = |at: usize, exponent: usize| {
            let exponent = i32::from(value.get(exponent)?.cast_signed());
            let pixels_a_metre = f64::from(be16(value, at)?) / f64::from(be16(value, at + 2)?) * 10_f64.powi(exponent);
            Some(pixels_a_metre * METRES_PER_INCH)
        };
        // Vertical stands first.
        let both = axis(4, 9).zip(axis(0, 8)).map_or_else(|| Err("its box is cut".to_owned()), |(x, y)| exif::plausible(x, y));
        match &kind {
            b"resc" => captured = both,
            b"resd" => shown = both,
            _ => {}
        }
    }
    [captured, shown]
}

/// Tiles along one axis of the grid (B.3).
fn tiles(grid: u32, tile: u32, offset: u32) -> Option<u64> {
    (tile > 0).then(|| grid.checked_sub(offset).map(|length| u64::from(length.div_ceil(tile)))).flatten()
}

/// What the markers of a codestream say.
struct Picture {
    size: Size,
    bits: u8,
    /// As in [`Outline`], counted from the codestream's beginning.
    open_end: Option<(usize, u32)>,
}

/// Size and depth from a codestream whose tile-parts are all there.
fn codestream(bytes: &[u8]) -> Result<Picture, DecodeError> {
    const CUT: &str = "its codestream is cut";
    if !bytes.starts_with(SOC_SIZ) {
        return Err(damaged("its codestream does not begin as one"));
    }
    let cut = || truncated(CUT);
    let at32 = |at: usize| be32(bytes, at).ok_or_else(cut);
    // Behind the marker: length, capabilities, size of the grid, offset of the picture in it (A.5.1).
    let (width, height) = (at32(8)?.checked_sub(at32(16)?), at32(12)?.checked_sub(at32(20)?));
    let (Some(width), Some(height)) = (width, height) else { return Err(damaged("its picture lies outside its grid")) };
    let across = tiles(at32(8)?, at32(24)?, at32(32)?);
    let down = tiles(at32(12)?, at32(28)?, at32(36)?);
    let tiles = across.zip(down).map(|(across, down)| across * down).filter(|&tiles| (1..=MAX_TILES).contains(&tiles));
    let Some(tiles) = tiles else { return Err(damaged("its tiles do not cover its picture, or are more than there may be")) };
    let mut seen = vec![false; tiles as usize];
    let count = usize::from(be16(bytes, 40).ok_or_else(cut)?);
    if count == 0 || count > MAX_COMPONENTS {
        return Err(unsupported(format!("{count} components")));
    }
    let components = bytes.get(42..42 + 3 * count).ok_or_else(cut)?.as_chunks::<3>().0;
    if components.iter().any(|one| one[0] & 0x80 != 0) {
        return Err(unsupported("signed samples"));
    }
    let bits = components.iter().map(|one| one[0] + 1).max().unwrap_or(0);
    if bits > 16 {
        return Err(unsupported(format!("{bits} bits a sample")));
    }
    let (mut at, mut open_end) = (2, None);
    loop {
        let marker = be16(bytes, at).ok_or_else(cut)?;
        match marker {
            EOC if seen.iter().all(|&seen| seen) => {
                return Ok(Picture { size: Size::new(width, height), bits, open_end });
            }
            EOC => return Err(truncated("tiles of its picture are missing")),
            SOT => {
                let tile = usize::from(be16(bytes, at + 4).ok_or_else(cut)?);
                *seen.get_mut(tile).ok_or_else(|| damaged("a tile-part is of no tile of its picture"))? = true;
                let length = at32(at + 6)? as usize;
                let end = match length {
                    // The last one may run up to the end marker, which must be the last two bytes then (A.4.2).
                    0 => {
                        let end = bytes.len().saturating_sub(2);
                        if be16(bytes, end) != Some(EOC) {
                            return Err(truncated("its end marker is missing"));
                        }
                        open_end = u32::try_from(end.saturating_sub(at)).ok().map(|length| (at + 6, length));
                        end
                    }
                    length => at.saturating_add(length),
                };
                if end <= at {
                    return Err(damaged("a tile-part has no length"));
                }
                at = end;
            }
            0xFF00.. => at += 2 + usize::from(be16(bytes, at + 2).filter(|&length| length >= 2).ok_or_else(cut)?),
            _ => return Err(damaged(format!("there is no marker at byte {at} of its codestream"))),
        }
    }
}
