//! WebP: one picture, lossy or lossless, RGB with or without alpha, 8 bits. Animations are refused: which frame is the scan?

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::{Stored, decode_cost_bytes};
use crate::codec::exif;
use crate::codec::header::{DecodeLimits, ScanHeader};
use crate::codec::{Channels, DecodeError, Format};
use crate::colour::Declared;
use crate::imaging::{Samples, ScanImage, Size};
use crate::metadata::{Found, MAX_XMP};

/// Memory for chunks of metadata, bytes.
const CHUNK_BYTES: usize = 64 << 20;

type Open<'a> = WebPDecoder<Cursor<&'a [u8]>>;

fn failed(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::truncated(Format::WebP, "a chunk is cut")
        }
        error => DecodeError::damaged(Format::WebP, error),
    }
}

/// Every chunk must lie within the file, and the file must be as long as it says: the decoder takes what is there.
fn require_chunks(bytes: &[u8]) -> Result<Vec<Size>, DecodeError> {
    let cut = || DecodeError::truncated(Format::WebP, "it is shorter than its header says");
    let length = |at: usize| bytes.get(at..at + 4).and_then(|four| Some(u32::from_le_bytes(four.try_into().ok()?) as usize));
    let end = length(4).and_then(|length| length.checked_add(8)).filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
    let (mut at, mut frames) = (12, Vec::new());
    while at + 8 <= end {
        // Chunks are padded to an even length; the last one's padding is forgotten by some writers.
        let content = length(at + 4).ok_or_else(cut)?;
        let behind = at.saturating_add(8).saturating_add(content);
        if behind > end {
            return Err(cut());
        }
        if let Some(frame) = frame_size(&bytes[at..at + 4], &bytes[at + 8..behind]) {
            frames.push(frame);
        }
        at = behind + content % 2;
    }
    Ok(frames)
}

/// The size that a chunk with a picture gives for it (RFC 6386, 9.1; RFC 9649, 3.4).
fn frame_size(kind: &[u8], content: &[u8]) -> Option<Size> {
    match (kind, content) {
        (b"VP8 ", [_, _, _, 0x9D, 0x01, 0x2A, width, width_high, height, height_high, ..]) => {
            let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
            Some(Size::new(side(*width, *width_high), side(*height, *height_high)))
        }
        (b"VP8L", [0x2F, a, b, c, d, ..]) => {
            let bits = u32::from_le_bytes([*a, *b, *c, *d]);
            Some(Size::new((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        _ => None,
    }
}

fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<(Open<'a>, ScanHeader), DecodeError> {
    let frames = require_chunks(bytes)?;
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    decoder.set_memory_limit(CHUNK_BYTES);
    let (width, height) = decoder.dimensions();
    let size = Size::new(width, height);
    limits.check(Format::WebP, size)?;
    if decoder.is_animated() {
        return Err(DecodeError::unsupported(Format::WebP, "an animation"));
    }
    // The library decodes the frame before it compares.
    if frames != [size] {
        return Err(DecodeError::damaged(Format::WebP, "it does not hold one picture of the size its header says"));
    }
    let channels = if decoder.has_alpha() { Channels::Rgba } else { Channels::Rgb };
    // A lossy picture is decoded into planes, a lossless one into four samples a pixel first.
    let scratch_bytes = 4 * size.pixels();
    Ok((
        decoder,
        ScanHeader { format: Format::WebP, size, bit_depth: 8, channels, is_separation: false, in_bands: false, scratch_bytes },
    ))
}

pub(super) fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    Ok(open(bytes, limits)?.1)
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Stored, DecodeError> {
    let (mut decoder, header) = open(bytes, limits)?;
    header.reserve(decode_cost_bytes(&header))?;
    let wanted = usize::try_from(header.picture_bytes()).ok();
    if wanted.is_none() || decoder.output_buffer_size() != wanted {
        return Err(DecodeError::damaged(Format::WebP, "its headers contradict each other"));
    }
    let mut samples = vec![0; wanted.unwrap_or(0)];
    decoder.read_image(&mut samples).map_err(failed)?;
    let image = ScanImage::new(header.size, header.channels, Samples::U8(samples));
    let image = image.expect("the buffer was made for the header's size and channels");
    let mut metadata = Found::default();
    let mut block = |name: &str, found: Result<Option<Vec<u8>>, DecodingError>| {
        found.unwrap_or_else(|error| {
            metadata.dropped.say(format!("{name}: {error}"));
            None
        })
    };
    let (icc, exif) = (block("the ICC profile", decoder.icc_profile()), block("the EXIF block", decoder.exif_metadata()));
    let xmp = block("the XMP packet", decoder.xmp_metadata());
    metadata.xmp = xmp.filter(|xmp| metadata.takes("the XMP packet", xmp.len() as u64, MAX_XMP));
    // Some writers put in front what a JPEG has there.
    let exif = exif.as_deref().map(|block| block.strip_prefix(b"Exif\0\0").unwrap_or(block));
    let found = exif.map(|block| exif::read(block, &mut metadata)).unwrap_or_default();
    let declared = Declared { icc, exif_colour_space: found.colour_space, ..Declared::default() };
    Ok(Stored { header, image, orientation: found.orientation, dpi: found.dpi, declared, metadata, other_pages: Vec::new() })
}

#[cfg(test)]
mod tests;
