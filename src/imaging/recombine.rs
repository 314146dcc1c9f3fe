//! Turns full-size lightness and small chroma into a colour picture.
//!
//! Pure arithmetic. Does not know models, files or colour profiles. The lightness of every pixel is the scan's own to within
//! the rounding of the scan's depth: at most 0.5 L* at 8 bits and 0.05 at 16. Chroma is enlarged along the scan's edges
//! ([`super::guide`]).

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::gamut::{Outside, Run};
use super::guide::{Line, Lines};
use super::lab::Sample;
use super::resample::{grey_copy_of, resize_plane};
use super::rows::{Encode, RUN, lightness_f, replaced_f};
use super::{Channels, ChromaPlanes, ColourSpace, Depth, Plane, Rect, Rows, Samples, ScanImage, Size};

/// Whose lightness is published.
#[derive(Debug, Clone, Copy)]
pub enum Lightness<'a> {
    /// The scan's own.
    Source,
    /// That of a full-size sRGB-encoded grey in 0..=1 (denoised): an opt-in.
    Replaced(&'a Plane),
}

/// A coloured picture.
#[derive(Debug)]
pub struct Recombined {
    /// RGB(A) at the scan's size, the depth and in the colour space asked for.
    pub image: ScanImage,
    /// Share of pixels whose chroma was reduced to fit into that space, 0..=1.
    pub out_of_gamut_share: f64,
}

/// How chroma becomes the picture's colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rendering {
    /// Factor on chroma before it is limited to what can be shown; at least 0, and 0 leaves greys.
    pub saturation: f32,
    /// Whose red, green and blue are made.
    pub space: ColourSpace,
}

impl Default for Rendering {
    fn default() -> Self {
        Self { saturation: 1.0, space: ColourSpace::Srgb }
    }
}

/// Lab units beyond which chroma is no colour at all; keeps the arithmetic finite whatever a network says.
const LARGEST_CHROMA: f32 = 1000.0;

/// Gives the scan's lightness the chroma of the small planes.
///
/// `chroma` shows the whole picture and is enlarged along the edges of the scan's lightness, pixel centres aligned and edges
/// clamped; planes larger than the scan are reduced with antialiasing first. Colours outside the space (sRGB here) lose chroma at fixed lightness and hue. Alpha is passed
/// through; a chroma value that is not a number counts as 0.
///
/// # Panics
/// When the two chroma planes differ in size or are empty, or a replaced lightness has another size than the scan.
pub fn recombine(scan: &ScanImage, lightness: Lightness<'_>, chroma: &ChromaPlanes, depth: Depth) -> Recombined {
    recombine_within(scan, Rect::whole(scan.size()), lightness, chroma, depth, Rendering::default())
}

/// The same where `chroma` shows only a part of the scan: outside it chroma is exactly 0, so that greys stay greys. A replaced
/// lightness is taken for the scan's without its noise: chroma follows it by what the scan shows.
///
/// # Panics
/// As [`recombine`], and when the part does not lie in the scan.
pub fn recombine_within(
    scan: &ScanImage,
    part: Rect,
    lightness: Lightness<'_>,
    chroma: &ChromaPlanes,
    depth: Depth,
    rendering: Rendering,
) -> Recombined {
    Recombination::new(scan, part, lightness, chroma, depth, rendering).whole()
}

/// A picture that is recombined row by row, by as many threads as ask for rows.
pub struct Recombination<'a> {
    scan: &'a ScanImage,
    part: Rect,
    lightness: Lightness<'a>,
    lines: Lines,
    depth: Depth,
    space: ColourSpace,
    columns: Vec<Tap>,
    /// Pixels whose chroma was reduced, of all rows made so far.
    reduced: AtomicU64,
}

/// A line between two rows of the small picture, and the step to the one of the next column.
type Cell = [Line; 2];

