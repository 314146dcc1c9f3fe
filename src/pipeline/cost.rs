//! What a scan takes of the memory that workers share.

use super::{ApplyTo, Profile};
use crate::codec::{self, Format, ScanHeader, TiffCompression};
use crate::imaging::{Label, Preprocessing};

/// Networks' copies and planes, bytes: at most a few megapixels of floats.
const FIXED: u64 = 96 << 20;

/// What is in the denoiser beside the planes, bytes: a tile of a megapixel, and what it works with.
const TILE: u64 = 368 << 20;

/// Memory an attempt needs at its peak, MiB: while the scan is read, with its file, or, mostly, while the derivative is decoded once
/// more to be compared: then the scan's lightness, the result, its encoded form and what came of that are all there.
pub fn cost_mib(header: &ScanHeader, file_bytes: u64, profile: &Profile) -> u64 {
    // One after the other is made, and those that are made wait for the last: of each its encoded form.
    let (mut making_most, mut waiting) = (0, 0);
    for output in &profile.outputs {
        let format = output.format.of(header.format);
        let is_unaltered = output.max_side.is_none() && output.label(format) == Label::Off;
        let packed = packed(header, format, output.encode.tiff_compression);
        let making = making(header, format, packed, is_unaltered, profile.denoise.apply_to, profile.preprocessing);
        making_most = making_most.max(making + waiting);
        waiting += packed;
    }
    (making_most.max(reading(header, file_bytes, profile.preprocessing)) + FIXED) >> 20
}

/// Bytes of a derivative's samples.
fn result(header: &ScanHeader) -> u64 {
    let channels = if header.channels.has_alpha() { 4 } else { 3 };
    header.size.pixels() * channels * u64::from(header.bit_depth.max(8)) / 8
}

/// Bytes of its encoded form at most: grain makes LZW a quarter and more longer than what it packs.
fn packed(header: &ScanHeader, format: Format, compression: TiffCompression) -> u64 {
    let result = result(header);
    if format == Format::Tiff && compression == TiffCompression::Lzw { result + result / 2 } else { result }
}

/// While the scan is decoded.
fn reading(header: &ScanHeader, file_bytes: u64, preprocessing: Preprocessing) -> u64 {
    let decoding = match preprocessing {
        Preprocessing::Fit => codec::read_cost_bytes(header),
        Preprocessing::Parity => codec::decode_cost_bytes(header),
    };
    file_bytes + decoding
}

/// While a derivative is made; the file is gone then.
fn making(
    header: &ScanHeader,
    format: Format,
    packed: u64,
    is_unaltered: bool,
    apply_to: ApplyTo,
    preprocessing: Preprocessing,
) -> u64 {
    let (pixels, result) = (header.size.pixels(), result(header));
    let parity = preprocessing == Preprocessing::Parity;
    // What is left of the scan. (Of a grey one of 8 bits whose profile is not sRGB it is a byte a pixel more than this.)
    let scan = if parity { header.picture_bytes() } else { header.lightness_bytes() };
    // Planes of floats: two while the lightness is denoised, one from there to the end.
    let planes = if apply_to == ApplyTo::Output { pixels * 4 } else { 0 };
    let denoising = if planes > 0 { scan + 2 * planes + TILE } else { 0 };
    if format == Format::Tiff && is_unaltered && !parity {
        // Its strips come and go.
        return denoising.max(scan + planes + packed + codec::strips_bytes());
    }
    // Encoded losslessly the result keeps its size; a JPEG of high quality and strong grain is an eighth of it, in a buffer that
    // grows by doubling, and its decoder works on a copy. Samples of 8 bits are decoded into the result's own memory.
    let (encoded, decoded) = match format {
        Format::Jpeg if header.bit_depth == 8 => (result / 4, result / 4),
        Format::Jpeg => (result / 8, pixels * 3 + result / 8),
        // A PNG is largest while it is made: its encoder holds the picture in its own byte order and compressed twice.
        Format::Png => (result, 2 * result),
        Format::Tiff | Format::WebP | Format::Jpeg2000 => (packed, result),
    };
    // What is compared with what was encoded, and not with the scan, is kept.
    let kept = if !is_unaltered || parity && format == Format::Jpeg { result } else { 0 };
    denoising.max(scan + planes + result + encoded + decoded + kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Channels;
    use crate::imaging::Size;

    const LARGE: Size = Size::new(9000, 12_000);

    fn cost(format: Format, size: Size, channels: Channels, bit_depth: u8, file_mib: u64, apply_to: ApplyTo) -> u64 {
        let in_bands = format == Format::Tiff;
        let scratch_bytes = if in_bands { 16 << 20 } else { 0 };
        let header = ScanHeader { format, size, bit_depth, channels, is_separation: false, in_bands, scratch_bytes };
        let packed = packed(&header, format, TiffCompression::None);
        let making = making(&header, format, packed, true, apply_to, Preprocessing::Fit);
        (making.max(reading(&header, file_mib << 20, Preprocessing::Fit)) + FIXED) >> 20
    }

    /// What scans of 108 and 200 megapixels took, MiB, less the 150 at which the process rests between scans.
    #[test]
    fn the_share_of_a_large_scan_is_what_it_was_measured_to_take() {
        for (format, size, channels, bit_depth, file_mib, apply_to, measured) in [
            (Format::Jpeg, LARGE, Channels::Grey, 8, 5, ApplyTo::Network, 515),
            (Format::Jpeg, LARGE, Channels::Grey, 8, 40, ApplyTo::Network, 548),
            (Format::Tiff, LARGE, Channels::Grey, 16, 206, ApplyTo::Network, 944),
            (Format::Tiff, Size::new(16_330, 12_250), Channels::Rgb, 16, 1145, ApplyTo::Network, 1662),
            (Format::Png, LARGE, Channels::Grey, 16, 199, ApplyTo::Network, 2728),
            (Format::Jpeg, LARGE, Channels::Grey, 8, 39, ApplyTo::Output, 1173),
        ] {
            let share = cost(format, size, channels, bit_depth, file_mib, apply_to);
            assert!((measured * 95 / 100..measured * 130 / 100).contains(&share), "{format}, {apply_to:?}: {share}");
        }
    }

    #[test]
    fn denoising_the_published_lightness_takes_a_plane_more() {
        let [network, output] =
            [ApplyTo::Network, ApplyTo::Output].map(|apply_to| cost(Format::Jpeg, LARGE, Channels::Grey, 8, 5, apply_to));
        assert!(output - network >= (9000 * 12_000 * 4) >> 20, "{network} and {output}");
    }
}
