//! Row forms: runs of interleaved samples to planar floats, written so that the compiler turns them into vector code.
//!
//! Every processor of the last ten years has wider registers than the oldest of its kind, and the loops that gain most are compiled for
//! both; the numbers are the same. Works on runs short enough to stay in the first-level cache; who walks the picture is another file's story.

use multiversion::multiversion;

use super::lab::{LUMINANCE, Sample, lab_f_fast, linear_to_srgb_fast};
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

/// L* of `count` pixels from pixel `first` of a picture, into `out`.
pub(super) fn lightness_run(image: &ScanImage, first: usize, out: &mut [f32]) {
    let channels = image.channels();
    let range = first * channels.count()..(first + out.len()) * channels.count();
    match image.samples() {
        Samples::U8(samples) => lightness_f(channels, &samples[range], out),
        Samples::U16(samples) => lightness_f(channels, &samples[range], out),
    }
    for value in out {
        *value = 116.0 * *value - 16.0;
    }
}
