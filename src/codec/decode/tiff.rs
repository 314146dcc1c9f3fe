//! TIFF and BigTIFF: grey, RGB, CMYK and palettes, with or without alpha, strips and tiles, chunky and planar, stored as they are or as
//! LZW, Deflate, PackBits, Zstandard, CCITT Group 4 or JPEG. Bilevel and 2- and 4-bit grey are expanded to 8 bits; whole numbers of 32 bits and
//! floating-point samples, which must lie in 0..=1, become 16 bits.
//!
//! The first page that is no reduced copy and no mask is the scan; the others are named ([`pages`]). Samples beyond colour and alpha
//! (a scanner's infrared channel) are left out. Alpha that was multiplied into the colour is divided out again.

mod blocks;
mod facts;
mod jpeg;
mod pages;
mod palette;

use std::io::ErrorKind;

use tiff::TiffError;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use self::facts::{Alpha, Facts, number};
use self::palette::{Overlaid, Palette};
use super::{Stored, without_inks};
use crate::codec::header::{DecodeLimits, ScanHeader};
use crate::codec::{Channels, DecodeError, Format};
use crate::colour::Declared;
use crate::imaging::{Samples, ScanImage};

type Open<'a> = Decoder<Overlaid<'a>>;

/// Largest value of a tag, bytes: profiles end at 8 MiB.
const VALUE_BYTES: usize = 16 << 20;

/// Largest tile that may be larger than the picture, bytes: what writers of tiles use at most.
const TILE_BYTES: usize = 4 << 20;

fn failed(error: TiffError) -> DecodeError {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => DecodeError::truncated(Format::Tiff, error),
        TiffError::UnsupportedError(error) => DecodeError::unsupported(Format::Tiff, error.to_string()),
        error => DecodeError::damaged(Format::Tiff, error),
    }
}

pub(super) fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    let Opened { mut decoder, palette, .. } = open(bytes)?;
    let facts = Facts::read(&mut decoder, bytes.len() as u64, limits, palette)?;
    Ok(facts.header())
}

/// A file at its scan's page.
struct Opened<'a> {
    decoder: Open<'a>,
    /// What the samples mean, where they are indices.
    palette: Option<Palette>,
    /// The other pages, in words.
    others: Vec<String>,
}

fn open(bytes: &[u8]) -> Result<Opened<'_>, DecodeError> {
    let mut limits = Limits::default();
    // A profile that is too large is told of later; the library's own bound is below profiles of presses.
    limits.ifd_value_size = VALUE_BYTES;
    let open = |file| Ok(Decoder::new(file).map_err(failed)?.with_limits(limits.clone()));
    let mut decoder = open(Overlaid::new(bytes))?;
    let (page, others) = pages::choose(&mut decoder)?;
    let photometric = number(&mut decoder, Tag::PhotometricInterpretation, u16::MAX)?;
    let bits = number(&mut decoder, Tag::BitsPerSample, 1)?;
    let Some(palette) = Palette::read(&mut decoder, photometric, bits)? else {
        return Ok(Opened { decoder, palette: None, others });
    };
    if page != 0 {
        return Err(DecodeError::unsupported(Format::Tiff, "a palette on a page that is not the first"));
    }
    let grey = Overlaid::as_grey(bytes).ok_or_else(|| DecodeError::damaged(Format::Tiff, "its tags contradict each other"))?;
    Ok(Opened { decoder: open(grey)?, palette: Some(palette), others })
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Stored, DecodeError> {
    let Opened { mut decoder, palette, others: other_pages } = open(bytes)?;
    let facts = Facts::read(&mut decoder, bytes.len() as u64, limits, palette)?;
    let header = facts.header();
    header.reserve()?;
    let metadata = blocks::read(&mut decoder);
    let raw =
        if facts.is_jpeg { DecodingResult::U8(jpeg::read(&mut decoder, bytes, &facts)?) } else { read(decoder, bytes, &facts)? };
    let samples = match raw {
        DecodingResult::U8(raw) if facts.palette.is_some() => coloured(raw, &facts),
        DecodingResult::U8(raw) if facts.bits < 8 => Samples::U8(expand(&raw, &facts, true)),
        DecodingResult::U8(raw) => Samples::U8(arrange(raw, &facts)?),
        DecodingResult::U16(raw) => Samples::U16(arrange(raw, &facts)?),
        DecodingResult::U32(raw) => Samples::U16(arrange(narrowed(raw), &facts)?),
        DecodingResult::F16(raw) => Samples::U16(arrange(from_floats(raw.into_iter().map(f64::from))?, &facts)?),
        DecodingResult::F32(raw) => Samples::U16(arrange(from_floats(raw.into_iter().map(f64::from))?, &facts)?),
        DecodingResult::F64(raw) => Samples::U16(arrange(from_floats(raw.into_iter())?, &facts)?),
        _ => return Err(DecodeError::unsupported(Format::Tiff, "samples that are neither whole numbers nor floating-point")),
    };
    let oddities = facts.oddity.into_iter().collect();
    let mut declared = Declared { icc: facts.icc, exif_colour_space: facts.exif_colour_space, oddities, ..Declared::default() };
    let samples = without_inks(samples, facts.is_separation, &mut declared);
    let image = ScanImage::new(header.size, header.channels, samples)
        .ok_or_else(|| DecodeError::damaged(Format::Tiff, "it has another number of samples than its tags say"))?;
    Ok(Stored { header, image, orientation: facts.orientation, dpi: facts.dpi, declared, metadata, other_pages })
}

