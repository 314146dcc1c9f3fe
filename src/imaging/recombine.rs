//! Turns full-size lightness and small chroma into a colour picture.
//!
//! Pure arithmetic. Does not know models, files or colour profiles. The lightness of every pixel is the scan's own to within
//! the rounding of the scan's depth: at most 0.5 L* at 8 bits and 0.05 at 16.

use super::gamut::{Outside, Run};
use super::lab::Sample;
use super::resample::resize_plane;
use super::rows::{Encode, RUN, lightness_f, replaced_f};
use super::{Channels, ChromaPlanes, Depth, Plane, Rect, Samples, ScanImage, Size};

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
    /// RGB(A) at the scan's size and the depth asked for.
    pub image: ScanImage,
    /// Share of pixels whose chroma was reduced to fit into sRGB, 0..=1.
    pub out_of_gamut_share: f64,
}

/// Lab units beyond which chroma is no colour at all; keeps the arithmetic finite whatever a network says.
const LARGEST_CHROMA: f32 = 1000.0;

/// Gives the scan's lightness the chroma of the small planes.
///
/// `chroma` shows the whole picture and is enlarged bilinearly, pixel centres aligned and edges clamped; planes larger than
/// the scan are reduced with antialiasing first. Colours outside sRGB lose chroma at fixed lightness and hue. Alpha is passed
/// through; a chroma value that is not a number counts as 0.
///
/// # Panics
/// When the two chroma planes differ in size or are empty, or a replaced lightness has another size than the scan.
pub fn recombine(scan: &ScanImage, lightness: Lightness<'_>, chroma: &ChromaPlanes, depth: Depth) -> Recombined {
    recombine_within(scan, Rect::whole(scan.size()), lightness, chroma, depth)
}

/// The same where `chroma` shows only a part of the scan: outside it chroma is exactly 0, so that greys stay greys.
///
/// # Panics
/// As [`recombine`], and when the part does not lie in the scan.
pub fn recombine_within(
    scan: &ScanImage,
    part: Rect,
    lightness: Lightness<'_>,
    chroma: &ChromaPlanes,
    depth: Depth,
) -> Recombined {
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
        return recombine_within(scan, part, lightness, &chroma, depth);
    }
    let channels = if scan.channels().has_alpha() { Channels::Rgba } else { Channels::Rgb };
    let recombination = Recombination::new(scan, part, lightness, chroma);
    let (samples, reduced) = match depth {
        Depth::Eight => {
            let (samples, reduced) = recombination.all(scan, channels.count());
            (Samples::U8(samples), reduced)
        }
        Depth::Sixteen => {
            let (samples, reduced) = recombination.all(scan, channels.count());
            (Samples::U16(samples), reduced)
        }
    };
    let image = ScanImage::new(scan.size(), channels, samples).expect("every pixel was filled");
    Recombined { image, out_of_gamut_share: reduced as f64 / scan.size().pixels() as f64 }
}

/// Everything that stays the same from row to row.
struct Recombination<'a> {
    size: Size,
    part: Rect,
    channels: Channels,
    lightness: Lightness<'a>,
    chroma: &'a ChromaPlanes,
    columns: Vec<Tap>,
}

impl<'a> Recombination<'a> {
    fn new(scan: &ScanImage, part: Rect, lightness: Lightness<'a>, chroma: &'a ChromaPlanes) -> Self {
        let (size, small) = (scan.size(), chroma.a.size().width);
        // Columns outside the part look at a cell of their own, which is always without colour.
        let column = |x: u32| match x.checked_sub(part.left).filter(|&x| x < part.width) {
            Some(x) => Tap::at(x, part.width, small),
            None => Tap { index: small, weight: 0.0 },
        };
        Self { size, part, channels: scan.channels(), lightness, chroma, columns: (0..size.width).map(column).collect() }
    }

    /// The picture's samples, `count` a pixel, and the number of pixels whose chroma was reduced.
    fn all<T: Encode>(&self, scan: &ScanImage, count: usize) -> (Vec<T>, u64) {
        match scan.samples() {
            Samples::U8(samples) => self.run(samples, count),
            Samples::U16(samples) => self.run(samples, count),
        }
    }

