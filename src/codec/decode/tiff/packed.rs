//! Strips and tiles of whole numbers, packed as LZW, Deflate or PackBits: decoded to their very end, where what was damaged shows.
//!
//! The library stops as soon as it has what a strip needs: it never sees a checksum, and takes data that goes on for whole.

use std::io::{ErrorKind, Read as _};

use flate2::read::ZlibDecoder;
use weezl::BitOrder;
use weezl::decode::Decoder as LzwDecoder;

use super::chunks::Chunks;
use super::facts::Facts;
use super::{TILE_BYTES, samples};
use crate::codec::{DecodeError, Format};
use crate::imaging::{Samples, Size};

/// Bytes that may stand behind the last row: some writers fill up to whole words, or count one too many.
const PADDING: usize = 16;

/// How samples are packed (tag 259).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Lzw,
    Deflate,
    PackBits,
}

impl Packing {
    /// Of those that are unpacked here.
    pub(super) const fn of(compression: u16) -> Option<Self> {
        match compression {
            5 => Some(Self::Lzw),
            8 | 32_946 => Some(Self::Deflate),
            32_773 => Some(Self::PackBits),
            _ => None,
        }
    }

    /// The bytes, at least `least` of them; some may be filled up to `most`.
    fn unpacked(self, packed: &[u8], least: usize, most: usize) -> Result<Vec<u8>, Fault> {
        // More than this is what overwritten data makes of itself, unless a checksum says that it was written so.
        let most = most + PADDING;
        let mut bytes = Vec::with_capacity(most + 1);
        match self {
            // To the end, where the checksum is.
            Self::Deflate => match ZlibDecoder::new(packed).take(2 * most as u64).read_to_end(&mut bytes) {
                Ok(length) if length >= least && length < 2 * most => return Ok(bytes),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(Fault::Short),
                Err(_) => return Err(Fault::Damaged),
            },
            Self::Lzw => {
                bytes.resize(most + 1, 0);
                let (mut from, mut to) = (0, 0);
                let mut decoder = LzwDecoder::with_tiff_size_switch(BitOrder::Msb, 8);
                loop {
                    let done = decoder.decode_bytes(&packed[from..], &mut bytes[to..]);
                    (from, to) = (from + done.consumed_in, to + done.consumed_out);
                    match done.status {
                        Ok(weezl::LzwStatus::Ok) if to < bytes.len() => {}
                        Ok(_) => break,
                        // Behind a picture that is whole no code is needed.
                        Err(_) if to >= least => break,
                        Err(_) => return Err(Fault::Damaged),
                    }
                }
                bytes.truncate(to);
            }
            // Without an end of its own, so that what fills it up to whole words unpacks to something.
            Self::PackBits => pack_bits(packed, most, &mut bytes),
        }
        match bytes.len() {
            length if length < least => Err(Fault::Short),
            length if length > most => Err(Fault::Long),
            _ => Ok(bytes),
        }
    }
}

