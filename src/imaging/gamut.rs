//! From Lab to the linear light of a colour space, and what to do with colours it cannot show.
//!
//! Clipping red, green and blue would change the lightness, which is the one thing that must stay. So chroma is reduced
//! instead, at fixed lightness and along the hue ray, until the colour just fits.

use multiversion::multiversion;

use super::lab::lab_f_inverse_fast;
use super::rows::RUN;

/// How far linear red, green and blue may leave 0..=1 and still count as inside: what single precision gets wrong about a
/// white or a black. Clipping it changes lightness by at most 0.002 L*.
const TOLERANCE: f32 = 2e-6;

/// Halvings of the part of chroma that is kept: 2⁻¹⁵ of 150 Lab units is 0.005.
const HALVINGS: usize = 15;

/// Pixels searched side by side.
const LANES: usize = 8;

/// From XYZ relative to white to linear red, green and blue, as [`super::space`] writes it.
pub(super) type FromRelative = [[f32; 2]; 3];

/// A run of pixels on their way from Lab to linear light.
pub(super) struct Run {
    /// (L* + 16) / 116.
    pub(super) f: [f32; RUN],
    pub(super) a: [f32; RUN],
    pub(super) b: [f32; RUN],
    /// Linear red, green, blue; whoever stores them encodes them here.
    pub(super) rgb: [[f32; RUN]; 3],
}

impl Run {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { f: [0.0; RUN], a: [0.0; RUN], b: [0.0; RUN], rgb: [[0.0; RUN]; 3] })
    }

    /// Fills `rgb` for the first `count` pixels; returns how many had their chroma reduced.
    pub(super) fn convert(&mut self, matrix: &FromRelative, outside: &mut Outside, count: usize) -> usize {
        let beyond = convert_run(matrix, &self.f, &self.a, &self.b, &mut self.rgb);
        // Pixels past `count` are left over from another run: they may trigger the search, but are not counted.
        if beyond == 0 { 0 } else { self.reduce(matrix, outside, count) }
    }

    fn reduce(&mut self, matrix: &FromRelative, outside: &mut Outside, count: usize) -> usize {
        let mut found = 0;
        for i in 0..count {
            outside.index[found] = i as u16;
            found += usize::from(excess([self.rgb[0][i], self.rgb[1][i], self.rgb[2][i]]) > TOLERANCE);
        }
        for (slot, &i) in outside.index[..found].iter().enumerate() {
            let i = i as usize;
            (outside.f[slot], outside.a[slot], outside.b[slot]) = (self.f[i], self.a[i], self.b[i]);
        }
        outside.search(matrix, found);
        for (slot, &i) in outside.index[..found].iter().enumerate() {
            let kept = outside.kept[slot];
            let rgb = linear(matrix, outside.f[slot], kept * outside.a[slot], kept * outside.b[slot]);
            for (plane, value) in self.rgb.iter_mut().zip(rgb) {
                plane[i as usize] = value;
            }
        }
        found
    }
}

/// The pixels of a run that lie outside the space, packed together so that the search is vector code.
pub(super) struct Outside {
    index: [u16; RUN + 1],
    f: [f32; RUN],
    a: [f32; RUN],
    b: [f32; RUN],
    /// Part of the chroma that fits, 0..=1.
    kept: [f32; RUN],
}

impl Outside {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { index: [0; RUN + 1], f: [0.0; RUN], a: [0.0; RUN], b: [0.0; RUN], kept: [0.0; RUN] })
    }

    /// Finds how much of the chroma fits, by halving: neutral is always inside, and along a hue ray a space is left once. Of
    /// sRGB only a sliver of bright yellows (L* 94 to 98, hue 100° to 106°) is left, entered and left again; there, and where another
    /// space has the like, either end may be found, and what is found is inside all the same.
    fn search(&mut self, matrix: &FromRelative, count: usize) {
        // Whole lanes, so that the loop has no remainder; what lies past `count` is left over and never read.
        let lanes = count.next_multiple_of(LANES).min(RUN);
        search_run(matrix, [&self.f, &self.a, &self.b], &mut self.kept[..lanes]);
    }
}

/// Linear red, green and blue of a run, and how many of its pixels lie outside.
#[multiversion(targets("x86_64+avx2"))]
fn convert_run(matrix: &FromRelative, f: &[f32; RUN], a: &[f32; RUN], b: &[f32; RUN], to: &mut [[f32; RUN]; 3]) -> u32 {
    let (matrix, [red, green, blue]) = (*matrix, to);
    // Counting in integers keeps this vector code; a largest excess in floats would not be.
    let mut beyond = 0_u32;
    for i in 0..RUN {
        let rgb = linear(&matrix, f[i], a[i], b[i]);
        [red[i], green[i], blue[i]] = rgb;
        beyond += u32::from(excess(rgb) > TOLERANCE);
    }
    beyond
}

