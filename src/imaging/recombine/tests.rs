//! What recombination promises.

use super::*;
use crate::imaging::metrics::{lightness_difference, lightness_kept};

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
    let recombined = recombine_within(&scan, part, Lightness::Source, &chroma, Depth::Eight, Rendering::default());
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
    let recombined = recombine(&scan, Lightness::Replaced(&denoised), &smooth(Size::new(30, 20)), Depth::of(scan.bit_depth()));
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

#[test]
fn chroma_keeps_to_its_side_of_an_edge() {
    // A dark grey beside a light red, whose edge lies in the middle of a small pixel of 16.
    let (size, small, edge) = (Size::new(640, 64), Size::new(40, 4), 328);
    let row = (0..640).map(|x| if x < edge { 50 } else { 190 });
    let scan = ScanImage::new(size, Channels::Grey, Samples::U8(row.cycle().take(640 * 64).collect())).unwrap();
    let reduced = (0..40).map(|x| [0.0, 15.0, 30.0][1 + usize::from(x > 20) - usize::from(x < 20)]);
    let a = Plane::new(small, reduced.cycle().take(160).collect()).unwrap();
    let recombined = recombine(&scan, Lightness::Source, &ChromaPlanes { a, b: Plane::filled(small, 0.0) }, Depth::Sixteen);
    let Samples::U16(samples) = recombined.image.samples() else { panic!("the depth changed") };
    let a_at = |x: usize| {
        let rgb = samples.as_chunks::<3>().0[32 * 640 + x].map(|code| f64::from(code) / 65535.0);
        crate::imaging::lab::srgb_to_lab(rgb)[1]
    };
    // Enlarged without looking at lightness it would be 15 on both sides.
    assert!(a_at(327) < 8.0 && a_at(328) > 22.0, "{} and {}", a_at(327), a_at(328));
    assert!(a_at(300).abs() < 0.5 && (a_at(360) - 30.0).abs() < 0.5, "{} and {}", a_at(300), a_at(360));
}

#[test]
fn without_saturation_a_grey_scan_stays_grey() {
    let size = Size::new(300, 40);
    for wide in [false, true] {
        let scan = levels(size, Channels::Grey, wide);
        let depth = Depth::of(scan.bit_depth());
        let rendering = Rendering { saturation: 0.0, ..Rendering::default() };
        let made = recombine_within(&scan, Rect::whole(size), Lightness::Source, &blocks(Size::new(30, 4)), depth, rendering);
        assert_eq!(made.out_of_gamut_share, 0.0);
        match made.image.samples() {
            Samples::U8(samples) => assert!(samples.as_chunks::<3>().0.iter().all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])),
            Samples::U16(samples) => assert!(samples.as_chunks::<3>().0.iter().all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])),
        }
    }
}

#[test]
fn saturation_is_a_factor_on_chroma() {
    let size = Size::new(64, 64);
    let scan = ScanImage::new(size, Channels::Grey, Samples::U16(vec![30_000; 4096])).unwrap();
    let chroma = ChromaPlanes { a: Plane::filled(Size::new(8, 8), 12.0), b: Plane::filled(Size::new(8, 8), -16.0) };
    for saturation in [0.5, 1.0, 1.5] {
        let rendering = Rendering { saturation, ..Rendering::default() };
        let made = recombine_within(&scan, Rect::whole(size), Lightness::Source, &chroma, Depth::Sixteen, rendering);
        let Samples::U16(samples) = made.image.samples() else { panic!("the depth changed") };
        let lab = crate::imaging::lab::srgb_to_lab([0, 1, 2].map(|channel| f64::from(samples[channel]) / 65535.0));
        let wanted = f64::from(saturation);
        assert!((lab[1] - 12.0 * wanted).abs() < 0.02 && (lab[2] + 16.0 * wanted).abs() < 0.02, "{saturation}: {lab:?}");
    }
}

#[test]
fn every_colour_space_keeps_lightness() {
    let size = Size::new(700, 500);
    for space in ColourSpace::ALL {
        for wide in [false, true] {
            let scan = levels(size, Channels::Grey, wide);
            let (depth, rendering) = (Depth::of(scan.bit_depth()), Rendering { space, ..Rendering::default() });
            for chroma in [blocks(Size::new(35, 25)), smooth(Size::new(70, 50))] {
                let made = recombine_within(&scan, Rect::whole(size), Lightness::Source, &chroma, depth, rendering);
                let difference = lightness_kept(&scan, Lightness::Source, &made.image, space).unwrap();
                let bound = if wide { 0.05 } else { 0.5 };
                assert!(difference.max <= bound, "{space:?}, {} bits: {difference:?}", scan.bit_depth());
            }
        }
    }
}

/// L*, a*, b* of one grey under one chroma, published in a space; and whether chroma was reduced.
fn published(space: ColourSpace, grey: u16, [a, b]: [f32; 2]) -> ([f64; 3], bool) {
    let size = Size::new(16, 16);
    let scan = ScanImage::new(size, Channels::Grey, Samples::U16(vec![grey; 256])).unwrap();
    let chroma = ChromaPlanes { a: Plane::filled(Size::new(4, 4), a), b: Plane::filled(Size::new(4, 4), b) };
    let rendering = Rendering { space, ..Rendering::default() };
    let made = recombine_within(&scan, Rect::whole(size), Lightness::Source, &chroma, Depth::Sixteen, rendering);
    let Samples::U16(samples) = made.image.samples() else { panic!("the depth changed") };
    (space.lab([0, 1, 2].map(|channel| f64::from(samples[channel]) / 65535.0)), made.out_of_gamut_share > 0.0)
}

#[test]
fn a_colour_that_only_wide_spaces_hold_keeps_its_chroma_there() {
    // A green of L* 70 and chroma 108.
    let (grey, wanted) = (44_300, [-80.0_f32, 72.0]);
    let (srgb, reduced) = published(ColourSpace::Srgb, grey, wanted);
    let chroma = |lab: [f64; 3]| lab[1].hypot(lab[2]);
    assert!(reduced && chroma(srgb) < 103.0, "{srgb:?}");
    for space in [ColourSpace::DisplayP3, ColourSpace::AdobeRgb, ColourSpace::ProPhoto] {
        let (lab, reduced) = published(space, grey, wanted);
        let apart = (lab[1] + 80.0).hypot(lab[2] - 72.0);
        assert!(!reduced && apart < 0.05 && (lab[0] - srgb[0]).abs() < 0.05, "{space:?}: {lab:?}");
    }
}

#[test]
fn greys_are_greys_in_every_space() {
    let size = Size::new(500, 140);
    let none = ChromaPlanes { a: Plane::filled(Size::new(5, 4), 0.0), b: Plane::filled(Size::new(5, 4), 0.0) };
    for space in ColourSpace::ALL {
        let rendering = Rendering { space, ..Rendering::default() };
        let scan = levels(size, Channels::Grey, true);
        let made = recombine_within(&scan, Rect::whole(size), Lightness::Source, &none, Depth::Sixteen, rendering);
        let Samples::U16(samples) = made.image.samples() else { panic!("the depth changed") };
        assert!(samples.as_chunks::<3>().0.iter().all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2]), "{space:?}");
        assert_eq!(made.out_of_gamut_share, 0.0);
    }
}
