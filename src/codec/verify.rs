//! Decodes what was encoded once more, before it may leave the house.

use std::fmt;

use super::checksums::Checksums;
use super::decode::{decode_into, upright_bands};
use super::{Channels, DecodeLimits, EncodeError, Format, InStrips};
use crate::imaging::metrics::{LightnessDifference, LightnessTally, lightness_difference_in, lightness_kept};
use crate::imaging::{ColourSpace, Lightness, Recombination, Rows as _, Samples, ScanImage, Size};

/// What decoding an encoded picture once more showed: |ΔL*|, largest and mean.
pub type Verified = LightnessDifference;

/// Largest mean |ΔL*| of a JPEG. A choice: below the just noticeable colour difference of 2.3 (Mahy, Van Eycken and
/// Oosterlinck, 1994), and far below what a decoder makes of a picture when it has lost its way.
const JPEG_MEAN_BOUND: f32 = 1.5;

/// Whose lightness a derivative must have.
#[derive(Debug, Clone, Copy)]
pub enum Against<'a> {
    /// The scan's, or what was put in its place; the derivative's samples are those of the space.
    Scan(&'a ScanImage, Lightness<'a>, ColourSpace),
    /// The picture's that was encoded, of the same space: it was not meant to have the scan's.
    Encoded(ColourSpace),
}

/// Decodes what was encoded and compares it with the picture it was made from.
///
/// PNG and TIFF must give every sample back. A JPEG may differ by a mean |ΔL*| of 1.5; its alpha, which it cannot hold, is not
/// compared. The lightness compared is that of the decoded file, so the result says how much of the scan's a curator gets.
///
/// # Errors
/// The `Verify…` kinds of [`EncodeError`].
pub fn verify(bytes: &[u8], image: ScanImage, format: Format, against: Against<'_>) -> Result<Verified, EncodeError> {
    let limits = DecodeLimits { max_pixels: image.size().pixels() };
    let lossy = format == Format::Jpeg;
    let wanted = Shape::of(&image, format, lossy);
    // A picture that nothing is compared with sample by sample gives its memory to the decoder.
    let (image, memory) = match against {
        Against::Scan(..) if lossy => (None, if let Samples::U8(samples) = image.into_samples() { samples } else { Vec::new() }),
        Against::Scan(..) | Against::Encoded(_) => (Some(image), Vec::new()),
    };
    let decoded = decode_into(bytes, &limits, memory).map_err(|source| EncodeError::VerifyDecode { format, source })?;
    let found = Shape::of(&decoded.image, decoded.header.format, lossy);
    if found != wanted {
        return Err(EncodeError::VerifyShape { format, found: found.to_string(), wanted: wanted.to_string() });
    }
    if !lossy && let Some(image) = &image {
        let count = differing(decoded.image.samples(), image.samples());
        if count > 0 {
            return Err(EncodeError::VerifySamples { format, count });
        }
    }
    let difference = match (against, &image) {
        (Against::Scan(scan, lightness, space), _) => lightness_kept(scan, lightness, &decoded.image, space),
        (Against::Encoded(space), Some(image)) => lightness_difference_in(space, image, &decoded.image),
        (Against::Encoded(_), None) => None,
    };
    let difference = difference.expect("the picture was kept where it is compared with, and the sizes were compared above");
    // Not `mean > bound`: a mean that is no number must not pass.
    let within = difference.mean <= JPEG_MEAN_BOUND;
    if lossy && !within {
        return Err(EncodeError::VerifyLightness { format, mean: difference.mean, bound: JPEG_MEAN_BOUND });
    }
    Ok(difference)
}

/// Decodes a TIFF that was made strip by strip and compares it with what it was made from, as [`verify`] does, a band at a time.
///
/// # Errors
/// The `Verify…` kinds of [`EncodeError`].
pub fn verify_strips(file: &InStrips, made: &Recombination<'_>) -> Result<Verified, EncodeError> {
    let format = Format::Tiff;
    let failed = |source| EncodeError::VerifyDecode { format, source };
    let limits = DecodeLimits { max_pixels: made.size().pixels() };
    let (header, bands) = upright_bands(&file.bytes, &limits).map_err(failed)?;
    let shape = |size, bit_depth, channels: Channels| Shape { format, size, bit_depth, samples: channels.count() };
    let wanted = shape(made.size(), made.bit_depth(), made.channels());
    let found = shape(header.size, header.bit_depth, header.channels);
    if found != wanted {
        return Err(EncodeError::VerifyShape { format, found: found.to_string(), wanted: wanted.to_string() });
    }
    let row = wanted.size.width as usize * wanted.samples;
    let look = |top: u32, band: ScanImage| {
        let kept = LightnessTally::of_rows(made.scan(), made.lightness(), &band, top, made.space());
        (kept, Checksums::of(band.samples(), row))
    };
    let (mut tally, mut checksums) = (LightnessTally::default(), Checksums::default());
    let take = |(kept, sums)| {
        tally = tally.with(kept);
        checksums.append(sums);
    };
    bands.each(look, take).map_err(failed)?;
    match file.checksums.differing(&checksums) {
        0 => Ok(tally.difference()),
        rows => Err(EncodeError::VerifyRows { format, rows }),
    }
}