    fn run<S: Sample, T: Encode>(&self, samples: &[S], count: usize) -> (Vec<T>, u64) {
        let width = self.size.width as usize;
        let (from, to) = (width * self.channels.count(), width * count);
        let mut out = vec![T::default(); self.size.height as usize * to];
        let (mut run, mut outside, mut cells) = (Run::new(), Outside::new(), Vec::new());
        let mut reduced = 0_u64;
        for (y, (out, samples)) in out.chunks_exact_mut(to).zip(samples.chunks_exact(from)).enumerate() {
            self.chroma_row(y as u32, &mut cells);
            for first in (0..width).step_by(RUN) {
                let pixels = RUN.min(width - first);
                let source = &samples[first * self.channels.count()..][..pixels * self.channels.count()];
                match self.lightness {
                    Lightness::Source => lightness_f(self.channels, source, &mut run.f[..pixels]),
                    Lightness::Replaced(plane) => replaced_f(&plane.row(y as u32)[first..][..pixels], &mut run.f),
                }
                let columns = &self.columns[first..][..pixels];
                for ((a, b), tap) in run.a.iter_mut().zip(&mut run.b).zip(columns) {
                    let cell: [f32; 4] = cells[tap.index as usize];
                    *a = cell[0] + tap.weight * cell[1];
                    *b = cell[2] + tap.weight * cell[3];
                }
                reduced += run.convert(&mut outside, pixels) as u64;
                run.rgb.iter_mut().for_each(|plane| T::prepare(plane));
                let out = &mut out[first * count..][..pixels * count];
                if count == 4 {
                    self.store_rgba(&run, source, out);
                } else {
                    store_rgb(&run, out);
                }
            }
        }
        (out, reduced)
    }

    /// One row of chroma between two rows of the small planes: a* and b* of every column with the step to the next.
    fn chroma_row(&self, y: u32, cells: &mut Vec<[f32; 4]>) {
        let small = self.chroma.a.size();
        cells.clear();
        let Some(y) = y.checked_sub(self.part.top).filter(|&y| y < self.part.height) else {
            cells.resize(small.width as usize + 1, [0.0; 4]);
            return;
        };
        let tap = Tap::at(y, self.part.height, small.height);
        let below = (tap.index + 1).min(small.height - 1);
        let between = |plane: &Plane, x: usize| {
            let (upper, lower) = (tame(plane.row(tap.index)[x]), tame(plane.row(below)[x]));
            upper + tap.weight * (lower - upper)
        };
        cells.extend((0..small.width as usize).map(|x| [between(&self.chroma.a, x), 0.0, between(&self.chroma.b, x), 0.0]));
        for x in 1..cells.len() {
            let [a, _, b, _] = cells[x];
            let before = &mut cells[x - 1];
            (before[1], before[3]) = (a - before[0], b - before[2]);
        }
        cells.push([0.0; 4]);
    }

    fn store_rgba<S: Sample, T: Encode>(&self, run: &Run, source: &[S], out: &mut [T]) {
        let ([red, green, blue], coder) = (&run.rgb, T::coder());
        let alpha = source.chunks_exact(self.channels.count()).map(|pixel| T::narrowed(pixel[pixel.len() - 1].widened()));
        let pixels = out.as_chunks_mut::<4>().0.iter_mut().zip(alpha);
        for ((((out, alpha), &red), &green), &blue) in pixels.zip(red).zip(green).zip(blue) {
            let [red, green, blue] = [red, green, blue].map(|value| T::code(value, coder));
            *out = [red, green, blue, alpha];
        }
    }
}

