//! From one side of a plane inwards: layers of border, each an even margin that ends at a straight edge.
//!
//! Lines are cut into short pieces and each piece is its median, so that handwriting, sprocket holes and dust, which cover less
//! than half of a piece, are not seen, and a skew of three degrees moves a piece's edge by a pixel or two.

use super::{Plane, Rect, Side};

/// Pieces that a line is cut into: enough to follow a skewed edge, each long enough for a median.
const PIECES: usize = 32;
/// Largest slope of an edge: 3.2 degrees.
const STEEPEST: f32 = 0.056;
/// Layers looked for on one side: bed, mount, rebate, and steps within them.
const MOST: usize = 8;
/// Tones up to this are dark: rebate, film base, the black behind it. Bright ones need other evidence to be a border.
pub(super) const DARK: f32 = 0.25;
const LIGHT: f32 = 0.75;
/// Bounds tried for margins that have several dark, or several light, tones.
const DARK_BOUNDS: [f32; 5] = [16.0 / 255.0, 24.0 / 255.0, 32.0 / 255.0, 44.0 / 255.0, 58.0 / 255.0];
const LIGHT_BOUNDS: [f32; 3] = [240.0 / 255.0, 225.0 / 255.0, 205.0 / 255.0];
/// Change over three lines that an edge has at least; a vignette has less.
const STEP: f32 = 0.02;

/// Medians of pieces of lines, from one side of a rectangle inwards.
pub(super) struct Profile {
    /// Line by line within a piece.
    medians: Vec<f32>,
    /// Middle of each piece along the side, from the middle of the side, pixels.
    centres: Vec<f32>,
    lines: usize,
    /// Pixels from this side to the opposite one.
    pub(super) depth: f32,
    /// Pixels along the side.
    length: f32,
}

impl Profile {
    /// The outer `share` of the rectangle as seen from `side`.
    pub(super) fn of(plane: &Plane, inner: Rect, side: Side, share: f32) -> Self {
        let (width, height) = (inner.width as usize, inner.height as usize);
        let upright = matches!(side, Side::Top | Side::Bottom);
        let (depth, length) = if upright { (height, width) } else { (width, height) };
        let lines = ((depth as f32 * share) as usize + 4).min(depth);
        let pieces = PIECES.min((length / 4).max(1));
        let edge = |piece: usize| piece * length / pieces;
        let stride = plane.size().width as usize;
        let data = &plane.data()[inner.top as usize * stride + inner.left as usize..];
        let mut medians = Vec::with_capacity(pieces * lines);
        let mut values = Vec::new();
        for piece in 0..pieces {
            let along = edge(piece)..edge(piece + 1);
            for line in 0..lines {
                values.clear();
                match side {
                    Side::Top => values.extend_from_slice(&data[line * stride..][along.clone()]),
                    Side::Bottom => values.extend_from_slice(&data[(depth - 1 - line) * stride..][along.clone()]),
                    Side::Left => values.extend(along.clone().map(|y| data[y * stride + line])),
                    Side::Right => values.extend(along.clone().map(|y| data[y * stride + depth - 1 - line])),
                }
                medians.push(median(&mut values));
            }
        }
        let middle = (length as f32 - 1.0) / 2.0;
        let centres = (0..pieces).map(|piece| (edge(piece) + edge(piece + 1) - 1) as f32 / 2.0 - middle).collect();
        Self { medians, centres, lines, depth: depth as f32, length: length as f32 }
    }

    fn pieces(&self) -> usize {
        self.centres.len()
    }

    fn at(&self, piece: usize, line: usize) -> f32 {
        self.medians[piece * self.lines + line]
    }

    /// Share of pieces of which something holds, 0..=1.
    fn share(&self, holds: impl FnMut(&usize) -> bool) -> f32 {
        (0..self.pieces()).filter(holds).count() as f32 / self.pieces() as f32
    }