impl<'a> Recombination<'a> {
    /// Everything that stays the same from row to row; the arguments are those of [`recombine_within`].
    ///
    /// # Panics
    /// As [`recombine_within`].
    pub fn new(
        scan: &'a ScanImage,
        part: Rect,
        lightness: Lightness<'a>,
        chroma: &ChromaPlanes,
        depth: Depth,
        rendering: Rendering,
    ) -> Self {
        assert!(part.lies_in(scan.size()), "{part:?} lies in the scan");
        assert_eq!(chroma.a.size(), chroma.b.size(), "both chroma planes show one picture");
        assert!(chroma.a.size().pixels() > 0, "chroma planes have pixels");
        if let Lightness::Replaced(plane) = lightness {
            assert_eq!(plane.size(), scan.size(), "a replaced lightness has the scan's size");
        }
        let Size { width, height } = part.size();
        let small = chroma.a.size();
        if small.width > width || small.height > height {
            let size = Size::new(small.width.min(width), small.height.min(height));
            let finite = |plane: &Plane| {
                let data = plane.data().iter().map(|&value| tame(value)).collect();
                resize_plane(&Plane::new(plane.size(), data).expect("one value a pixel was kept"), size)
            };
            let chroma = ChromaPlanes { a: finite(&chroma.a), b: finite(&chroma.b) };
            return Self::new(scan, part, lightness, &chroma, depth, rendering);
        }
        // The same copy that the network saw, or would have without its denoiser.
        let lines = Lines::new(chroma, &grey_copy_of(scan, part, small), rendering.saturation);
        // Columns outside the part look at a cell of their own, which is always without colour.
        let column = |x: u32| match x.checked_sub(part.left).filter(|&x| x < part.width) {
            Some(x) => Tap::at(x, part.width, small.width),
            None => Tap { index: small.width, weight: 0.0 },
        };
        let columns = (0..scan.size().width).map(column).collect();
        Self { scan, part, lightness, lines, depth, space: rendering.space, columns, reduced: AtomicU64::new(0) }
    }

    /// All rows at once.
    pub fn whole(&self) -> Recombined {
        let samples = self.rows(0..self.size().height);
        let image = ScanImage::new(self.size(), self.channels(), samples).expect("every pixel was filled");
        Recombined { image, out_of_gamut_share: self.out_of_gamut_share() }
    }

    /// Share of the scan's pixels whose chroma was reduced to fit into the space, 0..=1, in the rows made so far.
    pub fn out_of_gamut_share(&self) -> f64 {
        self.reduced.load(Ordering::Relaxed) as f64 / self.size().pixels() as f64
    }

