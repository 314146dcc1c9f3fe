//! Lab as OpenCV computes it in floats (`cv2.cvtColor` with `COLOR_BGR2Lab` and `COLOR_LAB2BGR`, 3.4 to 5.0), for results that
//! are compared with those of the authors' Python pipeline.
//!
//! It differs from [`super::lab`] in its constants (six digits, white 0.950456, 1, 1.088754), and in that lightness is not
//! computed but read, trilinearly, from a table of 33³ colours in steps of 1/16384: up to 0.25 L* beside the formula. Both are
//! reproduced. OpenCV encodes sRGB through a spline over 1024 points; here it is the curve itself, 0.0001 beside it at most.

use std::sync::LazyLock;

use super::lab::{linear_to_srgb_fast, srgb_to_linear};

/// Y of linear red, green and blue (OpenCV's `sRGB2XYZ_D65`, second row).
const LUMINANCE: [f64; 3] = [0.212_671, 0.715_160, 0.072_169];
/// XYZ to linear sRGB (OpenCV's `XYZ2sRGB_D65`).
const FROM_XYZ: [[f64; 3]; 3] =
    [[3.240_479, -1.537_15, -0.498_535], [-0.969_256, 1.875_991, 0.041_556], [0.055_648, -0.204_043, 1.057_311]];
/// OpenCV's D65 white.
const WHITE: [f64; 3] = [0.950_456, 1.0, 1.088_754];

/// Linear sRGB of X, Y, Z on the scale of white.
const FROM_RELATIVE: [[f32; 3]; 3] = {
    let mut rows = [[0.0; 3]; 3];
    let mut i = 0;
    while i < 9 {
        rows[i / 3][i % 3] = (FROM_XYZ[i / 3][i % 3] * WHITE[i % 3]) as f32;
        i += 1;
    }
    rows
};

/// How far linear light may leave 0..=1 without being counted: what the six digits of the matrix get wrong about white.
const TOLERANCE: f32 = 1e-5;

/// Colours a side of the table of lightness.
const NODES: usize = 33;
/// Bits of a sample on its way into the table: 5 choose the colour, the next 4 lie between two, the rest is dropped.
const BASE: u32 = 1 << 14;

/// The conversions, with the tables they read.
pub(super) struct OpencvLab {
    /// L* · 16384 / 100 by red, green and blue.
    lightness: Vec<u16>,
}

static LAB: LazyLock<OpencvLab> = LazyLock::new(OpencvLab::new);

