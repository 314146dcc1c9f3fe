//! Writes TIFF, and BigTIFF where offsets of 32 bits end.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::TiffResult;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, RGB8, RGB16, RGBA8, RGBA16};
use tiff::encoder::{
    Compression, DeflateLevel, Predictor, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue,
};
use tiff::tags::{ExtraSamples, ResolutionUnit, Tag, Type};

use super::TiffCompression;
use crate::codec::{Carried, Channels};
use crate::imaging::{Samples, ScanImage};

/// Beyond this many bytes of samples a file's offsets need 64 bits; the rest up to 4 GiB is left to tags, and to data that
/// compression makes larger.
const CLASSIC_BYTES: u64 = 3 << 30;

pub(super) fn encode(image: &ScanImage, compression: TiffCompression, carried: &Carried) -> TiffResult<Vec<u8>> {
    let bytes = image.samples().len() as u64 * u64::from(image.bit_depth() / 8);
    if bytes <= CLASSIC_BYTES {
        encode_as::<TiffKindStandard>(image, compression, carried)
    } else {
        encode_as::<TiffKindBig>(image, compression, carried)
    }
}

fn encode_as<K: TiffKind>(image: &ScanImage, compression: TiffCompression, carried: &Carried) -> TiffResult<Vec<u8>> {
    let writer = Writer { image, compression, carried };
    match (image.samples(), image.channels()) {
        (Samples::U8(samples), Channels::Grey | Channels::GreyAlpha) => writer.write::<Gray8, K>(samples),
        (Samples::U8(samples), Channels::Rgb) => writer.write::<RGB8, K>(samples),
        (Samples::U8(samples), Channels::Rgba) => writer.write::<RGBA8, K>(samples),
        (Samples::U16(samples), Channels::Grey | Channels::GreyAlpha) => writer.write::<Gray16, K>(samples),
        (Samples::U16(samples), Channels::Rgb) => writer.write::<RGB16, K>(samples),
        (Samples::U16(samples), Channels::Rgba) => writer.write::<RGBA16, K>(samples),
    }
}

struct Writer<'a> {
    image: &'a ScanImage,
    compression: TiffCompression,
    carried: &'a Carried,
}

impl Writer<'_> {
    fn write<C: ColorType, K: TiffKind>(&self, samples: &[C::Inner]) -> TiffResult<Vec<u8>>
    where
        [C::Inner]: TiffValue,
    {
        let channels = self.image.channels();
        let compression = match self.compression {
            TiffCompression::None => Compression::Uncompressed,
            TiffCompression::Lzw => Compression::Lzw,
            TiffCompression::Deflate => Compression::Deflate(DeflateLevel::Fast),
        };
        // The library predicts over colour only, and would write what no reader undoes for grey with alpha.
        let predicts = self.compression != TiffCompression::None && channels != Channels::GreyAlpha;
        let predictor = if predicts { Predictor::Horizontal } else { Predictor::None };
        let mut file = Cursor::new(Vec::with_capacity(std::mem::size_of_val(samples) + (64 << 10)));
        let mut encoder = TiffEncoder::<_, K>::new_generic(&mut file)?.with_compression(compression).with_predictor(predictor);
        let mut page = encoder.new_image::<C>(self.image.size().width, self.image.size().height)?;
        match channels {
            Channels::Grey | Channels::Rgb => {}
            Channels::GreyAlpha => page.extra_samples(&[ExtraSamples::UnassociatedAlpha])?,
            // The fourth sample is part of the library's RGBA; only its meaning is left to say.
            Channels::Rgba => page.encoder().write_tag(Tag::ExtraSamples, &[ExtraSamples::UnassociatedAlpha.to_u16()][..])?,
        }
        if let Some((x, y)) = self.carried.dpi.and_then(|(x, y)| Some((ratio(x)?, ratio(y)?))) {
            page.resolution_unit(ResolutionUnit::Inch);
            page.x_resolution(x);
            page.y_resolution(y);
        }
        if let Some(profile) = super::profile_of(self.image) {
            page.encoder().write_tag(Tag::IccProfile, Opaque(profile))?;
        }
        page.write_data(samples)?;
        Ok(file.into_inner())
    }
}

/// Bytes of a kind that the tag's own standard knows (type 7, UNDEFINED).
struct Opaque<'a>(&'a [u8]);

impl TiffValue for Opaque<'_> {
    const BYTE_LEN: u8 = 1;
    const FIELD_TYPE: Type = Type::UNDEFINED;

    fn count(&self) -> usize {
        self.0.len()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0)
    }
}

/// To a thousandth of a pixel an inch, where that fits the tag.
fn ratio(dpi: f64) -> Option<Rational> {
    let thousandths = (dpi * 1000.0).round();
    if !(1.0..=f64::from(u32::MAX)).contains(&thousandths) {
        return None;
    }
    let n = thousandths as u32;
    Some(if n.is_multiple_of(1000) { Rational { n: n / 1000, d: 1 } } else { Rational { n, d: 1000 } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::{ALL_CHANNELS, picture};
    use crate::codec::{DecodeLimits, decode};

    #[test]
    fn big_tiff_gives_every_sample_back() {
        for channels in ALL_CHANNELS {
            let image = picture(61, 43, channels, 16);
            let bytes = encode_as::<TiffKindBig>(&image, TiffCompression::Deflate, &Carried::default()).unwrap();
            assert_eq!(bytes[2], 43, "the version number of BigTIFF");
            assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap().image, image);
        }
    }
}