/// Reads all planes as they are stored.
fn read(mut decoder: Open<'_>, bytes: &[u8], facts: &Facts) -> Result<DecodingResult, DecodeError> {
    let layout = decoder.image_buffer_layout().map_err(failed)?;
    // The library's own limits (256 MiB) are below scans of 50 megapixels; the size has been checked, so allow just that.
    let wanted = usize::try_from(facts.stored_bytes()).unwrap_or(usize::MAX);
    if layout.complete_len > wanted {
        return Err(DecodeError::damaged(Format::Tiff, "its tags contradict each other"));
    }
    let mut limits = Limits::default();
    limits.ifd_value_size = VALUE_BYTES;
    limits.decoding_buffer_size = wanted.max(TILE_BYTES);
    limits.intermediate_buffer_size = bytes.len();
    let mut decoder = decoder.with_limits(limits);
    if facts.planar && facts.samples > 1 && decoder.get_chunk_type() == ChunkType::Tile {
        if facts.bits > 16 {
            return Err(DecodeError::unsupported(Format::Tiff, format!("planes of {} bits in tiles", facts.bits)));
        }
        return match facts.bits {
            16 => read_tiled_planes(
                &mut decoder,
                facts,
                |tile| if let DecodingResult::U16(tile) = tile { Some(tile) } else { None },
            )
            .map(DecodingResult::U16),
            _ => {
                read_tiled_planes(&mut decoder, facts, |tile| if let DecodingResult::U8(tile) = tile { Some(tile) } else { None })
                    .map(DecodingResult::U8)
            }
        };
    }
    let mut raw = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut raw).map_err(failed)?;
    Ok(raw)
}

/// Reads planes stored in tiles, one behind the other. The library counts rows of tiles over all planes, takes the last row
/// of the second plane and further ones for whole, and panics over what it believes to be too small a buffer; so tiles are
/// read one by one.
fn read_tiled_planes<T: Sample>(
    decoder: &mut Open<'_>,
    facts: &Facts,
    own: impl Fn(DecodingResult) -> Option<Vec<T>>,
) -> Result<Vec<T>, DecodeError> {
    let (tile_width, tile_height) = decoder.chunk_dimensions();
    let (width, height) = (facts.size.width, facts.size.height);
    let (across, down) = (width.div_ceil(tile_width), height.div_ceil(tile_height));
    let stride = width as usize;
    let plane = stride * height as usize;
    let mut samples = vec![T::default(); plane * facts.decoded_samples()];
    for (index, (row, column)) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column))).enumerate() {
        let (top, left) = (row * tile_height, column * tile_width);
        let (rows, columns) = (tile_height.min(height - top) as usize, tile_width.min(width - left) as usize);
        for (number, plane) in samples.chunks_exact_mut(plane).enumerate() {
            let chunk = number * (across * down) as usize + index;
            let tile = decoder.read_chunk(u32::try_from(chunk).unwrap_or(u32::MAX)).map_err(failed)?;
            let tile = own(tile).filter(|tile| tile.len() >= rows * columns);
            let tile = tile.ok_or_else(|| DecodeError::damaged(Format::Tiff, "its tiles are not of the size its tags say"))?;
            for (y, from) in tile.chunks_exact(columns).take(rows).enumerate() {
                plane[(top as usize + y) * stride + left as usize..][..columns].copy_from_slice(from);
            }
        }
    }
    Ok(samples)
}

/// Colours of indices.
fn coloured(raw: Vec<u8>, facts: &Facts) -> Samples {
    let palette = facts.palette.as_ref().expect("whoever calls has looked");
    let indices = if facts.bits < 8 { expand(&raw, facts, false) } else { raw };
    if palette.is_eight_bits() { Samples::U8(palette.eight(&indices)) } else { Samples::U16(palette.sixteen(&indices)) }
}

