//! TIFFs made by hand, tag by tag, in both byte orders.

use super::*;
use crate::codec::samples::picture;
use crate::codec::{Carried, Channels, DecodedScan, EncodeSettings, TiffCompression, decode, encode, read_header};
use crate::imaging::{Samples, Size};

pub(super) const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

/// A page: tags in any order, and the strips or tiles.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) big_endian: bool,
    tags: Vec<(u16, u16, Vec<u32>)>,
    chunks: Vec<Vec<u8>>,
}

impl Page {
    /// `bits` a sample, `samples` a pixel, in strips of `rows`.
    pub(super) fn new(size: (u32, u32), bits: u32, samples: u32, photometric: u32, rows: u32, chunks: Vec<Vec<u8>>) -> Self {
        let tags = vec![
            (256, LONG, vec![size.0]),
            (257, LONG, vec![size.1]),
            (258, SHORT, vec![bits; samples as usize]),
            (259, SHORT, vec![1]),
            (262, SHORT, vec![photometric]),
            (277, SHORT, vec![samples]),
            (278, LONG, vec![rows]),
        ];
        Self { big_endian: false, tags, chunks }
    }

    pub(super) fn with(mut self, tag: u16, kind: u16, values: &[u32]) -> Self {
        self.tags.retain(|(known, ..)| *known != tag);
        self.tags.push((tag, kind, values.to_vec()));
        self
    }

    /// Tags first, so that a cut file still has them.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut page = self.clone();
        let is_tiled = page.tags.iter().any(|(tag, ..)| *tag == 322);
        let (offsets, counts) = if is_tiled { (324, 325) } else { (273, 279) };
        let lengths: Vec<u32> = page.chunks.iter().map(|chunk| chunk.len() as u32).collect();
        if !page.tags.iter().any(|(tag, ..)| *tag == counts) {
            page = page.with(counts, LONG, &lengths);
        }
        page = page.with(offsets, LONG, &lengths);
        page.tags.sort();
        let width = |kind: u16| if kind == SHORT { 2 } else { 4 };
        let size = |(_, kind, values): &(u16, u16, Vec<u32>)| width(*kind) * values.len();
        let values_at = 8 + 2 + 12 * page.tags.len() + 4;
        let outside: usize = page.tags.iter().map(size).filter(|size| *size > 4).sum();
        let mut chunk_at = (values_at + outside) as u32;
        let chunk_offsets = lengths
            .iter()
            .map(|length| {
                chunk_at += length;
                chunk_at - length
            })
            .collect();
        page.tags.iter_mut().find(|(tag, ..)| *tag == offsets).unwrap().2 = chunk_offsets;
        let put = |bytes: &mut Vec<u8>, kind: u16, value: u32| match (kind, self.big_endian) {
            (SHORT, true) => bytes.extend((value as u16).to_be_bytes()),
            (SHORT, false) => bytes.extend((value as u16).to_le_bytes()),
            (_, true) => bytes.extend(value.to_be_bytes()),
            (_, false) => bytes.extend(value.to_le_bytes()),
        };
        let mut file = if self.big_endian { b"MM\0\x2A".to_vec() } else { b"II\x2A\0".to_vec() };
        put(&mut file, LONG, 8);
        put(&mut file, SHORT, page.tags.len() as u32);
        let mut values = Vec::new();
        for tag in &page.tags {
            put(&mut file, SHORT, tag.0.into());
            put(&mut file, SHORT, tag.1.into());
            put(&mut file, LONG, (tag.2.len() / if tag.1 == RATIONAL { 2 } else { 1 }) as u32);
            let mut own = Vec::new();
            tag.2.iter().for_each(|&value| put(&mut own, tag.1, value));
            if own.len() > 4 {
                put(&mut file, LONG, (values_at + values.len()) as u32);
                values.extend(own);
            } else {
                own.resize(4, 0);
                file.extend(own);
            }
        }
        put(&mut file, LONG, 0);
        file.extend(values);
        page.chunks.iter().for_each(|chunk| file.extend(chunk));
        file
    }
}

fn scan(page: &Page) -> Result<DecodedScan, DecodeError> {
    decode(&page.bytes(), &DecodeLimits::default())
}

