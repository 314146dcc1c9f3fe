//! Small files that OpenJPEG has written without loss.

use super::*;
use crate::codec::samples::exif_block;
use crate::codec::{decode, read_header};
use crate::colour::{Basis, Colour, srgb_profile};
use crate::imaging::Size;

const GREY_8: &[u8] = include_bytes!("../../../../tests/fixtures/jpeg2000/grey8.jp2");
const GREY_16: &[u8] = include_bytes!("../../../../tests/fixtures/jpeg2000/grey16.jp2");
const RGB_8: &[u8] = include_bytes!("../../../../tests/fixtures/jpeg2000/rgb8.jp2");

const SIZE: Size = Size::new(23, 17);

fn pixels<T>(of: impl Fn(u32, u32) -> T) -> Vec<T> {
    (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y))).map(|(x, y)| of(x, y)).collect()
}

#[test]
fn every_sample_comes_back_at_its_own_depth() {
    let grey = pixels(|x, y| (x * 11 + y * 7) as u8);
    let wide = pixels(|x, y| (x * 2803 + y * 1741) as u16);
    let rgb = pixels(|x, y| [0, 40, 80].map(|shift| (x * 11 + y * 7 + shift) as u8)).concat();
    for (bytes, channels, samples) in [
        (GREY_8, Channels::Grey, Samples::U8(grey)),
        (GREY_16, Channels::Grey, Samples::U16(wide)),
        (RGB_8, Channels::Rgb, Samples::U8(rgb)),
    ] {
        let header = read_header(bytes, &DecodeLimits::default()).unwrap();
        assert_eq!((header.format, header.size, header.channels), (Format::Jpeg2000, SIZE, channels));
        assert_eq!(header.bit_depth, samples.bit_depth());
        let found = decode(bytes, &DecodeLimits::default()).unwrap();
        assert_eq!(found.image, ScanImage::new(SIZE, channels, samples).unwrap());
        assert!(found.metadata.dropped.into_words().is_empty());
    }
}

#[test]
fn a_file_that_ends_anywhere_but_at_its_end_is_an_error() {
    for bytes in [GREY_8, GREY_16, RGB_8] {
        for cut in 12..bytes.len() {
            let error = decode(&bytes[..cut], &DecodeLimits::default()).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { .. } | DecodeError::Damaged { .. }), "at {cut}: {error:?}");
        }
    }
}

#[test]
fn a_codestream_by_itself_is_read_and_must_end_as_one() {
    let start = GREY_8.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51]).unwrap();
    let bare = &GREY_8[start..];
    assert_eq!(decode(bare, &DecodeLimits::default()).unwrap().image, decode(GREY_8, &DecodeLimits::default()).unwrap().image);
    for cut in 4..bare.len() {
        decode(&bare[..cut], &DecodeLimits::default()).unwrap_err();
    }
}

#[test]
fn the_limit_holds_and_spaces_that_would_come_out_wrong_are_named() {
    let error = read_header(GREY_8, &DecodeLimits { max_pixels: 390 }).unwrap_err();
    assert!(error.to_string().contains("23×17"), "{error}");
    let colr = RGB_8.windows(4).position(|four| four == b"colr").unwrap();
    let mut lab = RGB_8.to_vec();
    lab[colr + 10] = 14;
    assert!(read_header(&lab, &DecodeLimits::default()).unwrap_err().to_string().contains("CIELab"));
    let size = GREY_8.windows(2).position(|two| two == [0xFF, 0x51]).unwrap();
    for (at, value, word) in [(40, 0x87, "signed"), (40, 23, "24 bits"), (39, 40, "40 components")] {
        let mut bytes = GREY_8.to_vec();
        bytes[size + at] = value;
        let told = read_header(&bytes, &DecodeLimits::default()).unwrap_err().to_string();
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn a_tile_that_is_missing_is_an_error_and_so_are_tiles_without_number() {
    let size = GREY_8.windows(2).position(|two| two == [0xFF, 0x51]).unwrap();
    let with_tiles_of = |width: u32| {
        let mut bytes = GREY_8.to_vec();
        bytes[size + 22..size + 26].copy_from_slice(&width.to_be_bytes());
        decode(&bytes, &DecodeLimits::default())
    };
    // Two tiles of 12 pixels, of which one is there; none at all.
    assert!(matches!(with_tiles_of(12), Err(DecodeError::Truncated { .. })));
    assert!(matches!(with_tiles_of(0), Err(DecodeError::Damaged { .. })));
    let mut bytes = GREY_8.to_vec();
    for at in [6, 10] {
        bytes[size + at..size + at + 4].copy_from_slice(&20_000_u32.to_be_bytes());
    }
    for at in [22, 26] {
        bytes[size + at..size + at + 4].copy_from_slice(&1_u32.to_be_bytes());
    }
    assert!(matches!(decode(&bytes, &DecodeLimits::default()), Err(DecodeError::Damaged { .. })));
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), &kind[..], content].concat()
}

