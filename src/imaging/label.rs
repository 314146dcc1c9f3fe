//! The visible mark "AI-colorized" on pictures that leave the archive: in a corner, or on a strip added below.
//!
//! The letters are strokes of round ends, drawn at any size without a font: what a label says never changes.

use super::lab::Sample;
use super::{Rect, Samples, ScanImage, Size};

/// Whether and where a derivative says that its colours are a machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Label {
    /// Nowhere.
    #[default]
    Off,
    /// In the lower right corner of the picture, on a darkened plate.
    Corner,
    /// On a white strip added below the picture, which hides nothing of it.
    Strip,
}

impl Label {
    /// The word for it in configuration and records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Corner => "corner",
            Self::Strip => "strip",
        }
    }
}

/// Height of capitals as a share of the picture's shorter side, and the least that can be read, pixels.
const HEIGHT: f32 = 0.024;
const LEAST: f32 = 9.0;

/// Width of a stroke, space between letters and around the text, as shares of the height of capitals.
const STROKE: f32 = 0.13;
const SPACE: f32 = 0.24;
const MARGIN: f32 = 0.8;

/// How much of the picture shows through the plate.
const PLATE: f32 = 0.35;

/// A piece of a letter; capitals are 1 high, the base line is at 0, y goes up.
#[derive(Clone, Copy)]
enum Piece {
    Line([f32; 2], [f32; 2]),
    /// Centre, radii, first and last angle in degrees.
    Arc([f32; 2], [f32; 2], f32, f32),
}

use Piece::{Arc, Line};

/// Height of small letters without their stems.
const SMALL: f32 = 0.66;
const ROUND: [f32; 2] = [0.31, 0.33];

/// Width and pieces of the letters, one after the other.
const LETTERS: [(f32, &[Piece]); 12] = [
    (0.72, &[Line([0.0, 0.0], [0.36, 1.0]), Line([0.36, 1.0], [0.72, 0.0]), Line([0.13, 0.34], [0.59, 0.34])]),
    (0.0, &[Line([0.0, 0.0], [0.0, 1.0])]),
    (0.34, &[Line([0.0, 0.36], [0.34, 0.36])]),
    (0.56, &[Arc([0.31, 0.33], ROUND, 45.0, 315.0)]),
    (0.62, &[Arc([0.31, 0.33], ROUND, 0.0, 360.0)]),
    (0.0, &[Line([0.0, 0.0], [0.0, 1.0])]),
    (0.62, &[Arc([0.31, 0.33], ROUND, 0.0, 360.0)]),
    (0.36, &[Line([0.0, 0.0], [0.0, SMALL]), Arc([0.24, 0.42], [0.24, 0.24], 50.0, 180.0)]),
    (0.0, &[Line([0.0, 0.0], [0.0, SMALL]), Line([0.0, 0.93], [0.0, 0.93])]),
    (0.48, &[Line([0.0, SMALL], [0.46, SMALL]), Line([0.46, SMALL], [0.0, 0.0]), Line([0.0, 0.0], [0.48, 0.0])]),
    (0.62, &[Line([0.02, 0.36], [0.62, 0.36]), Arc([0.31, 0.33], ROUND, 5.0, 310.0)]),
    (0.62, &[Arc([0.31, 0.33], ROUND, 0.0, 360.0), Line([0.62, 0.0], [0.62, 1.0])]),
];

/// Where a straight piece begins and ends.
type Stroke = ([f32; 2], [f32; 2]);

/// Straight pieces of the whole text, and its width.
fn strokes() -> (Vec<Stroke>, f32) {
    let (mut lines, mut x) = (Vec::new(), 0.0);
    for (width, pieces) in LETTERS {
        for piece in pieces {
            match *piece {
                Line(from, to) => lines.push(([x + from[0], from[1]], [x + to[0], to[1]])),
                Arc(centre, radii, first, last) => {
                    const STEPS: u16 = 24;
                    let at = |step: u16| {
                        let angle = (first + (last - first) * f32::from(step) / f32::from(STEPS)).to_radians();
                        [x + centre[0] + radii[0] * angle.cos(), centre[1] + radii[1] * angle.sin()]
                    };
                    lines.extend((0..STEPS).map(|step| (at(step), at(step + 1))));
                }
            }
        }
        x += width + SPACE;
    }
    (lines, x - SPACE)
}