    fn longest(&self) -> f32 {
        self.depth.max(self.length)
    }
}

/// How much evidence a layer needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    /// Share of pieces that show the edge, 0..=1.
    pub(super) support: f32,
    /// Share of the margin that has its tone, 0..=1.
    pub(super) calm: f32,
    /// How far from the side the first margin may begin, share of the depth: a film's own rim.
    pub(super) rim: f32,
}

/// An even margin and the straight edge that ends it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    /// Its tone, sRGB-coded, 0..=1.
    pub(super) tone: f32,
    /// Share of pieces that show the edge, 0..=1.
    pub(super) support: f32,
    /// Share of the margin that has its tone, 0..=1.
    pub(super) calm: f32,
    /// Width of the margin, share of the depth.
    pub(super) thickness: f32,
    /// Middle of the edge, pixels from the side.
    pub(super) middle: f32,
    /// Pixels to take away so that nothing of it stays, skew and ragged edge included.
    pub(super) cut: u32,
    slope: f32,
    score: f32,
}

impl Layer {
    fn line(&self, centre: f32) -> f32 {
        self.middle + self.slope * centre
    }
}

/// The layers of border on one side, from the outside inwards.
pub(super) fn layers(profile: &Profile, evidence: Evidence) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut start = vec![0; profile.pieces()];
    let mut dark = None;
    while layers.len() < MOST {
        // Between two dark layers may lie what is neither flat nor straight: a reflection at the film's edge, a strip of light.
        let gap = match (dark, layers.last()) {
            (_, None) => evidence.rim,
            (Some(_), Some(last)) if last.middle >= 0.01 * profile.depth => 0.05,
            _ => 0.0,
        };
        let darkest = dark.map_or(45.0 / 255.0, |tone: f32| tone + 14.0 / 255.0);
        let found = (0..=(gap * profile.depth) as usize).find_map(|skip| {
            let begin: Vec<usize> = start.iter().map(|line| line + skip).collect();
            if begin.iter().any(|&line| line + 3 >= profile.lines) {
                return None;
            }
            let is_dark = |piece: &usize| (0..2).all(|next| profile.at(*piece, begin[*piece] + next) <= darkest);
            if skip > 0 && profile.share(is_dark) < 0.75 {
                return None;
            }
            let guesses = Guess::of(profile, &begin).into_iter();
            let found = guesses.filter_map(|guess| guess.layer(profile, &begin, evidence));
            let enough = |layer: &Layer| skip == 0 || layers.is_empty() || layer.support >= 0.55;
            let best = found.filter(enough).max_by(|one, other| one.score.total_cmp(&other.score));
            best.map(|layer| (begin, layer))
        });
        let Some((begin, layer)) = found else { break };
        // Two lines more, where the edge is blurred.
        let next = |(centre, &line): (&f32, &usize)| (layer.line(*centre).ceil().max(0.0) as usize + 2).max(line + 1);
        start = profile.centres.iter().zip(&begin).map(next).collect();
        if start.iter().any(|&line| line + 3 >= profile.lines) {
            break;
        }
        dark = dark.or((layer.tone <= DARK).then_some(layer.tone));
        layers.push(layer);
    }
    layers
}

/// What a margin may consist of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// One tone, which may drift a little from line to line, within a tolerance.
    Even(f32),
    /// Everything up to a tone.
    UpTo(f32),
    /// Everything from a tone on.
    From(f32),
}

#[derive(Debug, Clone, Copy)]
struct Guess {
    kind: Kind,
    tone: f32,
}

