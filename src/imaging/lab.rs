//! sRGB, linear light and CIE Lab: the conversions everything else in this room is made of.
//!
//! sRGB is IEC 61966-2-1; Lab is CIE 15 with the D65 white that belongs to the matrix below, the same numbers as the training
//! recipes use. Scalar forms here are the readable ones; tables and fast forms serve the row loops of [`super::rows`].

use std::sync::LazyLock;

use super::space::Curve;

/// Linear sRGB to CIE XYZ, D65 (IEC 61966-2-1 primaries, seven digits).
pub const RGB_TO_XYZ: [[f64; 3]; 3] =
    [[0.412_456_4, 0.357_576_1, 0.180_437_5], [0.212_672_9, 0.715_152_2, 0.072_175_0], [0.019_333_9, 0.119_192_0, 0.950_304_1]];

/// XYZ of the D65 white, which is linear sRGB 1, 1, 1.
pub const WHITE: [f64; 3] = [0.950_47, 1.0, 1.088_83];

/// Where the cube root of Lab gives way to a straight line: (6/29)³, on the scale of relative luminance.
pub const EPSILON: f64 = 216.0 / 24389.0;

/// Slope of lightness on that line: L* = κ·Y.
pub const KAPPA: f64 = 24389.0 / 27.0;

/// Linear sRGB to XYZ relative to white: neutral colours give three equal values.
const TO_RELATIVE: [[f64; 3]; 3] = divide_rows(RGB_TO_XYZ, WHITE);

/// The way back; derived, so that neutrals survive the round trip better than with a printed seven-digit inverse.
const FROM_RELATIVE: [[f64; 3]; 3] = invert(TO_RELATIVE);

/// Weights of linear red, green and blue in relative luminance.
pub(super) const LUMINANCE: [f32; 3] = narrow(RGB_TO_XYZ[1]);

pub(super) const fn divide_rows(matrix: [[f64; 3]; 3], by: [f64; 3]) -> [[f64; 3]; 3] {
    let [[a, b, c], [d, e, f], [g, h, i]] = matrix;
    [[a / by[0], b / by[0], c / by[0]], [d / by[1], e / by[1], f / by[1]], [g / by[2], h / by[2], i / by[2]]]
}

