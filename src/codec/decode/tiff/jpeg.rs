//! JPEG inside TIFF (compression 7, technical note 2): every strip or tile is a JPEG whose tables may stand in a tag of their own. The
//! strict decoder of JPEG reads them, where the TIFF library's own would take half of one.

use tiff::tags::{Tag, Type, ValueBuffer};

use super::chunks::Chunks;
use super::facts::Facts;
use super::{Open, failed};
use crate::codec::decode::jpeg;
use crate::codec::header::DecodeLimits;
use crate::codec::{DecodeError, Format};
use crate::imaging::{Samples, Size};

const TABLES: Tag = Tag::Unknown(347);

/// Longest tables that are read, bytes: four of each kind take some 2 KiB.
const MAX_TABLES: u64 = 64 << 10;

/// Adobe's segment with the word for its colour transform: in TIFF the photometric interpretation says what a JPEG's own segments
/// would.
const fn adobe(transform: u8) -> [u8; 16] {
    [0xFF, 0xEE, 0, 14, b'A', b'd', b'o', b'b', b'e', 0, 100, 0, 0, 0, 0, transform]
}

/// What the JPEGs of a page share.
#[derive(Debug)]
pub(super) struct Jpegs {
    tables: Vec<u8>,
    /// What one may hold: the tags are the file's word, and so are the JPEGs' own sizes.
    limits: DecodeLimits,
}

impl Jpegs {
    pub(super) fn read(decoder: &mut Open<'_>, chunks: &Chunks) -> Result<Self, DecodeError> {
        Ok(Self { tables: tables(decoder)?, limits: DecodeLimits { max_pixels: chunks.filled_pixels() } })
    }

    /// What a strip or tile shows of the picture, grey or RGB. That every one lies within the file was checked.
    pub(super) fn chunk(
        &self,
        bytes: &[u8],
        facts: &Facts,
        chunks: &Chunks,
        index: usize,
        part: Size,
    ) -> Result<Vec<u8>, DecodeError> {
        let chunk = chunks.data(bytes, index);
        let name = chunks.name(index);
        let stream =
            stream(&self.tables, chunk, facts).ok_or_else(|| DecodeError::damaged(Format::Tiff, format!("{name} is no JPEG")))?;
        let decoded = jpeg::decode(&stream, &self.limits, Vec::new()).map_err(|error| inside(&name, error))?.image;
        let (size, channels) = (decoded.size(), decoded.channels());
        if channels != facts.channels || size.width < part.width || size.height < part.height {
            return Err(DecodeError::damaged(
                Format::Tiff,
                format!("{name} is a JPEG of another size or colour than its tags say"),
            ));
        }
        let Samples::U8(from) = decoded.into_samples() else {
            return Err(DecodeError::unsupported(Format::Tiff, "JPEG of more than 8 bits inside TIFF"));
        };
        if size == part {
            return Ok(from);
        }
        let count = channels.count();
        let rows = from.chunks_exact(size.width as usize * count).take(part.height as usize);
        Ok(rows.flat_map(|row| &row[..part.width as usize * count]).copied().collect())
    }
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
