//! What encoders may lose, and what not.

use super::*;
use crate::codec::samples::{ALL_CHANNELS, picture};
use crate::codec::{DecodeLimits, decode};
use crate::imaging::Size;

fn encoded(image: &ScanImage, format: Format, settings: &EncodeSettings) -> Vec<u8> {
    encode(image, format, settings, &Carried::default()).unwrap()
}

#[test]
fn lossless_formats_give_every_sample_back() {
    let compressions = [TiffCompression::None, TiffCompression::Lzw, TiffCompression::Deflate];
    let tiffs =
        compressions.map(|tiff_compression| (Format::Tiff, EncodeSettings { tiff_compression, ..EncodeSettings::default() }));
    for (format, settings) in tiffs.into_iter().chain([(Format::Png, EncodeSettings::default())]) {
        for channels in ALL_CHANNELS {
            for depth in [8, 16] {
                // Wide enough for several strips of the TIFF writer, with sides that no block divides.
                let image = picture(701, 503, channels, depth);
                let found = decode(&encoded(&image, format, &settings), &DecodeLimits::default()).unwrap();
                assert!(found.image == image, "{format} {} {channels:?} {depth} bits", settings.tiff_compression);
            }
        }
    }
}

#[test]
fn the_same_picture_gives_the_same_bytes() {
    let image = picture(97, 61, Channels::Rgb, 16);
    for format in [Format::Jpeg, Format::Png, Format::Tiff] {
        let settings = EncodeSettings { tiff_compression: TiffCompression::Deflate, ..EncodeSettings::default() };
        assert_eq!(encoded(&image, format, &settings), encoded(&image, format, &settings), "{format}");
    }
}

#[test]
fn sixteen_bits_are_rounded_to_the_nearest_of_eight() {
    for (sample, expected) in [
        (0, 0),
        (128, 0),
        (129, 1),
        (257, 1),
        (385, 1),
        (386, 2),
        (32_767, 127),
        (32_768, 128),
        (65_406, 254),
        (65_407, 255),
        (65_535, 255),
    ] {
        assert_eq!(to_eight_bits(sample), expected, "{sample}");
        let nearest = (f64::from(sample) / 257.0).round();
        assert!((f64::from(expected) - nearest).abs() < f64::EPSILON, "{sample}");
    }
}

#[test]
fn a_jpeg_is_the_rounded_picture_without_alpha() {
    for (channels, plain) in [
        (Channels::Grey, Channels::Grey),
        (Channels::GreyAlpha, Channels::Grey),
        (Channels::Rgb, Channels::Rgb),
        (Channels::Rgba, Channels::Rgb),
    ] {
        for depth in [8, 16] {
            let image = picture(64, 48, channels, depth);
            let settings = EncodeSettings { jpeg_quality: 100, ..EncodeSettings::default() };
            let found = decode(&encoded(&image, Format::Jpeg, &settings), &DecodeLimits::default()).unwrap();
            assert_eq!((found.header.channels, found.header.bit_depth), (plain, 8));
            let Samples::U8(found) = found.image.samples() else { panic!("a JPEG has 8 bits") };
            let eight: Vec<u8> = match image.samples() {
                Samples::U8(samples) => samples.clone(),
                Samples::U16(samples) => samples.iter().copied().map(to_eight_bits).collect(),
            };
            let wanted = eight.chunks_exact(channels.count()).flat_map(|pixel| &pixel[..plain.count()]);
            // Colour conversion there and back and the transform in whole numbers round at most 4 code values away.
            let worst = found.iter().zip(wanted).map(|(found, wanted)| found.abs_diff(*wanted)).max();
            assert!(worst <= Some(4), "{channels:?} {depth}: {worst:?}");
        }
    }
}

#[test]
fn chroma_keeps_its_full_resolution() {
    let bytes = encoded(
        &picture(64, 48, Channels::Rgb, 8),
        Format::Jpeg,
        &EncodeSettings { jpeg_quality: 50, ..EncodeSettings::default() },
    );
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    assert_eq!([bytes[frame + 11], bytes[frame + 14], bytes[frame + 17]], [0x11; 3], "4:4:4 at any quality");
}

#[test]
fn a_side_beyond_a_jpeg_is_refused_and_fits_elsewhere() {
    let image = ScanImage::new(Size::new(65_536, 1), Channels::Grey, Samples::U8(vec![90; 65_536])).unwrap();
    let error = encode(&image, Format::Jpeg, &EncodeSettings::default(), &Carried::default()).unwrap_err();
    assert_eq!(error.to_string(), "65536×1 pixels are too many for jpeg, whose sides end at 65535 pixels");
    assert!(error.hint().unwrap().contains("output.format"));
    for format in [Format::Png, Format::Tiff] {
        assert_eq!(decode(&encoded(&image, format, &EncodeSettings::default()), &DecodeLimits::default()).unwrap().image, image);
    }
    let most = ScanImage::new(Size::new(1, 65_535), Channels::Grey, Samples::U8(vec![90; 65_535])).unwrap();
    assert_eq!(
        decode(&encoded(&most, Format::Jpeg, &EncodeSettings::default()), &DecodeLimits::default()).unwrap().image.size(),
        most.size()
    );
}

#[test]
fn a_grey_png_says_that_it_is_srgb_and_a_colour_one_has_a_profile_instead() {
    let has = |channels, chunk: &[u8; 4]| {
        let bytes = encoded(&picture(8, 8, channels, 8), Format::Png, &EncodeSettings::default());
        bytes.windows(4).any(|kind| kind == chunk)
    };
    assert!(has(Channels::Grey, b"sRGB") && !has(Channels::Grey, b"iCCP"));
    assert!(has(Channels::Rgb, b"iCCP") && !has(Channels::Rgb, b"sRGB"), "PNG allows one of the two");
}

#[test]
fn resolutions_that_are_no_whole_number_survive_where_the_format_can_hold_them() {
    let carried = Carried { dpi: Some((299.72, 400.5)), ..Carried::default() };
    for (format, bound) in [(Format::Jpeg, 0.51), (Format::Png, 0.02), (Format::Tiff, 0.001)] {
        let bytes = encode(&picture(8, 8, Channels::Grey, 8), format, &EncodeSettings::default(), &carried).unwrap();
        let (x, y) = decode(&bytes, &DecodeLimits::default()).unwrap().dpi.unwrap();
        assert!((x - 299.72).abs() < bound && (y - 400.5).abs() < bound, "{format}: {x} × {y}");
    }
}

#[test]
fn compressions_are_written_and_read_as_one_word() {
    for (compression, word) in
        [(TiffCompression::None, "none"), (TiffCompression::Lzw, "lzw"), (TiffCompression::Deflate, "deflate")]
    {
        assert_eq!(compression.to_string(), word);
        assert_eq!(word.parse(), Ok(compression));
    }
    assert!("zstd".parse::<TiffCompression>().unwrap_err().to_string().contains("none, lzw, deflate"));
}
