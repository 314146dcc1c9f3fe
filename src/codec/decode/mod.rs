//! From bytes to an upright picture, with every limit checked from the header first.

#[cfg(feature = "jpeg2000")]
mod jp2;
mod jpeg;
mod picture;
mod png;
mod tiff;
mod webp;

use picture::Picture;
pub(super) use tiff::Bands;

use super::header::{DecodeLimits, ScanHeader};
use super::orientation::{swaps_sides, upright};
use super::{DecodeError, Format};
use crate::colour::{Colour, Declared, Inks};
use crate::imaging::lab::srgb_to_lab;
use crate::imaging::{self, ColourCopy, Features, Rect, Samples, ScanImage};
use crate::metadata::Found;

/// A decoded scan.
#[derive(Debug)]
pub struct DecodedScan {
    /// What the header said.
    pub header: ScanHeader,
    /// Upright picture, at the scan's own depth; of a scan that was read its lightness.
    pub image: ScanImage,
    /// EXIF orientation found, 1..=8, already applied; 1 when there was none or nonsense.
    pub orientation: u8,
    /// What the file says of its samples' colour.
    pub declared: Declared,
    /// Pixels an inch, horizontally and vertically, of the upright picture. From JFIF, EXIF, pHYs or TIFF tags; absent
    /// when the scan does not say or says nonsense.
    pub dpi: Option<(f64, f64)>,
    /// What the file says beside its samples, unchecked.
    pub metadata: Found,
    /// Pages of the file that are not the scan, in words.
    pub other_pages: Vec<String>,
}

impl DecodedScan {
    /// How its samples are understood.
    pub fn colour(&self) -> Colour {
        Colour::of(&self.declared, self.image.channels(), self.image.bit_depth())
    }
}

/// A scan as everything behind its colour takes it.
#[derive(Debug)]
pub struct ReadScan {
    /// Its picture is the scan's lightness, sRGB-coded grey, alpha kept: 16 bits, unless the scan was grey sRGB of 8. Where samples were
    /// asked for and are sRGB, they are the scan's own.
    pub scan: DecodedScan,
    /// How its samples were understood.
    pub colour: Colour,
    /// What is left of the scan's colour, where it had three channels and only the lightness was kept.
    pub copy: Option<ColourCopy>,
}

impl ReadScan {
    /// What can be said of a part of it before any network looks at it.
    ///
    /// # Panics
    /// When the part does not lie in the scan.
    pub fn features(&self, part: Rect) -> Features {
        let image = &self.scan.image;
        match &self.copy {
            Some(copy) => copy.features(image.size(), part, |rgb| self.colour.lab(rgb)),
            // Samples that are sRGB, or lightness of a grey scan, which is coded as sRGB.
            None => imaging::features_of(image, part, srgb_to_lab),
        }
    }
}

/// What is kept of a scan that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Its lightness.
    Lightness,
    /// Its samples where they are sRGB, and else its lightness.
    SrgbSamples,
}

/// A picture as it lies in the file.
struct Stored<P = ScanImage> {
    header: ScanHeader,
    image: P,
    orientation: Option<u8>,
    dpi: Option<(f64, f64)>,
    declared: Declared,
    metadata: Found,
    other_pages: Vec<String>,
}

impl<P> Stored<P> {
    /// The picture, and all the rest.
    fn apart(self) -> (P, Stored<()>) {
        let Self { header, image, orientation, dpi, declared, metadata, other_pages } = self;
        (image, Stored { header, image: (), orientation, dpi, declared, metadata, other_pages })
    }

    /// The same with another picture in its place.
    fn with<Q>(self, image: Q) -> Stored<Q> {
        let Self { header, orientation, dpi, declared, metadata, other_pages, .. } = self;
        Stored { header, image, orientation, dpi, declared, metadata, other_pages }
    }

    fn orientation(&self) -> u8 {
        self.orientation.unwrap_or(super::orientation::UPRIGHT)
    }
}

impl Stored {
    /// Turned upright.
    fn into_scan(self) -> DecodedScan {
        let orientation = self.orientation();
        let dpi = self.dpi.map(|(x, y)| if swaps_sides(orientation) { (y, x) } else { (x, y) });
        let Self { header, image, declared, metadata, other_pages, .. } = self;
        let image = upright(image, orientation);
        DecodedScan { header, image, orientation, declared, dpi, metadata, other_pages }
    }
}

/// The samples as they are, or, where they are inks, their sRGB; `declared` is told.
fn without_inks(samples: Samples, is_separation: bool, declared: &mut Declared) -> Samples {
    if !is_separation {
        return samples;
    }
    let inks = Inks::of(declared.icc.as_deref());
    declared.separation = Some(inks.separation());
    inks.to_srgb(&samples)
}

/// Memory for rows, tables and buffers of the decoders, bytes.
const BUFFERS: u64 = 4 << 20;

