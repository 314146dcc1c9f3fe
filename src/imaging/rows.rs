//! Row forms: runs of interleaved samples to planar floats, written so that the compiler turns them into vector code.
//!
//! Every processor of the last ten years has wider registers than the oldest of its kind, and the loops that gain most are compiled for
//! both; the numbers are the same. Works on runs short enough to stay in the first-level cache; who walks the picture is another file's story.

use std::sync::LazyLock;

use multiversion::multiversion;

use super::lab::{LUMINANCE, OfCurves, ROUND, Sample, lab_f_fast, linear_to_srgb_fast};
use super::space::Curve;
use super::{Channels, ColourSpace, Samples, ScanImage};

/// Pixels worked on at a time: six float planes of this length fit a first-level cache with room to spare.
pub(super) const RUN: usize = 512;

/// f(Y) = (L* + 16) / 116 of a run of pixels of a colour space; alpha is ignored.
#[inline]
pub(super) fn lightness_f<S: Sample>(channels: Channels, space: ColourSpace, samples: &[S], out: &mut [f32]) {
    let tables = S::tables_of(space.curve());
    let pixels = samples.chunks_exact(channels.count());
    if channels.is_rgb() {
        luminance_in(channels, tables, space.numbers().luminance, samples, out);
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
    /// The one copy of it for a curve.
    fn coder(curve: Curve) -> Self::Coder;
    /// First step: clips linear light to 0..=1 and brings it into the form that the second takes.
    fn prepare(plane: &mut [f32], curve: Curve);
    /// Second step.
    fn code(prepared: f32, coder: Self::Coder) -> Self;
    /// The nearest code of one on a scale of 0..=65535.
    fn narrowed(widened: u16) -> Self;
}

/// The 8-bit code nearest to the encoded value of each of 65 536 steps of linear light. Half a step is at most 0.007 L*, near black; by
/// sRGB's curve that is 0.026 codes.
static EIGHT_BITS: OfCurves<Box<[u8; 65536]>> = [
    LazyLock::new(|| eight_bits(Curve::Srgb)),
    LazyLock::new(|| eight_bits(Curve::Adobe)),
    LazyLock::new(|| eight_bits(Curve::ProPhoto)),
];

fn eight_bits(curve: Curve) -> Box<[u8; 65536]> {
    let codes = (0..65536).map(|step| u8::nearest(curve.encoded(f64::from(step) / 65535.0) as f32));
    codes.collect::<Vec<u8>>().try_into().expect("one code a step was collected")
}

/// Steps in the fourth root of linear light, in which every curve is nearly straight.
const ROOTS: usize = 4096;

/// Encoded values by the fourth root, and the way to the next; between them straight lines, wrong by 1e-7, and by 2e-5 where the line of
/// ProPhoto's curve ends.
static BY_ROOT: OfCurves<Vec<[f32; 2]>> =
    [LazyLock::new(|| by_root(Curve::Srgb)), LazyLock::new(|| by_root(Curve::Adobe)), LazyLock::new(|| by_root(Curve::ProPhoto))];

fn by_root(curve: Curve) -> Vec<[f32; 2]> {
    let at = |root: usize| curve.encoded((root as f64 / ROOTS as f64).powi(4));
    (0..=ROOTS).map(|root| [at(root) as f32, (at((root + 1).min(ROOTS)) - at(root)) as f32]).collect()
}

/// Linear light, clipped to 0..=1, encoded by a curve; not a number counts as 0.
#[expect(clippy::manual_clamp, reason = "clamp would keep what is not a number")]
fn encode_run_by(curve: Curve, values: &mut [f32]) {
    if curve == Curve::Srgb {
        return encode_run(values);
    }
    let by_root = &BY_ROOT[curve as usize][..=ROOTS];
    for value in values {
        let root = value.max(0.0).min(1.0).sqrt().sqrt() * ROOTS as f32;
        let [encoded, step] = by_root[root as usize];
        *value = encoded + root.fract() * step;
    }
}

impl Encode for u8 {
    type Coder = &'static [u8; 65536];

    fn coder(curve: Curve) -> Self::Coder {
        &EIGHT_BITS[curve as usize]
    }

    #[expect(clippy::manual_clamp, reason = "clamp would keep what is not a number")]
    fn prepare(plane: &mut [f32], _: Curve) {
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

    fn coder(_: Curve) -> Self::Coder {}

    fn prepare(plane: &mut [f32], curve: Curve) {
        encode_run_by(curve, plane);
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

/// Relative luminance, 0..=1, of a run of pixels of sRGB; alpha is ignored.
#[inline]
pub(super) fn luminance<S: Sample>(channels: Channels, samples: &[S], out: &mut [f32]) {
    luminance_in(channels, S::tables(), LUMINANCE, samples, out);
}

/// The same by the tables and weights of another space.
#[inline]
fn luminance_in<S: Sample>(channels: Channels, tables: &S::Tables, weights: [f32; 3], samples: &[S], out: &mut [f32]) {
    match channels {
        Channels::Grey => luminance_of::<S, 1>(tables, weights, samples, out),
        Channels::GreyAlpha => luminance_of::<S, 2>(tables, weights, samples, out),
        Channels::Rgb => luminance_of::<S, 3>(tables, weights, samples, out),
        Channels::Rgba => luminance_of::<S, 4>(tables, weights, samples, out),
    }
}

#[inline(always)]
fn luminance_of<S: Sample, const COUNT: usize>(tables: &S::Tables, weights: [f32; 3], samples: &[S], out: &mut [f32]) {
    for (value, pixel) in out.iter_mut().zip(samples.as_chunks::<COUNT>().0) {
        *value = if COUNT >= 3 {
            let [red, green, blue] = [0, 1, 2].map(|channel| pixel[channel].linear(tables));
            weights[0] * red + weights[1] * green + weights[2] * blue
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

/// L* of a run of pixels from pixel `first` of a picture of a colour space, into `out`.
pub(super) fn lightness_run(image: &ScanImage, space: ColourSpace, first: usize, out: &mut [f32]) {
    let channels = image.channels();
    let range = first * channels.count()..(first + out.len()) * channels.count();
    match image.samples() {
        Samples::U8(samples) => lightness_f(channels, space, &samples[range], out),
        Samples::U16(samples) => lightness_f(channels, space, &samples[range], out),
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
    use crate::imaging::lab::linear_to_srgb;

    fn code(linear: f32) -> u8 {
        let mut plane = [linear];
        u8::prepare(&mut plane, Curve::Srgb);
        u8::code(plane[0], u8::coder(Curve::Srgb))
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

    #[test]
    fn sixteen_bits_of_every_curve_are_within_a_code_or_two_of_linear_light() {
        for curve in [Curve::Srgb, Curve::Adobe, Curve::ProPhoto] {
            let mut run: Vec<f32> = (0..=100_000).map(|step| step as f32 / 1e5).collect();
            u16::prepare(&mut run, curve);
            for (step, &found) in run.iter().enumerate() {
                let wanted = curve.encoded(step as f64 / 1e5);
                assert!((f64::from(found) - wanted).abs() < 2e-5, "{curve:?} at {step}: {found} is not {wanted}");
            }
            let mut broken = [-0.1, 1.1, f32::NAN];
            u16::prepare(&mut broken, curve);
            assert_eq!(broken, [0.0, 1.0, 0.0]);
        }
    }
}
