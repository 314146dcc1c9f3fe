//! PNGs made by hand, chunk by chunk.

use super::*;
use crate::codec::samples::exif_block;
use crate::codec::{DecodedScan, decode, read_header};

/// What a test wants in its file; the picture's bytes are filter bytes and samples, pass by pass.
#[derive(Clone)]
struct Recipe {
    size: (u32, u32),
    depth: u8,
    color: u8,
    interlaced: bool,
    before: Vec<(&'static [u8; 4], Vec<u8>)>,
    data: Vec<u8>,
}

impl Recipe {
    fn new(size: (u32, u32), depth: u8, color: u8, data: Vec<u8>) -> Self {
        Self { size, depth, color, interlaced: false, before: Vec::new(), data }
    }

    fn with(mut self, kind: &'static [u8; 4], data: &[u8]) -> Self {
        self.before.push((kind, data.to_vec()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes_around(&zlib(&self.data))
    }

    fn bytes_around(&self, picture: &[u8]) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(self.size.0.to_be_bytes());
        header.extend(self.size.1.to_be_bytes());
        header.extend([self.depth, self.color, 0, 0, self.interlaced.into()]);
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.extend(chunk(b"IHDR", &header));
        self.before.iter().for_each(|(kind, data)| file.extend(chunk(kind, data)));
        // Two chunks of data: a file of one could hide that they are joined.
        let (one, other) = picture.split_at(picture.len() / 2);
        file.extend(chunk(b"IDAT", one));
        file.extend(chunk(b"IDAT", other));
        file.extend(chunk(b"IEND", &[]));
        file
    }
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    [&(data.len() as u32).to_be_bytes()[..], &body, &crc32(&body).to_be_bytes()].concat()
}

/// CRC-32 (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// Stored, not compressed (RFC 1950 and 1951); one block, so less than 64 KiB.
fn zlib(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend(data);
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in data {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

fn scan(bytes: &[u8]) -> Result<DecodedScan, DecodeError> {
    decode(bytes, &DecodeLimits::default())
}

/// 3 × 2 grey of 8 bits: 1 2 3 / 4 5 6.
fn small() -> Recipe {
    Recipe::new((3, 2), 8, 0, vec![0, 1, 2, 3, 0, 4, 5, 6])
}

#[test]
fn fewer_bits_than_eight_are_spread_over_the_range() {
    for (depth, data, expected) in [
        (1, vec![0, 0b1010_0000], vec![255, 0, 255]),
        (2, vec![0, 0b0001_1100], vec![0, 85, 255]),
        (4, vec![0, 0x0F, 0x70], vec![0, 255, 119]),
    ] {
        let found = scan(&Recipe::new((3, 1), depth, 0, data).bytes()).unwrap();
        assert_eq!((found.header.bit_depth, found.image.samples()), (8, &Samples::U8(expected)), "{depth} bits");
    }
}

#[test]
fn a_palette_becomes_rgb_and_its_transparency_alpha() {
    let palette = [10, 20, 30, 40, 50, 60, 70, 80, 90];
    let recipe = Recipe::new((3, 1), 8, 3, vec![0, 2, 0, 1]).with(b"PLTE", &palette);
    let found = scan(&recipe.bytes()).unwrap();
    assert_eq!(found.header.channels, Channels::Rgb);
    assert_eq!(found.image.samples(), &Samples::U8(vec![70, 80, 90, 10, 20, 30, 40, 50, 60]));
    let found = scan(&recipe.with(b"tRNS", &[0, 128]).bytes()).unwrap();
    assert_eq!(found.header.channels, Channels::Rgba);
    assert_eq!(found.image.samples(), &Samples::U8(vec![70, 80, 90, 255, 10, 20, 30, 0, 40, 50, 60, 128]));
}

#[test]
fn interlacing_changes_no_pixel() {
    // 3 × 3 in the passes of Adam7: of the seven, 1, 5, 6 and 7 have pixels, and 4 at column 2.
    let value = |x: u32, y: u32| 1000 * y + 100 * x + 7;
    let passes: [&[&[(u32, u32)]]; 5] =
        [&[&[(0, 0)]], &[&[(2, 0)]], &[&[(0, 2), (2, 2)]], &[&[(1, 0)], &[(1, 2)]], &[&[(0, 1), (1, 1), (2, 1)]]];
    let mut recipe = Recipe::new((3, 3), 16, 0, Vec::new());
    recipe.interlaced = true;
    for row in passes.into_iter().flatten() {
        recipe.data.push(0);
        recipe.data.extend(row.iter().flat_map(|&(x, y)| (value(x, y) as u16).to_be_bytes()));
    }
    let bytes = recipe.bytes();
    let found = scan(&bytes).unwrap();
    let expected = (0..3).flat_map(|y| (0..3).map(move |x| value(x, y) as u16)).collect();
    assert_eq!(found.image.samples(), &Samples::U16(expected));
    assert_eq!(found.header.scratch_bytes, found.header.picture_bytes(), "16 bits are put together as bytes first");
}

#[test]
fn a_bomb_is_rejected_by_its_header() {
    let bomb = Recipe::new((60_000, 60_000), 8, 0, Vec::new()).bytes();
    assert!(bomb.len() < 100);
    let error = read_header(&bomb, &DecodeLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "60000×60000 pixels are more than the limit of 400 megapixels");
}

#[test]
fn every_cut_is_rejected() {
    let bytes = small().with(b"pHYs", &[0, 0, 46, 35, 0, 0, 46, 35, 1]).bytes();
    assert!(scan(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(scan(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
    }
}

#[test]
fn one_wrong_byte_anywhere_is_rejected() {
    let bytes = small().with(b"pHYs", &[0, 0, 46, 35, 0, 0, 46, 35, 1]).with(b"eXIf", &exif_block(3, None)).bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        assert!(scan(&damaged).is_err(), "byte {at} of {}", bytes.len());
    }
}

#[test]
fn a_picture_with_too_few_rows_or_a_wrong_checksum_inside_is_rejected() {
    let mut short = small();
    short.data.truncate(4);
    assert!(scan(&short.bytes()).is_err());
    let mut picture = zlib(&small().data);
    *picture.last_mut().unwrap() ^= 1;
    assert!(scan(&small().bytes_around(&picture)).is_err());
}

#[test]
fn an_animation_is_refused() {
    let bytes = small().with(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]).bytes();
    let error = read_header(&bytes, &DecodeLimits::default()).unwrap_err();
    assert!(error.to_string().contains("animation"), "{error}");
}

#[test]
fn orientation_and_resolution_come_from_their_chunks() {
    let found = scan(&small().with(b"eXIf", &exif_block(8, Some((300, 400)))).bytes()).unwrap();
    assert_eq!((found.orientation, found.dpi), (8, Some((400.0, 300.0))));
    assert_eq!(found.image.samples(), &Samples::U8(vec![3, 6, 2, 5, 1, 4]));
    let (x, y) = scan(&small().with(b"pHYs", &[0, 0, 46, 35, 0, 0, 92, 70, 1]).bytes()).unwrap().dpi.unwrap();
    assert!((x - 300.0).abs() < 0.02 && (y - 600.0).abs() < 0.02, "{x} × {y}");
    // Without a unit they are a mere aspect ratio.
    assert_eq!(scan(&small().with(b"pHYs", &[0, 0, 0, 1, 0, 0, 0, 1, 0]).bytes()).unwrap().dpi, None);
}

#[test]
fn what_cannot_be_used_of_resolution_and_orientation_is_told() {
    let told = |recipe: Recipe| {
        let found = scan(&recipe.bytes()).unwrap();
        (found.dpi, found.metadata.dropped.into_words())
    };
    let chunk = |pixels: u32, unit: u8| [&pixels.to_be_bytes()[..], &pixels.to_be_bytes(), &[unit]].concat();
    assert_eq!(told(small()), (None, vec![]));
    assert_eq!(told(small().with(b"pHYs", &chunk(3, 0))), (None, vec![]), "a mere shape of pixels");
    for bad in [chunk(0, 1), chunk(u32::MAX, 1), chunk(11_811, 9), vec![0, 0]] {
        let (dpi, words) = told(small().with(b"pHYs", &bad));
        assert!(dpi.is_none() && words.len() == 1 && words[0].starts_with("the PNG's resolution: "), "{bad:?}: {words:?}");
    }
    let (dpi, words) = told(small().with(b"eXIf", &exif_block(0, Some((300, 0)))));
    assert!(
        dpi.is_none() && words.len() == 2 && words[0].contains("orientation: 0") && words[1].contains("300 × 0"),
        "{words:?}"
    );
}

#[test]
fn exifs_resolution_is_the_finer_of_two_that_mean_the_same() {
    let both = |metre: u32, inch: u32| {
        let chunk = [&metre.to_be_bytes()[..], &metre.to_be_bytes(), &[1]].concat();
        scan(&small().with(b"pHYs", &chunk).with(b"eXIf", &exif_block(1, Some((inch, inch)))).bytes()).unwrap().dpi.unwrap()
    };
    assert_eq!(both(23_622, 600), (600.0, 600.0));
    let (x, _) = both(23_622, 300);
    assert!((x - 599.9988).abs() < 0.0001, "the chunk goes first where they differ: {x}");
}

#[test]
fn damage_is_told_without_the_librarys_inside() {
    let mut bytes = small().bytes();
    bytes[18] ^= 1;
    let told = format!("{:#}", anyhow::Error::from(scan(&bytes).unwrap_err()));
    assert!(told.contains("a checksum is wrong") && !told.contains("0x") && !told.contains("ChunkType"), "{told}");
}

#[test]
fn a_profile_or_an_exif_block_beyond_reason_is_left_out_and_named() {
    let profile = [&b"icc\0\0"[..], &[7; 10 << 20]].concat();
    let found = scan(&small().with(b"iCCP", &profile).bytes()).unwrap();
    assert_eq!(found.image, scan(&small().bytes()).unwrap().image);
    assert!(found.declared.icc.is_none() && found.declared.oddities[0].contains("larger than any honest one"));
    let block = [exif_block(6, None), vec![0; 2 << 20]].concat();
    let found = scan(&small().with(b"eXIf", &block).bytes()).unwrap();
    assert_eq!((found.orientation, found.image.size()), (1, scan(&small().bytes()).unwrap().image.size()));
    assert!(found.metadata.dropped.into_words()[0].starts_with("the EXIF block: "));
}
