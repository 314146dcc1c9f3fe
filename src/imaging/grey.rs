//! Grey pictures in sRGB's coding from samples that mean something else; alpha is kept.
//!
//! The results have 16 bits: a step of them is at most 0.001 L*, so that the change of coding costs nothing that can be seen or
//! measured. What the samples mean is told by whoever calls.

use super::lab::{LUMINANCE, Sample};
use super::rows::{RUN, encode_run, luminance};
use super::{Channels, Samples, ScanImage};

/// Relative luminance as a sum of one value for each red, green and blue code.
#[derive(Debug, Clone, PartialEq)]
pub struct LuminanceTables([Vec<f32>; 3]);

impl LuminanceTables {
    /// `linear` has the linear light, 0..=1, of every code of the scan's depth, 256 or 65 536 of them; `weights` is what red, green
    /// and blue at 1 contribute.
    pub fn new(linear: [&[f32]; 3], weights: [f64; 3]) -> Self {
        let weighted =
            |channel: usize| linear[channel].iter().map(|&value| (f64::from(value) * weights[channel]) as f32).collect();
        Self([weighted(0), weighted(1), weighted(2)])
    }
}

/// What linear sRGB red, green and blue contribute to relative luminance.
pub fn srgb_weights() -> [f64; 3] {
    LUMINANCE.map(f64::from)
}

/// The grey picture of a scan that is sRGB: its lightness without its colour.
pub fn grey_of_srgb(scan: &ScanImage) -> ScanImage {
    let count = scan.channels().count();
    grey(scan, |first, out| match scan.samples() {
        Samples::U8(samples) => luminance(scan.channels(), &samples[first * count..][..out.len() * count], out),
        Samples::U16(samples) => luminance(scan.channels(), &samples[first * count..][..out.len() * count], out),
    })
}

/// The grey picture of an RGB scan by tables of the scan's depth.
///
/// # Panics
/// When the scan is grey or a table is shorter than its depth has codes.
pub fn grey_of_luminance(scan: &ScanImage, tables: &LuminanceTables) -> ScanImage {
    fn sums<const COUNT: usize, S: Sample + Into<usize>>(samples: &[S], [red, green, blue]: [&[f32]; 3], out: &mut [f32]) {
        for (value, pixel) in out.iter_mut().zip(samples.as_chunks::<COUNT>().0) {
            *value = red[pixel[0].into()] + green[pixel[1].into()] + blue[pixel[2].into()];
        }
    }
    let tables = tables.0.each_ref().map(Vec::as_slice);
    grey(scan, |first, out| match (scan.samples(), scan.channels()) {
        (Samples::U8(samples), Channels::Rgb) => sums::<3, _>(&samples[3 * first..], tables, out),
        (Samples::U8(samples), Channels::Rgba) => sums::<4, _>(&samples[4 * first..], tables, out),
        (Samples::U16(samples), Channels::Rgb) => sums::<3, _>(&samples[3 * first..], tables, out),
        (Samples::U16(samples), Channels::Rgba) => sums::<4, _>(&samples[4 * first..], tables, out),
        (_, Channels::Grey | Channels::GreyAlpha) => panic!("a grey scan has no red, green and blue"),
    })
}

/// The grey picture of a grey scan whose codes mean other greys: `codes` has the new one, 16 bits, of every old one.
///
/// # Panics
/// When the scan is not grey or `codes` is shorter than its depth.
pub fn grey_of_codes(scan: &ScanImage, codes: &[u16]) -> ScanImage {
    assert!(!scan.channels().is_rgb(), "only greys are looked up by themselves");
    let samples = match (scan.samples(), scan.channels().has_alpha()) {
        (Samples::U8(samples), false) => samples.iter().map(|&sample| codes[usize::from(sample)]).collect(),
        (Samples::U16(samples), false) => samples.iter().map(|&sample| codes[usize::from(sample)]).collect(),
        (Samples::U8(samples), true) => {
            samples.as_chunks::<2>().0.iter().flat_map(|&[grey, alpha]| [codes[usize::from(grey)], alpha.widened()]).collect()
        }
        (Samples::U16(samples), true) => {
            samples.as_chunks::<2>().0.iter().flat_map(|&[grey, alpha]| [codes[usize::from(grey)], alpha]).collect()
        }
    };
    ScanImage::new(scan.size(), scan.channels(), Samples::U16(samples)).expect("every pixel was given its code")
}

