//! A small copy of a scan in its own colours, made while its samples pass by: what is looked at when only lightness was kept.

use super::lab::Sample;
use super::{Channels, Features, Rect, Samples, ScanImage, Size, features_of};

/// Longest side of the copy, pixels: four for each of those that features are measured on.
const LONGEST: u32 = 1024;
/// Rows read for one row of the copy: with those beside it noise is averaged as well as from all.
const ROWS: u32 = 2;

/// The square cells of a scan that become pixels of its copy.
#[derive(Debug, Clone, Copy)]
pub struct ColourCells {
    scan: Size,
    side: u32,
}

/// What the cells of some rows of a scan hold.
#[derive(Debug)]
pub struct ColourPart {
    /// The first row of the copy that is touched.
    first: u32,
    /// For each row of the copy: how many rows of the scan were read, and the sums over the cells' encoded red, green and blue.
    rows: Vec<(u32, Vec<[u64; 3]>)>,
}

/// Sums of all cells.
#[derive(Debug)]
pub struct ColourSums {
    cells: ColourCells,
    rows: Vec<(u32, Vec<[u64; 3]>)>,
}

/// A copy of at most 1024 pixels a side, area-averaged in encoded values: RGB of 16 bits that mean what the scan's samples mean.
#[derive(Debug, Clone)]
pub struct ColourCopy {
    image: ScanImage,
    side: u32,
}

impl ColourCells {
    /// Cells of a scan of this size.
    pub fn of(scan: Size) -> Self {
        Self { scan, side: scan.width.max(scan.height).div_ceil(LONGEST).max(1) }
    }

    const fn size(self) -> Size {
        Size::new(self.scan.width.div_ceil(self.side), self.scan.height.div_ceil(self.side))
    }

    /// What a band of the scan, from row `top`, adds.
    ///
    /// # Panics
    /// When the band is not RGB.
    pub fn part(self, top: u32, band: &ScanImage) -> ColourPart {
        match (band.samples(), band.channels()) {
            (Samples::U8(samples), Channels::Rgb) => self.sums::<u8, 3>(top, samples),
            (Samples::U8(samples), Channels::Rgba) => self.sums::<u8, 4>(top, samples),
            (Samples::U16(samples), Channels::Rgb) => self.sums::<u16, 3>(top, samples),
            (Samples::U16(samples), Channels::Rgba) => self.sums::<u16, 4>(top, samples),
            (_, Channels::Grey | Channels::GreyAlpha) => panic!("a grey scan has no colours"),
        }
    }

    fn sums<S: Sample, const COUNT: usize>(self, top: u32, samples: &[S]) -> ColourPart {
        let (width, side) = (self.scan.width as usize, self.side as usize);
        // Which rows are read depends on the scan alone, not on its bands.
        let step = self.side.div_ceil(ROWS);
        let mut rows: Vec<(u32, Vec<[u64; 3]>)> = Vec::new();
        for (y, row) in (top..).zip(samples.as_chunks::<COUNT>().0.chunks_exact(width)) {
            let at = (y / self.side - top / self.side) as usize;
            if rows.len() <= at {
                rows.push((0, vec![[0; 3]; self.size().width as usize]));
            }
            if !(y % self.side).is_multiple_of(step) {
                continue;
            }
            let (read, sums) = &mut rows[at];
            *read += 1;
            for (sum, cell) in sums.iter_mut().zip(row.chunks(side)) {
                for pixel in cell {
                    for channel in 0..3 {
                        sum[channel] += u64::from(pixel[channel].widened());
                    }
                }
            }
        }
        ColourPart { first: top / self.side, rows }
    }
}

impl ColourSums {
    /// None yet.
    pub fn new(cells: ColourCells) -> Self {
        let Size { width, height } = cells.size();
        Self { cells, rows: vec![(0, vec![[0; 3]; width as usize]); height as usize] }
    }

    /// Adds those of a band.
    pub fn add(&mut self, part: ColourPart) {
        for ((read, sums), (more, added)) in self.rows[part.first as usize..].iter_mut().zip(part.rows) {
            *read += more;
            for (sum, added) in sums.iter_mut().zip(added) {
                *sum = std::array::from_fn(|channel| sum[channel] + added[channel]);
            }
        }
    }

    /// The copy, once every band was added.
    pub fn finish(self) -> ColourCopy {
        let (side, width) = (self.cells.side, self.cells.scan.width);
        let across = |column: usize| u64::from(side.min(width - column as u32 * side));
        let mean = |(read, sums): (u32, Vec<[u64; 3]>)| {
            let pixels = move |column| u64::from(read.max(1)) * across(column);
            sums.into_iter().enumerate().flat_map(move |(column, sum)| {
                let pixels = pixels(column);
                sum.map(|sum| ((sum + pixels / 2) / pixels) as u16)
            })
        };
        let samples = self.rows.into_iter().flat_map(mean).collect();
        let image = ScanImage::new(self.cells.size(), Channels::Rgb, Samples::U16(samples));
        ColourCopy { image: image.expect("every cell has its mean"), side }
    }
}