fn eight(page: &Page) -> Vec<u8> {
    match scan(page).unwrap().image.into_samples() {
        Samples::U8(samples) => samples,
        Samples::U16(_) => panic!("8 bits were made"),
    }
}

fn sixteen(page: &Page) -> Vec<u16> {
    match scan(page).unwrap().image.into_samples() {
        Samples::U16(samples) => samples,
        Samples::U8(_) => panic!("16 bits were made"),
    }
}

/// 3 × 2 grey of 8 bits: 1 2 3 / 4 5 6, a row a strip.
fn small() -> Page {
    Page::new((3, 2), 8, 1, 1, 1, vec![vec![1, 2, 3], vec![4, 5, 6]])
}

#[test]
fn both_byte_orders_give_the_same_samples() {
    let values = [1_u16, 256, 65_535, 258, 4097, 0];
    let little = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let big = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    let mut page = Page::new((3, 2), 16, 1, 1, 2, vec![little]);
    assert_eq!(sixteen(&page), values);
    page.big_endian = true;
    page.chunks = vec![big];
    assert_eq!(sixteen(&page), values);
}

#[test]
fn white_is_zero_is_inverted() {
    let page = small().with(262, SHORT, &[0]);
    assert_eq!(eight(&page), [254, 253, 252, 251, 250, 249]);
    let page = Page::new((1, 1), 16, 1, 0, 1, vec![vec![1, 2]]);
    assert_eq!(sixteen(&page), [65_535 - 0x0201]);
}

#[test]
fn fewer_bits_than_eight_are_spread_over_the_range() {
    let row = |bits: u32, row: Vec<u8>| Page::new((3, 1), bits, 1, 1, 1, vec![row]);
    assert_eq!(eight(&row(1, vec![0b1010_0000])), [255, 0, 255]);
    assert_eq!(eight(&row(2, vec![0b0001_1100])), [0, 85, 255]);
    assert_eq!(eight(&row(4, vec![0x0F, 0x70])), [0, 255, 119]);
    assert_eq!(eight(&row(1, vec![0b1010_0000]).with(262, SHORT, &[0])), [0, 255, 0], "white is zero");
    let two_rows = Page::new((9, 2), 1, 1, 1, 2, vec![vec![0x80, 0x80, 0x00, 0x00]]);
    let mut expected = vec![0; 18];
    (expected[0], expected[8]) = (255, 255);
    assert_eq!(eight(&two_rows), expected, "rows end with whole bytes");
}

#[test]
fn tiles_are_put_together() {
    // 20 × 18 in tiles of 16 × 16: two across, two down, padded to the right and below.
    let value = |x: u32, y: u32| (x * 11 + y * 3) as u8;
    let tile = |left: u32, top: u32| (0..16).flat_map(|y| (0..16).map(move |x| value(left + x, top + y))).collect();
    let mut page = Page::new((20, 18), 8, 1, 1, 1, vec![tile(0, 0), tile(16, 0), tile(0, 16), tile(16, 16)]);
    page.tags.retain(|(tag, ..)| *tag != 278);
    let page = page.with(322, SHORT, &[16]).with(323, SHORT, &[16]);
    let expected: Vec<u8> = (0..18).flat_map(|y| (0..20).map(move |x| value(x, y))).collect();
    assert_eq!(eight(&page), expected);
}

#[test]
fn tiles_of_planes_are_put_together_where_they_are_padded() {
    for (depth, size) in [(8, (20, 18)), (16, (20, 18)), (8, (16, 32)), (8, (5, 7))] {
        let value = |x: u32, y: u32, plane: u32| x * 11 + y * 3 + plane * 70;
        let mut chunks = Vec::new();
        for plane in 0..3 {
            for (top, left) in (0..size.1).step_by(16).flat_map(|top| (0..size.0).step_by(16).map(move |left| (top, left))) {
                let tile = (0..16).flat_map(|y| (0..16).map(move |x| value(left + x, top + y, plane)));
                chunks.push(tile.flat_map(|value| value.to_le_bytes()[..depth as usize / 8].to_vec()).collect());
            }
        }
        let mut page = Page::new(size, depth, 3, 2, 1, chunks).with(284, SHORT, &[2]);
        page.tags.retain(|(tag, ..)| *tag != 278);
        let page = page.with(322, SHORT, &[16]).with(323, SHORT, &[16]);
        let wanted = (0..size.1).flat_map(|y| (0..size.0).flat_map(move |x| (0..3).map(move |plane| value(x, y, plane))));
        match depth {
            8 => assert_eq!(eight(&page), wanted.map(|value| value as u8).collect::<Vec<_>>(), "{size:?}"),
            _ => assert_eq!(sixteen(&page), wanted.map(|value| value as u16).collect::<Vec<_>>(), "{size:?}"),
        }
    }
}

