//! From samples to lightness, under the meaning that was chosen.

use std::fmt;
use std::sync::Arc;

use moxcms::{
    BarycentricWeightScale, ColorProfile, DataColorSpace, Layout, Matrix3d, RenderingIntent, ToneReprCurve, TransformExecutor,
    TransformOptions,
};

use super::declared::{Declared, Meaning, choose};
use crate::imaging::lab::{linear_to_lab, linear_to_srgb, luminance_of_lightness, srgb_to_linear};
use crate::imaging::{
    Channels, LuminanceTables, ScanImage, grey_of_codes, grey_of_luminance, grey_of_srgb, grey_through, srgb_weights,
};

/// How far a curve may be from sRGB's, in encoded light, and a matrix from the identity, and still be taken for sRGB: profiles
/// round both. A tenth of an 8-bit step is 0.04 L*.
const SAME_CURVE: f64 = 0.0003;
const SAME_MATRIX: f64 = 0.001;

/// How the samples of a scan are understood.
pub struct Colour {
    meaning: Meaning,
    reading: Reading,
}

enum Reading {
    Srgb,
    /// One curve from code to relative luminance, and the sRGB grey of 16 bits of every code.
    Grey(Curve, Vec<u16>),
    /// A curve for each channel, linear light of the profile to that of sRGB, and what follows for the luminance.
    Matrix {
        curves: [Curve; 3],
        matrix: [[f64; 3]; 3],
        luminance: LuminanceTables,
    },
    /// The profile's own tables, from RGB to sRGB.
    Tables(Executor),
}

pub(super) type Executor = Arc<dyn TransformExecutor<f32> + Send + Sync>;

/// Linear light by encoded value, 0..=1 both.
struct Curve(Vec<f32>);

impl Curve {
    /// From a profile's curve, with as many entries as are asked for.
    fn of(curve: &ToneReprCurve, entries: usize) -> Option<Self> {
        let evaluator = curve.make_linear_evaluator().ok()?;
        let at = |index: usize| evaluator.evaluate_value(index as f32 / (entries - 1) as f32);
        let values: Vec<f32> = (0..entries).map(at).collect();
        values.iter().all(|value| value.is_finite()).then(|| Self(values.iter().map(|value| value.clamp(0.0, 1.0)).collect()))
    }

    /// From a grey profile's curve, which gives luminance, or lightness where that is what the profile connects to (ICC.1:2022, 8.3.4).
    fn of_grey(profile: &ColorProfile, entries: usize) -> Option<Self> {
        let curve = Self::of(profile.gray_trc.as_ref()?, entries)?;
        if profile.pcs != DataColorSpace::Lab {
            return Some(curve);
        }
        Some(Self(curve.0.iter().map(|&value| luminance_of_lightness(100.0 * f64::from(value)) as f32).collect()))
    }

    /// The luminance of greys by a profile's tables.
    fn through(profile: &ColorProfile, grey: bool, entries: usize) -> Option<Self> {
        let executor = executor(profile, if grey { Layout::Gray } else { Layout::Rgb })?;
        let codes = (0..entries).map(|index| index as f32 / (entries - 1) as f32);
        let from: Vec<f32> = if grey { codes.collect() } else { codes.flat_map(|code| [code; 3]).collect() };
        let mut to = vec![0.0; 3 * entries];
        run(&executor, &from, &mut to);
        let luminance = |srgb: &[f32; 3]| {
            let weighted = srgb_weights().into_iter().zip(srgb).map(|(weight, &value)| weight * srgb_to_linear(f64::from(value)));
            weighted.sum::<f64>().clamp(0.0, 1.0) as f32
        };
        Some(Self(to.as_chunks::<3>().0.iter().map(luminance).collect()))
    }

    /// Between the entries, linearly.
    fn at(&self, encoded: f64) -> f64 {
        let position = encoded.clamp(0.0, 1.0) * (self.0.len() - 1) as f64;
        let index = (position as usize).min(self.0.len() - 2);
        let [lower, upper] = [self.0[index], self.0[index + 1]].map(f64::from);
        lower + (position - index as f64) * (upper - lower)
    }

    fn is_srgb(&self) -> bool {
        let last = (self.0.len() - 1) as f64;
        let apart = |(index, &linear): (usize, &f32)| (linear_to_srgb(f64::from(linear)) - index as f64 / last).abs();
        self.0.iter().enumerate().map(apart).all(|apart| apart < SAME_CURVE)
    }
}

impl Colour {
    /// Understands the samples of a picture of these channels and depth (8 or 16 bits) by what its file declares.
    pub fn of(declared: &Declared, channels: Channels, bit_depth: u8) -> Self {
        let (mut meaning, profile) = choose(declared, channels.is_rgb());
        let entries = if bit_depth == 8 { 256 } else { 65_536 };
        let reading = match profile.map(|profile| Reading::of(&profile, channels, entries)) {
            None => Reading::Srgb,
            Some(Some(reading)) => reading,
            Some(None) => {
                meaning
                    .oddities
                    .push("the profile has neither curves nor tables that can be used, and sRGB was assumed".to_owned());
                meaning.basis = super::Basis::Assumed;
                meaning.name = None;
                Reading::Srgb
            }
        };
        Self { meaning, reading }
    }

    /// What a record says of it.
    pub const fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    /// The same, when the samples have been turned into lightness.
    pub fn into_meaning(self) -> Meaning {
        self.meaning
    }

