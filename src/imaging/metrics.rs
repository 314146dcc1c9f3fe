//! How far two pictures are apart, in lightness and in colour.

use super::lab::srgb_to_lab;
use super::rows::{RUN, lightness_of_f, lightness_run, replaced_f};
use super::{ColourSpace, Lightness, Samples, ScanImage};

pub use super::ciede2000::delta_e_2000;

/// |ΔL*| between two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LightnessDifference {
    /// Largest.
    pub max: f32,
    /// Mean.
    pub mean: f32,
}

/// Pixels compared side by side.
const LANES: usize = 8;

/// |ΔL*| between two pictures of sRGB, of any channels and depths, alpha ignored; `None` when the sizes differ.
pub fn lightness_difference(one: &ScanImage, other: &ScanImage) -> Option<LightnessDifference> {
    lightness_difference_in(ColourSpace::Srgb, one, other)
}

/// The same of two pictures of another colour space.
pub fn lightness_difference_in(space: ColourSpace, one: &ScanImage, other: &ScanImage) -> Option<LightnessDifference> {
    compared([one, other], [space; 2], Lightness::Source)
}

/// |ΔL*| between what a derivative's lightness should be and what it is, its samples being those of `space`; `None` when the sizes differ.
pub fn lightness_kept(
    scan: &ScanImage,
    lightness: Lightness<'_>,
    derivative: &ScanImage,
    space: ColourSpace,
) -> Option<LightnessDifference> {
    compared([scan, derivative], [ColourSpace::Srgb, space], lightness)
}

/// Compares the second picture with the first, or with what was put in the place of its lightness.
fn compared(
    [scan, derivative]: [&ScanImage; 2],
    spaces: [ColourSpace; 2],
    lightness: Lightness<'_>,
) -> Option<LightnessDifference> {
    let same = scan.size() == derivative.size();
    same.then(|| LightnessTally::compare([scan, derivative], spaces, lightness, 0).difference())
}

/// |ΔL*| counted up over parts of two pictures.
#[derive(Debug, Clone, Copy, Default)]
pub struct LightnessTally {
    max: f32,
    sum: f64,
    pixels: u64,
}

impl LightnessTally {
    /// Of some rows of a derivative whose samples are those of `space`, from row `top`, against the lightness that they should have.
    ///
    /// # Panics
    /// When the scan has no such rows.
    pub fn of_rows(scan: &ScanImage, lightness: Lightness<'_>, rows: &ScanImage, top: u32, space: ColourSpace) -> Self {
        assert_eq!(scan.size().width, rows.size().width, "both have the same columns");
        Self::compare([scan, rows], [ColourSpace::Srgb, space], lightness, top)
    }

    fn compare([scan, rows]: [&ScanImage; 2], spaces: [ColourSpace; 2], lightness: Lightness<'_>, top: u32) -> Self {
        let pixels = rows.size().pixels() as usize;
        let above = top as usize * scan.size().width as usize;
        let mut runs = [[0.0_f32; RUN]; 2];
        let (mut largest, mut sum) = ([0.0_f32; LANES], 0.0_f64);
        for first in (0..pixels).step_by(RUN) {
            let count = RUN.min(pixels - first);
            match lightness {
                Lightness::Source => lightness_run(scan, spaces[0], above + first, &mut runs[0][..count]),
                Lightness::Replaced(plane) => {
                    let wanted = &mut runs[0][..count];
                    replaced_f(&plane.data()[above + first..][..count], wanted);
                    wanted.iter_mut().for_each(|value| *value = lightness_of_f(*value));
                }
            }
            lightness_run(rows, spaces[1], first, &mut runs[1][..count]);
            // Eight sums and eight largest side by side: a single float sum is a chain no compiler may reorder.
            let mut sums = [0.0_f32; LANES];
            runs.iter_mut().for_each(|run| run[count..].fill(0.0));
            for (one, other) in runs[0].as_chunks::<LANES>().0.iter().zip(runs[1].as_chunks::<LANES>().0) {
                for lane in 0..LANES {
                    let difference = (one[lane] - other[lane]).abs();
                    sums[lane] += difference;
                    largest[lane] = if difference > largest[lane] { difference } else { largest[lane] };
                }
            }
            sum += f64::from(sums.iter().sum::<f32>());
        }
        Self { max: largest.into_iter().fold(0.0, f32::max), sum, pixels: pixels as u64 }
    }

    /// Both together.
    pub fn with(self, other: Self) -> Self {
        Self { max: self.max.max(other.max), sum: self.sum + other.sum, pixels: self.pixels + other.pixels }
    }