/// The file with another colour box, and more boxes behind it in the header.
fn with_header(file: &[u8], colr: Option<&[u8]>, more: &[u8]) -> Vec<u8> {
    let at = |kind: &[u8; 4]| file.windows(4).position(|four| four == kind).unwrap() - 4;
    let (header, old, codestream) = (at(b"jp2h"), at(b"colr"), at(b"jp2c"));
    let colr = colr.map_or_else(|| file[old..codestream].to_vec(), |colr| boxed(b"colr", colr));
    let inner = [&file[header + 8..old], &colr, more].concat();
    [&file[..header], &boxed(b"jp2h", &inner), &file[codestream..]].concat()
}

fn scan(bytes: &[u8]) -> crate::codec::DecodedScan {
    decode(bytes, &DecodeLimits::default()).unwrap()
}

#[test]
fn a_profile_is_handed_over_whether_it_suits_the_samples_or_not() {
    let mut for_inks = srgb_profile().to_vec();
    for_inks[16..20].copy_from_slice(b"CMYK");
    for (file, method, profile, is_used) in [
        (RGB_8, 2, srgb_profile(), true),
        (RGB_8, 3, srgb_profile(), true),
        // Neutrals of the profile, as in every other format.
        (GREY_8, 2, srgb_profile(), true),
        (GREY_8, 2, &for_inks, false),
        (RGB_8, 2, &for_inks, false),
        (RGB_8, 2, b"no profile", false),
        (GREY_16, 2, b"", false),
    ] {
        let found = scan(&with_header(file, Some(&[&[method, 0, 0], profile].concat()), &[]));
        assert_eq!(found.image, scan(file).image, "samples are as they are stored");
        assert_eq!(found.declared.icc.as_deref(), Some(profile));
        let colour = Colour::of(&found.declared, found.image.channels(), found.image.bit_depth());
        let meaning = colour.meaning();
        assert_eq!((meaning.basis, meaning.oddities.is_empty()), (if is_used { Basis::Icc } else { Basis::Assumed }, is_used));
    }
    assert_eq!(scan(RGB_8).declared.icc, None);
}

#[test]
fn the_last_tile_part_may_run_up_to_the_end_marker() {
    for file in [GREY_8, GREY_16, RGB_8] {
        let start = file.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51]).unwrap();
        let part = file.windows(2).position(|two| two == [0xFF, 0x90]).unwrap();
        let mut open = file.to_vec();
        open[part + 6..part + 10].fill(0);
        assert_eq!(scan(&open).image, scan(file).image);
        read_header(&open, &DecodeLimits::default()).unwrap();
        let bare = &open[start..];
        assert_eq!(scan(bare).image, scan(file).image);
        for cut in 4..bare.len() {
            assert!(decode(&bare[..cut], &DecodeLimits::default()).is_err(), "at {cut} of {}", bare.len());
        }
        // Whatever follows, the end marker is no longer where it must be.
        let longer = [bare, b"more"].concat();
        assert!(matches!(decode(&longer, &DecodeLimits::default()), Err(DecodeError::Truncated { .. })));
    }
}

#[test]
fn a_resolution_that_cannot_be_used_is_told() {
    // Vertical and horizontal pixels a metre as fractions, and powers of ten for both.
    let resolution = |kind: &[u8; 4], [v, vd, h, hd]: [u16; 4], [ve, he]: [i8; 2]| {
        let numbers = [v, vd, h, hd].map(u16::to_be_bytes).concat();
        boxed(kind, &[&numbers[..], &[ve.cast_unsigned(), he.cast_unsigned()]].concat())
    };
    let read = |boxes: &[Vec<u8>]| {
        let found = scan(&with_header(GREY_8, None, &boxed(b"res ", &boxes.concat())));
        (found.dpi.map(|(x, y)| (x.round(), y.round())), found.metadata.dropped.into_words())
    };
    let sound = resolution(b"resd", [30_000, 254, 60_000, 254], [2, 2]);
    assert_eq!(read(std::slice::from_ref(&sound)), (Some((600.0, 300.0)), vec![]));
    for bad in
        [([0, 0, 0, 0], [0, 0]), ([600, 0, 600, 0], [0, 0]), ([600, 1, 600, 1], [127, 127]), ([600, 1, 600, 1], [-128, -128])]
    {
        let bad = resolution(b"resc", bad.0, bad.1);
        let (dpi, words) = read(std::slice::from_ref(&bad));
        assert!(dpi.is_none() && words.len() == 1 && words[0].contains("resolution"), "{words:?}");
        let (dpi, words) = read(&[bad, sound.clone()]);
        assert_eq!((dpi, words.len()), (Some((600.0, 300.0)), 1), "that for a screen is better than none");
    }
    let exif = boxed(b"uuid", &[b"JpgTiffExif->JP2", &exif_block(9, Some((0, 0)))[..]].concat());
    let words = scan(&[GREY_8, &exif].concat()).metadata.dropped.into_words();
    assert!(words.len() == 2 && words[0].contains("orientation: 9") && words[1].contains("resolution: 0 pixels"), "{words:?}");
}
