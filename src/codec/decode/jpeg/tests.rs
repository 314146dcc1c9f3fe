//! JPEGs of every kind, whole and cut.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;
use crate::codec::samples::{exif_block, picture};
use crate::codec::{DecodeLimits, DecodedScan, decode, read_header};
use crate::colour::Inks;
use crate::imaging::Size;

type Setting = fn(&mut Encoder<&mut Vec<u8>>);

/// Ways to write the same picture.
const KINDS: [(&str, Setting); 9] = [
    ("baseline", |_| {}),
    ("subsampled", |encoder| encoder.set_sampling_factor(SamplingFactor::R_4_2_0)),
    ("subsampled across", |encoder| encoder.set_sampling_factor(SamplingFactor::R_4_2_2)),
    ("one scan a component", |encoder| encoder.set_optimized_huffman_tables(true)),
    ("subsampled down", |encoder| encoder.set_sampling_factor(SamplingFactor::R_4_4_0)),
    ("restart markers", |encoder| encoder.set_restart_interval(7)),
    ("progressive", |encoder| encoder.set_progressive(true)),
    ("progressive, subsampled", |encoder| {
        encoder.set_progressive_scans(9);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    }),
    ("progressive, a quarter across", |encoder| {
        encoder.set_progressive(true);
        encoder.set_sampling_factor(SamplingFactor::R_4_1_1);
    }),
];

fn write(samples: &[u8], size: Size, color: ColorType, set: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    set(&mut encoder);
    encoder.encode(samples, size.width as u16, size.height as u16, color).unwrap();
    bytes
}

fn eight(image: &ScanImage) -> &[u8] {
    match image.samples() {
        Samples::U8(samples) => samples,
        Samples::U16(_) => unreachable!("8 bits were made"),
    }
}

fn scan(bytes: &[u8]) -> Result<DecodedScan, DecodeError> {
    decode(bytes, &DecodeLimits::default())
}

fn made(channels: Channels, set: Setting) -> (ScanImage, Vec<u8>) {
    let image = picture(150, 131, channels, 8);
    let color = if channels.is_rgb() { ColorType::Rgb } else { ColorType::Luma };
    let bytes = write(eight(&image), image.size(), color, set);
    (image, bytes)
}

fn mean_difference(one: &ScanImage, other: &ScanImage) -> f64 {
    assert_eq!((one.size(), one.channels()), (other.size(), other.channels()));
    let sum: u64 = eight(one).iter().zip(eight(other)).map(|(&one, &other)| u64::from(one.abs_diff(other))).sum();
    sum as f64 / eight(one).len() as f64
}

/// Puts a segment behind the start-of-image marker.
fn with_segment(bytes: &[u8], marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&bytes[..2], &[0xFF, marker], &length, payload, &bytes[2..]].concat()
}

/// Where the first marker of a kind is.
fn find(bytes: &[u8], marker: u8) -> usize {
    bytes.windows(2).position(|pair| pair == [0xFF, marker]).unwrap()
}

#[test]
fn every_kind_is_decoded_whole() {
    for channels in [Channels::Grey, Channels::Rgb] {
        for (kind, set) in KINDS {
            let (image, bytes) = made(channels, set);
            let found = scan(&bytes).unwrap_or_else(|error| panic!("{kind} {channels:?}: {error:?}"));
            assert_eq!(found.header.channels, channels);
            assert_eq!((found.header.size, found.header.bit_depth, found.orientation), (image.size(), 8, 1));
            // Quality 95 on a soft picture: 1 or 2 code values, and chroma of a half or a quarter of the resolution up to
            // 5.1 more. Blocks in wrong places differ by 50 and above.
            let difference = mean_difference(&image, &found.image);
            assert!(difference < 6.0, "{kind} {channels:?}: {difference}");
        }
    }
}