    /// What was counted, of at least one pixel.
    pub fn difference(self) -> LightnessDifference {
        LightnessDifference { max: self.max, mean: (self.sum / self.pixels as f64) as f32 }
    }
}

/// CIEDE2000 between two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ColourDifference {
    /// Mean.
    pub mean: f32,
    /// What one pixel in a thousand passes.
    pub p999: f32,
    /// Largest.
    pub max: f32,
}

/// CIEDE2000 between two pictures of any channels and depths, alpha ignored; `None` when the sizes differ.
///
/// Holds four bytes a pixel, and takes its time: for tests and self-checks, not for every scan.
pub fn colour_difference(one: &ScanImage, other: &ScanImage) -> Option<ColourDifference> {
    if one.size() != other.size() {
        return None;
    }
    let pixels = one.size().pixels() as usize;
    let mut differences: Vec<f32> = (0..pixels).map(|pixel| delta_e_2000(lab_at(one, pixel), lab_at(other, pixel))).collect();
    let mean = differences.iter().copied().map(f64::from).sum::<f64>() / pixels as f64;
    // The smallest value that at most one pixel in a thousand passes.
    let rank = pixels - 1 - pixels / 1000;
    let (_, &mut p999, above) = differences.select_nth_unstable_by(rank, f32::total_cmp);
    let max = above.iter().copied().fold(p999, f32::max);
    Some(ColourDifference { mean: mean as f32, p999, max })
}

/// L*, a*, b* of a pixel; alpha is ignored.
pub(super) fn lab_at(image: &ScanImage, pixel: usize) -> [f32; 3] {
    let channels = image.channels();
    let sample = |channel: usize| {
        let index = pixel * channels.count() + if channels.is_rgb() { channel } else { 0 };
        match image.samples() {
            Samples::U8(samples) => f64::from(samples[index]) / 255.0,
            Samples::U16(samples) => f64::from(samples[index]) / 65535.0,
        }
    };
    srgb_to_lab([sample(0), sample(1), sample(2)]).map(|value| value as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::{Channels, Size, lab::lightness_of_luminance};

    fn image(channels: Channels, samples: Samples) -> ScanImage {
        let width = samples.len() / channels.count();
        ScanImage::new(Size::new(width as u32, 1), channels, samples).unwrap()
    }

    #[test]
    fn pictures_of_other_sizes_cannot_be_compared() {
        let one = image(Channels::Grey, Samples::U8(vec![1, 2, 3]));
        let other = image(Channels::Grey, Samples::U8(vec![1, 2]));
        assert_eq!(lightness_difference(&one, &other), None);
        assert_eq!(colour_difference(&one, &other), None);
    }

    #[test]
    fn depth_and_channels_do_not_matter_to_lightness() {
        let grey = image(Channels::Grey, Samples::U8((0..=255).collect()));
        let rgba = (0..=255_u16).flat_map(|code| [code * 257, code * 257, code * 257, 12]).collect();
        let difference = lightness_difference(&grey, &image(Channels::Rgba, Samples::U16(rgba))).unwrap();
        assert!(difference.max < 1e-3, "{difference:?}");
    }

    #[test]
    fn lightness_is_exact_over_colours() {
        let mut random = fastrand::Rng::with_seed(2);
        let samples: Vec<u16> = (0..30_000).map(|_| random.u16(..)).collect();
        let rgb = image(Channels::Rgb, Samples::U16(samples));
        let mut lightness = vec![0.0; 10_000];
        lightness_run(&rgb, ColourSpace::Srgb, 0, &mut lightness);
        for (pixel, &found) in lightness.iter().enumerate() {
            assert!((found - lab_at(&rgb, pixel)[0]).abs() < 1e-3, "pixel {pixel}");
        }
    }

    #[test]
    fn the_largest_and_the_mean_are_over_all_pixels() {
        let mut codes = vec![100_u8; 1000];
        let one = image(Channels::Grey, Samples::U8(codes.clone()));
        codes[999] = 255;
        let other = image(Channels::Grey, Samples::U8(codes));
        let difference = lightness_difference(&one, &other).unwrap();
        let wanted = 100.0 - lightness_of_luminance(crate::imaging::lab::srgb_to_linear(100.0 / 255.0)) as f32;
        assert!((difference.max - wanted).abs() < 1e-3 && (difference.mean - wanted / 1000.0).abs() < 1e-5, "{difference:?}");
        let colour = colour_difference(&one, &other).unwrap();
        assert!(colour.max > 30.0 && colour.p999 == 0.0 && (colour.mean - colour.max / 1000.0).abs() < 1e-4, "{colour:?}");
    }
}