fn distance([x, y]: [f32; 2], (from, to): Stroke) -> f32 {
    let (along, off) = ([to[0] - from[0], to[1] - from[1]], [x - from[0], y - from[1]]);
    let length = along[0] * along[0] + along[1] * along[1];
    let share = if length > 0.0 { ((off[0] * along[0] + off[1] * along[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
    (off[0] - share * along[0]).hypot(off[1] - share * along[1])
}

/// The picture with its label. `area` is where the picture lies in the scan: a corner is that of the picture, not of its border.
///
/// # Panics
/// When the area does not lie in the picture.
pub fn labelled(image: ScanImage, area: Rect, label: Label) -> ScanImage {
    assert!(area.lies_in(image.size()), "{area:?} lies in the picture");
    if label == Label::Off {
        return image;
    }
    let (size, channels) = (image.size(), image.channels());
    let shorter = size.width.min(size.height) as f32;
    let (lines, text_width) = strokes();
    // Never wider than the picture.
    let height = (shorter * HEIGHT).max(LEAST).min(size.width as f32 / (text_width + 2.0 * MARGIN));
    let (plate_width, plate_height) =
        (((text_width + 2.0 * MARGIN) * height).ceil() as u32, ((1.0 + 2.0 * MARGIN) * height).ceil() as u32);
    let (plate_width, plate_height) = (plate_width.clamp(1, size.width), plate_height.max(1));
    let (plate, size) = match label {
        Label::Strip => {
            let below = Rect { left: size.width - plate_width, top: size.height, width: plate_width, height: plate_height };
            (below, Size::new(size.width, size.height + plate_height))
        }
        Label::Corner | Label::Off => {
            let (right, bottom) = (area.left + area.width, area.top + area.height);
            let (left, top) = (right.saturating_sub(plate_width), bottom.saturating_sub(plate_height));
            (Rect { left, top, width: right.min(plate_width), height: bottom.min(plate_height) }, size)
        }
    };
    let ink = |x: u32, y: u32| {
        let at = [(x as f32 + 0.5) / height - MARGIN, 1.0 + MARGIN - (y as f32 + 0.5) / height];
        let nearest = lines.iter().map(|&line| distance(at, line)).fold(f32::INFINITY, f32::min);
        (0.5 + (STROKE / 2.0 - nearest) * height).clamp(0.0, 1.0)
    };
    let count = channels.count();
    let samples = match image.into_samples() {
        Samples::U8(samples) => Samples::U8(drawn(samples, size, count, plate, label, ink)),
        Samples::U16(samples) => Samples::U16(drawn(samples, size, count, plate, label, ink)),
    };
    ScanImage::new(size, channels, samples).expect("rows were only added")
}

fn drawn<S: Sample>(
    mut samples: Vec<S>,
    size: Size,
    count: usize,
    plate: Rect,
    label: Label,
    ink: impl Fn(u32, u32) -> f32,
) -> Vec<S> {
    let stride = size.width as usize * count;
    // A strip is white, alpha included.
    samples.resize(stride * size.height as usize, S::nearest(1.0));
    let colours = if count.is_multiple_of(2) { count - 1 } else { count };
    for y in 0..plate.height {
        let row = &mut samples[(plate.top + y) as usize * stride + plate.left as usize * count..];
        for (x, pixel) in (0..plate.width).zip(row.chunks_exact_mut(count)) {
            let ink = ink(x, y);
            for sample in &mut pixel[..colours] {
                let below = f32::from(sample.widened()) / 65_535.0;
                let value = if label == Label::Strip { below * (1.0 - 0.8 * ink) } else { below * PLATE * (1.0 - ink) + ink };
                *sample = S::nearest(value);
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Channels;

    fn grey(size: Size, value: u8) -> ScanImage {
        ScanImage::new(size, Channels::Rgb, Samples::U8(vec![value; 3 * size.pixels() as usize])).unwrap()
    }

    #[test]
    fn a_strip_hides_nothing_and_a_corner_only_its_plate() {
        let size = Size::new(800, 600);
        let image = grey(size, 90);
        let strip = labelled(image.clone(), Rect::whole(size), Label::Strip);
        let (Samples::U8(before), Samples::U8(after)) = (image.samples(), strip.samples()) else { panic!("8 bits were made") };
        assert_eq!(before[..], after[..before.len()]);
        assert!(strip.size().width == 800 && (30..60).contains(&(strip.size().height - 600)), "{}", strip.size());
        let dark = after[before.len()..].iter().filter(|&&value| value < 100).count();
        assert!(dark > 500, "there is text on the strip: {dark}");
        let area = Rect { left: 100, top: 50, width: 600, height: 500 };
        let corner = labelled(image.clone(), area, Label::Corner);
        let Samples::U8(after) = corner.samples() else { panic!("8 bits were made") };
        let changed: Vec<(usize, usize)> =
            (0..480_000).filter(|&at| after[3 * at] != 90).map(|at| (at % 800, at / 800)).collect();
        assert!(changed.iter().all(|&(x, y)| (100..700).contains(&x) && (500..550).contains(&y)), "within the picture");
        assert!((1000..12_000).contains(&changed.len()), "{}", changed.len());
        assert!(after.iter().any(|&value| value > 240), "there is text on the plate");
        assert_eq!(labelled(image.clone(), area, Label::Off), image);
    }

    #[test]
    fn small_pictures_and_every_kind_of_samples_are_labelled() {
        for (width, height) in [(1, 1), (20, 300), (300, 20), (64, 64)] {
            let size = Size::new(width, height);
            for label in [Label::Corner, Label::Strip] {
                assert_eq!(labelled(grey(size, 9), Rect::whole(size), label).size().width, width);
                let wide = vec![7_u16; 4 * size.pixels() as usize];
                let image = ScanImage::new(size, Channels::Rgba, Samples::U16(wide)).unwrap();
                let Samples::U16(after) = labelled(image, Rect::whole(size), label).into_samples() else { panic!("16 bits") };
                assert!(after[..4 * size.pixels() as usize].iter().skip(3).step_by(4).all(|&alpha| alpha == 7));
            }
        }
    }
}