fn store_rgb<S: Encode>(run: &Run, out: &mut [S]) {
    let ([red, green, blue], coder) = (&run.rgb, S::coder());
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
mod tests {
    use super::*;
    use crate::imaging::metrics::lightness_difference;

    /// Every lightness in every column, several thousand pixels wide or few.
    fn levels(size: Size, channels: Channels, wide: bool) -> ScanImage {
        let mut random = fastrand::Rng::with_seed(9);
        let max = if wide { 65535 } else { 255 };
        let pixels = (0..size.pixels()).flat_map(|index| {
            let level = (index * 7919 % (max + 1)) as u16;
            // Colour scans get other colours than greys, too.
            let mut sample = |channel| if channel == 0 || channels.count() < 3 { level } else { random.u16(0..=max as u16) };
            (0..channels.count()).map(&mut sample).collect::<Vec<_>>()
        });
        let samples = if wide { Samples::U16(pixels.collect()) } else { Samples::U8(pixels.map(|v| v as u8).collect()) };
        ScanImage::new(size, channels, samples).unwrap()
    }

    fn blocks(size: Size) -> ChromaPlanes {
        let mut random = fastrand::Rng::with_seed(4);
        let mut plane = || Plane::new(size, (0..size.pixels()).map(|_| 300.0 * random.f32() - 150.0).collect()).unwrap();
        ChromaPlanes { a: plane(), b: plane() }
    }

    fn smooth(size: Size) -> ChromaPlanes {
        let plane = |phase: f32| {
            let value = |x: u32, y: u32| 150.0 * (x as f32 / 9.0 + phase).sin() * (y as f32 / 7.0 + phase).cos();
            Plane::new(size, (0..size.height).flat_map(|y| (0..size.width).map(move |x| value(x, y))).collect()).unwrap()
        };
        ChromaPlanes { a: plane(0.3), b: plane(1.9) }
    }

    #[test]
    fn recombining_keeps_lightness() {
        let size = Size::new(700, 500);
        for channels in [Channels::Grey, Channels::Rgb] {
            for wide in [false, true] {
                let scan = levels(size, channels, wide);
                for chroma in [blocks(size), blocks(Size::new(35, 25)), smooth(Size::new(70, 50))] {
                    let recombined = recombine(&scan, Lightness::Source, &chroma, Depth::of(scan.bit_depth()));
                    let difference = lightness_difference(&scan, &recombined.image).unwrap();
                    let bound = if wide { 0.05 } else { 0.5 };
                    assert!(difference.max <= bound, "{channels:?}, {} bits: {difference:?}", scan.bit_depth());
                    assert!((0.2..=1.0).contains(&recombined.out_of_gamut_share), "{}", recombined.out_of_gamut_share);
                }
            }
        }
    }

    #[test]
    fn no_chroma_gives_the_grey_scan_back() {
        let size = Size::new(521, 503);
        let none = ChromaPlanes { a: Plane::filled(Size::new(5, 4), 0.0), b: Plane::filled(Size::new(5, 4), 0.0) };
        for wide in [false, true] {
            let scan = levels(size, Channels::Grey, wide);
            let recombined = recombine(&scan, Lightness::Source, &none, Depth::of(scan.bit_depth()));
            assert_eq!(recombined.out_of_gamut_share, 0.0);
            match (scan.samples(), recombined.image.samples()) {
                (Samples::U8(grey), Samples::U8(rgb)) => {
                    assert!(grey.iter().zip(rgb.chunks_exact(3)).all(|(&grey, rgb)| rgb == [grey; 3]));
                }
                (Samples::U16(grey), Samples::U16(rgb)) => {
                    assert!(grey.iter().zip(rgb.chunks_exact(3)).all(|(&grey, rgb)| rgb == [grey; 3]));
                }
                _ => panic!("the depth changed"),
            }
        }
    }

    #[test]
    fn chroma_lands_where_the_network_saw_it() {
        // A step in the middle of the chroma must be in the middle of the picture, and the edges must not darken.
        let small = Size::new(8, 1);
        let a = Plane::new(small, vec![-20.0, -20.0, -20.0, -20.0, 20.0, 20.0, 20.0, 20.0]).unwrap();
        let chroma = ChromaPlanes { a, b: Plane::filled(small, 0.0) };
        let size = Size::new(800, 2);
        let scan = ScanImage::new(size, Channels::Grey, Samples::U16(vec![30_000; 1600])).unwrap();
        let recombined = recombine(&scan, Lightness::Source, &chroma, Depth::of(scan.bit_depth()));
        let Samples::U16(samples) = recombined.image.samples() else { panic!("the depth changed") };
        let a_at = |x: usize| {
            let rgb = [0, 1, 2].map(|channel| f64::from(samples[x * 3 + channel]) / 65535.0);
            crate::imaging::lab::srgb_to_lab(rgb)[1]
        };
        assert!((a_at(0) + 20.0).abs() < 0.05 && (a_at(799) - 20.0).abs() < 0.05);
        assert!((a_at(399) + a_at(400)).abs() < 0.05, "{} and {}", a_at(399), a_at(400));
        assert!((a_at(425) - a_at(424) - 0.4).abs() < 0.05, "the step is a ramp one small pixel wide");
    }

    #[test]
    fn outside_the_part_greys_stay_greys_and_inside_chroma_reaches_its_edge() {
        let (size, part) = (Size::new(700, 300), Rect { left: 90, top: 41, width: 520, height: 200 });
        let chroma = ChromaPlanes { a: Plane::filled(Size::new(26, 10), 20.0), b: Plane::filled(Size::new(26, 10), -30.0) };
        let scan = ScanImage::new(size, Channels::Grey, Samples::U8(vec![120; size.pixels() as usize])).unwrap();
        let recombined = recombine_within(&scan, part, Lightness::Source, &chroma, Depth::Eight);
        let Samples::U8(samples) = recombined.image.samples() else { panic!("the depth changed") };
        let [coloured] = [samples.as_chunks::<3>().0[(100 * 700 + 300) as usize]];
        for (index, rgb) in samples.as_chunks::<3>().0.iter().enumerate() {
            let (x, y) = (index % 700, index / 700);
            let inside = (90..610).contains(&x) && (41..241).contains(&y);
            assert_eq!(*rgb, if inside { coloured } else { [120; 3] }, "at {x}, {y}");
        }
        assert_ne!(coloured, [120; 3]);
    }

    #[test]
    fn alpha_passes_through() {
        for channels in [Channels::GreyAlpha, Channels::Rgba] {
            let scan = levels(Size::new(600, 3), channels, true);
            let recombined = recombine(&scan, Lightness::Source, &smooth(Size::new(6, 2)), Depth::of(scan.bit_depth()));
            assert_eq!(recombined.image.channels(), Channels::Rgba);
            let (Samples::U16(before), Samples::U16(after)) = (scan.samples(), recombined.image.samples()) else { panic!() };
            let alphas = before.chunks_exact(channels.count()).map(|pixel| pixel[channels.count() - 1]);
            assert!(alphas.eq(after.chunks_exact(4).map(|pixel| pixel[3])));
        }
    }

    #[test]
    fn a_replaced_lightness_is_the_one_published() {
        let size = Size::new(300, 200);
        let scan = levels(size, Channels::Grey, true);
        let denoised = Plane::new(size, (0..60_000).map(|index| index as f32 / 59_999.0).collect()).unwrap();
        let recombined =
            recombine(&scan, Lightness::Replaced(&denoised), &smooth(Size::new(30, 20)), Depth::of(scan.bit_depth()));
        let codes = denoised.data().iter().map(|value| (value * 65535.0).round() as u16).collect();
        let wanted = ScanImage::new(size, Channels::Grey, Samples::U16(codes)).unwrap();
        assert!(lightness_difference(&wanted, &recombined.image).unwrap().max <= 0.05);
    }

    #[test]
    fn broken_chroma_and_degenerate_sizes_keep_lightness() {
        for (width, height) in [(1, 1), (1, 700), (700, 1), (7, 7)] {
            let scan = levels(Size::new(width, height), Channels::Grey, false);
            for small in [Size::new(1, 1), Size::new(40, 30)] {
                for value in [f32::NAN, f32::INFINITY, -1e30, 40.0] {
                    let chroma = ChromaPlanes { a: Plane::filled(small, value), b: Plane::filled(small, -value) };
                    let recombined = recombine(&scan, Lightness::Source, &chroma, Depth::of(scan.bit_depth()));
                    let difference = lightness_difference(&scan, &recombined.image).unwrap();
                    assert!(difference.max <= 0.5, "{width}×{height}, {value}: {difference:?}");
                }
            }
        }
    }
}