impl ColourCopy {
    /// The same turned as the scan is.
    pub fn turned(self, turn: impl FnOnce(ScanImage) -> ScanImage) -> Self {
        Self { image: turn(self.image), ..self }
    }

    /// Features of a part of the scan, whose size is that of the turned scan; `to_lab` understands the scan's encoded colours.
    pub fn features(&self, scan: Size, part: Rect, to_lab: impl Fn([f64; 3]) -> [f64; 3]) -> Features {
        let copy = self.image.size();
        // Cells that lie in the part, and the incomplete ones at the scan's own end. (Of a turned scan those may lie at the other end,
        // and a part's edge is then less than a cell off.)
        let side = |first: u32, length: u32, scan: u32, copy: u32| {
            let begin = first.div_ceil(self.side).min(copy - 1);
            let end = if first + length == scan { copy } else { (first + length) / self.side };
            (begin, end.clamp(begin + 1, copy) - begin)
        };
        let (left, width) = side(part.left, part.width, scan.width, copy.width);
        let (top, height) = side(part.top, part.height, scan.height, copy.height);
        features_of(&self.image, Rect { left, top, width, height }, to_lab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::lab::srgb_to_lab;

    fn scan(size: Size, channels: Channels) -> ScanImage {
        let mut random = fastrand::Rng::with_seed(4);
        let pixel = |x: u32, y: u32| {
            [60 + x * 120 / size.width, 90 + y * 90 / size.height, 70 + 80 * (x + y) / (size.width + size.height), 9]
        };
        let mut samples = Vec::new();
        for (x, y) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))) {
            samples.extend(pixel(x, y)[..channels.count()].iter().map(|&value| value as u8 + random.u8(..8)));
        }
        ScanImage::new(size, channels, Samples::U8(samples)).unwrap()
    }

    fn copy(image: &ScanImage, bands: u32) -> ColourCopy {
        let cells = ColourCells::of(image.size());
        let mut sums = ColourSums::new(cells);
        let row = image.size().width as usize * image.channels().count();
        let Samples::U8(samples) = image.samples() else { panic!("made of 8 bits") };
        for (index, band) in samples.chunks(row * bands as usize).enumerate() {
            let size = Size::new(image.size().width, (band.len() / row) as u32);
            let band = ScanImage::new(size, image.channels(), Samples::U8(band.to_vec())).unwrap();
            sums.add(cells.part(index as u32 * bands, &band));
        }
        sums.finish()
    }

    #[test]
    fn bands_make_no_difference() {
        for channels in [Channels::Rgb, Channels::Rgba] {
            let scan = scan(Size::new(2611, 1301), channels);
            let whole = copy(&scan, 1301).image;
            assert_eq!((whole.size(), whole.channels()), (Size::new(871, 434), Channels::Rgb));
            for bands in [1, 2, 7, 1000] {
                assert_eq!(copy(&scan, bands).image, whole, "{channels:?}, bands of {bands}");
            }
        }
    }

    #[test]
    fn a_small_scan_is_its_own_copy() {
        let scan = scan(Size::new(640, 480), Channels::Rgb);
        let Samples::U8(samples) = scan.samples() else { panic!("made of 8 bits") };
        let wide = samples.iter().map(|&sample| u16::from(sample) * 257).collect();
        assert_eq!(copy(&scan, 100).image.samples(), &Samples::U16(wide));
    }

    /// What is decided by features is decided alike.
    #[test]
    fn features_of_the_copy_are_those_of_the_scan() {
        let scan = scan(Size::new(4100, 2900), Channels::Rgb);
        let copy = copy(&scan, 61);
        for part in [Rect::whole(scan.size()), Rect { left: 410, top: 333, width: 3200, height: 2222 }] {
            let (of_copy, of_scan) = (copy.features(scan.size(), part, srgb_to_lab), features_of(&scan, part, srgb_to_lab));
            for (one, other, bound) in [
                (of_copy.chroma_mean, of_scan.chroma_mean, 0.1),
                (of_copy.chroma_residual, of_scan.chroma_residual, 0.2),
                (of_copy.lightness_deviation, of_scan.lightness_deviation, 0.1),
                (of_copy.coloured_share, of_scan.coloured_share, 0.01),
                (of_copy.detail_share, of_scan.detail_share, 0.01),
            ] {
                assert!((one - other).abs() < bound, "{of_copy:?} and {of_scan:?}");
            }
        }
    }
}
