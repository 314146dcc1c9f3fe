//! A page's samples as strips: predicted, compressed on several threads, handed over in order.

use miniz_oxide::deflate::compress_to_vec_zlib;
use tiff::{TiffError, TiffResult};
use weezl::BitOrder;

use super::super::TiffCompression;
use crate::codec::checksums::{Checksums, bytes_of};
use crate::codec::in_order::in_order;
use crate::imaging::{Rows, Samples};

/// What a strip aims at, bytes: large enough to compress well, small enough that every thread has some.
pub(in crate::codec::encode) const STRIP_BYTES: usize = 1 << 20;

/// Level of Deflate. Of a grainy scan 85 % are left; the next level takes four times as long for 82 %, and the first level of zlib-ng's kind
/// makes it larger than it was.
const DEFLATE: u8 = 1;

/// How a page is cut up and stored.
pub(super) struct Strips<'a> {
    picture: &'a dyn Rows,
    compression: TiffCompression,
    /// Samples a pixel, and a row.
    stride: usize,
    row: usize,
    rows: u32,
}

impl<'a> Strips<'a> {
    pub(super) fn of(picture: &'a dyn Rows, compression: TiffCompression) -> Self {
        let stride = picture.channels().count();
        let row = picture.size().width as usize * stride;
        let rows = (STRIP_BYTES / (row * usize::from(picture.bit_depth() / 8))) as u32;
        Self { picture, compression, stride, row, rows: rows.clamp(1, picture.size().height) }
    }

    /// Bytes before compression.
    pub(super) fn bytes(&self) -> usize {
        self.row * self.picture.size().height as usize * usize::from(self.picture.bit_depth() / 8)
    }

    /// Rows of every strip but the last, which may have fewer.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// The word of tag 259.
    pub(super) fn compression(&self) -> u16 {
        match self.compression {
            TiffCompression::None => 1,
            TiffCompression::Lzw => 5,
            TiffCompression::Deflate => 8,
        }
    }

    /// Whether differences of neighbours are stored (tag 317).
    pub(super) fn predicts(&self) -> bool {
        self.compression != TiffCompression::None
    }

    /// Hands every strip over as it is stored, in order; the checksums are of the samples.
    pub(super) fn each(&self, mut take: impl FnMut(&[u8]) -> TiffResult<()>) -> TiffResult<Checksums> {
        let height = self.picture.size().height;
        let mut all = Checksums::default();
        let work = |_: &mut (), strip: usize| {
            let first = strip as u32 * self.rows;
            let samples = self.picture.rows(first..(first + self.rows).min(height));
            let sums = Checksums::of(&samples, self.row);
            self.packed(samples).map(|packed| (packed, sums)).map_err(TiffError::from)
        };
        in_order(height.div_ceil(self.rows) as usize, work, |(packed, sums)| {
            all.append(sums);
            take(&packed)
        })?;
        Ok(all)
    }

    /// One strip, predicted and compressed.
    fn packed(&self, samples: Samples) -> std::io::Result<Vec<u8>> {
        let bytes: Vec<u8> = match samples {
            samples if !self.predicts() => return Ok(bytes_of(samples)),
            Samples::U8(samples) => {
                let rows = samples.chunks(self.row);
                rows.flat_map(|row| differences(row, self.stride, u8::wrapping_sub)).collect()
            }
            Samples::U16(samples) => {
                let rows = samples.chunks(self.row);
                rows.flat_map(|row| differences(row, self.stride, u16::wrapping_sub)).flat_map(u16::to_ne_bytes).collect()
            }
        };
        if self.compression != TiffCompression::Lzw {
            return Ok(compress_to_vec_zlib(&bytes, DEFLATE));
        }
        let mut packed = Vec::with_capacity(bytes.len());
        let mut encoder = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8);
        encoder.into_vec(&mut packed).encode_all(&bytes).status.map_err(std::io::Error::other)?;
        Ok(packed)
    }
}

/// Every sample less the same one of the pixel before it (TIFF 6.0, section 14).
fn differences<T: Copy>(row: &[T], stride: usize, less: impl Fn(T, T) -> T + Copy) -> impl Iterator<Item = T> {
    let first = row[..stride].iter().copied();
    first.chain(row.iter().zip(&row[stride..]).map(move |(&before, &sample)| less(sample, before)))
}