/// TIFF 6.0, section 9; stops behind `most` bytes.
fn pack_bits(mut packed: &[u8], most: usize, bytes: &mut Vec<u8>) {
    while let [control, rest @ ..] = packed {
        let count = usize::from(*control);
        packed = match (count, rest) {
            (..=127, rest) => {
                let (literal, rest) = rest.split_at(rest.len().min(count + 1));
                bytes.extend_from_slice(literal);
                rest
            }
            (129.., [value, rest @ ..]) => {
                bytes.extend(std::iter::repeat_n(*value, 257 - count));
                rest
            }
            // 128 stands for nothing, and so does a run without a value.
            (_, rest) => rest,
        };
        if bytes.len() > most {
            return;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Short,
    Long,
    Damaged,
}

/// What a strip or tile shows of the picture, `each` samples a pixel.
pub(super) fn chunk(
    packed: &[u8],
    facts: &Facts,
    packing: Packing,
    chunks: &Chunks,
    index: usize,
    part: Size,
    each: usize,
) -> Result<Samples, DecodeError> {
    let width = chunks.size.width as usize * each;
    let row = width * usize::from(facts.bits / 8);
    // The lowest strip and tiles may be filled up with rows that are not shown.
    let least = row * part.height as usize;
    let most = row.saturating_mul(chunks.filled as usize).min(TILE_BYTES).max(row * chunks.size.height as usize);
    let name = || chunks.name(index);
    let mut bytes = packing.unpacked(packed, least, most).map_err(|fault| match fault {
        Fault::Short => DecodeError::truncated(Format::Tiff, format!("the data of {} ends before its rows do", name())),
        Fault::Long => DecodeError::damaged(Format::Tiff, format!("the data of {} goes on behind its rows", name())),
        Fault::Damaged => DecodeError::damaged(Format::Tiff, format!("the data of {} cannot be unpacked", name())),
    })?;
    bytes.truncate(least);
    let shown = part.width as usize * each;
    let differences = facts.has_differences.then_some(each);
    let shaped = match samples::of_bytes(bytes, facts) {
        Samples::U8(samples) => Samples::U8(shaped(samples, differences, width, shown, u8::wrapping_add)),
        Samples::U16(samples) => Samples::U16(shaped(samples, differences, width, shown, u16::wrapping_add)),
    };
    Ok(samples::black_is_zero(shaped, facts))
}

/// Rows of `width` samples with differences from the sample so many before summed up, and what is not shown cut away.
fn shaped<T: Copy>(
    mut samples: Vec<T>,
    differences: Option<usize>,
    width: usize,
    shown: usize,
    sum: impl Fn(T, T) -> T,
) -> Vec<T> {
    if let Some(each) = differences {
        for row in samples.chunks_exact_mut(width) {
            for at in each..row.len() {
                row[at] = sum(row[at], row[at - each]);
            }
        }
    }
    if shown == width {
        return samples;
    }
    samples.chunks_exact(width).flat_map(|row| &row[..shown]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn lzw(bytes: &[u8]) -> Vec<u8> {
        weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(bytes).unwrap()
    }

    fn run_lengths(bytes: &[u8]) -> Vec<u8> {
        bytes.chunks(128).flat_map(|part| std::iter::once(part.len() as u8 - 1).chain(part.iter().copied())).collect()
    }

    #[test]
    fn what_is_whole_is_unpacked_and_what_ends_early_or_goes_on_is_not() {
        let bytes: Vec<u8> = (0..3000_u32).map(|value| ((value * value) >> 5) as u8).collect();
        for (packing, packed) in
            [(Packing::Deflate, deflated(&bytes)), (Packing::Lzw, lzw(&bytes)), (Packing::PackBits, run_lengths(&bytes))]
        {
            assert_eq!(packing.unpacked(&packed, 3000, 3000).as_ref(), Ok(&bytes), "{packing:?}");
            assert_eq!(packing.unpacked(&packed, 2000, 3500).as_ref(), Ok(&bytes), "{packing:?}, rows that are not shown");
            assert_eq!(packing.unpacked(&packed, 3001, 4000), Err(Fault::Short), "{packing:?}");
            assert_eq!(packing.unpacked(&packed, 2000, 2990).as_ref(), Ok(&bytes), "{packing:?}, a word or two more");
            let longer = packing.unpacked(&packed, 1000, 1400);
            assert_eq!(longer, Err(Fault::Long), "{packing:?}");
            assert!(packing.unpacked(&packed[..packed.len() / 2], 3000, 3000).is_err(), "{packing:?}");
        }
    }

    /// Data that was overwritten and still unpacks to enough is given away by the checksum.
    #[test]
    fn the_checksum_of_deflate_is_looked_at() {
        let bytes: Vec<u8> = (0..3000_u32).map(|value| ((value * value) >> 5) as u8).collect();
        let mut packed = deflated(&bytes);
        let last = packed.len() - 1;
        packed[last] ^= 1;
        assert_eq!(Packing::Deflate.unpacked(&packed, 3000, 3000), Err(Fault::Damaged));
    }

    #[test]
    fn runs_of_pack_bits_are_repeated() {
        let mut bytes = Vec::new();
        // Three as they are, nothing, five times 9, and a run that lost its value.
        pack_bits(&[2, 1, 2, 3, 128, 252, 9, 200], 100, &mut bytes);
        assert_eq!(bytes, [1, 2, 3, 9, 9, 9, 9, 9]);
    }
}
