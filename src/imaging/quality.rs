//! How well a picture was coloured, when its own colours are known: the measures of the literature.
//!
//! Each formula with its source stands in `models/QUALITY.md`. Compares pictures of one size; who made them is not asked.

use super::metrics::{delta_e_2000, lab_at};
use super::{Channels, Plane, Samples, ScanImage, grey_copy, lab::Sample};

/// What one coloured picture came to against the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Squared distance in a*, b*, and the truth's squared chroma, Lab units², summed over the pixels.
    pub chroma: SquaredChroma,
    /// The same after the mean a*, b* of each picture was taken away.
    pub chroma_without_cast: SquaredChroma,
    /// Peak signal-to-noise ratio of the 8-bit sRGB values, dB; infinite when they are equal.
    pub psnr_db: f64,
    /// CIEDE2000, mean of all pixels.
    pub delta_e_mean: f64,
    /// CIEDE2000 that one pixel in twenty passes.
    pub delta_e_p95: f64,
    /// Colourfulness of the coloured picture, of its 8-bit sRGB values.
    pub colourfulness: f64,
    /// Colourfulness of the truth.
    pub colourfulness_of_truth: f64,
}

/// A sum of squared errors beside what leaving the picture grey would give.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SquaredChroma {
    /// Of the coloured picture.
    pub error: f64,
    /// Of a grey one: the truth's own squared chroma.
    pub of_grey: f64,
}

impl SquaredChroma {
    /// Error over that of a grey picture: 0 is the truth, 1 is grey; `None` where the truth is grey.
    pub fn ratio(self) -> Option<f64> {
        (self.of_grey > 0.0).then(|| self.error / self.of_grey)
    }

    fn plus(self, other: Self) -> Self {
        Self { error: self.error + other.error, of_grey: self.of_grey + other.of_grey }
    }
}

/// What several pictures came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityOfSet {
    /// Sums over all pixels of all pictures.
    pub chroma: SquaredChroma,
    /// The same, each picture's mean tint taken away first.
    pub chroma_without_casts: SquaredChroma,
    /// Mean of the pictures' own.
    pub psnr_db: f64,
    /// Mean of the pictures' means.
    pub delta_e_mean: f64,
    /// Mean of the pictures' 95th percentiles.
    pub delta_e_p95: f64,
    /// Mean colourfulness over that of the truth; `None` where the truth has none.
    pub colourfulness_ratio: Option<f64>,
}

/// The scan as a black-and-white film that sees as people do would have it: relative luminance in linear light, encoded with
/// the sRGB curve, at the scan's own size and depth. Alpha is dropped.
pub fn greyed(image: &ScanImage) -> ScanImage {
    let grey = grey_copy(image, image.size());
    let samples = match image.samples() {
        Samples::U8(_) => Samples::U8(nearest(&grey)),
        Samples::U16(_) => Samples::U16(nearest(&grey)),
    };
    ScanImage::new(image.size(), Channels::Grey, samples).expect("there is one grey for every pixel")
}

fn nearest<S: Sample>(plane: &Plane) -> Vec<S> {
    plane.data().iter().map(|&grey| S::nearest(grey)).collect()
}

