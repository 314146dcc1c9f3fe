//! Writes TIFF 6.0, and BigTIFF where offsets of 32 bits end: one page in strips, its metadata in tags and directories of their own.

mod strips;

use std::io::Cursor;

use tiff::Directory as Ifd;
use tiff::TiffResult;
use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard};
use tiff::tags::{Tag, Type};

pub(super) use self::strips::STRIP_BYTES;
use self::strips::Strips;
use super::EncodeSettings;
use crate::codec::checksums::Checksums;
use crate::codec::{Carried, Channels};
use crate::imaging::Rows;
use crate::metadata::{Directory, Field, Value, rational};

/// Beyond this many bytes of samples a file's offsets need 64 bits; the rest up to 4 GiB is left to tags, and to data that
/// LZW makes larger, by a third where scans are grainy.
const CLASSIC_BYTES: u64 = 5 << 29;

type Open<'a, 'b, K> = DirectoryEncoder<'a, &'b mut Cursor<Vec<u8>>, K>;

/// The file, and the checksums of the samples in it.
pub(super) fn encode(image: &dyn Rows, settings: &EncodeSettings, carried: &Carried) -> TiffResult<(Vec<u8>, Checksums)> {
    let bytes = image.size().pixels() * image.channels().count() as u64 * u64::from(image.bit_depth() / 8);
    if bytes <= CLASSIC_BYTES {
        encode_as::<TiffKindStandard>(image, settings, carried)
    } else {
        encode_as::<TiffKindBig>(image, settings, carried)
    }
}

fn encode_as<K: TiffKind>(image: &dyn Rows, settings: &EncodeSettings, carried: &Carried) -> TiffResult<(Vec<u8>, Checksums)> {
    let strips = Strips::of(image, settings.tiff_compression);
    let mut file = Cursor::new(Vec::with_capacity(strips.bytes() + (64 << 10)));
    let mut encoder = TiffEncoder::<_, K>::new_generic(&mut file)?;
    let mut own = |directory: Directory| -> TiffResult<Option<u64>> {
        let of = |field: &&Field| Directory::of(field) == Some(directory);
        if !carried.exif.iter().any(|field| of(&field)) {
            return Ok(None);
        }
        let mut ifd = encoder.extra_directory()?;
        for field in carried.exif.iter().filter(of) {
            let (kind, bytes) = stored(&field.value);
            put(&mut ifd, field.tag.number(), kind, &bytes)?;
        }
        Ok(Some(ifd.finish_with_offsets()?.pointer.0))
    };
    let (camera, gps) = (own(Directory::Camera)?, own(Directory::Gps)?);
    let mut page = encoder.image_directory()?;
    for field in carried.exif.iter().filter(|field| Directory::of(field) == Some(Directory::Picture)) {
        let (kind, bytes) = stored(&field.value);
        put(&mut page, field.tag.number(), kind, &bytes)?;
    }
    for (tag, offset) in [(Tag::ExifDirectory, camera), (Tag::GpsDirectory, gps)] {
        if let Some(offset) = offset {
            page.write_tag(tag, K::convert_offset(offset)?)?;
        }
    }
    describe(&mut page, image, &strips)?;
    if let Some((x, y)) = carried.dpi.filter(|&(x, y)| x >= 1.0 && y >= 1.0) {
        for (tag, dpi) in [(Tag::XResolution, x), (Tag::YResolution, y)] {
            put(&mut page, tag.to_u16(), Type::RATIONAL, &stored(&Value::Rational(vec![rational(dpi)])).1)?;
        }
        // Inches.
        page.write_tag(Tag::ResolutionUnit, 2_u16)?;
    }
    if let Some(profile) = super::profile_of(image.channels(), settings.colour_space) {
        put(&mut page, Tag::IccProfile.to_u16(), Type::UNDEFINED, profile)?;
    }
    if let Some(xmp) = &carried.xmp {
        put(&mut page, 700, Type::BYTE, xmp)?;
    }
    if let Some(iptc) = &carried.iptc {
        // As numbers of four bytes, which it is not, but so its readers expect it; zeros at its end mean nothing.
        let mut iptc = iptc.clone();
        iptc.resize(iptc.len().next_multiple_of(4), 0);
        put(&mut page, 33_723, Type::LONG, &iptc)?;
    }
    let (mut offsets, mut counts) = (Vec::new(), Vec::new());
    let checksums = strips.each(|strip| {
        offsets.push(K::convert_offset(page.write_data(strip)?)?);
        counts.push(K::convert_offset(strip.len() as u64)?);
        pad(&mut page, strip.len())
    })?;
    page.write_tag(Tag::StripOffsets, K::convert_slice(&offsets))?;
    page.write_tag(Tag::StripByteCounts, K::convert_slice(&counts))?;
    page.finish()?;
    Ok((file.into_inner(), checksums))
}

/// Size, kind of samples, compression.
fn describe<K: TiffKind>(page: &mut Open<'_, '_, K>, image: &dyn Rows, strips: &Strips<'_>) -> TiffResult<()> {
    let channels = image.channels();
    page.write_tag(Tag::ImageWidth, image.size().width)?;
    page.write_tag(Tag::ImageLength, image.size().height)?;
    page.write_tag(Tag::BitsPerSample, &vec![u16::from(image.bit_depth()); channels.count()][..])?;
    page.write_tag(Tag::Compression, strips.compression())?;
    // RGB, or grey whose 0 is black.
    page.write_tag(Tag::PhotometricInterpretation, if channels.is_rgb() { 2_u16 } else { 1 })?;
    page.write_tag(Tag::SamplesPerPixel, channels.count() as u16)?;
    page.write_tag(Tag::RowsPerStrip, strips.rows())?;
    page.write_tag(Tag::PlanarConfiguration, 1_u16)?;
    if strips.predicts() {
        page.write_tag(Tag::Predictor, 2_u16)?;
    }
    if matches!(channels, Channels::GreyAlpha | Channels::Rgba) {
        // Unassociated alpha.
        page.write_tag(Tag::ExtraSamples, 2_u16)?;
    }
    Ok(())
}