#[test]
fn every_cut_is_rejected() {
    for channels in [Channels::Grey, Channels::Rgb] {
        for (kind, set) in KINDS {
            let (_, bytes) = made(channels, set);
            let percents = [25, 50, 75, 90, 95, 99].map(|percent| bytes.len() * percent / 100);
            for length in percents.into_iter().chain(bytes.len() - 40..bytes.len()) {
                let error = scan(&bytes[..length]).expect_err(&format!("{kind} {channels:?} cut to {length} of {}", bytes.len()));
                assert!(matches!(error, DecodeError::Truncated { .. }), "{kind} {channels:?} {length}: {error:?}");
            }
        }
    }
}

#[test]
fn no_beginning_of_a_file_is_taken_for_one() {
    let (_, bytes) = made(Channels::Rgb, |encoder| encoder.set_progressive(true));
    for length in 0..bytes.len().min(1500) {
        assert!(scan(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_picture_closed_before_its_time_is_rejected() {
    for channels in [Channels::Grey, Channels::Rgb] {
        for (kind, set) in KINDS {
            let (_, bytes) = made(channels, set);
            for percent in [25, 50, 75, 90] {
                let mut cut = bytes[..bytes.len() * percent / 100].to_vec();
                cut.extend([0xFF, 0xD9]);
                assert!(scan(&cut).is_err(), "{kind} {channels:?} closed at {percent} %");
            }
        }
    }
}

#[test]
fn a_sequential_picture_that_lost_its_last_bytes_is_rejected_even_when_closed() {
    for channels in [Channels::Grey, Channels::Rgb] {
        for (kind, set) in KINDS.into_iter().filter(|(kind, _)| !kind.starts_with("progressive")) {
            let (_, bytes) = made(channels, set);
            // Fewer lost bytes can hide in what the decoder reads ahead.
            for lost in (32..96).chain((96..bytes.len() / 2).step_by(61)) {
                let cut = [&bytes[..bytes.len() - 2 - lost], &[0xFF, 0xD9]].concat();
                assert!(scan(&cut).is_err(), "{kind} {channels:?}: {lost} of {} bytes lost", bytes.len());
            }
        }
    }
}

#[test]
fn a_flat_picture_of_a_few_bytes_is_whole() {
    for size in [Size::new(1, 1), Size::new(8, 8), Size::new(9, 300), Size::new(300, 9)] {
        for value in [0, 128, 255] {
            let samples = vec![value; size.pixels() as usize];
            let found = scan(&write(&samples, size, ColorType::Luma, |_| {})).unwrap();
            assert!(eight(&found.image).iter().all(|found| found.abs_diff(value) <= 1), "{size} {value}");
        }
    }
}

#[test]
fn bytes_behind_the_end_do_not_matter() {
    let (_, bytes) = made(Channels::Rgb, |_| {});
    let whole = scan(&bytes).unwrap().image;
    for tail in [&b"\0\0\0\0"[..], b"\xFF\xD8\xFF\xE0 a second picture", b"trailer"] {
        assert_eq!(scan(&[&bytes, tail].concat()).unwrap().image, whole);
    }
}

#[test]
fn exif_orientation_is_applied_exactly_once() {
    let size = Size::new(24, 16);
    // Bright in the top left quarter, as seen.
    let samples: Vec<u8> = (0..16).flat_map(|y| (0..24).map(move |x| if x < 12 && y < 8 { 230 } else { 30 })).collect();
    // Where that quarter comes to lie in the upright picture: left or right, top or bottom.
    let places =
        [(true, true), (false, true), (false, false), (true, false), (true, true), (false, true), (false, false), (true, false)];
    for (orientation, (left, top)) in (1..=8).zip(places) {
        let bytes = write(&samples, size, ColorType::Luma, |encoder| {
            encoder.add_exif_metadata(&exif_block(orientation, Some((300, 600)))).unwrap();
        });
        let found = scan(&bytes).unwrap();
        let turned = orientation > 4;
        assert_eq!(u16::from(found.orientation), orientation);
        assert_eq!(found.header.size, size, "the header tells the size as stored");
        assert_eq!(found.image.size(), if turned { Size::new(16, 24) } else { size });
        assert_eq!(found.dpi, Some(if turned { (600.0, 300.0) } else { (300.0, 600.0) }));
        let Size { width, height } = found.image.size();
        let at = |left: bool, top: bool| {
            let (x, y) = (if left { width / 4 } else { width * 3 / 4 }, if top { height / 4 } else { height * 3 / 4 });
            eight(&found.image)[(y * width + x) as usize]
        };
        for corner in [(true, true), (false, true), (true, false), (false, false)] {
            assert_eq!(at(corner.0, corner.1) > 128, corner == (left, top), "orientation {orientation}, {corner:?}");
        }
    }
}

#[test]
fn nonsense_orientation_leaves_the_picture_alone() {
    let (_, bytes) = made(Channels::Grey, |encoder| encoder.add_exif_metadata(&exif_block(77, None)).unwrap());
    let found = scan(&bytes).unwrap();
    assert_eq!((found.orientation, found.image.size()), (1, Size::new(150, 131)));
}

#[test]
fn the_resolution_of_jfif_comes_before_that_of_exif() {
    let (_, bytes) = made(Channels::Grey, |encoder| {
        encoder
            .set_density(jpeg_encoder::PixelDensity { density: (100, 200), unit: jpeg_encoder::PixelDensityUnit::Centimeters });
        encoder.add_exif_metadata(&exif_block(1, Some((72, 72)))).unwrap();
    });
    assert_eq!(scan(&bytes).unwrap().dpi, Some((254.0, 508.0)));
}

#[test]
fn inks_become_srgb_whichever_way_they_are_stored() {
    let four = picture(96, 64, Channels::Rgba, 8);
    let Samples::U8(wanted) = Inks::of(None).to_srgb(four.samples()) else { panic!("8 bits stay 8") };
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let bytes = write(eight(&four), four.size(), kind, |_| {});
        let header = read_header(&bytes, &DecodeLimits::default()).unwrap();
        assert!(header.is_separation && header.channels == Channels::Rgb);
        let found = scan(&bytes).unwrap();
        assert_eq!(found.declared.separation.as_ref().unwrap().basis, crate::colour::Basis::AssumedInks);
        let apart = eight(&found.image).iter().zip(&wanted).map(|(one, other)| u32::from(one.abs_diff(*other))).sum::<u32>();
        // The encoder's loss on grain; inverted or exchanged inks are some 60 apart.
        assert!(apart < 4 * wanted.len() as u32, "{kind:?}: {}", f64::from(apart) / wanted.len() as f64);
    }
}

#[test]
fn what_is_not_supported_says_so() {
    let (_, plain) = made(Channels::Rgb, |_| {});
    let frame = find(&plain, 0xC0);
    let patched = |at: usize, value: u8| {
        let mut bytes = plain.clone();
        bytes[at] = value;
        bytes
    };
    let mut no_height = plain.clone();
    no_height[frame + 5..frame + 7].fill(0);
    for (bytes, word) in [
        (patched(frame + 4, 12), "12 bits"),
        (patched(frame + 1, 0xC9), "arithmetic"),
        (patched(frame + 1, 0xC3), "lossless"),
        (patched(frame + 1, 0xC5), "hierarchical"),
        (no_height, "height"),
    ] {
        for error in [read_header(&bytes, &DecodeLimits::default()).unwrap_err(), scan(&bytes).unwrap_err()] {
            assert!(matches!(error, DecodeError::Unsupported { .. }), "{error:?}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

#[test]
fn a_picture_that_would_come_out_wrong_is_refused() {
    let (_, bytes) = made(Channels::Rgb, |encoder| {
        encoder.set_optimized_huffman_tables(true);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    });
    let error = read_header(&bytes, &DecodeLimits::default()).unwrap_err();
    assert!(error.to_string().contains("several scans with subsampled chroma"), "{error}");
    let (_, mut odd) = made(Channels::Rgb, |_| {});
    let frame = find(&odd, 0xC0);
    odd[frame + 14] = 0x21;
    assert!(scan(&odd).unwrap_err().to_string().contains("sampling factors 1×1, 2×1, 1×1"));
}

#[test]
fn grey_is_in_reading_order_whatever_its_sampling_factors() {
    for factors in [0x11, 0x12, 0x21, 0x22, 0x41] {
        for set in [KINDS[0].1, KINDS[6].1] {
            let (image, mut bytes) = made(Channels::Grey, set);
            let frame = bytes.windows(2).position(|pair| matches!(pair, [0xFF, 0xC0 | 0xC2])).unwrap();
            bytes[frame + 11] = factors;
            let difference = mean_difference(&image, &scan(&bytes).unwrap().image);
            assert!(difference < 4.0, "{factors:02X}: {difference}");
        }
    }
}

#[test]
fn components_that_adobe_calls_rgb_are_rgb() {
    let image = picture(64, 48, Channels::Rgb, 8);
    // Three components written as they are; without JFIF's segment, so that Adobe's counts.
    let plain = write(eight(&image), image.size(), ColorType::Ycbcr, |_| {});
    let jfif = 2 + 2 + usize::from(u16::from_be_bytes([plain[4], plain[5]]));
    let bare = [&plain[..2], &plain[jfif..]].concat();
    let bytes = with_segment(&bare, 0xEE, b"Adobe\0\x64\0\0\0\0\0");
    assert!(mean_difference(&image, &scan(&bytes).unwrap().image) < 4.0);
    // With JFIF's segment or without Adobe's they are YCbCr, which makes another picture of them.
    assert!(mean_difference(&image, &scan(&bare).unwrap().image) > 20.0);
}

#[test]
fn an_unknown_segment_is_no_concern() {
    let (_, bytes) = made(Channels::Rgb, |_| {});
    let whole = scan(&bytes).unwrap().image;
    for marker in [0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE] {
        let other = with_segment(&bytes, marker, b"http://ns.adobe.com/xmp/extension/\0 and so on");
        assert_eq!(scan(&other).unwrap().image, whole, "{marker:02X}");
    }
}

#[test]
fn damage_is_an_error_or_a_picture_but_never_a_panic() {
    for set in [KINDS[0].1, KINDS[4].1, KINDS[6].1] {
        let (_, bytes) = made(Channels::Rgb, set);
        for at in (2..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] = !damaged[at];
            let limits = DecodeLimits { max_pixels: 1 << 20 };
            let header = read_header(&damaged, &limits);
            let found = decode(&damaged, &limits);
            assert!(header.is_ok() || found.is_err(), "byte {at}: a bad header is a bad scan");
        }
    }
}

#[test]
fn memory_of_the_coefficients_is_counted() {
    let header = |set: Setting| read_header(&made(Channels::Rgb, set).1, &DecodeLimits::default()).unwrap();
    let (plain, progressive) = (header(|_| {}), header(|encoder| encoder.set_progressive(true)));
    assert!(plain.scratch_bytes < plain.picture_bytes());
    // 16 bits for each of 19 × 17 blocks of 64 coefficients in three components.
    assert!(progressive.scratch_bytes > 19 * 17 * 64 * 3 * 2);
}

#[test]
fn a_profile_in_pieces_is_put_together_whatever_their_order() {
    let (_, bytes) = made(Channels::Rgb, |_| {});
    let with = |pieces: &[(u8, u8, &[u8])]| {
        let mut file = bytes[..2].to_vec();
        for (number, count, piece) in pieces {
            file.extend([0xFF, 0xE2]);
            file.extend((2 + 14 + piece.len() as u16).to_be_bytes());
            file.extend(b"ICC_PROFILE\0");
            file.extend([*number, *count]);
            file.extend(*piece);
        }
        file.extend(&bytes[2..]);
        scan(&file).unwrap().declared
    };
    assert_eq!(with(&[(2, 3, b"b"), (1, 3, b"a"), (3, 3, b"c")]).icc.as_deref(), Some(&b"abc"[..]));
    for broken in [&[(1, 2, &b"a"[..])][..], &[(1, 2, b"a"), (1, 2, b"a")], &[(0, 1, b"a")], &[(1, 1, b"a"), (2, 2, b"b")]] {
        let declared = with(broken);
        assert_eq!(declared.icc, None);
        assert!(declared.oddities[0].contains("pieces"), "{declared:?}");
    }
}