/// Inverse by cofactors.
pub(super) const fn invert(matrix: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let [[a, b, c], [d, e, f], [g, h, i]] = matrix;
    let det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
    [
        [(e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det],
        [(f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det],
        [(d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det],
    ]
}

pub(super) const fn narrow(row: [f64; 3]) -> [f32; 3] {
    [row[0] as f32, row[1] as f32, row[2] as f32]
}

/// An sRGB-encoded value in 0..=1 as linear light in 0..=1.
pub fn srgb_to_linear(encoded: f64) -> f64 {
    if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

/// Linear light in 0..=1 as an sRGB-encoded value in 0..=1.
pub fn linear_to_srgb(linear: f64) -> f64 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

/// CIE L* in 0..=100 of a relative luminance in 0..=1.
pub fn lightness_of_luminance(luminance: f64) -> f64 {
    116.0 * lab_f(luminance) - 16.0
}

/// Relative luminance in 0..=1 of a CIE L* in 0..=100.
pub fn luminance_of_lightness(lightness: f64) -> f64 {
    lab_f_inverse((lightness + 16.0) / 116.0)
}

/// L*, a*, b* of an sRGB-encoded colour in 0..=1.
pub fn srgb_to_lab(rgb: [f64; 3]) -> [f64; 3] {
    linear_to_lab(rgb.map(srgb_to_linear))
}

/// L*, a*, b* of a colour in linear sRGB; outside 0..=1 where sRGB has no such colour.
pub fn linear_to_lab(linear: [f64; 3]) -> [f64; 3] {
    let [fx, fy, fz] = TO_RELATIVE.map(|row| lab_f(dot(row, linear)));
    [116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)]
}

/// The sRGB-encoded colour of L*, a*, b*; outside 0..=1 where sRGB cannot show it.
pub fn lab_to_srgb(lab: [f64; 3]) -> [f64; 3] {
    let fy = (lab[0] + 16.0) / 116.0;
    let relative = [fy + lab[1] / 500.0, fy, fy - lab[2] / 200.0].map(lab_f_inverse);
    FROM_RELATIVE.map(|row| linear_to_srgb(dot(row, relative)))
}

fn dot(row: [f64; 3], column: [f64; 3]) -> f64 {
    row[0] * column[0] + row[1] * column[1] + row[2] * column[2]
}

/// The function of CIE Lab: cube root, with a straight line near black.
fn lab_f(t: f64) -> f64 {
    if t > EPSILON { t.cbrt() } else { (KAPPA * t + 16.0) / 116.0 }
}

fn lab_f_inverse(f: f64) -> f64 {
    if f > 6.0 / 29.0 { f * f * f } else { (116.0 * f - 16.0) / KAPPA }
}

/// [`lab_f`] in single precision without a call or a branch, so that loops over it become vector code. For 0..=8, error
/// below 3e-7.
#[inline(always)]
pub(super) fn lab_f_fast(t: f32) -> f32 {
    // The exponent divided by three is a cube root within 4 %; each of Halley's steps cubes that error.
    let mut y = f32::from_bits(t.to_bits() / 3 + 0x2a51_4067);
    for _ in 0..2 {
        let cube = y * y * y;
        y *= (cube + t + t) / (cube + cube + t);
    }
    let line = t * (KAPPA / 116.0) as f32 + (16.0 / 116.0) as f32;
    if t > EPSILON as f32 { y } else { line }
}

/// The inverse of [`lab_f`] in single precision; negative below L* = 0.
#[inline(always)]
pub(super) fn lab_f_inverse_fast(f: f32) -> f32 {
    let line = f * (116.0 / KAPPA) as f32 - (16.0 / KAPPA) as f32;
    if f > 6.0 / 29.0 { f * f * f } else { line }
}

/// Coefficients of the sRGB curve's bent part in t, the fourth root of linear light brought to -1..=1, constant first: interpolated at
/// the nodes of the Chebyshev polynomial of degree nine, wrong by 1.3e-7.
const CURVE: [f32; 9] = [
    0.418_389_94,
    0.487_126_53,
    0.100_251_83,
    -0.006_884_994_5,
    0.001_418_941_2,
    -0.000_381_717_57,
    0.000_127_711_99,
    -0.000_084_688_05,
    0.000_036_482_457,
];
/// t = the fourth root of linear light times the first, less the second: 0.0031308 becomes -1 and 1 stays.
const FOURTH_ROOT: [f32; 2] = [2.619_67, 1.619_67];

/// [`linear_to_srgb`] in single precision, wrong by less than 5e-7, of linear light that is clipped to 0..=1 first; not a number
/// counts as 0. Roots and products only, so that loops over it become vector code.
#[inline(always)]
#[expect(clippy::manual_clamp, reason = "clamp would keep what is not a number")]
pub(super) fn linear_to_srgb_fast(linear: f32) -> f32 {
    let linear = linear.max(0.0).min(1.0);
    let t = linear.sqrt().sqrt() * FOURTH_ROOT[0] - FOURTH_ROOT[1];
    let curved = CURVE.iter().rev().fold(0.0, |sum, &coefficient| sum * t + coefficient);
    if linear <= 0.003_130_8 { linear * 12.92 } else { curved.min(1.0) }
}

/// One value for every code of a sample depth.
pub(super) struct CodeTables<const CODES: usize> {
    /// Linear light, 0..=1.
    pub(super) linear: Box<[f32; CODES]>,
    /// f(Y) of a grey of that code: (L* + 16) / 116.
    pub(super) grey_f: Box<[f32; CODES]>,
}

impl<const CODES: usize> CodeTables<CODES> {
    fn new(curve: Curve) -> Self {
        let table = |value: &dyn Fn(f64) -> f64| -> Box<[f32; CODES]> {
            let codes = (0..CODES).map(|code| value(code as f64 / (CODES - 1) as f64) as f32);
            codes.collect::<Vec<f32>>().try_into().expect("one value a code was collected")
        };
        Self { linear: table(&|encoded| curve.linear(encoded)), grey_f: table(&|encoded| lab_f(curve.linear(encoded))) }
    }
}

/// Something for each curve, in the order of [`Curve`], made when it is first asked for.
pub(super) type OfCurves<T> = [LazyLock<T>; 3];

static CODES_8: OfCurves<CodeTables<256>> = [
    LazyLock::new(|| CodeTables::new(Curve::Srgb)),
    LazyLock::new(|| CodeTables::new(Curve::Adobe)),
    LazyLock::new(|| CodeTables::new(Curve::ProPhoto)),
];
static CODES_16: OfCurves<CodeTables<65536>> = [
    LazyLock::new(|| CodeTables::new(Curve::Srgb)),
    LazyLock::new(|| CodeTables::new(Curve::Adobe)),
    LazyLock::new(|| CodeTables::new(Curve::ProPhoto)),
];

/// A sample's depth: 8 or 16 bits.
pub(super) trait Sample: Copy + Default + 'static {
    /// Largest code.
    const WHITE: f32;
    /// Linear light of this code, 0..=1; look the tables up once, outside the loop.
    fn linear(self, tables: &Self::Tables) -> f32;
    /// f(Y) of a grey of this code.
    fn grey_f(self, tables: &Self::Tables) -> f32;
    /// The code on a scale of 0..=65535.
    fn widened(self) -> u16;
    /// The nearest code of an encoded value in 0..=1.
    fn nearest(encoded: f32) -> Self;
    /// The tables of this depth.
    type Tables: 'static;
    /// The one copy of them for codes of a curve.
    fn tables_of(curve: Curve) -> &'static Self::Tables;
    /// That for sRGB.
    fn tables() -> &'static Self::Tables {
        Self::tables_of(Curve::Srgb)
    }
}

/// Adding 2²³ leaves a float's integer part in its low bits, rounded to nearest: a conversion without saturation checks.
pub(super) const ROUND: f32 = 8_388_608.0;

impl Sample for u8 {
    const WHITE: f32 = 255.0;
    type Tables = CodeTables<256>;

    #[inline(always)]
    fn linear(self, tables: &Self::Tables) -> f32 {
        tables.linear[self as usize]
    }

    #[inline(always)]
    fn grey_f(self, tables: &Self::Tables) -> f32 {
        tables.grey_f[self as usize]
    }

    #[inline(always)]
    fn widened(self) -> u16 {
        u16::from(self) * 257
    }

    #[inline(always)]
    fn nearest(encoded: f32) -> Self {
        (encoded * <Self as Sample>::WHITE + ROUND).to_bits() as Self
    }

    fn tables_of(curve: Curve) -> &'static Self::Tables {
        &CODES_8[curve as usize]
    }
}