/// Reads the header and checks it against the limits. Decodes no pixel and allocates nothing that grows with the picture.
///
/// # Errors
/// Every kind of [`DecodeError`] that can be told from the header, sizes first.
pub fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    match Format::of(bytes)? {
        Format::Jpeg => jpeg::read_header(bytes, limits),
        Format::Png => png::read_header(bytes, limits),
        Format::Tiff => tiff::read_header(bytes, limits),
        Format::WebP => webp::read_header(bytes, limits),
        #[cfg(feature = "jpeg2000")]
        Format::Jpeg2000 => jp2::read_header(bytes, limits),
        #[cfg(not(feature = "jpeg2000"))]
        Format::Jpeg2000 => Err(without_jpeg2000()),
    }
}

/// Decodes the scan, completely or not at all. Of a file with several pages the first that is no reduced copy is decoded and the others
/// are named. Libraries below may panic on hostile files: call it where a panic is caught.
///
/// # Errors
/// Every kind of [`DecodeError`].
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<DecodedScan, DecodeError> {
    decode_into(bytes, limits, Vec::new())
}

/// As [`decode`], with memory that the decoder of JPEG takes for its samples, so that it is not asked for anew.
pub(super) fn decode_into(bytes: &[u8], limits: &DecodeLimits, memory: Vec<u8>) -> Result<DecodedScan, DecodeError> {
    let (picture, stored) = open(bytes, limits, memory)?.apart();
    let image = picture.whole(&stored.header)?;
    Ok(stored.with(image).into_scan())
}

/// Reads the scan as [`decode`] does, but keeps its lightness. Formats that are decoded in bands never have their samples whole in memory.
///
/// # Errors
/// Every kind of [`DecodeError`].
pub fn read(bytes: &[u8], limits: &DecodeLimits, keep: Keep) -> Result<ReadScan, DecodeError> {
    let (picture, stored) = open(bytes, limits, Vec::new())?.apart();
    let colour = Colour::of(&stored.declared, stored.header.channels, stored.header.bit_depth);
    let (image, copy) = if keep == Keep::SrgbSamples && colour.is_srgb() {
        (picture.whole(&stored.header)?, None)
    } else {
        picture.lightness(&stored.header, &colour)?
    };
    let orientation = stored.orientation();
    let copy = copy.map(|copy| copy.turned(|image| upright(image, orientation)));
    Ok(ReadScan { scan: stored.with(image).into_scan(), colour, copy })
}

/// Everything of a scan but its samples, which may still have to be decoded.
fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits, memory: Vec<u8>) -> Result<Stored<Picture<'a>>, DecodeError> {
    let whole = |stored: Stored| {
        let (image, stored) = stored.apart();
        stored.with(Picture::Whole(image))
    };
    match Format::of(bytes)? {
        Format::Jpeg => jpeg::decode(bytes, limits, memory).map(whole),
        Format::Png => png::decode(bytes, limits).map(whole),
        Format::Tiff => {
            let (bands, stored) = tiff::open(bytes, limits)?.apart();
            Ok(stored.with(Picture::InBands(Box::new(bands))))
        }
        Format::WebP => webp::decode(bytes, limits).map(whole),
        #[cfg(feature = "jpeg2000")]
        Format::Jpeg2000 => jp2::decode(bytes, limits).map(whole),
        #[cfg(not(feature = "jpeg2000"))]
        Format::Jpeg2000 => Err(without_jpeg2000()),
    }
}

/// The bands of an upright TIFF, for whoever needs no picture of them.
pub(super) fn upright_bands<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<(ScanHeader, Bands<'a>), DecodeError> {
    let (bands, stored) = tiff::open(bytes, limits)?.apart();
    if stored.orientation() != super::orientation::UPRIGHT {
        return Err(DecodeError::damaged(Format::Tiff, "it is not stored upright"));
    }
    Ok((stored.header, bands))
}

#[cfg(not(feature = "jpeg2000"))]
fn without_jpeg2000() -> DecodeError {
    DecodeError::unsupported(Format::Jpeg2000, "this build was made without it (feature jpeg2000)")
}

/// Memory that decoding needs at its peak, bytes, beside the file itself: the picture, and either what its decoder needs
/// beside it or the copy that turns it upright, whichever is more.
pub fn decode_cost_bytes(header: &ScanHeader) -> u64 {
    let picture = header.picture_bytes();
    picture.saturating_add(picture.max(header.scratch_bytes)).saturating_add(BUFFERS)
}

