//! From bytes to an upright picture, with every limit checked from the header first.

#[cfg(feature = "jpeg2000")]
mod jp2;
mod jpeg;
mod png;
mod tiff;
mod webp;

use super::header::{DecodeLimits, ScanHeader};
use super::orientation::{swaps_sides, upright};
use super::{DecodeError, Format};
use crate::colour::{Colour, Declared, srgb_of_inks};
use crate::imaging::{Samples, ScanImage};
use crate::metadata::Found;

/// A decoded scan.
#[derive(Debug)]
pub struct DecodedScan {
    /// What the header said.
    pub header: ScanHeader,
    /// Upright picture, at the scan's own depth.
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

    /// The scan with its lightness in place of its samples, as everything behind takes it.
    pub fn into_lightness(self, colour: &Colour) -> Self {
        Self { image: colour.lightness(self.image), ..self }
    }
}

/// A picture as it lies in the file.
struct Stored {
    header: ScanHeader,
    image: ScanImage,
    orientation: Option<u8>,
    dpi: Option<(f64, f64)>,
    declared: Declared,
    metadata: Found,
    other_pages: Vec<String>,
}

/// The samples as they are, or, where they are inks, their sRGB; `declared` is told.
fn without_inks(samples: Samples, is_separation: bool, declared: &mut Declared) -> Samples {
    if !is_separation {
        return samples;
    }
    let (samples, separation) = srgb_of_inks(&samples, declared.icc.as_deref());
    declared.separation = Some(separation);
    samples
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
    let stored = match Format::of(bytes)? {
        Format::Jpeg => jpeg::decode(bytes, limits, memory),
        Format::Png => png::decode(bytes, limits),
        Format::Tiff => tiff::decode(bytes, limits),
        Format::WebP => webp::decode(bytes, limits),
        #[cfg(feature = "jpeg2000")]
        Format::Jpeg2000 => jp2::decode(bytes, limits),
        #[cfg(not(feature = "jpeg2000"))]
        Format::Jpeg2000 => Err(without_jpeg2000()),
    }?;
    let orientation = stored.orientation.unwrap_or(super::orientation::UPRIGHT);
    let dpi = stored.dpi.map(|(x, y)| if swaps_sides(orientation) { (y, x) } else { (x, y) });
    let Stored { header, image, declared, metadata, other_pages, .. } = stored;
    let image = upright(image, orientation);
    Ok(DecodedScan { header, image, orientation, declared, dpi, metadata, other_pages })
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