/// What must be the same whatever the samples are.
#[derive(Debug, PartialEq)]
struct Shape {
    format: Format,
    size: Size,
    bit_depth: u8,
    samples: usize,
}

impl Shape {
    /// `lossy`: as a JPEG holds it, 8 bits and no alpha.
    fn of(image: &ScanImage, format: Format, lossy: bool) -> Self {
        let channels = image.channels();
        let samples = channels.count() - usize::from(lossy && channels.has_alpha());
        Self { format, size: image.size(), bit_depth: if lossy { 8 } else { image.bit_depth() }, samples }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} pixels of {} samples, {} bits", self.format, self.size, self.samples, self.bit_depth)
    }
}

/// How many samples differ, of two equally long lists of one depth.
fn differing(one: &Samples, other: &Samples) -> u64 {
    fn count<T: PartialEq>(one: &[T], other: &[T]) -> u64 {
        // Equality of slices is a memory comparison; only a failure is worth counting.
        if one == other { 0 } else { one.iter().zip(other).filter(|(one, other)| one != other).count() as u64 }
    }
    match (one, other) {
        (Samples::U8(one), Samples::U8(other)) => count(one, other),
        (Samples::U16(one), Samples::U16(other)) => count(one, other),
        (Samples::U8(_), Samples::U16(_)) | (Samples::U16(_), Samples::U8(_)) => one.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::{ALL_CHANNELS, picture};
    use crate::codec::{Carried, EncodeSettings, TiffCompression, encode, encode_strips};

    fn encoded(image: &ScanImage, format: Format) -> Vec<u8> {
        encode(image, format, &EncodeSettings::default(), &Carried::default()).unwrap()
    }

    fn against_itself(bytes: &[u8], image: &ScanImage, format: Format) -> Result<Verified, EncodeError> {
        let results = [Against::Encoded(ColourSpace::Srgb), Against::Scan(image, Lightness::Source, ColourSpace::Srgb)]
            .map(|against| verify(bytes, image.clone(), format, against).map_err(|error| error.to_string()));
        assert_eq!(results[0], results[1], "a picture is compared with itself either way");
        verify(bytes, image.clone(), format, Against::Encoded(ColourSpace::Srgb))
    }

    #[test]
    fn a_lossless_format_that_gave_every_sample_back_is_verified() {
        for format in [Format::Png, Format::Tiff] {
            for channels in ALL_CHANNELS {
                for depth in [8, 16] {
                    let image = picture(37, 23, channels, depth);
                    let verified = against_itself(&encoded(&image, format), &image, format).unwrap();
                    assert_eq!((verified.max, verified.mean), (0.0, 0.0));
                }
            }
        }
    }

    #[test]
    fn one_changed_sample_of_a_lossless_format_is_found() {
        let image = picture(37, 23, Channels::Rgb, 16);
        let Samples::U16(mut samples) = image.clone().into_samples() else { unreachable!("16 bits were made") };
        samples[1000] ^= 1;
        let other = ScanImage::new(image.size(), Channels::Rgb, Samples::U16(samples)).unwrap();
        let error = against_itself(&encoded(&other, Format::Tiff), &image, Format::Tiff).unwrap_err();
        assert_eq!(error.to_string(), "1 samples of the encoded tiff differ from the picture");
    }

    #[test]
    fn another_size_depth_or_format_is_found() {
        let image = picture(37, 23, Channels::Rgb, 8);
        for other in [picture(23, 37, Channels::Rgb, 8), picture(37, 23, Channels::Rgb, 16), picture(37, 23, Channels::Grey, 8)] {
            let error = against_itself(&encoded(&other, Format::Png), &image, Format::Png).unwrap_err();
            assert!(matches!(error, EncodeError::VerifyShape { .. }) || other.size() != Size::new(37, 23), "{error}");
        }
        let error = against_itself(&encoded(&image, Format::Tiff), &image, Format::Png).unwrap_err();
        assert!(matches!(error, EncodeError::VerifyShape { .. }), "{error}");
        let jpeg = encoded(&picture(36, 23, Channels::Rgb, 8), Format::Jpeg);
        assert!(matches!(against_itself(&jpeg, &image, Format::Jpeg), Err(EncodeError::VerifyShape { .. })));
    }

    fn recombination(scan: &ScanImage) -> Recombination<'_> {
        let plane = |value| crate::imaging::Plane::filled(Size::new(4, 3), value);
        let chroma = crate::imaging::ChromaPlanes { a: plane(8.0), b: plane(21.0) };
        let (part, rendering) = (crate::imaging::Rect::whole(scan.size()), crate::imaging::Rendering::default());
        Recombination::new(scan, part, Lightness::Source, &chroma, crate::imaging::Depth::Sixteen, rendering)
    }

    #[test]
    fn a_file_made_in_strips_is_the_one_that_is_made_whole_and_verified_alike() {
        let scan = picture(700, 900, Channels::Grey, 16);
        let made = recombination(&scan);
        let image = made.whole().image;
        for tiff_compression in [TiffCompression::None, TiffCompression::Lzw, TiffCompression::Deflate] {
            let settings = EncodeSettings { tiff_compression, ..EncodeSettings::default() };
            let file = encode_strips(&made, &settings, &Carried::default()).unwrap();
            assert!(file.bytes == encode(&image, Format::Tiff, &settings, &Carried::default()).unwrap(), "{tiff_compression}");
            let verified = verify_strips(&file, &made).unwrap();
            let against = Against::Scan(&scan, Lightness::Source, ColourSpace::Srgb);
            let whole = verify(&file.bytes, image.clone(), Format::Tiff, against).unwrap();
            assert!(verified.max == whole.max && (verified.mean - whole.mean).abs() < 1e-6, "{verified:?} and {whole:?}");
        }
    }

    #[test]
    fn a_row_that_was_garbled_another_picture_and_half_a_file_are_found_in_strips() {
        let scan = picture(700, 900, Channels::Grey, 16);
        let made = recombination(&scan);
        let file = encode_strips(&made, &EncodeSettings::default(), &Carried::default()).unwrap();
        let mut garbled = InStrips { bytes: file.bytes.clone(), checksums: file.checksums.clone() };
        let middle = garbled.bytes.len() / 2;
        garbled.bytes[middle] ^= 1;
        let error = verify_strips(&garbled, &made).unwrap_err();
        assert_eq!(error.to_string(), "1 rows of the encoded tiff differ from the picture");
        let other = picture(900, 700, Channels::Grey, 16);
        assert!(matches!(verify_strips(&file, &recombination(&other)), Err(EncodeError::VerifyShape { .. })));
        let half = InStrips { bytes: file.bytes[..middle].to_vec(), checksums: file.checksums };
        assert!(matches!(verify_strips(&half, &made), Err(EncodeError::VerifyDecode { .. })));
    }

    #[test]
    fn half_a_file_is_never_verified() {
        let image = picture(64, 64, Channels::Rgb, 8);
        for format in [Format::Jpeg, Format::Png, Format::Tiff] {
            let bytes = encoded(&image, format);
            let error = against_itself(&bytes[..bytes.len() / 2], &image, format).unwrap_err();
            assert!(matches!(error, EncodeError::VerifyDecode { .. }), "{error}");
        }
    }

    #[test]
    fn a_lightness_that_is_not_the_scans_is_measured_in_what_was_decoded() {
        let grey = |value: u8| ScanImage::new(Size::new(64, 48), Channels::Grey, Samples::U8(vec![value; 64 * 48])).unwrap();
        let rgb = |value: u8| ScanImage::new(Size::new(64, 48), Channels::Rgb, Samples::U8(vec![value; 3 * 64 * 48])).unwrap();
        for format in [Format::Png, Format::Tiff, Format::Jpeg] {
            let bytes = encoded(&rgb(121), format);
            let verified =
                verify(&bytes, rgb(121), format, Against::Scan(&grey(120), Lightness::Source, ColourSpace::Srgb)).unwrap();
            // One code of 8 bits is 0.4 L* there.
            assert!((0.35..0.45).contains(&verified.max) && (0.35..0.45).contains(&verified.mean), "{format}: {verified:?}");
            let plane = crate::imaging::Plane::filled(Size::new(64, 48), 121.0 / 255.0);
            let replaced =
                verify(&bytes, rgb(121), format, Against::Scan(&grey(9), Lightness::Replaced(&plane), ColourSpace::Srgb))
                    .unwrap();
            assert!(replaced.max < 0.01, "{format}: {replaced:?}");
        }
        let error = verify(
            &encoded(&rgb(125), Format::Jpeg),
            rgb(125),
            Format::Jpeg,
            Against::Scan(&grey(120), Lightness::Source, ColourSpace::Srgb),
        );
        assert!(matches!(error, Err(EncodeError::VerifyLightness { .. })), "{error:?}");
    }

    #[test]
    fn lightness_is_compared_in_the_derivatives_own_space() {
        let scan = ScanImage::new(Size::new(64, 48), Channels::Grey, Samples::U8(vec![120; 64 * 48])).unwrap();
        for space in ColourSpace::ALL {
            let code = (65_535.0 * space.encoded(crate::imaging::lab::srgb_to_linear(120.0 / 255.0))).round() as u16;
            let image = ScanImage::new(Size::new(64, 48), Channels::Rgb, Samples::U16(vec![code; 3 * 64 * 48])).unwrap();
            let bytes = encoded(&image, Format::Tiff);
            let verified = verify(&bytes, image, Format::Tiff, Against::Scan(&scan, Lightness::Source, space)).unwrap();
            assert!(verified.max < 0.005, "{space}: {verified:?}");
        }
    }
}