    /// The scan that is recombined.
    pub const fn scan(&self) -> &'a ScanImage {
        self.scan
    }

    /// Whose lightness it gets.
    pub const fn lightness(&self) -> Lightness<'a> {
        self.lightness
    }

    /// Whose red, green and blue are made.
    pub const fn space(&self) -> ColourSpace {
        self.space
    }

    fn encoded<T: Encode>(&self, range: Range<u32>) -> Vec<T> {
        match self.scan.samples() {
            Samples::U8(samples) => self.run(samples, range),
            Samples::U16(samples) => self.run(samples, range),
        }
    }

    fn run<S: Sample, T: Encode>(&self, samples: &[S], range: Range<u32>) -> Vec<T> {
        let (channels, count) = (self.scan.channels(), self.channels().count());
        let width = self.size().width as usize;
        let (from, to) = (width * channels.count(), width * count);
        let samples = &samples[range.start as usize * from..range.end as usize * from];
        let mut out = vec![T::default(); range.len() * to];
        let (mut run, mut outside, mut cells) = (Run::new(), Outside::new(), Vec::new());
        let (mut reduced, matrix) = (0_u64, &self.space.numbers().from_relative);
        for ((y, out), samples) in range.zip(out.chunks_exact_mut(to)).zip(samples.chunks_exact(from)) {
            self.cells(y, &mut cells);
            for first in (0..width).step_by(RUN) {
                let pixels = RUN.min(width - first);
                let source = &samples[first * channels.count()..][..pixels * channels.count()];
                match self.lightness {
                    Lightness::Source => lightness_f(channels, ColourSpace::Srgb, source, &mut run.f[..pixels]),
                    Lightness::Replaced(plane) => replaced_f(&plane.row(y)[first..][..pixels], &mut run.f),
                }
                let columns = &self.columns[first..][..pixels];
                for (((a, b), &f), tap) in run.a.iter_mut().zip(&mut run.b).zip(&run.f).zip(columns) {
                    let [line, step] = &cells[tap.index as usize];
                    let line: Line = std::array::from_fn(|index| line[index] + tap.weight * step[index]);
                    (*a, *b) = (line[0] + f * line[2], line[1] + f * line[3]);
                }
                reduced += run.convert(matrix, &mut outside, pixels) as u64;
                run.rgb.iter_mut().for_each(|plane| T::prepare(plane, self.space.curve()));
                let out = &mut out[first * count..][..pixels * count];
                if count == 4 {
                    self.store_rgba(&run, source, out);
                } else {
                    store_rgb(&run, self.space, out);
                }
            }
        }
        self.reduced.fetch_add(reduced, Ordering::Relaxed);
        out
    }

    /// Lines for one row of the picture; the last cell is without colour.
    fn cells(&self, y: u32, cells: &mut Vec<Cell>) {
        let small = self.lines.size();
        cells.clear();
        let Some(y) = y.checked_sub(self.part.top).filter(|&y| y < self.part.height) else {
            cells.resize(small.width as usize + 1, Cell::default());
            return;
        };
        let tap = Tap::at(y, self.part.height, small.height);
        let (upper, lower) = (self.lines.row(tap.index), self.lines.row((tap.index + 1).min(small.height - 1)));
        let between = |(upper, lower): (&Line, &Line)| -> Line {
            std::array::from_fn(|index| upper[index] + tap.weight * (lower[index] - upper[index]))
        };
        cells.extend(upper.iter().zip(lower).map(between).map(|line| [line, Line::default()]));
        for x in 1..cells.len() {
            let (next, before) = (cells[x][0], &mut cells[x - 1]);
            before[1] = std::array::from_fn(|index| next[index] - before[0][index]);
        }
        cells.push(Cell::default());
    }

    fn store_rgba<S: Sample, T: Encode>(&self, run: &Run, source: &[S], out: &mut [T]) {
        let ([red, green, blue], coder) = (&run.rgb, T::coder(self.space.curve()));
        let alpha = source.chunks_exact(self.scan.channels().count()).map(|pixel| T::narrowed(pixel[pixel.len() - 1].widened()));
        let pixels = out.as_chunks_mut::<4>().0.iter_mut().zip(alpha);
        for ((((out, alpha), &red), &green), &blue) in pixels.zip(red).zip(green).zip(blue) {
            let [red, green, blue] = [red, green, blue].map(|value| T::code(value, coder));
            *out = [red, green, blue, alpha];
        }
    }
}

impl Rows for Recombination<'_> {
    fn size(&self) -> Size {
        self.scan.size()
    }

    fn channels(&self) -> Channels {
        if self.scan.channels().has_alpha() { Channels::Rgba } else { Channels::Rgb }
    }

    fn bit_depth(&self) -> u8 {
        match self.depth {
            Depth::Eight => 8,
            Depth::Sixteen => 16,
        }
    }

    fn rows(&self, range: Range<u32>) -> Samples {
        match self.depth {
            Depth::Eight => Samples::U8(self.encoded(range)),
            Depth::Sixteen => Samples::U16(self.encoded(range)),
        }
    }
}

fn store_rgb<S: Encode>(run: &Run, space: ColourSpace, out: &mut [S]) {
    let ([red, green, blue], coder) = (&run.rgb, S::coder(space.curve()));
    for (((out, &red), &green), &blue) in out.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue) {
        *out = [red, green, blue].map(|value| S::code(value, coder));
    }
}

/// Between which two samples of a small axis a pixel of the large one lies, centres aligned, edges clamped.
struct Tap {
    index: u32,
    /// Weight of the next sample, 0..1.
    weight: f32,
}

impl Tap {
    fn at(position: u32, large: u32, small: u32) -> Self {
        let centre = (f64::from(position) + 0.5) * f64::from(small) / f64::from(large) - 0.5;
        let centre = centre.clamp(0.0, f64::from(small - 1));
        Self { index: centre as u32, weight: centre.fract() as f32 }
    }
}

/// Chroma the arithmetic can work with.
pub(super) fn tame(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(-LARGEST_CHROMA, LARGEST_CHROMA) }
}

#[cfg(test)]
mod tests;
