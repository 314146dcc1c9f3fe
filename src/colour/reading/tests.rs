//! Profiles made here, and scans whose lightness under them is known from elsewhere.

use super::*;
use crate::colour::{Basis, Cicp, srgb_profile};
use crate::imaging::lab::lightness_of_luminance;
use crate::imaging::{Samples, Size};

fn declared(icc: Vec<u8>) -> Declared {
    Declared { icc: Some(icc), ..Declared::default() }
}

fn scan(channels: Channels, samples: Samples) -> ScanImage {
    let width = samples.len() / channels.count();
    ScanImage::new(Size::new(width as u32, 1), channels, samples).unwrap()
}

/// Encoded values of a scan's pixels, 0..=1.
fn encoded(scan: &ScanImage) -> Vec<Vec<f64>> {
    let count = scan.channels().count();
    match scan.samples() {
        Samples::U8(samples) => samples.chunks(count).map(|p| p.iter().map(|&s| f64::from(s) / 255.0).collect()).collect(),
        Samples::U16(samples) => samples.chunks(count).map(|p| p.iter().map(|&s| f64::from(s) / 65_535.0).collect()).collect(),
    }
}

/// The lightness that the rest of the house will see.
fn lightness(grey: &ScanImage) -> Vec<f64> {
    encoded(grey).into_iter().map(|pixel| lightness_of_luminance(srgb_to_linear(pixel[0]))).collect()
}

/// Reads `scan` as declared and holds every pixel's L* to `wanted`, which is given encoded samples.
fn assert_lightness(declared: &Declared, scan: &ScanImage, wanted: impl Fn(&[f64]) -> f64, bound: f64) -> Colour {
    let colour = Colour::of(declared, scan.channels(), scan.bit_depth());
    for (pixel, found) in encoded(scan).iter().zip(lightness(&colour.lightness(scan.clone()))) {
        assert!((found - wanted(pixel)).abs() < bound, "{pixel:?}: L* {found}, not {}", wanted(pixel));
    }
    colour
}

fn all_greys() -> [ScanImage; 2] {
    let wide = (0..=u16::MAX).step_by(13).collect();
    [scan(Channels::Grey, Samples::U8((0..=255).collect())), scan(Channels::Grey, Samples::U16(wide))]
}

fn colours(count: usize) -> [ScanImage; 2] {
    let mut random = fastrand::Rng::with_seed(3);
    let wide: Vec<u16> = (0..3 * count).map(|_| random.u16(..)).collect();
    let narrow = wide.iter().map(|&sample| (sample >> 8) as u8).collect();
    [scan(Channels::Rgb, Samples::U8(narrow)), scan(Channels::Rgb, Samples::U16(wide))]
}

#[test]
fn a_grey_gamma_is_honoured() {
    for gamma in [1.0_f32, 1.8, 2.2] {
        let declared = declared(ColorProfile::new_gray_with_gamma(gamma).encode().unwrap());
        for scan in all_greys() {
            // A profile holds gammas in steps of 1/256 (ICC.1:2022, 10.6).
            let held = f64::from((gamma * 256.0).round() / 256.0);
            let wanted = |pixel: &[f64]| lightness_of_luminance(pixel[0].powf(held));
            let colour = assert_lightness(&declared, &scan, wanted, 0.005);
            assert_eq!(colour.meaning().basis, Basis::Icc);
            assert!(colour.meaning().icc_sha256.is_some() && colour.meaning().oddities.is_empty());
        }
    }
}

#[test]
fn a_grey_curve_may_give_lightness_in_place_of_luminance() {
    let mut profile = ColorProfile::new_gray_with_gamma(1.0);
    profile.pcs = DataColorSpace::Lab;
    let declared = declared(profile.encode().unwrap());
    for scan in all_greys() {
        assert_lightness(&declared, &scan, |pixel| 100.0 * pixel[0], 0.005);
    }
}

#[test]
fn a_dot_gain_curve_is_honoured() {
    // A printer's curve: twenty per cent more dot in the middle, as a table of 256 entries.
    let gain = |tone: f64| {
        let dot = 1.0 - tone;
        1.0 - (dot + 0.8 * dot * (1.0 - dot))
    };
    let table = (0..256).map(|code| (65_535.0 * gain(f64::from(code) / 255.0)).round() as u16).collect();
    let mut profile = ColorProfile::new_gray_with_gamma(2.2);
    profile.gray_trc = Some(ToneReprCurve::Lut(table));
    let declared = declared(profile.encode().unwrap());
    let [narrow, _] = all_greys();
    assert_lightness(&declared, &narrow, |pixel| lightness_of_luminance(gain(pixel[0])), 0.02);
}

