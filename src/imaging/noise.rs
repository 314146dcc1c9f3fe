//! How noisy a grey plane is, from the plane alone.

use super::{Plane, Size};

/// Least width and height an estimate is made from, pixels.
const SMALLEST: u32 = 8;

/// σ of additive noise in a grey plane in 0..=1, in 8-bit code values (so 25 means 25/255).
///
/// The smaller of two estimators, because texture inflates both and rarely equally: J. Immerkær, *Fast noise variance
/// estimation* (1996), and D. Donoho's median of the finest diagonal Haar coefficients (1994). Planes narrower or lower than
/// eight pixels say nothing and give 0.
pub fn estimate_noise(grey: &Plane) -> f32 {
    let Size { width, height } = grey.size();
    if width < SMALLEST || height < SMALLEST {
        return 0.0;
    }
    255.0 * immerkaer(grey).min(haar(grey))
}

/// Mean absolute response to the difference of two Laplacians, which cancels constant, linear and quadratic image structure;
/// for Gaussian noise its expectation is 6σ·√(2/π).
fn immerkaer(grey: &Plane) -> f32 {
    let Size { width, height } = grey.size();
    let mut sum = 0.0_f64;
    for y in 1..height - 1 {
        let rows = [grey.row(y - 1), grey.row(y), grey.row(y + 1)];
        let row: f32 = (1..width as usize - 1)
            .map(|x| {
                let side = |row: &[f32]| row[x - 1] + row[x + 1] - 2.0 * row[x];
                (side(rows[0]) + side(rows[2]) - 2.0 * side(rows[1])).abs()
            })
            .sum();
        sum += f64::from(row);
    }
    let count = f64::from(width - 2) * f64::from(height - 2);
    ((std::f64::consts::PI / 2.0).sqrt() * sum / (6.0 * count)) as f32
}

/// Median absolute diagonal Haar coefficient of disjoint 2×2 blocks, divided by the normal distribution's 0.6745.
fn haar(grey: &Plane) -> f32 {
    let Size { width, height } = grey.size();
    let (columns, rows) = (width as usize / 2, height / 2);
    let mut coefficients = Vec::with_capacity(columns * rows as usize);
    for y in 0..rows {
        let upper = grey.row(2 * y).as_chunks::<2>().0;
        let lower = grey.row(2 * y + 1).as_chunks::<2>().0;
        coefficients.extend(upper.iter().zip(lower).map(|(up, low)| ((up[0] - up[1] - low[0] + low[1]) / 2.0).abs()));
    }
    let middle = coefficients.len() / 2;
    let (_, median, _) = coefficients.select_nth_unstable_by(middle, f32::total_cmp);
    *median / 0.6745
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waves of some forty pixels' length: smooth, but not flat.
    fn smooth() -> Plane {
        let size = Size::new(320, 240);
        let value = |x: u32, y: u32| 0.5 + 0.2 * (x as f32 / 13.0).sin() * (y as f32 / 17.0).cos();
        Plane::new(size, (0..size.height).flat_map(|y| (0..size.width).map(move |x| value(x, y))).collect()).unwrap()
    }

    fn noisy(sigma: f32) -> Plane {
        let mut random = fastrand::Rng::with_seed(11);
        let mut plane = smooth();
        for value in plane.data_mut() {
            // Box and Muller's transform.
            let radius = (-2.0 * (1.0 - random.f32()).ln()).sqrt();
            *value += sigma / 255.0 * radius * (std::f32::consts::TAU * random.f32()).cos();
        }
        plane
    }

    #[test]
    fn white_noise_is_estimated_within_15_percent() {
        for sigma in [10.0, 15.0, 25.0, 50.0] {
            let estimate = estimate_noise(&noisy(sigma));
            assert!((estimate / sigma - 1.0).abs() < 0.15, "{sigma} was estimated as {estimate}");
        }
    }

    #[test]
    fn a_clean_smooth_picture_has_almost_none() {
        let estimate = estimate_noise(&smooth());
        assert!(estimate < 1.0, "{estimate}");
        assert_eq!(estimate_noise(&Plane::filled(Size::new(64, 64), 0.7)), 0.0);
    }

    #[test]
    fn planes_too_small_to_tell_have_none() {
        assert_eq!(estimate_noise(&Plane::filled(Size::new(7, 500), 0.3)), 0.0);
        assert_eq!(estimate_noise(&Plane::filled(Size::new(500, 1), 0.3)), 0.0);
    }
}
