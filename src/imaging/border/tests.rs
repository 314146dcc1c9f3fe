//! Borders of every kind around a made-up picture, and pictures that only look as if they had one.

use super::*;
use crate::imaging::{Channels, Samples};

const SIZE: Size = Size::new(900, 640);
const PICTURE: Rect = Rect { left: 60, top: 48, width: 780, height: 544 };

/// A picture that has everything but a border: waves, edges, grain, dark and light corners. sRGB-coded, 0..=1.
fn picture(x: u32, y: u32) -> f32 {
    let (fx, fy) = (x as f32, y as f32);
    let waves = 0.5 + 0.3 * (fx / 37.0).sin() * (fy / 29.0).cos() + 0.15 * ((fx + 2.0 * fy) / 83.0).sin();
    let figure = if (fx - 400.0).hypot(fy - 350.0) < 120.0 { -0.3 } else { 0.0 };
    (waves + figure + grain(x, y)).clamp(0.02, 0.98)
}

/// Noise that is the same every time, ±2 %.
fn grain(x: u32, y: u32) -> f32 {
    let mixed = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).wrapping_mul(3_266_489_917);
    ((mixed >> 16) & 255) as f32 / 255.0 * 0.04 - 0.02
}

fn scan(size: Size, value: impl Fn(u32, u32) -> f32) -> ScanImage {
    let samples = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
    let samples = samples.map(|(x, y)| (value(x, y) * 255.0).round().clamp(0.0, 255.0) as u8).collect();
    ScanImage::new(size, Channels::Grey, Samples::U8(samples)).unwrap()
}

fn contains(rect: Rect, x: u32, y: u32) -> bool {
    (rect.left..rect.left + rect.width).contains(&x) && (rect.top..rect.top + rect.height).contains(&y)
}

/// The picture with `tone` around it; dust and scanner noise on the border as well.
fn bordered(x: u32, y: u32, tone: f32) -> f32 {
    if contains(PICTURE, x, y) { picture(x, y) } else { tone + grain(x, y) / 4.0 }
}

/// How far a rectangle goes beyond another and how much of it is missing, pixels: the largest of the four sides.
fn differences(found: Rect, wanted: Rect) -> (i64, i64) {
    let sides = |rect: Rect| {
        let Rect { left, top, width, height } = rect;
        [i64::from(left), i64::from(top), -i64::from(left + width), -i64::from(top + height)]
    };
    let inwards: Vec<i64> = sides(found).iter().zip(sides(wanted)).map(|(found, wanted)| found - wanted).collect();
    (-inwards.iter().min().unwrap(), *inwards.iter().max().unwrap())
}

/// Nothing of the border may stay, and at most `loss` pixels of the picture may go.
#[track_caller]
fn assert_found(scan: &ScanImage, wanted: Rect, loss: i64) {
    let area = picture_area(scan);
    let (beyond, missing) = differences(area.rect, wanted);
    assert!(beyond <= 0 && missing <= loss, "{area:?} is not {wanted:?}");
    assert!(area.confidence > 0.5 && area.confidence <= 1.0, "{area:?}");
}

#[track_caller]
fn assert_whole(scan: &ScanImage) {
    assert_eq!(picture_area(scan), PictureArea::whole(scan.size()));
}

#[test]
fn a_border_of_one_tone_is_found_whatever_the_tone() {
    for tone in [0.02, 0.1, 0.5, 0.62, 0.9, 0.99] {
        assert_found(&scan(SIZE, |x, y| bordered(x, y, tone)), PICTURE, 3);
    }
}

#[test]
fn a_scan_of_16_bits_that_is_reduced_has_its_border_found_in_its_own_pixels() {
    let size = Size::new(2 * SIZE.width, 2 * SIZE.height);
    let samples = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
    let samples = samples.map(|(x, y)| (bordered(x / 2, y / 2, 0.05) * 65535.0) as u16).collect();
    let large = ScanImage::new(size, Channels::Grey, Samples::U16(samples)).unwrap();
    let Rect { left, top, width, height } = PICTURE;
    assert_found(&large, Rect { left: 2 * left, top: 2 * top, width: 2 * width, height: 2 * height }, 10);
}

#[test]
fn a_rebate_in_a_mount_on_a_bed_is_walked_through() {
    let mount = Rect { left: 14, top: 12, width: 872, height: 616 };
    let rebate = Rect { left: 40, top: 32, width: 820, height: 576 };
    let nested = scan(SIZE, |x, y| {
        let tone = if contains(rebate, x, y) {
            0.06
        } else if contains(mount, x, y) {
            0.85
        } else {
            0.03
        };
        bordered(x, y, tone)
    });
    assert_found(&nested, PICTURE, 3);
}