/// The grey picture of a scan through `to_srgb`, which takes a run of encoded colour samples in 0..=1, one or three a pixel and no
/// alpha, and gives red, green and blue of sRGB, encoded in 0..=1, for each pixel.
pub fn grey_through(scan: &ScanImage, mut to_srgb: impl FnMut(&[f32], &mut [f32])) -> ScanImage {
    let count = scan.channels().count();
    let colours = count - usize::from(scan.channels().has_alpha());
    let (mut from, mut to, mut codes) = (Vec::with_capacity(3 * RUN), vec![0.0; 3 * RUN], vec![0_u16; 3 * RUN]);
    grey(scan, |first, out| {
        from.clear();
        let range = first * count..(first + out.len()) * count;
        match scan.samples() {
            Samples::U8(samples) => from.extend(
                samples[range].chunks_exact(count).flat_map(|pixel| &pixel[..colours]).map(|&sample| f32::from(sample) / 255.0),
            ),
            Samples::U16(samples) => from.extend(
                samples[range]
                    .chunks_exact(count)
                    .flat_map(|pixel| &pixel[..colours])
                    .map(|&sample| f32::from(sample) / 65_535.0),
            ),
        }
        let to = &mut to[..3 * out.len()];
        to_srgb(&from, to);
        for (code, &value) in codes.iter_mut().zip(&*to) {
            *code = u16::nearest(value.clamp(0.0, 1.0));
        }
        luminance(Channels::Rgb, &codes[..to.len()], out);
    })
}

/// Encodes the relative luminance that `fill` gives for runs of pixels, by the index of their first.
fn grey(scan: &ScanImage, mut fill: impl FnMut(usize, &mut [f32])) -> ScanImage {
    let pixels = scan.size().pixels() as usize;
    let channels = if scan.channels().has_alpha() { Channels::GreyAlpha } else { Channels::Grey };
    let mut samples = Vec::with_capacity(pixels * channels.count());
    let mut run = [0.0; RUN];
    for first in (0..pixels).step_by(RUN) {
        let run = &mut run[..RUN.min(pixels - first)];
        fill(first, run);
        encode_run(run);
        let codes = run.iter().map(|&grey| u16::nearest(grey));
        if channels == Channels::Grey {
            samples.extend(codes);
        } else {
            let count = scan.channels().count();
            let alpha = |pixel: usize| match scan.samples() {
                Samples::U8(samples) => samples[pixel * count + count - 1].widened(),
                Samples::U16(samples) => samples[pixel * count + count - 1],
            };
            samples.extend(codes.enumerate().flat_map(|(index, grey)| [grey, alpha(first + index)]));
        }
    }
    ScanImage::new(scan.size(), channels, Samples::U16(samples)).expect("every pixel was given its grey")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Size;
    use crate::imaging::lab::srgb_to_linear;
    use crate::imaging::metrics::lightness_difference;

    fn scan(channels: Channels, wide: bool) -> ScanImage {
        let size = Size::new(613, 37);
        let mut random = fastrand::Rng::with_seed(11);
        let count = size.pixels() as usize * channels.count();
        let samples = if wide {
            Samples::U16((0..count).map(|_| random.u16(..)).collect())
        } else {
            Samples::U8((0..count).map(|_| random.u8(..)).collect())
        };
        ScanImage::new(size, channels, samples).unwrap()
    }

    fn alphas(image: &ScanImage) -> Vec<u16> {
        let count = image.channels().count();
        match image.samples() {
            Samples::U8(samples) => samples.chunks_exact(count).map(|pixel| pixel[count - 1].widened()).collect(),
            Samples::U16(samples) => samples.chunks_exact(count).map(|pixel| pixel[count - 1]).collect(),
        }
    }

    /// Every way leads to the same greys when the samples mean sRGB, and the lightness is the scan's.
    #[test]
    fn a_grey_picture_has_the_scans_lightness_and_alpha() {
        for channels in [Channels::Rgb, Channels::Rgba] {
            for wide in [false, true] {
                let scan = scan(channels, wide);
                let codes = if wide { 65_536 } else { 256 };
                let linear: Vec<f32> =
                    (0..codes).map(|code| srgb_to_linear(f64::from(code) / f64::from(codes - 1)) as f32).collect();
                let tables = LuminanceTables::new([&linear; 3], srgb_weights());
                let through = grey_through(&scan, |from, to| to.copy_from_slice(from));
                for grey in [grey_of_srgb(&scan), grey_of_luminance(&scan, &tables), through] {
                    assert!(lightness_difference(&scan, &grey).unwrap().max < 0.002, "{channels:?} {wide}");
                    if channels.has_alpha() {
                        assert_eq!(alphas(&grey), alphas(&scan));
                    }
                }
            }
        }
    }

    #[test]
    fn codes_of_a_grey_scan_are_looked_up() {
        for channels in [Channels::Grey, Channels::GreyAlpha] {
            for wide in [false, true] {
                let scan = scan(channels, wide);
                let most = if wide { 65_535_u32 } else { 255 };
                let codes: Vec<u16> = (0..=most).map(|code| (code * 65_535 / most) as u16).collect();
                let grey = grey_of_codes(&scan, &codes);
                assert!(lightness_difference(&scan, &grey).unwrap().max < 1e-3);
                let through = grey_through(&scan, |from, to| {
                    to.as_chunks_mut::<3>().0.iter_mut().zip(from).for_each(|(to, &from)| *to = [from; 3]);
                });
                assert!(lightness_difference(&scan, &through).unwrap().max < 0.002);
            }
        }
    }
}