    /// L*, a*, b* (D65) of an encoded colour in 0..=1; what sRGB cannot show keeps its chroma.
    pub fn lab(&self, rgb: [f64; 3]) -> [f64; 3] {
        let linear = match &self.reading {
            Reading::Srgb => rgb.map(srgb_to_linear),
            Reading::Grey(curve, _) => [curve.at(rgb[0]); 3],
            Reading::Matrix { curves, matrix, .. } => {
                let linear: [f64; 3] = std::array::from_fn(|channel| curves[channel].at(rgb[channel]));
                matrix.map(|row| row[0] * linear[0] + row[1] * linear[1] + row[2] * linear[2])
            }
            Reading::Tables(executor) => {
                let mut srgb = [0.0; 3];
                run(executor, &rgb.map(|value| value as f32), &mut srgb);
                srgb.map(|value| srgb_to_linear(f64::from(value)))
            }
        };
        linear_to_lab(linear)
    }

    /// The grey picture that has the scan's lightness, sRGB-coded, alpha kept: what everything behind works on. A grey scan
    /// that is sRGB is handed on as it is; everything else becomes 16 bits, so that a change of coding costs no level.
    pub fn lightness(&self, scan: ScanImage) -> ScanImage {
        match &self.reading {
            Reading::Srgb if !scan.channels().is_rgb() => scan,
            Reading::Srgb => grey_of_srgb(&scan),
            Reading::Grey(_, codes) => grey_of_codes(&scan, codes),
            Reading::Matrix { luminance, .. } => grey_of_luminance(&scan, luminance),
            Reading::Tables(executor) => grey_through(&scan, |from, to| run(executor, from, to)),
        }
    }

    /// Whether the samples are sRGB as they are.
    pub const fn is_srgb(&self) -> bool {
        matches!(self.reading, Reading::Srgb)
    }
}

impl fmt::Debug for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Colour").field("meaning", &self.meaning).finish_non_exhaustive()
    }
}

impl Reading {
    /// `None` when the profile has nothing that can be used.
    fn of(profile: &ColorProfile, channels: Channels, entries: usize) -> Option<Self> {
        let has_tables = profile.lut_a_to_b_colorimetric.is_some() || profile.lut_a_to_b_perceptual.is_some();
        let grey = profile.color_space == DataColorSpace::Gray;
        if !channels.is_rgb() {
            // The neutrals of a profile for RGB stand for greys: its curves are one and the same, or should be.
            let through = if has_tables { Curve::through(profile, grey, entries) } else { None };
            let curve = match through {
                Some(curve) => curve,
                None if grey => Curve::of_grey(profile, entries)?,
                None => Curve::of(profile.green_trc.as_ref()?, entries)?,
            };
            if curve.is_srgb() {
                return Some(Self::Srgb);
            }
            let code = |&linear: &f32| (65_535.0 * linear_to_srgb(f64::from(linear))).round() as u16;
            let codes = curve.0.iter().map(code).collect();
            return Some(Self::Grey(curve, codes));
        }
        if has_tables && let Some(executor) = executor(profile, Layout::Rgb) {
            return Some(Self::Tables(executor));
        }
        let trc = [&profile.red_trc, &profile.green_trc, &profile.blue_trc];
        let mut curves = Vec::with_capacity(3);
        for trc in trc {
            curves.push(Curve::of(trc.as_ref()?, entries)?);
        }
        let curves: [Curve; 3] = curves.try_into().ok()?;
        let matrix = to_srgb(profile)?;
        let identity = |row: usize, column: usize| f64::from(u8::from(row == column));
        let apart = |(row, column): (usize, usize)| (matrix[row][column] - identity(row, column)).abs();
        let same = (0..3).flat_map(|row| (0..3).map(move |column| (row, column))).map(apart).all(|apart| apart < SAME_MATRIX);
        if same && curves.iter().all(Curve::is_srgb) {
            return Some(Self::Srgb);
        }
        let linear = curves.each_ref().map(|curve| &curve.0[..]);
        let of = srgb_weights();
        let weights = std::array::from_fn(|channel| (0..3).map(|row| of[row] * matrix[row][channel]).sum());
        let luminance = LuminanceTables::new(linear, weights);
        Some(Self::Matrix { curves, matrix, luminance })
    }
}

pub(super) fn executor(profile: &ColorProfile, from: Layout) -> Option<Executor> {
    // The perceptual table stands for every intent that has none of its own (ICC.1:2022, 8.3.2).
    let rendering_intent = match profile.lut_a_to_b_colorimetric {
        Some(_) => RenderingIntent::RelativeColorimetric,
        None => RenderingIntent::Perceptual,
    };
    // By default the library tells 256 places in a table apart, which is 0.1 L* too coarse for 16 bits; in whole numbers its finer way
    // gives black (0.8.1), in floats it is right.
    let options = TransformOptions {
        rendering_intent,
        barycentric_weight_scale: BarycentricWeightScale::High,
        ..TransformOptions::default()
    };
    profile.create_transform_f32(from, &ColorProfile::new_srgb(), Layout::Rgb, options).ok()
}

/// From encoded samples to encoded sRGB, 0..=1; `to` has three for each pixel.
pub(super) fn run(executor: &Executor, from: &[f32], to: &mut [f32]) {
    executor.transform(from, to).expect("the layouts were told when it was made, and only lengths that do not fit them fail");
}

/// Linear light of the profile to linear sRGB; its white becomes white, whatever its colorants sum up to.
fn to_srgb(profile: &ColorProfile) -> Option<[[f64; 3]; 3]> {
    let Matrix3d { v } = profile.transform_matrix(&ColorProfile::new_srgb());
    let sums = v.map(|row| row.iter().sum::<f64>());
    // Colorants that are far from adding up to white are none.
    let plausible = sums.iter().all(|sum| (0.5..=2.0).contains(sum)) && v.iter().flatten().all(|value| value.abs() < 20.0);
    let row = |index: usize| v[index].map(|value| value / sums[index]);
    plausible.then(|| [row(0), row(1), row(2)])
}

#[cfg(test)]
mod tests;
