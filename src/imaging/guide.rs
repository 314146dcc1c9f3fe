//! Chroma that knows the scan's edges: for every pixel of the network's copy, a line of a* and one of b* over lightness.
//!
//! A guided filter (He, Sun and Tang, 2010) whose coefficients are computed at the size of the network's copy, as in the fast one (He and
//! Sun, 2015), with two differences that the table in ARCHITECTURE.md decided. A line goes through its own pixel's chroma and not through
//! the mean around it, so that nothing of what the network said is smoothed away: where the scan is as light as the copy, chroma is the
//! network's. And slopes are not averaged a second time. Between the pixels, lines are mixed bilinearly.

use super::recombine::tame;
use super::rows::replaced_f;
use super::{ChromaPlanes, Plane, Size};

/// Keeps slopes small where lightness hardly varies; as the variance of f = (L* + 16) / 116, 128 squared units of L*. Of 16 to 256 it gave
/// most at edges that grain does not take back; with less, grain of the scan becomes specks of colour.
const FAINT: f32 = 128.0 / (116.0 * 116.0);

/// a* and b* where f(Y) would be 0, and what each gains with f: a* = `line[0] + f·line[2]`, b* = `line[1] + f·line[3]`.
pub(super) type Line = [f32; 4];

/// What is averaged around a pixel: f, a*, b*, f², f·a*, f·b*; two to spare, for whole vectors.
type Moments = [f32; 8];

/// Lines for every pixel of a small picture.
pub(super) struct Lines {
    size: Size,
    lines: Vec<Line>,
}

impl Lines {
    /// From chroma and the greys it was made of, sRGB-encoded in 0..=1, of one size; chroma is multiplied by `saturation`.
    pub(super) fn new(chroma: &ChromaPlanes, greys: &Plane, saturation: f32) -> Self {
        let size = greys.size();
        let width = size.width as usize;
        let mut f = vec![0.0; greys.data().len()];
        replaced_f(greys.data(), &mut f);
        let pixel = |index: usize| {
            let [a, b] = [&chroma.a, &chroma.b].map(|plane| saturation * tame(plane.data()[index]));
            (f[index], a, b)
        };
        let moments = |row: usize| {
            let moments = |x: usize| {
                let (f, a, b) = pixel(row * width + x);
                [f, a, b, f * f, f * a, f * b, 0.0, 0.0]
            };
            across(&(0..width).map(moments).collect::<Vec<_>>())
        };
        let mut lines = Vec::with_capacity(f.len());
        // Three rows at a time; beyond the first and the last they are repeated.
        let (mut above, mut here) = (moments(0), moments(0));
        for y in 0..size.height as usize {
            let below = if y + 1 < size.height as usize { moments(y + 1) } else { here.clone() };
            for x in 0..width {
                let around = weighted(&above[x], &here[x], &below[x]);
                lines.push(line(pixel(y * width + x), &around));
            }
            above = std::mem::replace(&mut here, below);
        }
        Self { size, lines }
    }

    pub(super) const fn size(&self) -> Size {
        self.size
    }

    pub(super) fn row(&self, y: u32) -> &[Line] {
        let width = self.size.width as usize;
        &self.lines[y as usize * width..][..width]
    }
}

/// The line through a pixel's own chroma with the slopes of least squares around it.
fn line((f, a, b): (f32, f32, f32), around: &Moments) -> Line {
    let [mean_f, mean_a, mean_b, square, with_a, with_b, ..] = *around;
    let variance = (square - mean_f * mean_f).max(0.0) + FAINT;
    let slopes = [(with_a - mean_f * mean_a) / variance, (with_b - mean_f * mean_b) / variance];
    [a - slopes[0] * f, b - slopes[1] * f, slopes[0], slopes[1]]
}

/// A quarter, a half and a quarter of three neighbours.
fn weighted(before: &Moments, here: &Moments, after: &Moments) -> Moments {
    std::array::from_fn(|index| 0.5 * here[index] + 0.25 * (before[index] + after[index]))
}

/// The same along a row, whose ends are repeated.
fn across(row: &[Moments]) -> Vec<Moments> {
    let last = row.len() - 1;
    (0..row.len()).map(|x| weighted(&row[x.saturating_sub(1)], &row[x], &row[(x + 1).min(last)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f(Y) of an encoded grey.
    fn f_of(grey: f32) -> f32 {
        let mut f = [0.0];
        replaced_f(&[grey], &mut f);
        f[0]
    }

    fn planes(size: Size, chroma: impl Fn(f32) -> f32) -> (ChromaPlanes, Plane) {
        let mut random = fastrand::Rng::with_seed(8);
        let greys = Plane::new(size, (0..size.pixels()).map(|_| random.f32()).collect()).unwrap();
        let plane = |sign: f32| Plane::new(size, greys.data().iter().map(|&grey| sign * chroma(f_of(grey))).collect()).unwrap();
        (ChromaPlanes { a: plane(1.0), b: plane(-2.0) }, greys)
    }

    #[test]
    fn where_the_scan_is_as_light_as_the_copy_chroma_is_the_networks() {
        let (chroma, greys) = planes(Size::new(31, 17), |f| 40.0 * (9.0 * f).sin());
        let lines = Lines::new(&chroma, &greys, 1.0);
        for y in 0..17 {
            for (x, line) in lines.row(y).iter().enumerate() {
                let f = f_of(greys.row(y)[x]);
                let found = [line[0] + f * line[2], line[1] + f * line[3]];
                assert!((found[0] - chroma.a.row(y)[x]).abs() < 1e-3 && (found[1] - chroma.b.row(y)[x]).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn chroma_that_follows_lightness_is_continued_beyond_the_copys_lightness() {
        let (chroma, greys) = planes(Size::new(31, 17), |f| 60.0 * f - 20.0);
        let lines = Lines::new(&chroma, &greys, 1.0);
        // Shrunk by what keeps slopes small, never beyond the truth, and the other way round for b*.
        assert!(lines.lines.iter().all(|line| (0.0..60.0).contains(&line[2]) && (line[3] + 2.0 * line[2]).abs() < 1e-2));
        let mean = lines.lines.iter().map(|line| line[2]).sum::<f32>() / lines.lines.len() as f32;
        assert!(mean > 40.0, "{mean}");
    }

    #[test]
    fn saturation_is_a_factor_on_chroma_and_nothing_is_a_number_but_numbers() {
        let (chroma, greys) = planes(Size::new(9, 5), |f| 30.0 * f);
        let (whole, half) = (Lines::new(&chroma, &greys, 1.0), Lines::new(&chroma, &greys, 0.5));
        assert!(whole.lines.iter().flatten().zip(half.lines.iter().flatten()).all(|(one, half)| (one - 2.0 * half).abs() < 1e-3));
        assert!(Lines::new(&chroma, &greys, 0.0).lines.iter().flatten().all(|&value| value == 0.0));
        for value in [f32::NAN, f32::INFINITY, -1e30] {
            let broken = ChromaPlanes { a: Plane::filled(greys.size(), value), b: chroma.b.clone() };
            assert!(Lines::new(&broken, &greys, 1.0).lines.iter().flatten().all(|value| value.is_finite()));
        }
    }
}