impl Guess {
    /// What the first two lines suggest.
    fn of(profile: &Profile, begin: &[usize]) -> Vec<Self> {
        let first = begin.iter().enumerate().flat_map(|(piece, &line)| [line, line + 1].map(|line| profile.at(piece, line)));
        let mut first: Vec<f32> = first.collect();
        let tone = median(&mut first);
        let mut distances: Vec<f32> = first.iter().map(|value| (value - tone).abs()).collect();
        // Four standard deviations, if the values were normal; never less than a JPEG's own unrest, more in a mount's paper.
        let least = if tone < DARK { 0.016 } else { 0.035 };
        let tolerance = (4.0 * 1.4826 * median(&mut distances)).clamp(least, 0.06);
        let mut kinds = vec![Kind::Even(tolerance)];
        if tone < DARK {
            kinds.extend(DARK_BOUNDS.map(Kind::UpTo));
        } else if tone > LIGHT {
            kinds.extend(LIGHT_BOUNDS.map(Kind::From));
        }
        kinds.into_iter().map(|kind| Self { kind, tone }).collect()
    }

    /// Which medians belong to the margin.
    fn mask(self, profile: &Profile, begin: &[usize]) -> Vec<bool> {
        let tolerance = match self.kind {
            Kind::UpTo(bound) => return profile.medians.iter().map(|&value| value <= bound).collect(),
            Kind::From(bound) => return profile.medians.iter().map(|&value| value >= bound).collect(),
            Kind::Even(tolerance) => tolerance,
        };
        // Two 8-bit steps a line in a copy of 640 pixels: a mount lit unevenly, not an edge.
        let drift = 2.0 / 255.0 * 640.0 / profile.longest();
        let (mut mask, mut tone) = (vec![false; profile.medians.len()], self.tone);
        let mut values = Vec::with_capacity(begin.len());
        for depth in 0..profile.lines {
            let cells = || begin.iter().enumerate().map(|(piece, line)| (piece, line + depth)).filter(|at| at.1 < profile.lines);
            values.clear();
            values.extend(cells().map(|(piece, line)| profile.at(piece, line)));
            if values.is_empty() {
                break;
            }
            tone += (median(&mut values) - tone).clamp(-drift, drift);
            for (piece, line) in cells() {
                mask[piece * profile.lines + line] = (profile.at(piece, line) - tone).abs() <= tolerance;
            }
        }
        mask
    }

    /// The straight edge at which most pieces leave the margin.
    fn layer(self, profile: &Profile, begin: &[usize], evidence: Evidence) -> Option<Layer> {
        let mask = self.mask(profile, begin);
        let belongs = |piece: usize, line: usize| mask[piece * profile.lines + line];
        if profile.share(|&piece| belongs(piece, begin[piece])) < 0.55 {
            return None;
        }
        let mut crossings = Vec::new();
        for (piece, &first) in begin.iter().enumerate() {
            for line in first + 1..profile.lines - 1 {
                let leaves = belongs(piece, line - 1) && (line - 1 == first || belongs(piece, line - 2));
                let left = !belongs(piece, line) && !belongs(piece, line + 1);
                if leaves && left && (profile.at(piece, line + 1) - profile.at(piece, line.saturating_sub(2))).abs() >= STEP {
                    crossings.push((piece, line as f32));
                }
            }
        }
        let begun = {
            let mut lines: Vec<f32> = begin.iter().map(|&line| line as f32).collect();
            median(&mut lines)
        };
        // Edges of film gates and torn mounts are not straight to the pixel.
        let tolerance = (0.003 * profile.longest()).max(1.5);
        let candidates = candidates(profile, &crossings, tolerance, evidence.support, begun);
        candidates.into_iter().take(40).find_map(|found| {
            let line = |piece: usize| found.middle + found.slope * profile.centres[piece];
            let (mut calm, mut all) = (0_usize, 0_usize);
            for (piece, &first) in begin.iter().enumerate() {
                let margin = first..((line(piece) - 0.5).floor().max(0.0) as usize).min(profile.lines);
                all += margin.len();
                calm += margin.filter(|&line| belongs(piece, line)).count();
            }
            let calm = if all == 0 { 1.0 } else { calm as f32 / all as f32 };
            let thickness = (found.middle - begun) / profile.depth;
            // Holes of a film may take a quarter of a rebate, whose edge is seen all the better.
            let has_holes = found.support >= 0.85 && thickness <= 0.12;
            let least = if has_holes { evidence.calm - 0.12 } else { evidence.calm };
            if calm < least {
                return None;
            }
            let near = || crossings.iter().filter(|&&(piece, at)| (at - line(piece)).abs() <= tolerance);
            let mut steps: Vec<f32> = near().map(|&(piece, at)| step(profile, piece, at as usize)).collect();
            let mut ragged: Vec<f32> = near().map(|&(piece, at)| at - line(piece)).collect();
            let farthest = line(0).max(line(profile.pieces() - 1)) + quantile(&mut ragged, 0.9).max(0.0);
            Some(Layer {
                tone: self.tone,
                support: found.support,
                calm,
                thickness,
                middle: found.middle,
                cut: farthest.ceil() as u32,
                slope: found.slope,
                score: found.score * calm + 0.1 * median(&mut steps).min(0.5),
            })
        })
    }
}

