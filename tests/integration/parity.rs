//! `network.preprocessing = "parity"` against the authors' pipeline.
//!
//! The arrays and pictures of `fixtures/parity` were made by OpenCV 5.0.0 and PyTorch from [`scan`] and [`chroma`], in the order
//! of `colorization_pipeline.py`: `img / 255.0` as float32, `cvtColor(BGR2Lab)` for L; `cv2.resize` to 64×64, L of that with
//! a = b = 0 through `cvtColor(LAB2RGB)` is `*_input.npy`; `F.interpolate(ab, size)`, joined with L, through
//! `cvtColor(LAB2BGR)`, times 255, rounded, is `*.png`. Seven in ten of their pixels lie outside sRGB and are clipped.

use std::fs;
use std::path::{Path, PathBuf};

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::imaging::{self, Channels, ChromaPlanes, Depth, Plane, Samples, ScanImage, Size};
use autochrome::inference::Array;

use crate::workbench::{Workbench, encode, photograph, text};

const SCAN: Size = Size { width: 97, height: 71 };
const SQUARE: Size = Size { width: 64, height: 64 };

fn scan(channels: Channels) -> ScanImage {
    let code = |x: u32, y: u32, c: u32| ((x * x * (3 + c) + y * y * (5 - c) + x * y * (2 + c) + 40 * c) / 37 % 256) as u8;
    let count = channels.count() as u32;
    let rows = (0..SCAN.height).flat_map(|y| (0..SCAN.width).map(move |x| (x, y)));
    let samples = rows.flat_map(|(x, y)| (0..count).map(move |c| code(x, y, c))).collect();
    ScanImage::new(SCAN, channels, Samples::U8(samples)).unwrap()
}

fn chroma() -> ChromaPlanes {
    let plane = |value: fn(i32, i32) -> i32| {
        let places = (0..64).flat_map(|v| (0..64).map(move |u| (u, v)));
        Plane::new(SQUARE, places.map(|(u, v)| value(u, v) as f32).collect()).unwrap()
    };
    // Remainders as Python takes them.
    ChromaPlanes {
        a: plane(|u, v| (7 * u + 3 * v).rem_euclid(181) - 90),
        b: plane(|u, v| (5 * u - 11 * v).rem_euclid(201) - 100),
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

fn decode(bytes: &[u8]) -> ScanImage {
    codec::decode(bytes, &DecodeLimits::default()).unwrap().image
}

#[test]
fn the_networks_input_is_the_one_opencv_makes() {
    for (name, channels) in [("toned", Channels::Rgb), ("grey", Channels::Grey)] {
        let got = imaging::parity_input(&scan(channels), SQUARE);
        let want = Array::read(&fixture(&format!("{name}_64x64_input.npy"))).unwrap();
        assert_eq!(want.shape, [1, 3, 64, 64]);
        for channel in want.values.chunks_exact(64 * 64) {
            let apart = got.data().iter().zip(channel).map(|(got, want)| (got - want).abs());
            let largest = apart.fold(0.0, f32::max);
            println!("{name}: {largest:.2e}");
            // A twelfth of the half code value that would still go unnoticed: the spline of OpenCV's sRGB curve.
            assert!(largest < 0.04 / 255.0, "{name}: {largest} apart");
        }
    }
}

#[test]
fn the_picture_is_the_one_opencv_makes() {
    for (name, channels) in [("toned", Channels::Rgb), ("grey", Channels::Grey)] {
        let got = imaging::parity_recombine(&scan(channels), &chroma(), Depth::Eight);
        let want = decode(&fs::read(fixture(&format!("{name}_97x71.png"))).unwrap());
        let (Samples::U8(samples), Samples::U8(want)) = (got.image.samples(), want.samples()) else { panic!("8 bits") };
        assert_eq!(samples.len(), want.len());
        let largest = samples.iter().zip(want).map(|(got, want)| got.abs_diff(*want)).max().unwrap();
        let other = samples.iter().zip(want).filter(|(got, want)| got != want).count();
        println!("{name}: {other} of {} samples differ, by at most {largest}", want.len());
        assert!(largest <= 1, "{name}: {largest} code values apart");
        assert!(other * 200 < want.len(), "{name}: {other} of {} samples differ", want.len());
        assert!((0.65..0.85).contains(&got.out_of_gamut_share), "{name}: {}", got.out_of_gamut_share);
    }
}

#[test]
fn sixteen_bits_are_computed_as_sixteen_bits() {
    let narrow = imaging::parity_recombine(&scan(Channels::Rgb), &chroma(), Depth::Eight).image;
    let Samples::U8(codes) = scan(Channels::Rgb).into_samples() else { panic!("8 bits") };
    let codes = codes.into_iter().map(|code| u16::from(code) * 257).collect();
    let wide = ScanImage::new(SCAN, Channels::Rgb, Samples::U16(codes)).unwrap();
    let wide = imaging::parity_recombine(&wide, &chroma(), Depth::Sixteen).image;
    let (Samples::U8(narrow), Samples::U16(wide)) = (narrow.samples(), wide.samples()) else { panic!("depths are kept") };
    assert!(narrow.iter().zip(wide).all(|(&narrow, &wide)| i32::from(wide).abs_diff(i32::from(narrow) * 257) <= 129));
    let between = wide.iter().filter(|&&code| code % 257 != 0).count();
    assert!(between * 4 > wide.len(), "{between} of {} samples use the other 8 bits", wide.len());
}

#[test]
fn a_derivative_made_in_parity_says_so() {
    let bench = Workbench::new();
    bench.put("plate.png", &encode(&photograph(160, 128, 1), Format::Png));
    bench.run(&["once"]);
    bench.configure("[network]\npreprocessing = \"parity\"\n[denoise]\napply_to = \"off\"");
    bench.ok(&["once"]);
    let pictures = bench.pictures();
    assert_eq!(pictures.len(), 2, "another recipe makes another derivative");
    let records: Vec<_> = pictures.iter().map(|picture| bench.record(picture)).collect();
    let of = |word: &str| records.iter().find(|record| record["extent"]["preprocessing"] == word).unwrap();
    assert_eq!(of("fit")["recipe"]["preprocessing"], "fit");
    let parity = of("parity");
    assert_eq!(parity["recipe"]["preprocessing"], "parity");
    assert!(parity["extent"]["rule"].as_str().unwrap().starts_with("parity: squashed to "), "{}", parity["extent"]);
    assert_eq!(parity["extent"]["width"], parity["extent"]["height"]);
    assert_eq!(parity["extent"]["content_width"], parity["extent"]["width"]);
    assert!(parity["numerics"]["out_of_gamut_share"].is_number());
    assert_eq!((&parity["derivative"]["width"], &parity["derivative"]["height"]), (&160.into(), &128.into()));
    assert_eq!(parity["denoise"]["applied_to"], "none");
}

#[test]
fn parity_with_denoising_is_a_configuration_error() {
    let bench = Workbench::new();
    bench.configure("[network]\npreprocessing = \"parity\"");
    for command in [&["config", "check"][..], &["once"]] {
        let output = bench.run(command);
        assert_eq!(output.status.code(), Some(78), "{}", text(&output));
        assert!(text(&output).contains("needs denoise.apply_to = \"off\""), "{}", text(&output));
    }
}
