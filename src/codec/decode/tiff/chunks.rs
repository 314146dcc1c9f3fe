//! Where a page's strips or tiles lie, and whether they are all there.

use tiff::decoder::ChunkType;
use tiff::tags::Tag;

use super::facts::Facts;
use super::{Open, TILE_BYTES, failed};
use crate::codec::{DecodeError, Format};
use crate::imaging::Size;

/// Strips or tiles, as many as the page's size asks for, each within the file.
#[derive(Debug)]
pub(super) struct Chunks {
    is_tiled: bool,
    /// Pixels of each but those at the edges.
    pub(super) size: Size,
    /// Rows that the lowest may be filled up to.
    pub(super) filled: u32,
    /// How many there are beside and below each other, in a plane.
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) offsets: Vec<u64>,
    counts: Vec<u64>,
}

impl Chunks {
    /// Reads and checks them; `length` is the file's, bytes.
    pub(super) fn read(decoder: &mut Open<'_>, facts: &Facts, length: u64) -> Result<Self, DecodeError> {
        let (offsets, counts, is_tiled) = match decoder.get_chunk_type() {
            ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts, false),
            ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts, true),
        };
        let offsets = decoder.get_tag_u64_vec(offsets).map_err(failed)?;
        let counts = decoder.get_tag_u64_vec(counts).map_err(failed)?;
        let (width, height) = decoder.chunk_dimensions();
        // A strip may say that it has more rows than the picture.
        let size = if is_tiled { Size::new(width, height) } else { Size::new(facts.size.width, height.min(facts.size.height)) };
        let across = facts.size.width.div_ceil(size.width);
        let down = facts.size.height.div_ceil(size.height);
        let chunks = Self { is_tiled, size, filled: height, across, down, offsets, counts };
        chunks.require_size(facts)?;
        chunks.require_data(decoder, facts, length)?;
        Ok(chunks)
    }

    /// As many as are needed, and none larger than a picture of this size can need.
    fn require_size(&self, facts: &Facts) -> Result<(), DecodeError> {
        let in_plane = u64::from(self.across) * u64::from(self.down);
        let (there, wanted) = (self.offsets.len() as u64, in_plane * facts.planes() as u64);
        // Planes are counted off, so of them there must not be more either.
        if there < wanted || facts.planes() > 1 && there != wanted || self.counts.len() != self.offsets.len() {
            let what = format!("it has {there} {}s where its size asks for {wanted}", self.word());
            return Err(DecodeError::damaged(Format::Tiff, what));
        }
        let tile = self.row(facts).saturating_mul(u64::from(self.size.height));
        let picture = facts.stored_bytes().max(TILE_BYTES as u64);
        // Each by itself, and all of them, which are unpacked to their ends.
        if self.is_tiled && (tile > picture || tile.saturating_mul(wanted) > 64 * picture) {
            return Err(DecodeError::damaged(Format::Tiff, "its tiles are larger than any picture of its size needs"));
        }
        Ok(())
    }

    /// Every one must lie within the file, and an uncompressed one must be long enough: the library would read on into whatever
    /// follows it.
    fn require_data(&self, decoder: &Open<'_>, facts: &Facts, length: u64) -> Result<(), DecodeError> {
        let row = self.row(facts);
        for (index, (&offset, &count)) in self.offsets.iter().zip(&self.counts).enumerate() {
            if offset.checked_add(count).is_none_or(|end| end > length) {
                return Err(DecodeError::truncated(Format::Tiff, format!("{} lies beyond its end", self.name(index))));
            }
            // Strips of the last plane follow those of the first: their heights repeat, and so do their indices below.
            let in_plane = index % (self.offsets.len() / facts.planes()).max(1);
            let (_, rows) = decoder.chunk_data_dimensions(u32::try_from(in_plane).unwrap_or(u32::MAX));
            if facts.is_uncompressed && count < row.saturating_mul(u64::from(rows)) {
                return Err(DecodeError::truncated(Format::Tiff, format!("{} is shorter than its rows", self.name(index))));
            }
        }
        // Blank tiles may share their data; packed data that is unpacked many times over is a bomb.
        let total = self.counts.iter().fold(0_u64, |sum, &count| sum.saturating_add(count));
        if !facts.is_uncompressed && total > length.saturating_mul(8) {
            return Err(DecodeError::damaged(Format::Tiff, format!("its {}s lie one upon the other", self.word())));
        }
        Ok(())
    }

    /// Bytes of a stored row.
    fn row(&self, facts: &Facts) -> u64 {
        let samples = if facts.planar { 1 } else { u64::from(facts.samples) };
        (u64::from(self.size.width) * samples * u64::from(facts.bits)).div_ceil(8)
    }

    /// One of them as it lies in the file.
    pub(super) fn data<'a>(&self, bytes: &'a [u8], index: usize) -> &'a [u8] {
        let offset = self.offsets[index] as usize;
        &bytes[offset..offset + self.counts[index] as usize]
    }

    /// Most pixels of a strip or tile that may be filled up.
    pub(super) fn filled_pixels(&self) -> u64 {
        let filled = u64::from(self.size.width) * u64::from(self.filled);
        filled.min(TILE_BYTES as u64).max(self.size.pixels())
    }

    const fn word(&self) -> &'static str {
        if self.is_tiled { "tile" } else { "strip" }
    }

    /// What messages call it.
    pub(super) fn name(&self, index: usize) -> String {
        format!("{} {} of {}", self.word(), index + 1, self.offsets.len())
    }
}