/// A line on which many pieces leave a margin.
struct Candidate {
    middle: f32,
    slope: f32,
    support: f32,
    score: f32,
}

/// Votes for lines of every slope, the best first.
fn candidates(profile: &Profile, crossings: &[(usize, f32)], tolerance: f32, least: f32, begun: f32) -> Vec<Candidate> {
    #[derive(Clone, Copy)]
    struct Bin {
        pieces: u32,
        votes: u32,
        distance: f32,
        last: usize,
    }
    const EMPTY: Bin = Bin { pieces: 0, votes: 0, distance: 0.0, last: usize::MAX };
    let pieces = profile.pieces() as f32;
    let mut found = Vec::new();
    if (crossings.len() as f32) < least * pieces {
        return found;
    }
    // Slopes two pixels apart at the ends of the side.
    let steepest = STEEPEST * profile.length / 2.0;
    for turn in -(steepest as i32)..=steepest as i32 {
        let slope = 2.0 * turn as f32 / profile.length;
        let mut bins = vec![EMPTY; profile.lines + 1];
        for &(piece, line) in crossings {
            let at = line - slope * profile.centres[piece];
            let nearest = (at - tolerance).ceil().max(1.0) as usize;
            let last = ((at + tolerance).floor().max(0.0) as usize).min(profile.lines);
            for (middle, bin) in bins.iter_mut().enumerate().take(last + 1).skip(nearest) {
                bin.pieces += u32::from(bin.last != piece);
                bin.votes += 1;
                bin.distance += (at - middle as f32).abs();
                bin.last = piece;
            }
        }
        for (middle, bin) in bins.iter().enumerate() {
            let (middle, support) = (middle as f32, bin.pieces as f32 / pieces);
            // The more would be taken away, the more must speak for it.
            let more = 0.3 * (((middle - begun) / profile.depth - 0.06) / 0.12).clamp(0.0, 1.0);
            if bin.votes > 0 && support >= least + more {
                let unrest = 0.03 * bin.distance / bin.votes as f32 / tolerance;
                let skew = 0.02 * turn.abs() as f32 / steepest;
                found.push(Candidate { middle, slope, support, score: support - skew - unrest });
            }
        }
    }
    found.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.middle.total_cmp(&other.middle)));
    found
}

/// Change of tone across an edge.
fn step(profile: &Profile, piece: usize, line: usize) -> f32 {
    (profile.at(piece, (line + 2).min(profile.lines - 1)) - profile.at(piece, line.saturating_sub(2))).abs()
}

fn median(values: &mut [f32]) -> f32 {
    quantile(values, 0.5)
}

/// The value that a share of the others lie below; 0 where there are none.
fn quantile(values: &mut [f32], share: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let index = ((values.len() as f32 * share) as usize).min(values.len() - 1);
    *values.select_nth_unstable_by(index, f32::total_cmp).1
}
