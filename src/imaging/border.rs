//! Where in a scan the picture lies: inside film rebate, mounts and scanner bed.
//!
//! Each side is walked inwards over even margins, each ending at a straight edge (`border/edge.rs`). What the four sides say is
//! weighed together, and the rectangle that is left is looked at again: a picture on a mount on a bed has shorter sides than
//! the scan. A border that is missed costs little; a picture that is cut would be worse, so what is doubtful stays.

mod edge;

use std::fmt;

use self::edge::{DARK, Evidence, Layer, Profile, layers};
use super::{Plane, Rect, ScanImage, Size, grey_copy};

/// Whether borders are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// They are, and stay without colour.
    Auto,
    /// The whole scan counts as picture.
    Off,
}

impl fmt::Display for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Off => "off",
        })
    }
}

/// The part of a scan that is picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PictureArea {
    /// Where it lies in the scan, pixels.
    pub rect: Rect,
    /// How sure it is that what lies outside is border, 0..=1: of the side that shows it least, the share of its length where the
    /// edge was seen times the share of the margin that is even. 1 when nothing lies outside.
    pub confidence: f32,
}

impl PictureArea {
    /// All of a scan.
    pub const fn whole(size: Size) -> Self {
        Self { rect: Rect::whole(size), confidence: 1.0 }
    }
}

/// Longest side of the copy that is looked at, pixels.
const LONGEST: u32 = 1024;
/// Shortest side of a copy that shows enough, pixels.
const SHORTEST: u32 = 64;
/// Largest part of the scan's width or height that is taken away at one side.
const SHARE: f32 = 0.3;
/// Rectangles that are looked at, each inside the one before.
const PASSES: usize = 3;

/// From a scan's own edges little is needed; what was found by a first look is likely the picture, so then more.
const FIRST: Evidence = Evidence { support: 0.5, calm: 0.8, rim: 0.01 };
const AGAIN: Evidence = Evidence { support: 0.75, calm: 0.9, rim: 0.0 };

/// Finds the picture in a scan. A scan without border, or too small to tell (a side below 64 pixels), is all picture.
pub fn picture_area(scan: &ScanImage) -> PictureArea {
    let size = copy_size(scan.size());
    if size.width.min(size.height) < SHORTEST {
        return PictureArea::whole(scan.size());
    }
    let copy = grey_copy(scan, size);
    let mut inner = Rect::whole(size);
    let mut confidence = 1.0_f32;
    for pass in 0..PASSES {
        let found = sides(&copy, inner, if pass == 0 { FIRST } else { AGAIN });
        let Rect { left, top, width, height } = inner;
        let (right, bottom) = (size.width - left - width, size.height - top - height);
        let cut = |side: Side, before: u32, length: u32| {
            let cut = found[side as usize].map_or(0, |edge| edge.cut);
            if (before + cut) as f32 <= SHARE * length as f32 { cut } else { 0 }
        };
        let (top_cut, bottom_cut) = (cut(Side::Top, top, size.height), cut(Side::Bottom, bottom, size.height));
        let (left_cut, right_cut) = (cut(Side::Left, left, size.width), cut(Side::Right, right, size.width));
        if [left_cut, right_cut, top_cut, bottom_cut] == [0; 4] {
            break;
        }
        confidence = found.iter().flatten().map(|edge| edge.confidence).fold(confidence, f32::min);
        inner = Rect {
            left: left + left_cut,
            top: top + top_cut,
            width: width - left_cut - right_cut,
            height: height - top_cut - bottom_cut,
        };
    }
    PictureArea { rect: enlarged(inner, size, scan.size()), confidence }
}

/// A side of a rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Top,
    Bottom,
    Left,
    Right,
}

impl Side {
    const ALL: [Self; 4] = [Self::Top, Self::Bottom, Self::Left, Self::Right];
}

/// What is to be taken away at a side.
#[derive(Debug, Clone, Copy)]
struct Edge {
    cut: u32,
    confidence: f32,
}

/// Weighs the layers of all four sides; in the order of [`Side::ALL`].
fn sides(copy: &Plane, inner: Rect, evidence: Evidence) -> [Option<Edge>; 4] {
    let profiles = Side::ALL.map(|side| Profile::of(copy, inner, side, SHARE));
    let all: [Vec<Layer>; 4] = [0, 1, 2, 3].map(|side| layers(&profiles[side], evidence));
    [0, 1, 2, 3].map(|side| {
        let others = || all.iter().enumerate().filter(move |(other, _)| *other != side).flat_map(|(_, layers)| layers);
        let believed = |layer: &&Layer| {
            // A sky or a wall can be even and end at a straight horizon; a mount shows on another side as well, or is thin.
            let is_met = || others().any(|other| (other.tone - layer.tone).abs() < 0.08);
            let is_thin = layer.thickness <= 0.025 && layer.support >= 0.8;
            let is_deep = layer.middle > 0.1 * profiles[side].depth;
            (layer.tone <= DARK || is_thin || is_met()) && (!is_deep || layer.support * layer.calm >= 0.55)
        };
        let kept: Vec<_> = all[side].iter().take_while(believed).collect();
        let last = kept.last()?;
        let weakest = |of: fn(&Layer) -> f32| kept.iter().map(|layer| of(layer)).fold(1.0, f32::min);
        let (support, calm) = (weakest(|layer| layer.support), weakest(|layer| layer.calm));
        let is_alone = others().next().is_none();
        if is_alone && (last.middle > 0.08 * profiles[side].depth || support < 0.8 || calm < 0.9) {
            return None;
        }
        Some(Edge { cut: last.cut, confidence: support * calm })
    })
}

/// The copy's size: the scan's own, or reduced so that it costs little.
fn copy_size(scan: Size) -> Size {
    let longest = scan.width.max(scan.height);
    if longest <= LONGEST {
        return scan;
    }
    let side = |side: u32| ((u64::from(side) * u64::from(LONGEST) + u64::from(longest / 2)) / u64::from(longest)).max(1) as u32;
    Size::new(side(scan.width), side(scan.height))
}

/// A rectangle of the copy in pixels of the scan; where something was taken away a pixel of a reduced copy more, since the edge
/// lies somewhere in it.
fn enlarged(inner: Rect, copy: Size, scan: Size) -> Rect {
    let more = u32::from(copy != scan);
    let side = |cut: u32, copy: u32, scan: u32| {
        if cut == 0 { 0 } else { (u64::from(cut + more) * u64::from(scan)).div_ceil(u64::from(copy)) as u32 }
    };
    let (left, top) = (side(inner.left, copy.width, scan.width), side(inner.top, copy.height, scan.height));
    let right = side(copy.width - inner.left - inner.width, copy.width, scan.width);
    let bottom = side(copy.height - inner.top - inner.height, copy.height, scan.height);
    Rect { left, top, width: scan.width - left - right, height: scan.height - top - bottom }
}

#[cfg(test)]
mod tests;
