//! Palettes: the library does not read them, but it reads their indices once they call themselves grey.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use tiff::tags::Tag;

use super::{Open, failed};
use crate::codec::{DecodeError, Format};

/// PhotometricInterpretation, and its values for palettes and grey.
const PHOTOMETRIC: u16 = 262;
const PALETTE: u16 = 3;
const GREY: u16 = 1;

/// The type of a tag's value: whole numbers of 16 bits.
const SHORT: u64 = 3;

/// Red, green and blue of every index, 16 bits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Palette(Vec<[u16; 3]>);

impl Palette {
    /// The first page's palette, if its pixels are indices.
    pub(super) fn read(decoder: &mut Open<'_>, photometric: u16, bits: u16) -> Result<Option<Self>, DecodeError> {
        if photometric != PALETTE {
            return Ok(None);
        }
        let map = decoder.find_tag_unsigned_vec::<u16>(Tag::ColorMap).map_err(failed)?.unwrap_or_default();
        let count = 1_usize << bits.min(16);
        // All reds, then all greens, then all blues (TIFF 6.0, section 5).
        if !matches!(bits, 1 | 2 | 4 | 8) || map.len() != 3 * count {
            let what = format!("a palette of {} values for {bits} bits", map.len());
            return Err(DecodeError::damaged(Format::Tiff, what));
        }
        // Old writers filled the map with bytes (libtiff's tools look for that, too).
        let scale = if map.iter().all(|&value| value < 256) { 257 } else { 1 };
        Ok(Some(Self((0..count).map(|index| [0, 1, 2].map(|channel| map[channel * count + index] * scale)).collect())))
    }

    /// Whether 8 bits hold every colour: as 257 times a byte, or, as some write it, 256 times.
    pub(super) fn is_eight_bits(&self) -> bool {
        let of = |step: u16| self.0.iter().flatten().all(|value| value.is_multiple_of(step));
        of(257) || of(256)
    }

    /// Colours of indices, 8 bits.
    pub(super) fn eight(&self, indices: &[u8]) -> Vec<u8> {
        indices.iter().flat_map(|&index| self.0[usize::from(index)].map(|value| (value >> 8) as u8)).collect()
    }

    /// Colours of indices, 16 bits.
    pub(super) fn sixteen(&self, indices: &[u8]) -> Vec<u16> {
        indices.iter().flat_map(|&index| self.0[usize::from(index)]).collect()
    }
}

/// A file's bytes, two of which read as others.
#[derive(Debug)]
pub(super) struct Overlaid<'a> {
    bytes: Cursor<&'a [u8]>,
    /// Where, and what stands there instead.
    patch: Option<(u64, [u8; 2])>,
}

impl<'a> Overlaid<'a> {
    /// As it is.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Cursor::new(bytes), patch: None }
    }

    /// With a first page that calls its indices grey; `None` when the tag is not where and what it must be.
    pub(super) fn as_grey(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = bytes.starts_with(b"MM");
        let number = |at: usize, length: usize| {
            let field = bytes.get(at..at.checked_add(length)?)?;
            let fold = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
            Some(if big_endian { field.iter().fold(0, fold) } else { field.iter().rev().fold(0, fold) })
        };
        // BigTIFF has wider counts and offsets, and entries of 20 bytes in place of 12.
        let big = number(2, 2)? == 43;
        let (directory_at, wide, entry, count_width) = if big { (8, 8, 20, 8) } else { (4, 4, 12, 2) };
        let directory = usize::try_from(number(directory_at, wide)?).ok()?;
        let first = directory.checked_add(count_width)?;
        let count = usize::try_from(number(directory, count_width)?).ok()?.min(1 << 16);
        let entries = (0..count).map_while(|index| first.checked_add(index * entry));
        let at = entries.into_iter().find(|&at| number(at, 2) == Some(PHOTOMETRIC.into()))?;
        if number(at + 2, 2)? != SHORT || number(at + 4, wide)? != 1 {
            return None;
        }
        let grey = if big_endian { GREY.to_be_bytes() } else { GREY.to_le_bytes() };
        Some(Self { patch: Some(((at + 4 + wide) as u64, grey)), ..Self::new(bytes) })
    }
}

impl Read for Overlaid<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let from = self.bytes.position();
        let count = self.bytes.read(to)?;
        if let Some((at, patch)) = self.patch {
            for (place, byte) in (at..).zip(patch) {
                let inside = place.checked_sub(from).and_then(|offset| usize::try_from(offset).ok());
                if let Some(offset) = inside.filter(|&offset| offset < count) {
                    to[offset] = byte;
                }
            }
        }
        Ok(count)
    }
}

impl Seek for Overlaid<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}