#[test]
fn handwriting_and_sprocket_holes_are_part_of_a_border() {
    let written = scan(SIZE, |x, y| {
        let stroke = (250..640).contains(&x) && (604..628).contains(&y) && (x / 5 + y / 7) % 4 == 0;
        let hole = (8..34).contains(&y) && x % 90 < 40;
        if stroke || hole { 0.97 } else { bordered(x, y, 0.05) }
    });
    assert_found(&written, PICTURE, 3);
}

#[test]
fn a_skew_of_three_degrees_leaves_no_border_inside() {
    let (sin, cos) = 3.0_f32.to_radians().sin_cos();
    let inside = |x: u32, y: u32| {
        let (x, y) = (x as f32 - 450.0, y as f32 - 320.0);
        let (along, down) = (x * cos + y * sin, y * cos - x * sin);
        along.abs() < 370.0 && down.abs() < 250.0
    };
    let skewed = scan(SIZE, |x, y| if inside(x, y) { picture(x, y) } else { 0.04 + grain(x, y) / 4.0 });
    let Rect { left, top, width, height } = picture_area(&skewed).rect;
    // Along an edge of 700 pixels three degrees are 37; the corners of the picture are lost, and no more.
    assert!(width > 690 && height > 440, "{left} {top} {width}×{height}");
    let outside = (top..top + height).flat_map(|y| (left..left + width).map(move |x| (x, y))).filter(|&(x, y)| !inside(x, y));
    assert!(outside.count() < 300, "border is left in {left} {top} {width}×{height}");
}

#[test]
fn a_border_on_one_side_only_is_found() {
    for tone in [0.04, 0.98] {
        let wanted = Rect { left: 20, top: 0, width: SIZE.width - 20, height: SIZE.height };
        let one = scan(SIZE, |x, y| if x < 20 { tone + grain(x, y) / 4.0 } else { picture(x, y) });
        assert_found(&one, wanted, 3);
    }
}

#[test]
fn a_picture_without_a_border_is_left_whole() {
    assert_whole(&scan(SIZE, picture));
}

#[test]
fn flat_skies_over_a_straight_horizon_are_picture() {
    for (tone, horizon) in [(0.99, 150), (0.9, 80), (0.6, 120), (0.03, 150), (0.03, 90)] {
        assert_whole(&scan(SIZE, |x, y| if y < horizon { tone + grain(x, y) / 4.0 } else { picture(x, y) }));
    }
}

#[test]
fn plain_backdrops_and_vignettes_that_reach_the_edge_are_picture() {
    for tone in [0.03_f32, 0.5, 0.97] {
        let middle = |x: u32, y: u32| ((x as f32 - 450.0) / 260.0).hypot((y as f32 - 320.0) / 200.0);
        assert_whole(&scan(SIZE, |x, y| if middle(x, y) < 1.0 { picture(x, y) } else { tone + grain(x, y) / 4.0 }));
        // Slowly from one tone to another, all around.
        let fade = |x: u32, y: u32| (middle(x, y) - 0.6).clamp(0.0, 1.0);
        assert_whole(&scan(SIZE, |x, y| picture(x, y) * (1.0 - fade(x, y)) + tone * fade(x, y)));
    }
}

#[test]
fn no_side_loses_more_than_its_share() {
    let deep = Rect { left: 360, top: 48, width: 480, height: 544 };
    let found = picture_area(&scan(SIZE, |x, y| if contains(deep, x, y) { picture(x, y) } else { 0.03 })).rect;
    assert!(found.left <= 270 && found.top >= 48, "{found:?}");
}

#[test]
fn scans_of_nothing_and_of_hardly_any_size_are_left_whole() {
    for (width, height) in [(1, 1), (1, 700), (700, 1), (64, 64), (65, 900), (63, 64), (3000, 2)] {
        for tone in [0.0, 0.5, 1.0] {
            assert_whole(&scan(Size::new(width, height), |_, _| tone));
        }
        let found = picture_area(&scan(Size::new(width, height), picture)).rect;
        assert!(found.lies_in(Size::new(width, height)), "{found:?}");
    }
    for tone in [0.0, 1.0] {
        assert_whole(&scan(Size::new(1500, 1100), |_, _| tone));
    }
}
