//! Toned prints, colour pictures, tints, and what is neither.

use super::*;
use crate::imaging::lab::srgb_to_lab;

fn features(image: &ScanImage) -> Features {
    super::features(image, srgb_to_lab)
}
use crate::imaging::{Size, lab::lab_to_srgb};

const SIZE: Size = Size::new(600, 450);

/// A scene of waves and edges in Lab, as an RGB scan with a little chroma noise like JPEG's.
fn scan(colour: impl Fn(f64, f64, f64) -> [f64; 2]) -> ScanImage {
    let mut random = fastrand::Rng::with_seed(5);
    let mut samples = Vec::new();
    for y in 0..SIZE.height {
        for x in 0..SIZE.width {
            let (x, y) = (f64::from(x) / 600.0, f64::from(y) / 450.0);
            let lightness = 50.0 + 25.0 * (x * 17.0).sin() * (y * 11.0).cos() + if x + y > 1.1 { 15.0 } else { 0.0 };
            let [a, b] = colour(x, y, lightness);
            let mut noise = || 6.0 * (random.f64() - 0.5);
            let rgb = lab_to_srgb([lightness, a + noise(), b + noise()]);
            samples.extend(rgb.map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8));
        }
    }
    ScanImage::new(SIZE, Channels::Rgb, Samples::U8(samples)).unwrap()
}

fn sepia(lightness: f64) -> [f64; 2] {
    let strength = lightness * (100.0 - lightness) / 2500.0;
    [6.0 * strength, 18.0 * strength + 2.0]
}

#[test]
fn a_grey_scan_has_no_chroma_but_detail_and_deviation() {
    let grey: Vec<u8> = (0..SIZE.pixels()).map(|index| if index % 600 < 300 { 60 } else { 200 }).collect();
    let found = features(&ScanImage::new(SIZE, Channels::Grey, Samples::U8(grey)).unwrap());
    assert_eq!((found.chroma_mean, found.chroma_residual, found.coloured_share), (0.0, 0.0, 0.0));
    assert!((25.0..30.0).contains(&found.lightness_deviation), "{found:?}");
    assert!(found.detail_share > 0.0 && found.detail_share < 0.05, "{found:?}");
}

#[test]
fn a_toned_print_is_monochrome_whatever_its_tone() {
    for tone in [|l: f64| sepia(l), |l: f64| [-8.0 * l / 100.0, -30.0 * (1.0 - l / 100.0)], |l: f64| [4.0 - l / 25.0, 0.0]] {
        let found = features(&scan(|_, _, lightness| tone(lightness)));
        assert!(found.chroma_residual < 1.2, "{found:?}");
        assert!(found.coloured_share < 0.01, "{found:?}");
    }
    assert!(features(&scan(|_, _, lightness| sepia(lightness))).chroma_mean > 8.0);
}

#[test]
fn fading_that_weakens_the_tone_in_places_is_no_colour() {
    let found = features(&scan(|x, _, lightness| sepia(lightness).map(|value| value * (0.4 + 1.2 * x))));
    assert!(found.chroma_residual < 1.2, "{found:?}");
}

#[test]
fn a_colour_target_on_the_mount_and_a_stamp_are_no_colour() {
    let found = features(&scan(|x, y, lightness| {
        let target = y > 0.93;
        let stamp = (0.7..0.8).contains(&x) && (0.7..0.8).contains(&y);
        if target {
            [60.0 * (x * 20.0).sin(), 60.0 * (x * 9.0).cos()]
        } else if stamp {
            [60.0, 40.0]
        } else {
            sepia(lightness)
        }
    }));
    assert!(found.chroma_residual < 1.5, "{found:?}");
}

#[test]
fn a_few_coloured_areas_make_a_colour_picture() {
    let found = features(&scan(|x, y, _| {
        let roofs = (0.2..0.75).contains(&x) && (0.5..0.6).contains(&y);
        if roofs { [35.0, 25.0] } else { [0.0, 2.0] }
    }));
    assert!(found.chroma_residual > 8.0, "{found:?}");
    assert!((0.03..0.1).contains(&found.coloured_share), "{found:?}");
}

#[test]
fn lips_and_cheeks_on_a_print_are_a_tint_and_fading_a_stamp_and_noise_are_none() {
    let on = |tone: fn(f64) -> [f64; 2], ink: f64| {
        features(&scan(move |x, y, lightness| {
            let [a, b] = tone(lightness);
            let lips = ((x - 0.4) / 0.06).hypot((y - 0.6) / 0.06) < 1.0;
            if lips { [a + ink, b + ink / 3.0] } else { [a, b] }
        }))
    };
    for tone in [sepia, |_| [0.0, 0.0]] {
        for ink in [12.0, 20.0, 30.0] {
            let found = on(tone, ink);
            assert!((0.005..0.03).contains(&found.tinted_share), "{ink}: {found:?}");
        }
        assert!(on(tone, 0.0).tinted_share < 1e-3 && on(tone, 70.0).tinted_share < 3e-3, "{:?}", on(tone, 70.0));
    }
    let faded = features(&scan(|x, _, lightness| sepia(lightness).map(|value| value * (0.4 + 1.2 * x))));
    assert!(faded.tinted_share < 1e-3, "{faded:?}");
}

#[test]
fn what_lies_outside_a_part_is_not_measured() {
    let part = Rect { left: 37, top: 21, width: 500, height: 400 };
    let size = part.size();
    let whole = scan(|_, _, lightness| sepia(lightness));
    let Samples::U8(samples) = whole.samples() else { panic!("made of 8 bits") };
    let rows = samples.chunks_exact(600 * 3).skip(21).take(400).flat_map(|row| row[37 * 3..537 * 3].iter().copied());
    let cut = ScanImage::new(size, Channels::Rgb, Samples::U8(rows.collect())).unwrap();
    assert_eq!(features_of(&whole, part, srgb_to_lab), features(&cut));
}

#[test]
fn sixteen_bits_and_alpha_change_nothing() {
    let eight = scan(|x, _, lightness| [20.0 * (x * 6.0).sin(), sepia(lightness)[1]]);
    let Samples::U8(samples) = eight.samples() else { panic!("made of 8 bits") };
    let wide = samples.chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 9].map(|sample| u16::from(sample) * 257));
    let wide = ScanImage::new(SIZE, Channels::Rgba, Samples::U16(wide.collect())).unwrap();
    assert_eq!(features(&eight), features(&wide));
}

#[test]
fn degenerate_sizes_are_measured() {
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (7, 7), (3, 900)] {
        let size = Size::new(width, height);
        let samples = vec![128_u8; size.pixels() as usize * 3];
        let found = features(&ScanImage::new(size, Channels::Rgb, Samples::U8(samples)).unwrap());
        assert!(found.lightness_deviation < 1e-3 && found.chroma_residual < 1e-3, "{size}: {found:?}");
    }
}