#[test]
fn planes_are_interleaved() {
    let page =
        Page::new((2, 2), 8, 3, 2, 1, vec![vec![1, 2], vec![3, 4], vec![11, 12], vec![13, 14], vec![21, 22], vec![23, 24]]);
    let page = page.with(284, SHORT, &[2]);
    assert_eq!(eight(&page), [1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24]);
    let header = read_header(&page.bytes(), &DecodeLimits::default()).unwrap();
    assert!(header.in_bands && header.scratch_bytes == 2 * header.picture_bytes(), "one band, as stored and as it becomes");
    // A fourth plane of no known meaning is left out.
    let mut extra = page.with(258, SHORT, &[8; 4]).with(277, SHORT, &[4]).with(338, SHORT, &[0]);
    extra.chunks.extend([vec![31, 32], vec![33, 34]]);
    assert_eq!(eight(&extra), [1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24]);
}

#[test]
fn alpha_is_kept_and_other_samples_are_left_out() {
    let grey = Page::new((2, 1), 8, 2, 1, 1, vec![vec![10, 255, 20, 128]]);
    let found = scan(&grey.clone().with(338, SHORT, &[2])).unwrap();
    assert_eq!((found.header.channels, found.image.samples()), (Channels::GreyAlpha, &Samples::U8(vec![10, 255, 20, 128])));
    let infrared = scan(&grey.clone().with(338, SHORT, &[0])).unwrap();
    assert_eq!((infrared.header.channels, infrared.image.samples()), (Channels::Grey, &Samples::U8(vec![10, 20])));
    let rgb = Page::new((2, 1), 8, 4, 2, 1, vec![vec![1, 2, 3, 99, 4, 5, 6, 98]]);
    assert_eq!(eight(&rgb.clone().with(338, SHORT, &[2])), [1, 2, 3, 99, 4, 5, 6, 98]);
    assert_eq!(eight(&rgb.clone().with(338, SHORT, &[0])), [1, 2, 3, 4, 5, 6]);
    assert_eq!(scan(&rgb).unwrap().header.channels, Channels::Rgba, "without a word of meaning it is alpha");
}

#[test]
fn alpha_multiplied_into_the_colour_is_divided_out() {
    let page = Page::new((4, 1), 8, 2, 1, 1, vec![vec![50, 128, 77, 255, 9, 0, 200, 100]]).with(338, SHORT, &[1]);
    // 50 ÷ (128 ÷ 255) = 99.6; opaque and fully transparent pixels stay; more colour than alpha allows is full.
    assert_eq!(eight(&page), [100, 128, 77, 255, 9, 0, 255, 100]);
}

#[test]
fn every_orientation_is_applied_once_and_nonsense_not_at_all() {
    for (orientation, width, expected) in crate::codec::orientation::tests::TURNED {
        let page =
            small().with(274, SHORT, &[orientation.into()]).with(282, RATIONAL, &[300, 1]).with(283, RATIONAL, &[6000, 10]);
        let found = scan(&page).unwrap();
        assert_eq!((found.orientation, found.image.size()), (orientation, Size::new(width, 6 / width)));
        assert_eq!(found.image.samples(), &Samples::U8(expected.to_vec()), "{orientation}");
        let dpi = if width == 2 { (600.0, 300.0) } else { (300.0, 600.0) };
        assert_eq!(found.dpi, Some(dpi), "inches are meant where no unit is given");
    }
    let found = scan(&small().with(274, SHORT, &[12])).unwrap();
    assert_eq!((found.orientation, found.image.size()), (1, Size::new(3, 2)));
}