impl Sample for u16 {
    const WHITE: f32 = 65535.0;
    type Tables = CodeTables<65536>;

    #[inline(always)]
    fn linear(self, tables: &Self::Tables) -> f32 {
        tables.linear[self as usize]
    }

    #[inline(always)]
    fn grey_f(self, tables: &Self::Tables) -> f32 {
        tables.grey_f[self as usize]
    }

    #[inline(always)]
    fn widened(self) -> u16 {
        self
    }

    #[inline(always)]
    fn nearest(encoded: f32) -> Self {
        (encoded * <Self as Sample>::WHITE + ROUND).to_bits() as Self
    }

    fn tables_of(curve: Curve) -> &'static Self::Tables {
        &CODES_16[curve as usize]
    }
}

#[cfg(test)]
mod tests {
    use palette::{FromColor, IntoColor, Lab, Srgb, white_point::D65};

    use super::*;

    fn grid() -> impl Iterator<Item = [f64; 3]> {
        (0..=12).flat_map(|r| (0..=12).flat_map(move |g| (0..=12).map(move |b| [r, g, b].map(|v| f64::from(v) / 12.0))))
    }

    #[test]
    fn lab_agrees_with_palette() {
        for rgb in grid() {
            let lab = srgb_to_lab(rgb);
            let theirs: Lab<D65, f64> = Srgb::new(rgb[0], rgb[1], rgb[2]).into_color();
            // Palette derives its matrix from the primaries' chromaticities: other digits, hence not 1e-9.
            for (one, other) in lab.into_iter().zip([theirs.l, theirs.a, theirs.b]) {
                assert!((one - other).abs() < 0.02, "{rgb:?}: {lab:?} against {theirs:?}");
            }
            let back = lab_to_srgb(lab);
            let back_theirs = Srgb::from_color(theirs);
            for ((one, other), original) in back.into_iter().zip([back_theirs.red, back_theirs.green, back_theirs.blue]).zip(rgb)
            {
                assert!((one - other).abs() < 1e-3 && (one - original).abs() < 1e-9, "{rgb:?} came back as {back:?}");
            }
        }
    }

    #[test]
    fn known_colours_have_their_textbook_lab() {
        for (rgb, lab) in [
            ([1.0, 0.0, 0.0], [53.2408, 80.0925, 67.2032]),
            ([0.0, 1.0, 0.0], [87.7347, -86.1827, 83.1793]),
            ([0.0, 0.0, 1.0], [32.2970, 79.1875, -107.8602]),
            ([1.0, 1.0, 1.0], [100.0, 0.0, 0.0]),
        ] {
            let found = srgb_to_lab(rgb);
            assert!(found.into_iter().zip(lab).all(|(one, other)| (one - other).abs() < 2e-3), "{rgb:?}: {found:?}");
        }
    }

    #[test]
    fn the_fast_cube_root_is_as_good_as_single_precision() {
        for step in 0..=200_000 {
            let t = f64::from(step) / 200_000.0 * 1.1;
            let fast = lab_f_fast(t as f32);
            assert!((f64::from(fast) - lab_f(t)).abs() < 3e-7, "{t}");
            let back = lab_f_inverse_fast(fast);
            assert!((f64::from(back) - t).abs() < 1.2e-6, "{t} came back as {back}");
        }
    }

    #[test]
    fn the_fast_encoding_is_the_srgb_curve() {
        for step in 0..=300_000 {
            let linear = f64::from(step) / 300_000.0;
            let fast = linear_to_srgb_fast(linear as f32);
            assert!((f64::from(fast) - linear_to_srgb(linear)).abs() < 5e-7, "{linear}");
        }
        assert_eq!(linear_to_srgb_fast(-0.3), 0.0);
        assert_eq!(linear_to_srgb_fast(1.7), 1.0);
        assert_eq!(linear_to_srgb_fast(f32::NAN), 0.0);
    }

    #[test]
    fn every_code_survives_linear_light() {
        for code in 0..=u16::MAX {
            assert_eq!(u16::nearest(linear_to_srgb_fast(code.linear(u16::tables()))), code);
        }
        for code in 0..=u8::MAX {
            assert_eq!(u8::nearest(linear_to_srgb_fast(code.linear(u8::tables()))), code);
        }
    }
}
