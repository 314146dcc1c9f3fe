//! Row forms: runs of interleaved samples to planar floats, written so that the compiler turns them into vector code.
//!
//! Every processor of the last ten years has wider registers than the oldest of its kind, and the loops that gain most are compiled for
//! both; the numbers are the same. Works on runs short enough to stay in the first-level cache; who walks the picture is another file's story.

use std::sync::LazyLock;

use multiversion::multiversion;

use super::lab::{LUMINANCE, ROUND, Sample, lab_f_fast, linear_to_srgb, linear_to_srgb_fast};
use super::{Channels, Samples, ScanImage};

/// Pixels worked on at a time: six float planes of this length fit a first-level cache with room to spare.
pub(super) const RUN: usize = 512;

/// f(Y) = (L* + 16) / 116 of a run of pixels; alpha is ignored.
#[inline]
pub(super) fn lightness_f<S: Sample>(channels: Channels, samples: &[S], out: &mut [f32]) {
    let tables = S::tables();
    let pixels = samples.chunks_exact(channels.count());
    if channels.is_rgb() {
        luminance(channels, samples, out);
        lab_f_run(out);
    } else {
        for (value, pixel) in out.iter_mut().zip(pixels) {
            *value = pixel[0].grey_f(tables);
        }
    }
}

/// [`lab_f_fast`] of every value.
#[multiversion(targets("x86_64+avx2"))]
fn lab_f_run(values: &mut [f32]) {
    for value in values {
        *value = lab_f_fast(*value);
    }
}

/// [`linear_to_srgb_fast`] of every value.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn encode_run(values: &mut [f32]) {
    for value in values {
        *value = linear_to_srgb_fast(*value);
    }
}

/// How linear light becomes codes of a depth, in two steps: the first is vector code, the second goes with storing.
pub(super) trait Encode: Sample {
    /// What the second step looks things up in; got once, outside the loop.
    type Coder: Copy;
    /// The one copy of it.
    fn coder() -> Self::Coder;
    /// First step: clips linear light to 0..=1 and brings it into the form that the second takes.
    fn prepare(plane: &mut [f32]);
    /// Second step.
    fn code(prepared: f32, coder: Self::Coder) -> Self;
    /// The nearest code of one on a scale of 0..=65535.
    fn narrowed(widened: u16) -> Self;
}

/// The 8-bit code nearest to the sRGB-encoded value of each of 65 536 steps of linear light. Half a step is at most 0.026 codes, near
/// black.
static EIGHT_BITS: LazyLock<Box<[u8; 65536]>> = LazyLock::new(|| {
    let codes = (0..65536).map(|step| u8::nearest(linear_to_srgb(f64::from(step) / 65535.0) as f32));
    codes.collect::<Vec<u8>>().try_into().expect("one code a step was collected")
});

impl Encode for u8 {
    type Coder = &'static [u8; 65536];

    fn coder() -> Self::Coder {
        &EIGHT_BITS
    }

    #[expect(clippy::manual_clamp, reason = "clamp would keep what is not a number")]
    fn prepare(plane: &mut [f32]) {
        for value in plane {
            *value = value.max(0.0).min(1.0) * 65535.0 + ROUND;
        }
    }

    #[inline(always)]
    fn code(prepared: f32, coder: Self::Coder) -> Self {
        coder[usize::from(prepared.to_bits() as u16)]
    }

    #[inline(always)]
    fn narrowed(widened: u16) -> Self {
        super::to_eight_bits(widened)
    }
}

impl Encode for u16 {
    type Coder = ();

    fn coder() -> Self::Coder {}

    fn prepare(plane: &mut [f32]) {
        encode_run(plane);
    }

    #[inline(always)]
    fn code(prepared: f32, (): Self::Coder) -> Self {
        Self::nearest(prepared)
    }

    #[inline(always)]
    fn narrowed(widened: u16) -> Self {
        widened
    }
}

/// Relative luminance, 0..=1, of a run of pixels; alpha is ignored.
#[inline]
pub(super) fn luminance<S: Sample>(channels: Channels, samples: &[S], out: &mut [f32]) {
    match channels {
        Channels::Grey => luminance_of::<S, 1>(samples, out),
        Channels::GreyAlpha => luminance_of::<S, 2>(samples, out),
        Channels::Rgb => luminance_of::<S, 3>(samples, out),
        Channels::Rgba => luminance_of::<S, 4>(samples, out),
    }
}

#[inline(always)]
fn luminance_of<S: Sample, const COUNT: usize>(samples: &[S], out: &mut [f32]) {
    let tables = S::tables();
    for (value, pixel) in out.iter_mut().zip(samples.as_chunks::<COUNT>().0) {
        *value = if COUNT >= 3 {
            let [red, green, blue] = [0, 1, 2].map(|channel| pixel[channel].linear(tables));
            LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
        } else {
            pixel[0].linear(tables)
        };
    }
}

/// f(Y) of encoded greys, rounded to 16 bits; out of range is clipped, not a number is black.
#[expect(clippy::manual_clamp, reason = "clamp would keep what is not a number")]
pub(super) fn replaced_f(greys: &[f32], out: &mut [f32]) {
    let tables = u16::tables();
    for (f, &grey) in out.iter_mut().zip(greys) {
        *f = u16::nearest(grey.max(0.0).min(1.0)).grey_f(tables);
    }
}

/// L* of `count` pixels from pixel `first` of a picture, into `out`.
pub(super) fn lightness_run(image: &ScanImage, first: usize, out: &mut [f32]) {
    let channels = image.channels();
    let range = first * channels.count()..(first + out.len()) * channels.count();
    match image.samples() {
        Samples::U8(samples) => lightness_f(channels, &samples[range], out),
        Samples::U16(samples) => lightness_f(channels, &samples[range], out),
    }
    for value in out {
        *value = lightness_of_f(*value);
    }
}

/// L* of f(Y).
#[inline(always)]
pub(super) fn lightness_of_f(f: f32) -> f32 {
    116.0 * f - 16.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(linear: f32) -> u8 {
        let mut plane = [linear];
        u8::prepare(&mut plane);
        u8::code(plane[0], u8::coder())
    }

    #[test]
    fn eight_bits_are_the_nearest_codes_of_linear_light() {
        for step in 0..=1_000_000 {
            let linear = f64::from(step) / 1e6;
            let exact = 255.0 * linear_to_srgb(linear);
            let found = code(linear as f32);
            assert!((f64::from(found) - exact).abs() < 0.53, "{linear}: {found} for {exact}");
        }
        assert_eq!([code(-0.1), code(1.1), code(f32::NAN)], [0, 255, 0]);
        assert!((0..=u8::MAX).all(|grey| code(grey.linear(u8::tables())) == grey));
    }
}