#[test]
fn adobe_rgb_is_honoured() {
    // Adobe RGB (1998), version 2005-05, annex C: the luminance row of its matrix, and its exponent.
    let luminance = |pixel: &[f64]| {
        let linear = [0, 1, 2].map(|channel| pixel[channel].powf(563.0 / 256.0));
        0.297_34 * linear[0] + 0.627_36 * linear[1] + 0.075_29 * linear[2]
    };
    let by_icc = declared(ColorProfile::new_adobe_rgb().encode().unwrap());
    let by_exif = Declared { exif_colour_space: Some(2), ..Declared::default() };
    for declared in [by_icc, by_exif] {
        for scan in colours(3000) {
            let wanted = |pixel: &[f64]| lightness_of_luminance(luminance(pixel));
            let colour = assert_lightness(&declared, &scan, wanted, 0.05);
            // What a curator sees as a saturated green is one that sRGB does not have.
            let [l, a, b] = colour.lab([0.0, 1.0, 0.0]);
            assert!((l - 83.2).abs() < 0.3 && (a + 137.9).abs() < 2.0 && (b - 90.9).abs() < 2.0, "{l} {a} {b}");
        }
    }
}

#[test]
fn srgb_under_whatever_name_is_left_as_it_is() {
    let greyed = |colour: &Colour, scan: &ScanImage| colour.lightness(scan.clone());
    let mut png = Declared { srgb: true, ..Declared::default() };
    png.gamma = Some(0.45455);
    let cicp = Declared { cicp: Some(Cicp { primaries: 1, transfer: 13, full_range: true }), ..Declared::default() };
    let exif = Declared { exif_colour_space: Some(1), ..Declared::default() };
    let icc = declared(srgb_profile().to_vec());
    for (declared, basis) in [
        (Declared::default(), Basis::Assumed),
        (png, Basis::PngSrgb),
        (cicp, Basis::Cicp),
        (exif, Basis::Exif),
        (icc, Basis::Icc),
    ] {
        for scan in all_greys().into_iter().chain(colours(500)) {
            let colour = Colour::of(&declared, scan.channels(), scan.bit_depth());
            assert_eq!((colour.meaning().basis, colour.is_srgb()), (basis, true), "{basis}");
            if !scan.channels().is_rgb() {
                assert_eq!(greyed(&colour, &scan), scan, "{basis}");
            }
        }
    }
}

#[test]
fn pngs_own_chunks_are_understood() {
    let gamma = Declared { gamma: Some(1.0 / 1.8), ..Declared::default() };
    for scan in all_greys() {
        let colour = assert_lightness(&gamma, &scan, |pixel| lightness_of_luminance(pixel[0].powf(1.8)), 0.02);
        assert_eq!(colour.meaning().basis, Basis::PngGamma);
    }
    // The chromaticities of Adobe RGB.
    let wide = Declared {
        gamma: Some(256.0 / 563.0),
        chromaticities: Some([[0.3127, 0.3290], [0.64, 0.33], [0.21, 0.71], [0.15, 0.06]]),
        ..Declared::default()
    };
    let adobe = declared(ColorProfile::new_adobe_rgb().encode().unwrap());
    for scan in colours(1000) {
        let [one, other] = [&wide, &adobe]
            .map(|declared| lightness(&Colour::of(declared, scan.channels(), scan.bit_depth()).lightness(scan.clone())));
        assert!(one.iter().zip(&other).all(|(one, other)| (one - other).abs() < 0.05));
    }
    // cICP goes before everything else.
    let both = Declared { cicp: Some(Cicp { primaries: 1, transfer: 8, full_range: true }), srgb: true, ..Declared::default() };
    let [grey, _] = all_greys();
    assert_lightness(&both, &grey, |pixel| lightness_of_luminance(pixel[0]), 0.02);
}

#[test]
fn a_profile_of_tables_is_honoured() {
    // L* is the mean of the channels, a* and b* are 0: what tables can say exactly. The library's way through tables is off by up to
    // 0.06 near black.
    for tags in [&[*b"A2B0", *b"A2B1"][..], &[*b"A2B0"]] {
        tables_are_honoured(&declared(table_profile(tags)));
    }
}

fn tables_are_honoured(declared: &Declared) {
    for scan in colours(2000) {
        let wanted = |pixel: &[f64]| 100.0 * (pixel[0] + pixel[1] + pixel[2]) / 3.0;
        let colour = assert_lightness(declared, &scan, wanted, 0.08);
        assert_eq!(colour.meaning().name.as_deref(), Some("means"));
        let [l, a, b] = colour.lab([0.9, 0.3, 0.6]);
        assert!((l - 60.0).abs() < 0.05 && a.abs() < 0.05 && b.abs() < 0.05, "{l} {a} {b}");
    }
}

