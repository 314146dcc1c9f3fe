//! What can be said of a scan before any network looks at it: is it in colour already, is there anything on it.
//!
//! Measures only; what follows from the numbers is decided in `routing.rs`.

use super::lab::Sample;
use super::{Channels, Rect, Samples, ScanImage};

/// What can be said of a scan before any network looks at it.
///
/// All of it is measured on an area-averaged copy of at most 256 pixels a side, in which the noise of JPEG chroma and of
/// scanners is averaged away, and inside a margin of 8 % at each edge, where mounts, captions and colour targets lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Features {
    /// Mean chroma √(a*² + b*²), Lab units. A sepia print has plenty.
    pub chroma_mean: f32,
    /// Chroma that a single tone does not explain, Lab units.
    ///
    /// A toned print (sepia, selenium, cyanotype) is monochrome: its hue is a smooth function of lightness, though paper,
    /// fading and stains make it stronger here and weaker there. So a* and b* are fitted by cubic polynomials of lightness
    /// (least squares, outliers weighted down), and a pixel's residual is its distance from the segment between neutral and
    /// twice the fitted tone at its lightness. The picture is cut into 8×8 tiles; this is the sixth largest of their rms
    /// residuals. A stamp or a target covers fewer than six tiles and does not count; a few coloured areas do.
    pub chroma_residual: f32,
    /// Share of pixels with a residual above 5 Lab units, 0..=1: how much of the picture is coloured.
    pub coloured_share: f32,
    /// Share of pixels, 0..=1, around which 3×3 pixels are on average 6 Lab units and more away from the tone, to one side, and none of
    /// them 40: colours laid on a print by hand. Noise and halftones average away, and what is stronger is ink, such as a stamp's.
    pub tinted_share: f32,
    /// Standard deviation of lightness, L* units.
    pub lightness_deviation: f32,
    /// Share of pixels that belong to edges or texture, 0..=1: their lightness changes by more than 4 L* units a pixel.
    pub detail_share: f32,
}

/// Longest side of the copy that is measured, pixels.
const LONGEST: usize = 256;
/// Rows read for one row of the copy: enough to average noise, and a large scan need not be read whole.
const ROWS: usize = 6;
/// Share of a side left out at each edge.
const MARGIN: f32 = 0.08;
/// Tiles a side, and which of the sorted tiles speaks for the picture.
const TILES: usize = 8;
const SPEAKER: usize = 6;
/// Residual, Lab units, at which a pixel has half its weight in the fit of the tone.
const OUTLIER: f64 = 4.0;
/// How much stronger than fitted the tone may be.
const STRONGEST: f64 = 2.0;
/// Residual, Lab units, above which a pixel counts as coloured.
const COLOURED: f64 = 5.0;
/// Mean residual of 3×3 pixels, Lab units, from which they count as tinted.
const TINT: f64 = 6.0;
/// Residual, Lab units, from which a pixel is ink; those beside it are its edge.
const INK: f64 = 40.0;
/// Change of lightness, L* units a pixel, above which there is detail.
const DETAIL: f64 = 4.0;

/// Measures a scan whose encoded colours, 0..=1, `to_lab` understands. Greys have no chroma and are spared the fit; alpha is ignored.
pub fn features(image: &ScanImage, to_lab: impl Fn([f64; 3]) -> [f64; 3]) -> Features {
    features_of(image, Rect::whole(image.size()), to_lab)
}

/// The same of a part of a scan.
///
/// # Panics
/// When the part does not lie in the scan.
pub fn features_of(image: &ScanImage, part: Rect, to_lab: impl Fn([f64; 3]) -> [f64; 3]) -> Features {
    assert!(part.lies_in(image.size()), "{part:?} lies in the scan");
    let copy = match image.samples() {
        Samples::U8(samples) => SmallCopy::of(image, samples, part, to_lab),
        Samples::U16(samples) => SmallCopy::of(image, samples, part, to_lab),
    };
    let pixels = copy.lab.len() as f64;
    let mean = copy.lab.iter().map(|lab| lab[0]).sum::<f64>() / pixels;
    let variance = copy.lab.iter().map(|lab| (lab[0] - mean).powi(2)).sum::<f64>() / pixels;
    let mut features = Features {
        chroma_mean: 0.0,
        chroma_residual: 0.0,
        coloured_share: 0.0,
        tinted_share: 0.0,
        lightness_deviation: variance.sqrt() as f32,
        detail_share: copy.detail_share() as f32,
    };
    if image.channels().is_rgb() {
        let apart = apart_from_tone(&copy.lab);
        let residuals: Vec<f64> = apart.iter().map(|[a, b]| a.hypot(*b)).collect();
        features.tinted_share = copy.tinted_share(&apart) as f32;
        features.chroma_mean = (copy.lab.iter().map(|lab| lab[1].hypot(lab[2])).sum::<f64>() / pixels) as f32;
        features.chroma_residual = copy.speaking_tile(&residuals) as f32;
        features.coloured_share = (residuals.iter().filter(|&&residual| residual > COLOURED).count() as f64 / pixels) as f32;
    }
    features
}