/// Compares a coloured picture with the truth; any channels and depths, alpha ignored; `None` when the sizes differ.
///
/// Holds four bytes a pixel, and takes a second or so for two megapixels.
pub fn quality(truth: &ScanImage, coloured: &ScanImage) -> Option<Quality> {
    if truth.size() != coloured.size() {
        return None;
    }
    let pixels = truth.size().pixels();
    let (mut error, mut chroma) = (Moments::default(), Moments::default());
    let mut squares = 0.0;
    let mut palettes = [Palette::default(); 2];
    let mut differences = Vec::with_capacity(pixels as usize);
    for pixel in 0..pixels as usize {
        let (wanted, found) = (lab_at(truth, pixel), lab_at(coloured, pixel));
        error.add([found[1] - wanted[1], found[2] - wanted[2]]);
        chroma.add([wanted[1], wanted[2]]);
        differences.push(delta_e_2000(wanted, found));
        let codes = [rgb8(truth, pixel), rgb8(coloured, pixel)];
        squares += codes[0].iter().zip(&codes[1]).map(|(one, other)| (one - other).powi(2)).sum::<f64>();
        palettes.iter_mut().zip(codes).for_each(|(palette, codes)| palette.add(codes));
    }
    let count = pixels as f64;
    let sum: f64 = differences.iter().copied().map(f64::from).sum();
    // The smallest value that at most one pixel in twenty passes.
    let rank = differences.len() - 1 - differences.len() / 20;
    let (_, &mut p95, _) = differences.select_nth_unstable_by(rank, f32::total_cmp);
    Some(Quality {
        chroma: SquaredChroma { error: error.squares, of_grey: chroma.squares },
        chroma_without_cast: SquaredChroma { error: error.around_mean(count), of_grey: chroma.around_mean(count) },
        psnr_db: 10.0 * (255.0 * 255.0 / (squares / (3.0 * count))).log10(),
        delta_e_mean: sum / count,
        delta_e_p95: f64::from(p95),
        colourfulness: palettes[1].colourfulness(count),
        colourfulness_of_truth: palettes[0].colourfulness(count),
    })
}

/// What a set came to; `None` of no pictures.
pub fn quality_of_set(pictures: &[Quality]) -> Option<QualityOfSet> {
    let count = pictures.len() as f64;
    let mean = |of: fn(&Quality) -> f64| pictures.iter().map(of).sum::<f64>() / count;
    let sum = |of: fn(&Quality) -> SquaredChroma| pictures.iter().map(of).fold(SquaredChroma::default(), SquaredChroma::plus);
    let of_truth = mean(|one| one.colourfulness_of_truth);
    (!pictures.is_empty()).then(|| QualityOfSet {
        chroma: sum(|one| one.chroma),
        chroma_without_casts: sum(|one| one.chroma_without_cast),
        psnr_db: mean(|one| one.psnr_db),
        delta_e_mean: mean(|one| one.delta_e_mean),
        delta_e_p95: mean(|one| one.delta_e_p95),
        colourfulness_ratio: (of_truth > 0.0).then(|| mean(|one| one.colourfulness) / of_truth),
    })
}

/// Sums of a*, b* values and of their squares.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    sums: [f64; 2],
    squares: f64,
}

impl Moments {
    fn add(&mut self, ab: [f32; 2]) {
        let [a, b] = ab.map(f64::from);
        self.sums[0] += a;
        self.sums[1] += b;
        self.squares += a * a + b * b;
    }

    /// Squares around the mean. What is lost to rounding on an even tint counts as nothing.
    fn around_mean(&self, count: f64) -> f64 {
        let around = self.squares - (self.sums[0].powi(2) + self.sums[1].powi(2)) / count;
        if around > 1e-9 * self.squares { around } else { 0.0 }
    }
}

/// Sums of the opponent colours of Hasler and Süsstrunk and of their squares.
#[derive(Debug, Clone, Copy, Default)]
struct Palette {
    red_green: [f64; 2],
    yellow_blue: [f64; 2],
}

impl Palette {
    fn add(&mut self, [red, green, blue]: [f64; 3]) {
        let (red_green, yellow_blue) = (red - green, f64::midpoint(red, green) - blue);
        self.red_green = [self.red_green[0] + red_green, self.red_green[1] + red_green.powi(2)];
        self.yellow_blue = [self.yellow_blue[0] + yellow_blue, self.yellow_blue[1] + yellow_blue.powi(2)];
    }

    /// M̂³ of the paper: √(σ²rg + σ²yb) + 0.3·√(μ²rg + μ²yb).
    fn colourfulness(&self, count: f64) -> f64 {
        let mean = |sums: [f64; 2]| sums[0] / count;
        let variance = |sums: [f64; 2]| (sums[1] / count - mean(sums).powi(2)).max(0.0);
        let spread = (variance(self.red_green) + variance(self.yellow_blue)).sqrt();
        spread + 0.3 * mean(self.red_green).hypot(mean(self.yellow_blue))
    }
}

