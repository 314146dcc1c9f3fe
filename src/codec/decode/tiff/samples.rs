//! A TIFF's samples, of whatever kind, as 8 or 16 bits of grey, RGB and alpha.

use tiff::decoder::DecodingResult;

use super::facts::{Alpha, Facts};
use crate::codec::{Channels, DecodeError, Format};
use crate::colour::Inks;
use crate::imaging::Samples;

/// Samples of a strip or tile as the library gives them, `width` of them a row.
pub(super) fn of_library(raw: DecodingResult, facts: &Facts, width: usize) -> Result<Samples, DecodeError> {
    Ok(match raw {
        DecodingResult::U8(raw) if facts.bits < 8 => {
            Samples::U8(expand(&raw, usize::from(facts.bits), width, facts.palette.is_none()))
        }
        DecodingResult::U8(raw) => Samples::U8(raw),
        DecodingResult::U16(raw) => Samples::U16(raw),
        DecodingResult::U32(raw) => Samples::U16(narrowed(raw)),
        DecodingResult::F16(raw) => Samples::U16(from_floats(raw.into_iter().map(f64::from))?),
        DecodingResult::F32(raw) => Samples::U16(from_floats(raw.into_iter().map(f64::from))?),
        DecodingResult::F64(raw) => Samples::U16(from_floats(raw.into_iter())?),
        _ => return Err(DecodeError::unsupported(Format::Tiff, "samples that are neither whole numbers nor floating-point")),
    })
}

/// Samples of 8 or 16 bits as they lie in the file.
pub(super) fn of_bytes(bytes: Vec<u8>, facts: &Facts) -> Samples {
    if facts.bits == 8 {
        return Samples::U8(bytes);
    }
    let pairs = bytes.as_chunks::<2>().0.iter();
    Samples::U16(if facts.is_big_endian {
        pairs.map(|&pair| u16::from_be_bytes(pair)).collect()
    } else {
        pairs.map(|&pair| u16::from_le_bytes(pair)).collect()
    })
}

/// Samples of which 0 is black, where it was white.
pub(super) fn black_is_zero(mut samples: Samples, facts: &Facts) -> Samples {
    match &mut samples {
        _ if !facts.is_inverted => {}
        Samples::U8(samples) => samples.iter_mut().for_each(|sample| *sample = !*sample),
        Samples::U16(samples) => samples.iter_mut().for_each(|sample| *sample = !*sample),
    }
    samples
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

/// Values of 1, 2 or 4 bits, rows of `width` padded to whole bytes; `spread` over 0..=255, or as they are.
fn expand(raw: &[u8], bits: usize, width: usize, spread: bool) -> Vec<u8> {
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

/// What a page's samples become: without those beyond colour and alpha, alpha divided out, indices and inks as the colours they stand for.
/// `raw` has `stored` samples a pixel, interleaved.
pub(super) fn finished(raw: Samples, facts: &Facts, stored: usize, inks: Option<&Inks>) -> Samples {
    let samples = match (raw, &facts.palette) {
        (Samples::U8(raw), Some(palette)) if palette.is_eight_bits() => Samples::U8(palette.eight(&raw)),
        (Samples::U8(raw), Some(palette)) => Samples::U16(palette.sixteen(&raw)),
        (Samples::U8(raw), None) => Samples::U8(arranged(raw, facts, stored)),
        (Samples::U16(raw), _) => Samples::U16(arranged(raw, facts, stored)),
    };
    match inks {
        Some(inks) => inks.to_srgb(&samples),
        None => samples,
    }
}

/// Leaves extra samples out, divides alpha out.
fn arranged<T: Sample>(raw: Vec<T>, facts: &Facts, stored: usize) -> Vec<T> {
    let kept = facts.kept_samples();
    let mut samples =
        if stored > kept { raw.chunks_exact(stored).flat_map(|pixel| &pixel[..kept]).copied().collect() } else { raw };
    if facts.alpha == Alpha::Associated {
        divide_alpha(&mut samples, facts.channels);
    }
    samples
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