/// A tag of a kind that is known only now; `bytes` in the machine's order, which is the file's.
fn put<K: TiffKind>(ifd: &mut Open<'_, '_, K>, number: u16, kind: Type, bytes: &[u8]) -> TiffResult<()> {
    let entry = ifd.write_entry_bytes(kind, bytes)?;
    if bytes.len() > size_of::<K::OffsetType>() {
        pad(ifd, bytes.len())?;
    }
    let mut one = Ifd::empty();
    one.extend([(Tag::from_u16_exhaustive(number), entry)]);
    ifd.extend_from(&one);
    Ok(())
}

/// Everything begins on a whole word (TIFF 6.0, section 2).
fn pad<K: TiffKind>(ifd: &mut Open<'_, '_, K>, length: usize) -> TiffResult<()> {
    if !length.is_multiple_of(2) {
        ifd.write_data(&[0_u8][..])?;
    }
    Ok(())
}

/// A field's kind and bytes.
fn stored(value: &Value) -> (Type, Vec<u8>) {
    fn all<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }
    match value {
        Value::Byte(values) => (Type::BYTE, values.clone()),
        Value::Ascii(texts) => (Type::ASCII, texts.iter().flat_map(|text| text.iter().copied().chain([0])).collect()),
        Value::Short(values) => (Type::SHORT, all(values, u16::to_ne_bytes)),
        Value::Long(values) => (Type::LONG, all(values, u32::to_ne_bytes)),
        Value::Rational(values) => {
            (Type::RATIONAL, values.iter().flat_map(|one| [one.num, one.denom]).flat_map(u32::to_ne_bytes).collect())
        }
        Value::SByte(values) => (Type::SBYTE, all(values, i8::to_ne_bytes)),
        Value::Undefined(values, _) => (Type::UNDEFINED, values.clone()),
        Value::SShort(values) => (Type::SSHORT, all(values, i16::to_ne_bytes)),
        Value::SLong(values) => (Type::SLONG, all(values, i32::to_ne_bytes)),
        Value::SRational(values) => {
            (Type::SRATIONAL, values.iter().flat_map(|one| [one.num, one.denom]).flat_map(i32::to_ne_bytes).collect())
        }
        Value::Float(values) => (Type::FLOAT, all(values, f32::to_ne_bytes)),
        Value::Double(values) => (Type::DOUBLE, all(values, f64::to_ne_bytes)),
        // Never kept.
        Value::Unknown(..) => (Type::UNDEFINED, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::{ALL_CHANNELS, picture};
    use crate::codec::{DecodeLimits, TiffCompression, decode};

    fn settings(tiff_compression: TiffCompression) -> EncodeSettings {
        EncodeSettings { tiff_compression, ..EncodeSettings::default() }
    }

    #[test]
    fn big_tiff_gives_every_sample_back() {
        for channels in ALL_CHANNELS {
            let image = picture(61, 43, channels, 16);
            let (bytes, _) = encode_as::<TiffKindBig>(&image, &settings(TiffCompression::Deflate), &Carried::default()).unwrap();
            assert_eq!(bytes[2], 43, "the version number of BigTIFF");
            assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap().image, image);
        }
    }

    #[test]
    fn many_strips_in_every_compression_give_every_sample_back() {
        for compression in [TiffCompression::None, TiffCompression::Lzw, TiffCompression::Deflate] {
            for (channels, depth) in ALL_CHANNELS.into_iter().flat_map(|channels| [(channels, 8), (channels, 16)]) {
                let image = picture(700, 900, channels, depth);
                let (bytes, _) = encode(&image, &settings(compression), &Carried::default()).unwrap();
                assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap().image, image, "{compression} {channels:?} {depth}");
            }
        }
    }

    /// Grain is what scans have most of, and what a compressor can make worse.
    #[test]
    fn deflate_makes_a_grainy_picture_of_sixteen_bits_smaller() {
        let mut random = fastrand::Rng::with_seed(3);
        let tone = |x: u32, y: u32| 30_000.0 + 9000.0 * (f64::from(x) / 90.0).sin() * (f64::from(y) / 130.0).cos();
        let mut pixel = |x: u32, y: u32| {
            let grey = (tone(x, y) + 1500.0 * (random.f64() + random.f64() - 1.0)) as u16;
            [grey, grey - 900, grey - 2100]
        };
        let samples = (0..600).flat_map(|y| (0..800).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        let size = crate::imaging::Size::new(800, 600);
        let image = crate::imaging::ScanImage::new(size, Channels::Rgb, crate::imaging::Samples::U16(samples)).unwrap();
        let length = |compression| encode(&image, &settings(compression), &Carried::default()).unwrap().0.len();
        let (plain, deflated) = (length(TiffCompression::None), length(TiffCompression::Deflate));
        assert!(deflated < plain * 9 / 10, "{deflated} bytes of {plain}");
    }
}
