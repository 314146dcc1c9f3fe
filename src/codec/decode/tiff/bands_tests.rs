//! Pictures of several bands: whatever the strips, the samples are those of the picture.

use super::tests::{Page, SHORT};
use crate::codec::samples::picture;
use crate::codec::{Channels, DecodeError, DecodeLimits, Keep, decode, read, read_header};
use crate::imaging::metrics::lightness_difference;
use crate::imaging::{Rect, Samples, ScanImage, Size, features_of, lab::srgb_to_lab};

const SIZE: (u32, u32) = (800, 1000);

/// Strips of so many rows, or of planes.
fn strips(image: &ScanImage, rows: u32, big_endian: bool, planar: bool) -> Vec<Vec<u8>> {
    let count = image.channels().count();
    let bytes = |sample: &u16| if big_endian { sample.to_be_bytes() } else { sample.to_le_bytes() };
    let Samples::U16(samples) = image.samples() else { panic!("made of 16 bits") };
    let cut = |samples: &[u16], row: usize| -> Vec<Vec<u8>> {
        samples.chunks(row * rows as usize).map(|strip| strip.iter().flat_map(bytes).collect()).collect()
    };
    if !planar {
        return cut(samples, SIZE.0 as usize * count);
    }
    let plane = |channel: usize| samples[channel..].iter().step_by(count).copied().collect::<Vec<_>>();
    (0..count).flat_map(|channel| cut(&plane(channel), SIZE.0 as usize)).collect()
}

fn page(image: &ScanImage, rows: u32, big_endian: bool, planar: bool) -> Page {
    let (samples, photometric) = if image.channels() == Channels::Grey { (1, 1) } else { (3, 2) };
    let mut page = Page::new(SIZE, 16, samples, photometric, rows, strips(image, rows, big_endian, planar));
    page.big_endian = big_endian;
    if planar { page.with(284, SHORT, &[2]) } else { page }
}

fn inverted(image: &ScanImage) -> ScanImage {
    let Samples::U16(samples) = image.samples() else { panic!("made of 16 bits") };
    let samples = samples.iter().map(|sample| 65_535 - sample).collect();
    ScanImage::new(image.size(), image.channels(), Samples::U16(samples)).unwrap()
}

#[test]
fn strips_of_every_height_in_both_byte_orders_give_the_picture() {
    for channels in [Channels::Grey, Channels::Rgb] {
        let image = picture(SIZE.0, SIZE.1, channels, 16);
        // One row, some, more than a band, all, and more than there are.
        for rows in [1, 37, 700, 1000, 5000] {
            for big_endian in [false, true] {
                for planar in [false, true] {
                    let bytes = page(&image, rows, big_endian, planar).bytes();
                    let found = decode(&bytes, &DecodeLimits::default()).unwrap();
                    assert!(found.image == image, "{channels:?}, strips of {rows}, big-endian {big_endian}, planar {planar}");
                }
            }
        }
        let white_is_zero = page(&image, 37, false, false).with(262, SHORT, &[0]);
        if channels == Channels::Grey {
            assert!(decode(&white_is_zero.bytes(), &DecodeLimits::default()).unwrap().image == inverted(&image));
        }
    }
}

#[test]
fn what_is_kept_of_a_scan_in_bands_is_what_its_whole_picture_says() {
    for (orientation, turned) in [(1, false), (6, true)] {
        let image = picture(SIZE.0, SIZE.1, Channels::Rgb, 16);
        let bytes = page(&image, 37, false, false).with(274, SHORT, &[orientation]).bytes();
        let whole = decode(&bytes, &DecodeLimits::default()).unwrap();
        let found = read(&bytes, &DecodeLimits::default(), Keep::Lightness).unwrap();
        let lightness = &found.scan.image;
        assert_eq!((lightness.channels(), lightness.size()), (Channels::Grey, whole.image.size()));
        assert_eq!(lightness.size() == Size::new(SIZE.1, SIZE.0), turned);
        assert!(lightness_difference(lightness, &whole.image).unwrap().max < 0.002);
        let part = Rect { left: 40, top: 30, width: 700, height: 750 };
        // A scan below 1024 pixels is its own copy.
        assert_eq!(found.features(part), features_of(&whole.image, part, srgb_to_lab));
        let samples = read(&bytes, &DecodeLimits::default(), Keep::SrgbSamples).unwrap();
        assert!(samples.scan.image == whole.image && samples.copy.is_none());
    }
}

#[test]
fn a_scan_in_bands_is_never_whole_in_memory_by_its_header() {
    let image = picture(SIZE.0, SIZE.1, Channels::Rgb, 16);
    let header = |page: &Page| read_header(&page.bytes(), &DecodeLimits::default()).unwrap();
    let plain = header(&page(&image, 1000, false, false));
    assert!(plain.in_bands && plain.lightness_bytes() == plain.picture_bytes() / 3);
    // Deflate in one strip has to be decoded as one.
    let packed = header(&page(&image, 1000, false, false).with(259, SHORT, &[8]));
    assert!(packed.scratch_bytes >= 2 * packed.picture_bytes() && plain.scratch_bytes <= packed.scratch_bytes);
}

#[test]
fn strips_that_are_missing_or_without_rows_are_refused() {
    let image = picture(SIZE.0, SIZE.1, Channels::Rgb, 16);
    let mut chunks = strips(&image, 100, false, false);
    chunks.truncate(9);
    for page in [Page::new(SIZE, 16, 3, 2, 100, chunks.clone()), Page::new(SIZE, 16, 3, 2, 0, chunks)] {
        let error = decode(&page.bytes(), &DecodeLimits::default()).unwrap_err();
        assert!(matches!(error, DecodeError::Damaged { .. }), "{error}");
        assert!(read_header(&page.bytes(), &DecodeLimits::default()).is_err());
    }
}

#[test]
fn a_strip_filled_up_to_its_rows_and_a_word_more_is_whole() {
    let image = picture(SIZE.0, SIZE.1, Channels::Grey, 16);
    let Samples::U16(samples) = image.samples() else { panic!("made of 16 bits") };
    let plain: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    // As PackBits stores what does not repeat.
    let packed = |bytes: &[u8]| bytes.chunks(128).flat_map(|part| [&[part.len() as u8 - 1], part].concat()).collect::<Vec<u8>>();
    for (rows, more) in [(1000, 0), (1000, 4), (1200, 200 * 1600), (1200, 0)] {
        let filled = [&plain[..], &vec![0; more]].concat();
        let page = Page::new(SIZE, 16, 1, 1, rows, vec![packed(&filled)]).with(259, SHORT, &[32_773]);
        assert!(decode(&page.bytes(), &DecodeLimits::default()).unwrap().image == image, "{rows} rows, {more} bytes more");
    }
    let garbled = [&plain[..], &[9; 500]].concat();
    let page = Page::new(SIZE, 16, 1, 1, 1000, vec![packed(&garbled)]).with(259, SHORT, &[32_773]);
    assert!(decode(&page.bytes(), &DecodeLimits::default()).is_err());
}