/// Codes of 0..=255 of a pixel; 16 bits are rounded to 8.
fn rgb8(image: &ScanImage, pixel: usize) -> [f64; 3] {
    let channels = image.channels();
    [0, 1, 2].map(|channel| {
        let index = pixel * channels.count() + if channels.is_rgb() { channel } else { 0 };
        match image.samples() {
            Samples::U8(samples) => f64::from(samples[index]),
            Samples::U16(samples) => f64::from((u32::from(samples[index]) + 128) / 257),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Size;
    use crate::imaging::lab::{linear_to_srgb, srgb_to_lab, srgb_to_linear};

    fn rgb(codes: &[[u8; 3]]) -> ScanImage {
        ScanImage::new(Size::new(codes.len() as u32, 1), Channels::Rgb, Samples::U8(codes.concat())).unwrap()
    }

    fn ab(codes: [u8; 3]) -> [f64; 2] {
        let [_, a, b] = srgb_to_lab(codes.map(|code| f64::from(code) / 255.0));
        [a, b]
    }

    #[track_caller]
    fn near(found: f64, wanted: f64, bound: f64) {
        assert!((found - wanted).abs() < bound, "{found} is not {wanted}");
    }

    const RED: [u8; 3] = [200, 60, 40];
    const BLUE: [u8; 3] = [40, 80, 190];
    const GREY: [u8; 3] = [120, 120, 120];

    #[test]
    fn a_picture_left_grey_has_ratio_one_and_the_truth_has_none() {
        let truth = rgb(&[RED, BLUE]);
        let grey = quality(&truth, &greyed(&truth)).unwrap();
        near(grey.chroma.ratio().unwrap(), 1.0, 1e-4);
        near(grey.chroma_without_cast.ratio().unwrap(), 1.0, 1e-4);
        assert!(grey.colourfulness == 0.0 && grey.colourfulness_of_truth > 0.0);
        let same = quality(&truth, &truth).unwrap();
        assert_eq!((same.chroma.ratio(), same.delta_e_mean, same.delta_e_p95), (Some(0.0), 0.0, 0.0));
        assert!(same.psnr_db.is_infinite());
        assert_eq!(quality(&truth, &rgb(&[RED])), None, "sizes differ");
    }

    #[test]
    fn squared_chroma_is_summed_as_it_is_written() {
        let (truth, coloured) = (rgb(&[RED, BLUE]), rgb(&[RED, GREY]));
        let found = quality(&truth, &coloured).unwrap();
        let square = |[a, b]: [f64; 2]| a * a + b * b;
        near(found.chroma.ratio().unwrap(), square(ab(BLUE)) / (square(ab(RED)) + square(ab(BLUE))), 1e-5);
    }

    #[test]
    fn an_even_tint_over_the_truth_is_an_error_of_tint_alone() {
        // Two greys under one tint: nothing is left of the truth but its tint, and nothing of the error either.
        let tinted = rgb(&[RED, RED]);
        let found = quality(&tinted, &rgb(&[GREY, GREY])).unwrap();
        near(found.chroma.ratio().unwrap(), 1.0, 1e-6);
        assert_eq!(found.chroma_without_cast.ratio(), None);
        // The coloured picture is the truth mirrored: its tint is right, and all else is wrong by twice its size.
        let found = quality(&rgb(&[RED, BLUE]), &rgb(&[BLUE, RED])).unwrap();
        near(found.chroma_without_cast.ratio().unwrap(), 4.0, 1e-5);
    }

    #[test]
    fn the_peak_signal_to_noise_ratio_is_that_of_eight_bits() {
        // Every code is off by 5: 10·log10(255² / 25) = 34.1514 dB.
        let found = quality(&rgb(&[[10, 20, 30], [40, 50, 60]]), &rgb(&[[15, 25, 35], [35, 45, 55]])).unwrap();
        near(found.psnr_db, 34.151_404, 1e-5);
        // 16 bits count as the 8 they round to.
        let deep = Samples::U16([15_u16, 25, 35, 35, 45, 55].map(|code| code * 257 + 100).to_vec());
        let deep = ScanImage::new(Size::new(2, 1), Channels::Rgb, deep).unwrap();
        near(quality(&rgb(&[[10, 20, 30], [40, 50, 60]]), &deep).unwrap().psnr_db, 34.151_404, 1e-5);
    }

    #[test]
    fn colourfulness_is_that_of_hasler_and_suesstrunk() {
        // Red and grey: rg is 255 and 0, yb is 127.5 and 0. Deviations 127.5 and 63.75, means the same:
        // (1 + 0.3)·√(127.5² + 63.75²) = 185.3141.
        let found = quality(&rgb(&[[255, 0, 0], GREY]), &rgb(&[GREY, GREY])).unwrap();
        near(found.colourfulness_of_truth, 185.314_134, 1e-5);
        near(found.colourfulness, 0.0, 1e-12);
    }

    #[test]
    fn the_mean_and_the_95th_percentile_are_of_ciede2000() {
        // Of forty pixels three differ: more than one in twenty, so the percentile sees them.
        let truth: Vec<_> = (0..40).map(|_| GREY).collect();
        let mut coloured = truth.clone();
        coloured[..3].fill(RED);
        let lab = |codes: [u8; 3]| srgb_to_lab(codes.map(|code| f64::from(code) / 255.0)).map(|value| value as f32);
        let wanted = f64::from(delta_e_2000(lab(GREY), lab(RED)));
        let found = quality(&rgb(&truth), &rgb(&coloured)).unwrap();
        near(found.delta_e_mean, wanted * 3.0 / 40.0, 1e-4);
        near(found.delta_e_p95, wanted, 1e-4);
        coloured[2] = GREY;
        near(quality(&rgb(&truth), &rgb(&coloured)).unwrap().delta_e_p95, 0.0, 1e-6);
    }

    #[test]
    fn a_set_sums_squares_and_averages_the_rest() {
        let one = quality(&rgb(&[RED, BLUE]), &rgb(&[GREY, GREY])).unwrap();
        let other = quality(&rgb(&[RED]), &rgb(&[[195, 65, 45]])).unwrap();
        let set = quality_of_set(&[one, other]).unwrap();
        let ratio = (one.chroma.error + other.chroma.error) / (one.chroma.of_grey + other.chroma.of_grey);
        near(set.chroma.ratio().unwrap(), ratio, 1e-9);
        near(set.psnr_db, f64::midpoint(one.psnr_db, other.psnr_db), 1e-9);
        near(set.delta_e_mean, f64::midpoint(one.delta_e_mean, other.delta_e_mean), 1e-9);
        let ratio = other.colourfulness / (one.colourfulness_of_truth + other.colourfulness_of_truth);
        near(set.colourfulness_ratio.unwrap(), ratio, 1e-9);
        assert_eq!(quality_of_set(&[]), None);
    }

    #[test]
    fn greying_is_luminance_in_linear_light_at_the_scans_own_depth() {
        let grey = greyed(&rgb(&[RED, GREY]));
        let [red, green, blue] = RED.map(|code| srgb_to_linear(f64::from(code) / 255.0));
        // BT.709 weights, as the training code has them.
        let wanted = linear_to_srgb(0.212_672_9 * red + 0.715_152_2 * green + 0.072_175_0 * blue) * 255.0;
        assert_eq!((grey.channels(), grey.samples()), (Channels::Grey, &Samples::U8(vec![wanted.round() as u8, 120])));
        let deep = ScanImage::new(Size::new(1, 1), Channels::Rgba, Samples::U16(vec![1000, 1000, 1000, 7])).unwrap();
        assert_eq!(greyed(&deep).samples(), &Samples::U16(vec![1000]));
    }
}