/// The nearest of 65 536 steps.
fn narrowed(raw: Vec<u32>) -> Vec<u16> {
    let nearest = |value: u32| (u64::from(value) * 65_535 + u64::from(u32::MAX / 2)) / u64::from(u32::MAX);
    raw.into_iter().map(|value| nearest(value) as u16).collect()
}

/// How far above 1 or below 0 a float may lie and still be that: rounding of whoever wrote it.
const FLOAT_TOLERANCE: f64 = 1e-4;

/// Floating-point samples in 0..=1 as 16 bits. Others mean a scale that the file does not tell.
fn from_floats(raw: impl Iterator<Item = f64>) -> Result<Vec<u16>, DecodeError> {
    let sample = |value: f64| match value {
        value if (-FLOAT_TOLERANCE..=1.0 + FLOAT_TOLERANCE).contains(&value) => {
            Ok((value.clamp(0.0, 1.0) * 65_535.0).round() as u16)
        }
        value if value.is_nan() => Err(DecodeError::damaged(Format::Tiff, "it has samples that are no numbers")),
        value => Err(DecodeError::unsupported(Format::Tiff, format!("floating-point samples outside 0 to 1 ({value})"))),
    };
    raw.map(sample).collect()
}

/// Values of 1, 2 or 4 bits, rows padded to whole bytes; `spread` over 0..=255, or as they are.
fn expand(raw: &[u8], facts: &Facts, spread: bool) -> Vec<u8> {
    let bits = usize::from(facts.bits);
    let width = facts.size.width as usize;
    let most = (1_u16 << bits) - 1;
    let scale = if spread { 255 / most } else { 1 };
    let scale = u8::try_from(scale).expect("255 is a multiple of 1, 3 and 15, none above it");
    let sample = |row: &[u8], x: usize| {
        let bit = x * bits;
        (row[bit / 8] >> (8 - bits - bit % 8) & most as u8) * scale
    };
    let rows = raw.chunks_exact((width * bits).div_ceil(8));
    rows.flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
}

/// Interleaves planes, leaves extra samples out, divides alpha out.
fn arrange<T: Sample>(raw: Vec<T>, facts: &Facts) -> Result<Vec<T>, DecodeError> {
    let kept = facts.kept_samples();
    let stored = facts.decoded_samples();
    let pixels = usize::try_from(facts.size.pixels()).ok();
    if pixels.and_then(|pixels| pixels.checked_mul(stored)) != Some(raw.len()) {
        return Err(DecodeError::damaged(Format::Tiff, "it has another number of samples than its tags say"));
    }
    let mut samples = if facts.planar && stored > 1 {
        let plane = raw.len() / stored;
        let mut samples = vec![T::default(); plane * kept];
        for (channel, plane) in raw.chunks_exact(plane).take(kept).enumerate() {
            samples[channel..].iter_mut().step_by(kept).zip(plane).for_each(|(to, from)| *to = *from);
        }
        samples
    } else if stored > kept {
        raw.chunks_exact(stored).flat_map(|pixel| &pixel[..kept]).copied().collect()
    } else {
        raw
    };
    if facts.alpha == Alpha::Associated {
        divide_alpha(&mut samples, facts.channels);
    }
    Ok(samples)
}

/// A sample of 8 or 16 bits.
trait Sample: Copy + Default + Into<u32> {
    /// Full intensity, full opacity.
    const MOST: u32;
    /// From a value up to `MOST`.
    fn from(value: u32) -> Self;
}

impl Sample for u8 {
    const MOST: u32 = 0xFF;
    fn from(value: u32) -> Self {
        value as Self
    }
}

impl Sample for u16 {
    const MOST: u32 = 0xFFFF;
    fn from(value: u32) -> Self {
        value as Self
    }
}

/// Colour ÷ alpha, rounded; where nothing is opaque there is no colour to restore.
fn divide_alpha<T: Sample>(samples: &mut [T], channels: Channels) {
    for pixel in samples.chunks_exact_mut(channels.count()) {
        let Some((alpha, colour)) = pixel.split_last_mut() else { continue };
        let alpha: u32 = (*alpha).into();
        if alpha == 0 || alpha == T::MOST {
            continue;
        }
        for sample in colour {
            // At most 65535 × 65535 + 32767, which fits.
            let value: u32 = (*sample).into();
            *sample = T::from(((value * T::MOST + alpha / 2) / alpha).min(T::MOST));
        }
    }
}

#[cfg(test)]
mod tests;