/// See [`Outside::search`].
#[multiversion(targets("x86_64+avx2"))]
fn search_run(matrix: &FromRelative, planes: [&[f32; RUN]; 3], kept: &mut [f32]) {
    let (matrix, kept) = (*matrix, kept.as_chunks_mut::<LANES>().0);
    let [f, a, b] = planes.map(|plane| plane.as_chunks::<LANES>().0);
    for (((kept, f), a), b) in kept.iter_mut().zip(f).zip(a).zip(b) {
        *kept = [0.0; LANES];
        let mut step = 0.5;
        for _ in 0..HALVINGS {
            for lane in 0..LANES {
                let more = kept[lane] + step;
                let inside = excess(linear(&matrix, f[lane], more * a[lane], more * b[lane])) <= TOLERANCE;
                kept[lane] = if inside { more } else { kept[lane] };
            }
            step *= 0.5;
        }
    }
}

/// Linear red, green and blue, exactly equal where a* and b* are 0, of a Lab colour given as f = (L* + 16) / 116, a*, b*.
#[inline(always)]
fn linear(matrix: &FromRelative, f: f32, a: f32, b: f32) -> [f32; 3] {
    let x = lab_f_inverse_fast(f + a * (1.0 / 500.0));
    let y = lab_f_inverse_fast(f);
    let z = lab_f_inverse_fast(f - b * (1.0 / 200.0));
    let (x, z) = (x - y, z - y);
    matrix.map(|row| y + row[0] * x + row[1] * z)
}

/// How far the worst of three channels lies outside 0..=1; at most 0 inside.
#[inline(always)]
fn excess(rgb: [f32; 3]) -> f32 {
    let largest = max(max(rgb[0], rgb[1]), rgb[2]) - 1.0;
    let smallest = max(max(-rgb[0], -rgb[1]), -rgb[2]);
    max(largest, smallest)
}

/// One instruction, where `f32::max` takes several to treat what is no number; there is none here.
#[inline(always)]
fn max(one: f32, other: f32) -> f32 {
    if one > other { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::ColourSpace;
    use crate::imaging::lab::lab_to_srgb;

    /// Converts one colour; the linear colour and whether its chroma was reduced.
    fn one(lightness: f32, a: f32, b: f32) -> ([f32; 3], bool) {
        let (mut run, mut outside) = (Run::new(), Outside::new());
        (run.f[0], run.a[0], run.b[0]) = ((lightness + 16.0) / 116.0, a, b);
        let reduced = run.convert(&ColourSpace::Srgb.numbers().from_relative, &mut outside, 1) == 1;
        ([run.rgb[0][0], run.rgb[1][0], run.rgb[2][0]], reduced)
    }

    fn fits(lightness: f64, a: f64, b: f64) -> bool {
        lab_to_srgb([lightness, a, b]).into_iter().all(|value| (-3e-5..=1.0 + 1e-6).contains(&value))
    }

    #[test]
    fn colours_inside_srgb_are_left_alone() {
        for (lightness, a, b) in [(50.0, 20.0, -30.0), (0.0, 0.0, 0.0), (100.0, 0.0, 0.0), (53.2, 80.0, 67.0)] {
            assert!(!one(lightness, a, b).1, "{lightness} {a} {b}");
        }
    }

    #[test]
    fn chroma_is_reduced_no_further_than_needed() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..2000 {
            let (lightness, hue) = (1.0 + 98.0 * random.f32(), std::f32::consts::TAU * random.f32());
            let (a, b) = (180.0 * hue.cos(), 180.0 * hue.sin());
            let (rgb, reduced) = one(lightness, a, b);
            assert!(reduced);
            // Where the reference leaves sRGB, in steps of a hundredth of a unit.
            let at = |chroma: f64| (chroma * f64::from(hue.cos()), chroma * f64::from(hue.sin()));
            let mut limit = 0.0;
            while fits(f64::from(lightness), at(limit + 0.01).0, at(limit + 0.01).1) {
                limit += 0.01;
            }
            let lab =
                crate::imaging::lab::srgb_to_lab(rgb.map(|v| crate::imaging::lab::linear_to_srgb(f64::from(v.clamp(0.0, 1.0)))));
            assert!((lab[0] - f64::from(lightness)).abs() < 0.01, "L* {lightness} became {}", lab[0]);
            assert!(
                (lab[1].hypot(lab[2]) - limit).abs() < 0.1,
                "{} is not {limit} at L* {lightness}, hue {hue}",
                lab[1].hypot(lab[2])
            );
        }
    }

    #[test]
    fn a_hue_ray_leaves_srgb_once_except_in_bright_yellow() {
        for lightness in (2..100).step_by(2) {
            for hue in (0..360).step_by(2) {
                let (sin, cos) = f64::from(hue).to_radians().sin_cos();
                let inside = (0..300).map(|c| f64::from(c) * 0.5).map(|c| fits(f64::from(lightness), c * cos, c * sin));
                let once = inside.is_sorted_by(|one, other| one >= other);
                let bright_yellow = (94..=98).contains(&lightness) && (100..=106).contains(&hue);
                assert!(once || bright_yellow, "L* {lightness}, hue {hue}");
            }
        }
    }
}
