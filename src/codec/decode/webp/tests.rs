//! Lossless files by the library's own encoder; what other programs write is in the tests of the whole line.

use image_webp::{ColorType, WebPEncoder};

use super::*;
use crate::codec::samples::{exif_block, picture};
use crate::codec::{decode, read_header};

fn written(channels: Channels, set: impl Fn(&mut WebPEncoder<&mut Vec<u8>>)) -> (ScanImage, Vec<u8>) {
    let image = picture(61, 43, channels, 8);
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new(&mut bytes);
    set(&mut encoder);
    let Samples::U8(samples) = image.samples() else { panic!("8 bits were made") };
    let color = if channels.has_alpha() { ColorType::Rgba8 } else { ColorType::Rgb8 };
    encoder.encode(samples, 61, 43, color).unwrap();
    (image, bytes)
}

#[test]
fn a_lossless_picture_gives_every_sample_back() {
    for channels in [Channels::Rgb, Channels::Rgba] {
        let (image, bytes) = written(channels, |_| {});
        let header = read_header(&bytes, &DecodeLimits::default()).unwrap();
        assert_eq!((header.format, header.size, header.channels), (Format::WebP, Size::new(61, 43), channels));
        assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap().image, image);
        assert!(read_header(&bytes, &DecodeLimits { max_pixels: 61 * 43 - 1 }).is_err());
    }
}

#[test]
fn what_stands_beside_the_picture_is_found() {
    let (_, bytes) = written(Channels::Rgb, |encoder| {
        encoder.set_icc_profile(b"profile".to_vec());
        encoder.set_exif_metadata(exif_block(6, Some((300, 400))));
        encoder.set_xmp_metadata(b"<x/>".to_vec());
    });
    let found = decode(&bytes, &DecodeLimits::default()).unwrap();
    assert_eq!((found.orientation, found.dpi), (6, Some((400.0, 300.0))));
    assert_eq!(found.declared.icc.as_deref(), Some(&b"profile"[..]));
    assert_eq!(found.metadata.xmp.as_deref(), Some(&b"<x/>"[..]));
}

#[test]
fn a_file_that_ends_early_is_an_error_wherever_it_ends() {
    let (_, bytes) = written(Channels::Rgba, |encoder| encoder.set_xmp_metadata(b"<x/>".to_vec()));
    for cut in 12..bytes.len() {
        let error = decode(&bytes[..cut], &DecodeLimits::default()).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { .. } | DecodeError::Damaged { .. }), "at {cut}: {error:?}");
    }
    // As long as it says, and its picture still cut.
    let (_, bytes) = written(Channels::Rgb, |_| {});
    for cut in (24..bytes.len() - 2).step_by(2) {
        let mut short = bytes[..cut].to_vec();
        short[4..8].copy_from_slice(&(cut as u32 - 8).to_le_bytes());
        short[16..20].copy_from_slice(&(cut as u32 - 20).to_le_bytes());
        assert!(decode(&short, &DecodeLimits::default()).is_err(), "at {cut}");
    }
}

#[test]
fn what_cannot_be_used_of_resolution_and_orientation_is_told() {
    let told = |block: Vec<u8>| {
        let (_, bytes) = written(Channels::Rgb, |encoder| encoder.set_exif_metadata(block.clone()));
        decode(&bytes, &DecodeLimits::default()).unwrap().metadata.dropped.into_words()
    };
    assert_eq!(told(exif_block(6, None)), [""; 0]);
    let words = told(exif_block(255, Some((0, 300))));
    assert!(words.len() == 2 && words[0].contains("orientation: 255") && words[1].contains("0 × 300"), "{words:?}");
}