/// The area-averaged copy without its margin.
struct SmallCopy {
    width: usize,
    height: usize,
    lab: Vec<[f64; 3]>,
}

impl SmallCopy {
    fn of<S: Sample>(image: &ScanImage, samples: &[S], part: Rect, to_lab: impl Fn([f64; 3]) -> [f64; 3]) -> Self {
        match image.channels() {
            Channels::Grey => Self::average::<S, 1, 1>(image, samples, part, to_lab),
            Channels::GreyAlpha => Self::average::<S, 2, 1>(image, samples, part, to_lab),
            Channels::Rgb => Self::average::<S, 3, 3>(image, samples, part, to_lab),
            Channels::Rgba => Self::average::<S, 4, 3>(image, samples, part, to_lab),
        }
    }

    /// Averages square cells of encoded values: `COUNT` samples a pixel, of which the first `USED` matter.
    fn average<S: Sample, const COUNT: usize, const USED: usize>(
        image: &ScanImage,
        samples: &[S],
        part: Rect,
        to_lab: impl Fn([f64; 3]) -> [f64; 3],
    ) -> Self {
        let (width, height) = (part.width as usize, part.height as usize);
        let cell = width.max(height).div_ceil(LONGEST);
        let inner = |side: usize| {
            let cells = side.div_ceil(cell);
            let margin = (cells as f32 * MARGIN) as usize;
            margin..cells - margin
        };
        let (columns, rows) = (inner(width), inner(height));
        let pixels = samples.as_chunks::<COUNT>().0;
        let mut lab = Vec::with_capacity(columns.len() * rows.len());
        let mut sums = vec![[0_u64; USED]; columns.len()];
        for row in rows.clone() {
            sums.fill([0; USED]);
            let lines = row * cell..((row + 1) * cell).min(height);
            let step = lines.len().div_ceil(ROWS);
            let mut read = 0;
            for y in lines.step_by(step) {
                read += 1;
                let first = (part.top as usize + y) * image.size().width as usize + part.left as usize;
                let line = &pixels[first..][columns.start * cell..(columns.end * cell).min(width)];
                for (sum, run) in sums.iter_mut().zip(line.chunks(cell)) {
                    // A cell's line holds far fewer than 2¹⁶ pixels of 16 bits.
                    let mut partial = [0_u32; USED];
                    for pixel in run {
                        for channel in 0..USED {
                            partial[channel] += u32::from(pixel[channel].widened());
                        }
                    }
                    for channel in 0..USED {
                        sum[channel] += u64::from(partial[channel]);
                    }
                }
            }
            for (column, sum) in columns.clone().zip(&sums) {
                let across = ((column + 1) * cell).min(width) - column * cell;
                let mean = |channel: usize| sum[channel] as f64 / (65535 * across * read) as f64;
                lab.push(to_lab(if USED == 3 { [mean(0), mean(1), mean(2)] } else { [mean(0); 3] }));
            }
        }
        Self { width: columns.len(), height: rows.len(), lab }
    }

    /// Share of pixels whose lightness changes fast, by central differences.
    fn detail_share(&self) -> f64 {
        let lightness = |x: usize, y: usize| self.lab[y * self.width + x][0];
        let mut found = 0;
        for y in 0..self.height {
            for x in 0..self.width {
                // One-sided at the edge, where the distance is one pixel or none.
                let [left, right] = [x.saturating_sub(1), (x + 1).min(self.width - 1)];
                let [above, below] = [y.saturating_sub(1), (y + 1).min(self.height - 1)];
                let across = (lightness(right, y) - lightness(left, y)) / (right - left).max(1) as f64;
                let down = (lightness(x, below) - lightness(x, above)) / (below - above).max(1) as f64;
                found += usize::from(across.hypot(down) > DETAIL);
            }
        }
        found as f64 / self.lab.len() as f64
    }

    /// Share of pixels whose neighbourhood is apart from the tone as a tint is.
    fn tinted_share(&self, apart: &[[f64; 2]]) -> f64 {
        let mut found = 0;
        for y in 0..self.height {
            for x in 0..self.width {
                let [left, right] = [x.saturating_sub(1), (x + 1).min(self.width - 1)];
                let [above, below] = [y.saturating_sub(1), (y + 1).min(self.height - 1)];
                let (mut sum, mut largest) = ([0.0; 2], 0.0_f64);
                for [a, b] in (above..=below).flat_map(|y| &apart[y * self.width..][left..=right]) {
                    sum = [sum[0] + a, sum[1] + b];
                    largest = largest.max(a.hypot(*b));
                }
                let count = ((right - left + 1) * (below - above + 1)) as f64;
                found += usize::from(largest < INK && sum[0].hypot(sum[1]) / count >= TINT);
            }
        }
        found as f64 / self.lab.len() as f64
    }

