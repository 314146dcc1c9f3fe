//! A page's samples as strips: predicted, compressed on several threads, handed over in order.

use std::io::Write as _;
use std::num::NonZero;
use std::thread;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tiff::TiffResult;
use weezl::BitOrder;

use super::super::TiffCompression;
use crate::imaging::{Samples, ScanImage};

/// What a strip aims at, bytes: large enough to compress well, small enough that every thread has some.
const STRIP_BYTES: usize = 1 << 20;

/// Most threads for one page; others work on other pages.
const THREADS: usize = 8;

/// Strips a thread takes at once: bounds what lies compressed in memory and not in the file yet.
const AT_ONCE: usize = 4;

/// How a page is cut up and stored.
pub(super) struct Strips<'a> {
    samples: &'a Samples,
    compression: TiffCompression,
    /// Samples a pixel, and a row.
    stride: usize,
    row: usize,
    rows: usize,
}

impl<'a> Strips<'a> {
    pub(super) fn of(image: &'a ScanImage, compression: TiffCompression) -> Self {
        let stride = image.channels().count();
        let row = image.size().width as usize * stride;
        let rows = (STRIP_BYTES / (row * usize::from(image.bit_depth() / 8))).max(1).min(image.size().height as usize);
        Self { samples: image.samples(), compression, stride, row, rows }
    }

    /// Bytes before compression.
    pub(super) fn bytes(&self) -> usize {
        self.samples.len() * usize::from(self.samples.bit_depth() / 8)
    }

    /// Rows of every strip but the last, which may have fewer.
    pub(super) fn rows(&self) -> u32 {
        self.rows as u32
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

    /// Hands every strip over as it is stored, in order.
    pub(super) fn each(&self, mut take: impl FnMut(&[u8]) -> TiffResult<()>) -> TiffResult<()> {
        let strip = self.rows * self.row;
        let count = self.samples.len().div_ceil(strip);
        let range = |index: usize| index * strip..((index + 1) * strip).min(self.samples.len());
        if self.compression == TiffCompression::None {
            return (0..count).try_for_each(|index| match self.samples {
                Samples::U8(samples) => take(&samples[range(index)]),
                Samples::U16(samples) => {
                    let bytes: Vec<u8> = samples[range(index)].iter().flat_map(|sample| sample.to_ne_bytes()).collect();
                    take(&bytes)
                }
            });
        }
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
        for first in (0..count).step_by(threads * AT_ONCE) {
            let batch: Vec<usize> = (first..count.min(first + threads * AT_ONCE)).collect();
            let packed: Vec<Vec<u8>> = thread::scope(|scope| {
                let share = batch.len().div_ceil(threads);
                let parts = batch.chunks(share).map(|part| {
                    scope.spawn(move || part.iter().map(|&index| self.packed(range(index))).collect::<Result<Vec<_>, _>>())
                });
                let parts: Vec<_> = parts.collect();
                let joined = parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
                joined.collect::<Result<Vec<_>, _>>().map(|parts| parts.into_iter().flatten().collect())
            })?;
            packed.iter().try_for_each(|strip| take(strip))?;
        }
        Ok(())
    }

    /// One strip, predicted and compressed.
    fn packed(&self, range: std::ops::Range<usize>) -> std::io::Result<Vec<u8>> {
        let bytes: Vec<u8> = match self.samples {
            Samples::U8(samples) => {
                let rows = samples[range].chunks(self.row);
                rows.flat_map(|row| differences(row, self.stride, u8::wrapping_sub)).collect()
            }
            Samples::U16(samples) => {
                let rows = samples[range].chunks(self.row);
                rows.flat_map(|row| differences(row, self.stride, u16::wrapping_sub)).flat_map(u16::to_ne_bytes).collect()
            }
        };
        let mut packed = Vec::with_capacity(bytes.len());
        if self.compression == TiffCompression::Lzw {
            let mut encoder = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8);
            encoder.into_vec(&mut packed).encode_all(&bytes).status.map_err(std::io::Error::other)?;
        } else {
            // The fast level: half the time of the usual one, for files about a sixth larger on grainy scans.
            let mut encoder = ZlibEncoder::new(&mut packed, Compression::fast());
            encoder.write_all(&bytes)?;
            encoder.finish()?;
        }
        Ok(packed)
    }
}

/// Every sample less the same one of the pixel before it (TIFF 6.0, section 14).
fn differences<T: Copy>(row: &[T], stride: usize, less: impl Fn(T, T) -> T + Copy) -> impl Iterator<Item = T> {
    let first = row[..stride].iter().copied();
    first.chain(row.iter().zip(&row[stride..]).map(move |(&before, &sample)| less(sample, before)))
}