#[test]
fn resolutions_have_units() {
    let page = small().with(282, RATIONAL, &[100, 1]).with(283, RATIONAL, &[100, 1]);
    assert_eq!(scan(&page.clone().with(296, SHORT, &[3])).unwrap().dpi, Some((254.0, 254.0)));
    assert_eq!(scan(&page.clone().with(296, SHORT, &[1])).unwrap().dpi, None);
    assert_eq!(scan(&page.with(282, RATIONAL, &[100, 0])).unwrap().dpi, None);
    let page = small().with(282, SHORT, &[600]).with(283, LONG, &[300]);
    assert_eq!(scan(&page).unwrap().dpi, Some((600.0, 300.0)), "whole numbers are numbers too");
}

#[test]
fn what_cannot_be_used_of_resolution_and_orientation_is_told() {
    const ASCII: u16 = 2;
    let told = |page: Page| scan(&page).unwrap().metadata.dropped.into_words();
    let sides = |kind: u16, values: &[u32]| small().with(282, kind, values).with(283, kind, values);
    assert_eq!(told(small()), [""; 0]);
    assert_eq!(told(sides(RATIONAL, &[300, 1]).with(296, SHORT, &[1])), [""; 0], "a mere shape of pixels");
    for (page, words) in [
        (sides(RATIONAL, &[0, 1]), "resolution: 0 pixels"),
        (sides(RATIONAL, &[600, 0]), "resolution: (no number) pixels"),
        (sides(ASCII, &[54]), "resolution: (no number) pixels"),
        (sides(RATIONAL, &[300, 1]).with(296, SHORT, &[77]), "unit 77"),
        (small().with(274, SHORT, &[9]), "orientation: 9 is none"),
        (small().with(274, ASCII, &[54]), "orientation: it is no number"),
    ] {
        let told = told(page);
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:?}");
    }
}

#[test]
fn a_huge_header_is_rejected_before_anything_is_decoded() {
    let page = Page::new((25_000, 20_000), 8, 1, 1, 20_000, vec![vec![0; 100]]);
    let error = read_header(&page.bytes(), &DecodeLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "25000×20000 pixels are more than the limit of 400 megapixels");
}

#[test]
fn every_cut_is_rejected() {
    let bytes = small().bytes();
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length], &DecodeLimits::default()).is_err(), "{length} of {}", bytes.len());
    }
    for compression in [TiffCompression::None, TiffCompression::Lzw, TiffCompression::Deflate] {
        let settings = EncodeSettings { tiff_compression: compression, ..EncodeSettings::default() };
        let image = picture(120, 80, Channels::Rgb, 16);
        let bytes = encode(&image, Format::Tiff, &settings, &Carried::default()).unwrap();
        for length in
            [25, 50, 75, 95, 99].map(|percent| bytes.len() * percent / 100).into_iter().chain(bytes.len() - 30..bytes.len())
        {
            let error = decode(&bytes[..length], &DecodeLimits::default()).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { .. }), "{compression}, {length}: {error:?}");
        }
    }
}

#[test]
fn a_strip_that_is_too_short_or_not_there_is_rejected() {
    // Bytes where 16-bit entries should be.
    assert_eq!(
        eight(&indexed(1, vec![0x40, 0x80], |channel, index| index * (255 - channel))),
        [0, 0, 0, 255, 254, 253, 255, 254, 253, 0, 0, 0]
    );
    let alpha = indexed(8, vec![0, 1, 2, 3], |_, index| index).with(258, SHORT, &[8, 8]).with(277, SHORT, &[2]);
    assert!(scan(&alpha).unwrap_err().to_string().contains("palette with extra samples"));
    let short = small().with(279, LONG, &[3, 2]);
    let error = scan(&short).unwrap_err();
    assert!(matches!(error, DecodeError::Truncated { .. }), "the next bytes of the file are not its third: {error:?}");
    let beyond = small().with(279, LONG, &[3, 4]);
    assert!(matches!(scan(&beyond), Err(DecodeError::Truncated { .. })));
    let far = small().with(279, LONG, &[3, u32::MAX]);
    assert!(matches!(scan(&far), Err(DecodeError::Truncated { .. })));
    let mut missing = small();
    missing.chunks.pop();
    assert!(matches!(scan(&missing), Err(DecodeError::Damaged { .. })));
}