/// The same of [`read`], which keeps the lightness: what is decoded in bands is never there as a whole.
pub fn read_cost_bytes(header: &ScanHeader) -> u64 {
    let lightness = header.lightness_bytes();
    if header.in_bands {
        lightness.saturating_add(lightness.max(header.scratch_bytes)).saturating_add(BUFFERS)
    } else {
        let picture = header.picture_bytes();
        picture.saturating_add(picture.max(header.scratch_bytes).max(lightness)).saturating_add(BUFFERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::{ALL_CHANNELS, picture};
    use crate::codec::{Carried, Channels, EncodeSettings, encode};
    use crate::imaging::Size;

    #[test]
    fn a_header_says_what_is_decoded() {
        for format in [Format::Png, Format::Tiff] {
            for channels in ALL_CHANNELS {
                for depth in [8, 16] {
                    let image = picture(40, 30, channels, depth);
                    let bytes = encode(&image, format, &EncodeSettings::default(), &Carried::default()).unwrap();
                    let header = read_header(&bytes, &DecodeLimits::default()).unwrap();
                    assert_eq!(
                        (header.format, header.size, header.bit_depth, header.channels),
                        (format, Size::new(40, 30), depth, channels)
                    );
                    let scan = decode(&bytes, &DecodeLimits::default()).unwrap();
                    assert_eq!(scan.header, header);
                    assert_eq!((scan.orientation, &scan.image), (1, &image));
                    assert!(decode_cost_bytes(&header) >= 2 * header.picture_bytes());
                }
            }
        }
    }

    #[test]
    fn the_limit_holds_for_every_format_before_anything_is_decoded() {
        let image = picture(40, 30, Channels::Rgb, 8);
        for format in [Format::Jpeg, Format::Png, Format::Tiff] {
            let bytes = encode(&image, format, &EncodeSettings::default(), &Carried::default()).unwrap();
            assert!(read_header(&bytes, &DecodeLimits { max_pixels: 1200 }).is_ok());
            let below = DecodeLimits { max_pixels: 1199 };
            for error in [read_header(&bytes, &below).unwrap_err(), decode(&bytes, &below).unwrap_err()] {
                assert_eq!(error.to_string(), "40×30 pixels are more than the limit of 1199 pixels");
            }
        }
    }

    #[test]
    fn resolution_survives_every_format() {
        let carried = Carried { dpi: Some((300.0, 600.0)), ..Carried::default() };
        for format in [Format::Jpeg, Format::Png, Format::Tiff] {
            let bytes = encode(&picture(40, 30, Channels::Rgb, 8), format, &EncodeSettings::default(), &carried).unwrap();
            let (x, y) = decode(&bytes, &DecodeLimits::default()).unwrap().dpi.unwrap();
            // PNG counts whole pixels a metre: 0.0127 dpi is its rounding.
            assert!((x - 300.0).abs() < 0.02 && (y - 600.0).abs() < 0.02, "{format}: {x} × {y}");
            let bytes =
                encode(&picture(40, 30, Channels::Rgb, 8), format, &EncodeSettings::default(), &Carried::default()).unwrap();
            assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap().dpi, None, "{format}");
        }
    }

    #[test]
    fn what_jfif_and_exif_say_of_a_jpeg_and_cannot_be_used_is_told() {
        let carried = Carried { dpi: Some((300.0, 300.0)), ..Carried::default() };
        let whole = encode(&picture(40, 30, Channels::Grey, 8), Format::Jpeg, &EncodeSettings::default(), &carried).unwrap();
        let jfif = whole.windows(5).position(|five| five == b"JFIF\0").unwrap();
        let read = |unit: u8, density: u16, exif: &[u8]| {
            let mut bytes = whole.clone();
            bytes[jfif + 7] = unit;
            bytes[jfif + 8..jfif + 12].copy_from_slice(&[density.to_be_bytes(), density.to_be_bytes()].concat());
            let payload = [b"Exif\0\0", exif].concat();
            let segment = [&[0xFF, 0xE1], &(payload.len() as u16 + 2).to_be_bytes()[..], &payload].concat();
            let bytes = if exif.is_empty() { bytes } else { [&bytes[..2], &segment, &bytes[2..]].concat() };
            let scan = decode(&bytes, &DecodeLimits::default()).unwrap();
            (scan.dpi, scan.metadata.dropped.into_words().join("; "))
        };
        assert_eq!(read(1, 300, b""), (Some((300.0, 300.0)), String::new()));
        assert_eq!(read(0, 1, b""), (None, String::new()), "a mere shape of pixels");
        assert_eq!(read(1, 0, b""), (None, "JFIF's resolution: 0 pixels an inch cannot be a scan's".to_owned()));
        assert!(read(9, 300, b"").1.contains("unit 9"));
        let (dpi, words) = read(1, 0, &crate::codec::samples::exif_block(9, Some((600, 600))));
        assert!(
            dpi == Some((600.0, 600.0)) && words.contains("JFIF's resolution") && words.contains("orientation: 9"),
            "{words}"
        );
        let (dpi, words) = read(1, 300, &crate::codec::samples::exif_block(1, Some((0, 600))));
        assert!(dpi == Some((300.0, 300.0)) && words.contains("EXIF's resolution: 0 × 600"), "{words}");
    }

    #[test]
    fn pictures_in_colour_carry_a_profile_and_greys_need_none() {
        for format in [Format::Jpeg, Format::Png, Format::Tiff] {
            for channels in ALL_CHANNELS {
                let image = picture(40, 30, channels, 8);
                let bytes = encode(&image, format, &EncodeSettings::default(), &Carried::default()).unwrap();
                let scan = decode(&bytes, &DecodeLimits::default()).unwrap();
                let wanted = channels.is_rgb().then(|| crate::colour::srgb_profile().to_vec());
                assert_eq!(scan.declared.icc, wanted, "{format}, {channels:?}");
                assert!(scan.colour().is_srgb() && scan.declared.oddities.is_empty());
            }
        }
    }
}
