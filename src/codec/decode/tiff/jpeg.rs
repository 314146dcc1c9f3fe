//! JPEG inside TIFF (compression 7, technical note 2): every strip or tile is a JPEG whose tables may stand in a tag of their own. The
//! strict decoder of JPEG reads them, where the TIFF library's own would take half of one.

use tiff::decoder::ChunkType;
use tiff::tags::{Tag, Type, ValueBuffer};

use super::facts::Facts;
use super::{Open, TILE_BYTES, failed};
use crate::codec::decode::jpeg;
use crate::codec::header::DecodeLimits;
use crate::codec::{DecodeError, Format};
use crate::imaging::Samples;

const TABLES: Tag = Tag::Unknown(347);

/// Longest tables that are read, bytes: four of each kind take some 2 KiB.
const MAX_TABLES: u64 = 64 << 10;

/// Adobe's segment with the word for its colour transform: in TIFF the photometric interpretation says what a JPEG's own segments
/// would.
const fn adobe(transform: u8) -> [u8; 16] {
    [0xFF, 0xEE, 0, 14, b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, transform]
}

/// The page's samples, grey or RGB.
pub(super) fn read(decoder: &mut Open<'_>, bytes: &[u8], facts: &Facts) -> Result<Vec<u8>, DecodeError> {
    let (offsets, counts, is_tiled) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts, false),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts, true),
    };
    let offsets = decoder.get_tag_u64_vec(offsets).map_err(failed)?;
    let counts = decoder.get_tag_u64_vec(counts).map_err(failed)?;
    let tables = tables(decoder)?;
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    let (width, height) = (facts.size.width, facts.size.height);
    let across = if is_tiled { width.div_ceil(chunk_width) } else { 1 };
    let down = height.div_ceil(chunk_height);
    if offsets.len() as u64 != u64::from(across) * u64::from(down) || counts.len() != offsets.len() {
        return Err(DecodeError::damaged(Format::Tiff, "it has another number of strips or tiles than its size asks for"));
    }
    // What one chunk may hold: the tags are the file's word, and so are the JPEGs' own sizes.
    let largest = u64::from(chunk_width) * u64::from(if is_tiled { chunk_height } else { chunk_height.min(height) });
    if largest > facts.size.pixels().max(TILE_BYTES as u64) {
        return Err(DecodeError::damaged(Format::Tiff, "its tiles are larger than any picture of its size needs"));
    }
    let limits = DecodeLimits { max_pixels: largest };
    let count = facts.channels.count();
    let stride = width as usize * count;
    let mut samples = vec![0; stride * height as usize];
    for (index, (&offset, &length)) in offsets.iter().zip(&counts).enumerate() {
        let (row, column) = (index as u32 / across, index as u32 % across);
        let (left, top) = (column * chunk_width, row * chunk_height);
        let rows = chunk_height.min(height - top) as usize;
        let columns = if is_tiled { chunk_width.min(width - left) as usize } else { width as usize };
        // That every chunk lies within the file was checked.
        let chunk = &bytes[offset as usize..(offset + length) as usize];
        let name = format!("{} {} of {}", if is_tiled { "tile" } else { "strip" }, index + 1, offsets.len());
        let stream =
            stream(&tables, chunk, facts).ok_or_else(|| DecodeError::damaged(Format::Tiff, format!("{name} is no JPEG")))?;
        let decoded = jpeg::decode(&stream, &limits, Vec::new()).map_err(|error| inside(&name, error))?.image;
        let (size, channels) = (decoded.size(), decoded.channels());
        let Samples::U8(from) = decoded.into_samples() else { continue };
        if channels != facts.channels || (size.width as usize) < columns || (size.height as usize) < rows {
            return Err(DecodeError::damaged(
                Format::Tiff,
                format!("{name} is a JPEG of another size or colour than its tags say"),
            ));
        }
        for (y, from) in from.chunks_exact(size.width as usize * count).take(rows).enumerate() {
            let at = (top as usize + y) * stride + left as usize * count;
            samples[at..at + columns * count].copy_from_slice(&from[..columns * count]);
        }
    }
    Ok(samples)
}

fn tables(decoder: &mut Open<'_>) -> Result<Vec<u8>, DecodeError> {
    let mut buffer = ValueBuffer::empty(Type::UNDEFINED);
    let too_long = decoder.image_ifd().find_entry(TABLES).is_some_and(|entry| entry.count() > MAX_TABLES);
    if too_long {
        return Err(DecodeError::damaged(Format::Tiff, "its JPEG tables are too long"));
    }
    let found = decoder.image_ifd().find_tag_buf(TABLES, &mut buffer).map_err(failed)?;
    Ok(found.map(|_| buffer.as_bytes().to_vec()).unwrap_or_default())
}

/// A whole JPEG: the tables, and the chunk without what begins it.
fn stream(tables: &[u8], chunk: &[u8], facts: &Facts) -> Option<Vec<u8>> {
    let mut chunk = chunk.strip_prefix(&[0xFF, 0xD8])?;
    // What JFIF and Adobe would say of colour, the photometric interpretation says here.
    while let [0xFF, 0xE0 | 0xEE, high, low, ..] = chunk {
        chunk = chunk.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..)?;
    }
    let tables = tables.strip_prefix(&[0xFF, 0xD8]).unwrap_or_default();
    let tables = tables.strip_suffix(&[0xFF, 0xD9]).unwrap_or(tables);
    let mut stream = vec![0xFF, 0xD8];
    if facts.channels.is_rgb() {
        stream.extend(adobe(u8::from(facts.is_ycbcr)));
    }
    stream.extend_from_slice(tables);
    stream.extend_from_slice(chunk);
    Some(stream)
}

/// What the decoder of JPEG said, said of the TIFF.
fn inside(name: &str, error: DecodeError) -> DecodeError {
    match error {
        DecodeError::Truncated { source, .. } => DecodeError::truncated(Format::Tiff, format!("{name}: {source}")),
        DecodeError::Damaged { source, .. } => DecodeError::damaged(Format::Tiff, format!("{name}: {source}")),
        DecodeError::Unsupported { what, .. } => DecodeError::unsupported(Format::Tiff, format!("{what}, in JPEG inside TIFF")),
        other => other,
    }
}
