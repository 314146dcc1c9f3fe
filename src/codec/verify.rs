//! Decodes what was encoded once more, before it may leave the house.

use super::{DecodeLimits, EncodeError, Format, decode};
use crate::imaging::metrics::{LightnessDifference, lightness_difference};
use crate::imaging::{Samples, ScanImage};

/// What decoding an encoded picture once more showed: |ΔL*|, largest and mean.
pub type Verified = LightnessDifference;

/// Largest mean |ΔL*| of a JPEG. A choice: below the just noticeable colour difference of 2.3 (Mahy, Van Eycken and
/// Oosterlinck, 1994), and far below what a decoder makes of a picture when it has lost its way.
const JPEG_MEAN_BOUND: f32 = 1.5;

/// Decodes what was encoded and compares it with the picture it was made from.
///
/// PNG and TIFF must give every sample back, so their difference is 0 and no lightness is computed. A JPEG may differ by
/// a mean |ΔL*| of 1.5; its alpha, which it cannot hold, is not compared.
///
/// # Errors
/// The `Verify…` kinds of [`EncodeError`].
pub fn verify(bytes: &[u8], image: &ScanImage, format: Format) -> Result<Verified, EncodeError> {
    let limits = DecodeLimits { max_pixels: image.size().pixels() };
    let decoded = decode(bytes, &limits).map_err(|source| EncodeError::VerifyDecode { format, source })?;
    let lossy = format == Format::Jpeg;
    let shape = |image: &ScanImage, format: Format| {
        let samples = if lossy { image.channels().is_rgb().into() } else { image.channels().count() };
        let depth = if lossy { 8 } else { image.bit_depth() };
        (image.size(), depth, samples, format)
    };
    if shape(&decoded.image, decoded.header.format) != shape(image, format) {
        let words = |image: &ScanImage| format!("{} pixels of {:?}, {} bits", image.size(), image.channels(), image.bit_depth());
        return Err(EncodeError::VerifyShape { format, found: words(&decoded.image), wanted: words(image) });
    }
    if !lossy {
        return match differing(decoded.image.samples(), image.samples()) {
            0 => Ok(Verified { max: 0.0, mean: 0.0 }),
            count => Err(EncodeError::VerifySamples { format, count }),
        };
    }
    let difference = lightness_difference(&decoded.image, image).expect("the sizes were compared above");
    // Not `mean > bound`: a mean that is no number must not pass.
    if difference.mean <= JPEG_MEAN_BOUND {
        Ok(difference)
    } else {
        Err(EncodeError::VerifyLightness { format, mean: difference.mean, bound: JPEG_MEAN_BOUND })
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
    use crate::codec::{Carried, Channels, EncodeSettings, encode};
    use crate::imaging::Size;

    fn encoded(image: &ScanImage, format: Format) -> Vec<u8> {
        encode(image, format, &EncodeSettings::default(), &Carried::default()).unwrap()
    }

    #[test]
    fn a_lossless_format_that_gave_every_sample_back_is_verified() {
        for format in [Format::Png, Format::Tiff] {
            for channels in ALL_CHANNELS {
                for depth in [8, 16] {
                    let image = picture(37, 23, channels, depth);
                    let verified = verify(&encoded(&image, format), &image, format).unwrap();
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
        let error = verify(&encoded(&other, Format::Tiff), &image, Format::Tiff).unwrap_err();
        assert_eq!(error.to_string(), "1 samples of the encoded tiff differ from the picture");
    }

    #[test]
    fn another_size_depth_or_format_is_found() {
        let image = picture(37, 23, Channels::Rgb, 8);
        for other in [picture(23, 37, Channels::Rgb, 8), picture(37, 23, Channels::Rgb, 16), picture(37, 23, Channels::Grey, 8)] {
            let error = verify(&encoded(&other, Format::Png), &image, Format::Png).unwrap_err();
            assert!(matches!(error, EncodeError::VerifyShape { .. }) || other.size() != Size::new(37, 23), "{error}");
        }
        let error = verify(&encoded(&image, Format::Tiff), &image, Format::Png).unwrap_err();
        assert!(matches!(error, EncodeError::VerifyShape { .. }), "{error}");
        let jpeg = encoded(&picture(36, 23, Channels::Rgb, 8), Format::Jpeg);
        assert!(matches!(verify(&jpeg, &image, Format::Jpeg), Err(EncodeError::VerifyShape { .. })));
    }

    #[test]
    fn half_a_file_is_never_verified() {
        let image = picture(64, 64, Channels::Rgb, 8);
        for format in [Format::Jpeg, Format::Png, Format::Tiff] {
            let bytes = encoded(&image, format);
            let error = verify(&bytes[..bytes.len() / 2], &image, format).unwrap_err();
            assert!(matches!(error, EncodeError::VerifyDecode { .. }), "{error}");
        }
    }
}
