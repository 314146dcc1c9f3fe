//! Pictures and metadata blocks that tests make for themselves.

use super::Channels;
use crate::imaging::{Samples, ScanImage, Size};

pub(super) const ALL_CHANNELS: [Channels; 4] = [Channels::Grey, Channels::GreyAlpha, Channels::Rgb, Channels::Rgba];

/// A soft picture with a little grain, reproducible, every sample its own.
pub(super) fn picture(width: u32, height: u32, channels: Channels, depth: u8) -> ScanImage {
    let count = channels.count() as u32;
    let value = |x: u32, y: u32, channel: u32| {
        let waves = (f64::from(x) / 9.0 + f64::from(channel)).sin() * (f64::from(y) / 13.0).cos();
        let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ channel.wrapping_mul(97)) >> 8 & 1023;
        ((0.5 + 0.4 * waves) * 64_000.0) as u16 + grain as u16
    };
    let values = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..count).map(move |channel| value(x, y, channel))));
    let samples = match depth {
        8 => Samples::U8(values.map(|value| (value >> 8) as u8).collect()),
        _ => Samples::U16(values.collect()),
    };
    ScanImage::new(Size::new(width, height), channels, samples).unwrap()
}

/// An EXIF block from its TIFF header on, big-endian: orientation and, if given, resolution in inches.
pub(super) fn exif_block(orientation: u16, dpi: Option<(u32, u32)>) -> Vec<u8> {
    let count: u16 = if dpi.is_some() { 4 } else { 1 };
    let values = 8 + 2 + 12 * u32::from(count) + 4;
    let mut block = b"MM\0\x2A\0\0\0\x08".to_vec();
    block.extend(count.to_be_bytes());
    let mut entry = |tag: u16, kind: u16, value: [u8; 4]| {
        block.extend(tag.to_be_bytes());
        block.extend(kind.to_be_bytes());
        block.extend(1_u32.to_be_bytes());
        block.extend(value);
    };
    let short = |value: u16| [value.to_be_bytes()[0], value.to_be_bytes()[1], 0, 0];
    entry(0x0112, 3, short(orientation));
    if dpi.is_some() {
        entry(0x011A, 5, values.to_be_bytes());
        entry(0x011B, 5, (values + 8).to_be_bytes());
        entry(0x0128, 3, short(2));
    }
    block.extend([0; 4]);
    if let Some((x, y)) = dpi {
        for value in [x, 1, y, 1] {
            block.extend(value.to_be_bytes());
        }
    }
    block
}