#[test]
fn compressed_data_that_ends_early_is_rejected() {
    // PackBits: a run of 3, then a run that the strip does not hold.
    let page = Page::new((6, 1), 8, 1, 1, 1, vec![vec![0xFE, 7]]).with(259, SHORT, &[32_773]);
    assert!(scan(&page).is_err());
    let mut whole = page;
    whole.chunks = vec![vec![0xFE, 7, 0x02, 1, 2, 3]];
    assert_eq!(eight(&whole), [7, 7, 7, 1, 2, 3]);
}

#[test]
fn what_is_not_supported_says_so() {
    let rgb = || Page::new((2, 1), 8, 3, 2, 1, vec![vec![1, 2, 3, 4, 5, 6]]);
    let grey = |bits: u32| Page::new((2, 1), bits, 1, 1, 1, vec![vec![0; 64]]);
    for (page, word) in [
        (rgb().with(262, SHORT, &[8]), "CIELab"),
        (rgb().with(262, SHORT, &[6]), "YCbCr"),
        (Page::new((1, 1), 8, 4, 5, 1, vec![vec![0; 4]]).with(332, SHORT, &[2]), "inks other than"),
        (Page::new((1, 1), 8, 5, 5, 1, vec![vec![0; 5]]), "CMYK of 5 samples"),
        (grey(64), "64 bits"),
        (grey(12), "12 bits"),
        (grey(24).with(339, SHORT, &[3]), "floating-point"),
        (grey(16).with(339, SHORT, &[2]), "signed"),
        (grey(1).with(266, SHORT, &[2]), "FillOrder"),
        (grey(16).with(259, SHORT, &[7]), "JPEG inside TIFF"),
        (small().with(259, SHORT, &[3]), "CCITT Group 3"),
        (small().with(259, SHORT, &[6]), "old style"),
        (small().with(259, SHORT, &[34_887]), "LERC"),
        (small().with(254, LONG, &[1]), "reduced copy"),
        (Page::new((1, 1), 8, 2, 0, 1, vec![vec![0; 2]]).with(338, SHORT, &[2]), "inverted"),
        (Page::new((1, 1), 8, 4, 2, 1, vec![vec![0; 4]]).with(338, SHORT, &[0]).with(317, SHORT, &[2]), "predictor"),
    ] {
        let bytes = page.bytes();
        for error in
            [read_header(&bytes, &DecodeLimits::default()).unwrap_err(), decode(&bytes, &DecodeLimits::default()).unwrap_err()]
        {
            assert!(matches!(error, DecodeError::Unsupported { .. }), "{word}: {error:?}");
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
}

#[test]
fn the_first_page_is_the_scan() {
    let image = picture(40, 30, Channels::Rgb, 8);
    let first = encode(&image, Format::Tiff, &EncodeSettings::default(), &Carried::default()).unwrap();
    // The link to the next page is the last thing the library writes.
    let mut two = first.clone();
    let end = two.len();
    two[end - 4..].copy_from_slice(&(end as u32).to_le_bytes());
    two.extend([0; 6]);
    assert_eq!(decode(&two, &DecodeLimits::default()).unwrap().image, image);
}

/// Four indices under a palette of `bits`, whose entries are `entry` times their index and channel.
fn indexed(bits: u32, indices: Vec<u8>, entry: impl Fn(u32, u32) -> u32) -> Page {
    let map: Vec<u32> =
        (0..3).flat_map(|channel| (0..1 << bits).map(move |index| (channel, index))).map(|(c, i)| entry(c, i)).collect();
    Page::new((2, 2), bits, 1, 3, 2, vec![indices]).with(320, SHORT, &map)
}

#[test]
fn indices_become_the_colours_of_their_palette() {
    for big_endian in [false, true] {
        let mut page = indexed(8, vec![0, 1, 2, 200], |channel, index| 257 * (index / (channel + 1)));
        page.big_endian = big_endian;
        let found = scan(&page).unwrap();
        assert_eq!((found.image.channels(), found.header.channels, found.header.bit_depth), (Channels::Rgb, Channels::Rgb, 8));
        assert_eq!(eight(&page), [0, 0, 0, 1, 0, 0, 2, 1, 0, 200, 100, 66]);
    }
    // Four bits, rows padded to bytes; entries that 8 bits do not hold.
    let page = indexed(4, vec![0x01, 0xF2], |channel, index| index * 1000 + channel);
    assert_eq!(sixteen(&page), [0, 1, 2, 1000, 1001, 1002, 15_000, 15_001, 15_002, 2000, 2001, 2002]);
    // As some write it, 256 times the byte.
    assert_eq!(eight(&indexed(1, vec![0x40, 0x80], |_, index| index * 0xFF00)), [0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0]);
    // Bytes where 16-bit entries should be.
    assert_eq!(
        eight(&indexed(1, vec![0x40, 0x80], |channel, index| index * (255 - channel))),
        [0, 0, 0, 255, 254, 253, 255, 254, 253, 0, 0, 0]
    );
    let alpha = indexed(8, vec![0, 1, 2, 3], |_, index| index).with(258, SHORT, &[8, 8]).with(277, SHORT, &[2]);
    assert!(scan(&alpha).unwrap_err().to_string().contains("palette with extra samples"));
    let short = small().with(262, SHORT, &[3]).with(320, SHORT, &[1, 2, 3]);
    assert!(matches!(scan(&short), Err(DecodeError::Damaged { .. })));
}

#[test]
fn wide_and_floating_samples_become_sixteen_bits() {
    let whole: Vec<u8> = [0_u32, u32::MAX, 0x8000_0000, 65_537 * 3].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(sixteen(&Page::new((2, 2), 32, 1, 1, 2, vec![whole])), [0, 65_535, 32_768, 3]);
    let floats = |values: [f32; 4]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Page::new((2, 2), 32, 1, 1, 2, vec![bytes]).with(339, SHORT, &[3])
    };
    assert_eq!(sixteen(&floats([0.0, 1.0, 0.5, 1.000_05])), [0, 65_535, 32_768, 65_535]);
    let halves: Vec<u8> = [0x3C00_u16, 0x3800].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(sixteen(&Page::new((2, 1), 16, 1, 1, 1, vec![halves]).with(339, SHORT, &[3])), [65_535, 32_768]);
    // A scale that the file does not tell, and no numbers at all.
    let error = scan(&floats([0.0, 255.0, 3.0, 4.0])).unwrap_err();
    assert!(matches!(&error, DecodeError::Unsupported { .. }) && error.to_string().contains("outside 0 to 1"), "{error}");
    assert!(matches!(scan(&floats([0.0, f32::NAN, 0.1, 0.2])), Err(DecodeError::Damaged { .. })));
}

#[test]
fn a_preview_in_front_is_passed_over_and_named() {
    use tiff::encoder::{TiffEncoder, colortype::Gray8};
    let mut file = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut preview = encoder.new_image::<Gray8>(2, 1).unwrap();
    preview.encoder().write_tag(Tag::NewSubfileType, 1_u32).unwrap();
    preview.write_data(&[1, 2]).unwrap();
    encoder.write_image::<Gray8>(3, 2, &[10, 20, 30, 40, 50, 60]).unwrap();
    encoder.write_image::<Gray8>(4, 1, &[0; 4]).unwrap();
    let bytes = file.into_inner();
    let found = decode(&bytes, &DecodeLimits::default()).unwrap();
    assert_eq!((found.header.size, found.image.samples()), (Size::new(3, 2), &Samples::U8(vec![10, 20, 30, 40, 50, 60])));
    assert_eq!(found.other_pages, ["page 1: 2×1 pixels, a reduced copy", "page 3: 4×1 pixels"]);
}

#[test]
fn a_file_that_is_cut_is_told_in_words() {
    let bytes = small().bytes();
    let told = format!("{:#}", anyhow::Error::from(decode(&bytes[..20], &DecodeLimits::default()).unwrap_err()));
    assert!(told.contains("lies beyond its end") && !told.contains("buffer"), "{told}");
}