    /// The sixth largest rms residual of 8×8 tiles, or its like where a small picture has fewer.
    fn speaking_tile(&self, residuals: &[f64]) -> f64 {
        let edge = |tile: usize, side: usize| tile * side / TILES;
        let mut tiles = Vec::with_capacity(TILES * TILES);
        for (row, column) in (0..TILES * TILES).map(|tile| (tile / TILES, tile % TILES)) {
            let (top, bottom) = (edge(row, self.height), edge(row + 1, self.height));
            let (left, right) = (edge(column, self.width), edge(column + 1, self.width));
            if top == bottom || left == right {
                continue;
            }
            let squares = (top..bottom).flat_map(|y| &residuals[y * self.width..][left..right]).map(|residual| residual.powi(2));
            tiles.push((squares.sum::<f64>() / ((bottom - top) * (right - left)) as f64).sqrt());
        }
        tiles.sort_by(|one, other| other.total_cmp(one));
        let speaker = (tiles.len() * SPEAKER).div_ceil(TILES * TILES);
        tiles.get(speaker.saturating_sub(1)).copied().unwrap_or(0.0)
    }
}

/// How far, in a* and b*, each pixel is from the tone fitted to all of them, Lab units.
fn apart_from_tone(lab: &[[f64; 3]]) -> Vec<[f64; 2]> {
    let mut residuals = vec![0.0; lab.len()];
    let mut tone = Tone::default();
    for _ in 0..3 {
        tone = Tone::fit(lab, &residuals);
        for (residual, lab) in residuals.iter_mut().zip(lab) {
            let [a, b] = tone.at(lab[0]);
            *residual = (lab[1] - a).hypot(lab[2] - b);
        }
    }
    let apart = |lab: &[f64; 3]| {
        let [a, b] = tone.at(lab[0]);
        let along = (lab[1] * a + lab[2] * b) / (a * a + b * b).max(1e-9);
        let along = along.clamp(0.0, STRONGEST);
        [lab[1] - along * a, lab[2] - along * b]
    };
    lab.iter().map(apart).collect()
}

/// a* and b* as cubic polynomials of L*/100.
#[derive(Debug, Default)]
struct Tone {
    coefficients: [[f64; 2]; 4],
}

impl Tone {
    /// Weighted least squares by the normal equations; a trace of ridge keeps flat pictures solvable.
    fn fit(lab: &[[f64; 3]], residuals: &[f64]) -> Self {
        let mut matrix = [[0.0; 4]; 4];
        let mut right = [[0.0; 2]; 4];
        for (lab, residual) in lab.iter().zip(residuals) {
            let weight = (1.0 + (residual / OUTLIER).powi(2)).recip();
            let powers = powers(lab[0]);
            for row in 0..4 {
                let weighted = weight * powers[row];
                for column in 0..4 {
                    matrix[row][column] += weighted * powers[column];
                }
                right[row][0] += weighted * lab[1];
                right[row][1] += weighted * lab[2];
            }
        }
        for (index, row) in matrix.iter_mut().enumerate() {
            row[index] += 1e-6 * lab.len() as f64;
        }
        Self { coefficients: solve(matrix, right) }
    }

    fn at(&self, lightness: f64) -> [f64; 2] {
        let powers = powers(lightness);
        [0, 1].map(|channel| (0..4).map(|power| powers[power] * self.coefficients[power][channel]).sum())
    }
}

fn powers(lightness: f64) -> [f64; 4] {
    let x = lightness / 100.0;
    [1.0, x, x * x, x * x * x]
}

/// Gaussian elimination without pivoting: the matrix is symmetric and positive definite.
fn solve(mut matrix: [[f64; 4]; 4], mut right: [[f64; 2]; 4]) -> [[f64; 2]; 4] {
    for pivot in 0..4 {
        for row in pivot + 1..4 {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            let (above, below) = matrix.split_at_mut(row);
            subtract(&mut below[0], factor, &above[pivot]);
            let (above, below) = right.split_at_mut(row);
            subtract(&mut below[0], factor, &above[pivot]);
        }
    }
    for row in (0..4).rev() {
        let (known, solved) = right.split_at_mut(row + 1);
        for (factor, solved) in matrix[row][row + 1..].iter().zip(solved) {
            subtract(&mut known[row], *factor, solved);
        }
        known[row] = known[row].map(|value| value / matrix[row][row]);
    }
    right
}

fn subtract<const N: usize>(from: &mut [f64; N], factor: f64, row: &[f64; N]) {
    for (value, other) in from.iter_mut().zip(row) {
        *value -= factor * other;
    }
}

#[cfg(test)]
mod tests;