impl OpencvLab {
    /// The one copy.
    pub(super) fn get() -> &'static Self {
        &LAB
    }

    #[expect(clippy::cast_sign_loss, reason = "lightness is not negative")]
    fn new() -> Self {
        let linear: Vec<f64> = (0..NODES).map(|node| srgb_to_linear(node as f64 / (NODES - 1) as f64)).collect();
        let node = |index: usize| {
            let rgb = [index / NODES / NODES, index / NODES % NODES, index % NODES];
            let y: f64 = rgb.iter().zip(LUMINANCE).map(|(&channel, weight)| weight * linear[channel]).sum();
            (super::lab::lightness_of_luminance(y) * f64::from(BASE) / 100.0).round_ties_even() as u16
        };
        Self { lightness: (0..NODES * NODES * NODES).map(node).collect() }
    }

    /// L*, 0..=100, of an encoded colour in 0..=1.
    #[expect(clippy::cast_sign_loss, reason = "clamped to 0..=1")]
    pub(super) fn lightness(&self, rgb: [f32; 3]) -> f32 {
        let code = rgb.map(|value| (value.clamp(0.0, 1.0) * BASE as f32).round_ties_even() as u32);
        let (node, between) = (code.map(|code| (code >> 9) as usize), code.map(|code| code >> 5 & 15));
        let mut sum = 1 << 11;
        for corner in 0..8 {
            let (mut index, mut weight) = (0, 1);
            for channel in 0..3 {
                let upper = corner >> channel & 1;
                // Beside the last colour there is none, and its weight is 0.
                index = index * NODES + (node[channel] + upper).min(NODES - 1);
                weight *= if upper == 1 { between[channel] } else { 16 - between[channel] };
            }
            sum += weight * u32::from(self.lightness[index]);
        }
        (sum >> 12) as f32 * (100.0 / BASE as f32)
    }

    /// The encoded colour, 0..=1, of L*, a*, b*, each channel clipped by itself; and whether clipping changed it.
    pub(super) fn rgb(&self, [lightness, a, b]: [f32; 3]) -> ([f32; 3], bool) {
        // 903.3 and 7.787 are (29/3)³ and a ninth of it over 4·29/9, as OpenCV rounds them.
        let (y, fy) = if lightness <= 8.0 {
            let y = lightness / 903.3;
            (y, 7.787 * y + 16.0 / 116.0)
        } else {
            let fy = (lightness + 16.0) / 116.0;
            (fy * fy * fy, fy)
        };
        let [x, z] =
            [fy + a / 500.0, fy - b / 200.0].map(|f| if f <= 6.0 / 29.0 { (f - 16.0 / 116.0) / 7.787 } else { f * f * f });
        let linear = FROM_RELATIVE.map(|row| row[0] * x + row[1] * y + row[2] * z);
        let outside = linear.iter().any(|value| !(-TOLERANCE..=1.0 + TOLERANCE).contains(value));
        (linear.map(linear_to_srgb_fast), outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::lab::{lab_to_srgb, srgb_to_lab};

    #[test]
    fn lightness_is_what_opencv_says_of_these_colours() {
        // cv2.cvtColor(…, COLOR_RGB2Lab) of OpenCV 5.0.0 on float32.
        for (rgb, want) in [
            ([0.0, 0.0, 0.0], 0.0),
            ([1.0, 1.0, 1.0], 100.0),
            ([0.5, 0.5, 0.5], 53.387_45),
            ([0.02, 0.02, 0.02], 1.367_188),
            ([0.046_875, 0.046_875, 0.046_875], 3.424_072),
            ([1.0, 0.0, 0.0], 53.240_97),
            ([0.0, 1.0, 0.0], 87.738_04),
            ([0.0, 0.0, 1.0], 32.293_7),
            ([0.3, 0.7, 0.1], 64.630_13),
            ([0.981, 0.412, 0.233], 62.237_55),
            ([0.013, 0.92, 0.055], 81.414_79),
            ([0.1, 0.11, 0.09], 9.820_557),
        ] {
            let got = OpencvLab::get().lightness(rgb);
            assert!((got - want).abs() < 1e-4, "{rgb:?} has {got} and not {want}");
        }
    }

    #[test]
    fn colours_stay_near_the_published_formula() {
        let lab = OpencvLab::get();
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..2000 {
            let rgb = [random.f32(), random.f32(), random.f32()];
            let exact = srgb_to_lab(rgb.map(f64::from));
            assert!((f64::from(lab.lightness(rgb)) - exact[0]).abs() < 0.35, "{rgb:?}");
            let (back, _) = lab.rgb(exact.map(|value| value as f32));
            let want = lab_to_srgb(exact);
            assert!(back.iter().zip(want).all(|(&got, want)| (f64::from(got) - want).abs() < 1e-3), "{back:?} is not {want:?}");
        }
    }

    #[test]
    fn clipping_is_noticed_and_white_is_not_clipped() {
        let lab = OpencvLab::get();
        assert!(!lab.rgb([100.0, 0.0, 0.0]).1);
        assert_eq!(lab.rgb([0.0, 0.0, 0.0]), ([0.0; 3], false));
        let (clipped, outside) = lab.rgb([50.0, 120.0, -120.0]);
        assert!(outside && clipped.iter().all(|value| (0.0..=1.0).contains(value)), "{clipped:?}");
    }
}