#[test]
fn a_profile_that_cannot_be_used_gives_way_to_an_assumption_that_is_stated() {
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let adobe = || ColorProfile::new_adobe_rgb().encode().unwrap();
    let grey = || ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    for (icc, channels, words) in [
        (b"no profile at all".to_vec(), Channels::Rgb, "broken"),
        (cut(adobe()), Channels::Rgb, "not used"),
        (grey(), Channels::Rgb, "not for RGB"),
        (vec![0; 64 << 20], Channels::Grey, "larger than any honest one"),
    ] {
        let colour = Colour::of(&declared(icc), channels, 8);
        let Meaning { basis, icc_sha256, oddities, .. } = colour.meaning();
        assert_eq!((*basis, colour.is_srgb()), (Basis::Assumed, true));
        assert!(icc_sha256.is_some(), "an auditor can still ask which profile it was");
        assert!(oddities.len() == 1 && oddities[0].contains(words), "{oddities:?}");
    }
    let hdr = Declared { cicp: Some(Cicp { primaries: 9, transfer: 16, full_range: true }), ..Declared::default() };
    assert!(Colour::of(&hdr, Channels::Rgb, 16).meaning().oddities[0].contains("transfer 16"));
    let narrow = Declared { cicp: Some(Cicp { primaries: 1, transfer: 13, full_range: false }), ..Declared::default() };
    assert!(Colour::of(&narrow, Channels::Rgb, 8).meaning().oddities[0].contains("narrow range"));
    let uncalibrated = Declared { exif_colour_space: Some(65_535), ..Declared::default() };
    assert!(Colour::of(&uncalibrated, Channels::Rgb, 8).meaning().oddities[0].contains("uncalibrated"));
    let gamma = Declared { gamma: Some(40.0), ..Declared::default() };
    assert!(Colour::of(&gamma, Channels::Grey, 8).meaning().oddities[0].contains("gAMA"));
}

/// An ICC profile, version 2, of the type mft2 (ICC.1:2001-04, 6.5.8): RGB to Lab, 17 grid points a side as scanners' have.
fn table_profile(tables: &[[u8; 4]]) -> Vec<u8> {
    let mut table = b"mft2\0\0\0\0".to_vec();
    // Three channels in, three out; the matrix is the identity.
    table.extend([3, 3, 17, 0]);
    for entry in [1_u32, 0, 0, 0, 1, 0, 0, 0, 1] {
        table.extend((entry << 16).to_be_bytes());
    }
    let mut numbers = |values: &[u16]| values.iter().for_each(|value| table.extend(value.to_be_bytes()));
    // Two entries in every curve.
    numbers(&[2, 2]);
    for _ in 0..3 {
        numbers(&[0, 0xFFFF]);
    }
    for (red, green, blue) in (0..17).flat_map(|r| (0..17).flat_map(move |g| (0..17).map(move |b| (r, g, b)))) {
        // In this type L* 100 is 0xFF00, and 0x8000 is no chroma.
        numbers(&[(0xFF00_u32 * (red + green + blue) / 48) as u16, 0x8000, 0x8000]);
    }
    for _ in 0..3 {
        numbers(&[0, 0xFFFF]);
    }
    let name = b"means\0";
    let mut description = b"desc\0\0\0\0".to_vec();
    description.extend((name.len() as u32).to_be_bytes());
    description.extend(name);
    // No Unicode and no Macintosh name.
    description.extend([0; 4 + 4 + 2 + 1 + 67]);
    description.resize(description.len().next_multiple_of(4), 0);
    let mut white = b"XYZ \0\0\0\0".to_vec();
    for value in [0.9642_f64, 1.0, 0.8249] {
        white.extend(((value * 65_536.0).round() as i32).to_be_bytes());
    }
    table.resize(table.len().next_multiple_of(4), 0);
    let mut tags = vec![(*b"desc", description), (*b"wtpt", white)];
    tags.extend(tables.iter().map(|tag| (*tag, table.clone())));
    let mut offset = 128 + 4 + 12 * tags.len();
    let mut directory = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data = Vec::new();
    for (tag, bytes) in tags {
        directory.extend(tag);
        directory.extend((offset as u32).to_be_bytes());
        directory.extend((bytes.len() as u32).to_be_bytes());
        offset += bytes.len();
        data.extend(bytes);
    }
    let mut header = vec![0; 128];
    header[..4].copy_from_slice(&(offset as u32).to_be_bytes());
    header[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    header[12..24].copy_from_slice(b"scnrRGB Lab ");
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&[0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D]);
    [header, directory, data].concat()
}
