//! Small files that OpenJPEG has written without loss.

use super::*;
use crate::codec::{decode, read_header};
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
