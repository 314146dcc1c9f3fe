//! A page's samples in bands of rows: some strips or rows of tiles together, or some rows of a strip that is stored as it is.

use tiff::decoder::{Decoder, Limits};

use super::chunks::Chunks;
use super::facts::Facts;
use super::jpeg::Jpegs;
use super::palette::Overlaid;
use super::{Open, Page, TILE_BYTES, VALUE_BYTES, failed, packed, samples};
use crate::codec::in_order::in_order;
use crate::codec::{DecodeError, Format};
use crate::colour::Inks;
use crate::imaging::{Samples, ScanImage, Size};

/// How a thread comes to the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) page: usize,
    /// Whether the page is to call its indices grey, which the library reads.
    pub(super) indices_as_grey: bool,
}

impl<'a> Opening<'a> {
    pub(super) fn open(self) -> Result<Open<'a>, DecodeError> {
        let contradicting = || DecodeError::damaged(Format::Tiff, "its tags contradict each other");
        let file = if self.indices_as_grey {
            Overlaid::as_grey(self.bytes).ok_or_else(contradicting)?
        } else {
            Overlaid::new(self.bytes)
        };
        let mut decoder = Decoder::new(file).map_err(failed)?.with_limits(limits());
        if self.page > 0 {
            decoder.seek_to_image(self.page).map_err(failed)?;
        }
        Ok(decoder)
    }

    /// Ready to decode strips or tiles of so many bytes.
    fn decoder(self, chunk_bytes: usize) -> Result<Open<'a>, DecodeError> {
        let mut limits = limits();
        limits.decoding_buffer_size = chunk_bytes.max(TILE_BYTES);
        limits.intermediate_buffer_size = self.bytes.len();
        Ok(self.open()?.with_limits(limits))
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    // A profile that is too large is told of later; the library's own bound is below profiles of presses.
    limits.ifd_value_size = VALUE_BYTES;
    limits
}

/// The samples of a page, which are decoded when they are asked for.
pub(in crate::codec) struct Bands<'a> {
    opening: Opening<'a>,
    facts: Facts,
    chunks: Chunks,
    jpegs: Option<Jpegs>,
    inks: Option<Inks>,
    /// Rows of every band but the last, which may have fewer.
    rows: u32,
}

impl<'a> Bands<'a> {
    pub(super) fn new(page: Page<'a>, inks: Option<Inks>) -> Result<Self, DecodeError> {
        let Page { mut decoder, opening, facts, chunks, .. } = page;
        let jpegs = if facts.is_jpeg { Some(Jpegs::read(&mut decoder, &chunks)?) } else { None };
        let rows = facts.band_rows();
        Ok(Self { opening, facts, chunks, jpegs, inks, rows })
    }

    /// Decodes every band, calls `work` with its first row and picture on one of several threads, and `take` in order with what that made.
    pub(in crate::codec) fn each<T: Send>(
        &self,
        work: impl Fn(u32, ScanImage) -> T + Sync,
        mut take: impl FnMut(T),
    ) -> Result<(), DecodeError> {
        let count = self.facts.size.height.div_ceil(self.rows) as usize;
        let one = |own: &mut Option<Open<'a>>, band: usize| {
            let top = band as u32 * self.rows;
            Ok(work(top, self.band(own, top)?))
        };
        in_order(count, one, |made| {
            take(made);
            Ok(())
        })
    }

    fn band(&self, own: &mut Option<Open<'a>>, top: u32) -> Result<ScanImage, DecodeError> {
        let size = Size::new(self.facts.size.width, self.rows.min(self.facts.size.height - top));
        let (raw, stored) = if self.facts.is_plain {
            (self.plain(top, size.height), self.facts.decoded_samples())
        } else {
            self.put_together(own, top, size)?
        };
        let samples = samples::finished(raw, &self.facts, stored, self.inks.as_ref());
        ScanImage::new(size, self.facts.channels, samples)
            .ok_or_else(|| DecodeError::damaged(Format::Tiff, "it has another number of samples than its tags say"))
    }

    /// Rows that lie in the file as they are, which the tags were checked to hold.
    fn plain(&self, top: u32, rows: u32) -> Samples {
        let facts = &self.facts;
        let row = facts.size.width as usize * usize::from(facts.samples) * usize::from(facts.bits / 8);
        let lines = (top..top + rows).map(|y| {
            let at = self.chunks.offsets[(y / self.chunks.size.height) as usize] as usize;
            &self.opening.bytes[at + (y % self.chunks.size.height) as usize * row..][..row]
        });
        let mut bytes = Vec::with_capacity(row * rows as usize);
        lines.for_each(|line| bytes.extend_from_slice(line));
        samples::black_is_zero(samples::of_bytes(bytes, facts), facts)
    }

    /// Strips or tiles side by side and one below the other; how many samples a pixel they have together.
    fn put_together(&self, own: &mut Option<Open<'a>>, top: u32, size: Size) -> Result<(Samples, usize), DecodeError> {
        let (facts, Chunks { size: chunk, across, down, .. }) = (&self.facts, &self.chunks);
        // Of planes only those that are kept; of pixels whatever the library leaves.
        let planes = if facts.planes() > 1 { facts.kept_samples() } else { 1 };
        let each = if facts.planes() > 1 { 1 } else { facts.decoded_samples() };
        let stored = planes * each;
        let mut all: Option<Samples> = None;
        let (first, last) = (top / chunk.height, (top + size.height).div_ceil(chunk.height));
        for (row, column) in (first..last).flat_map(|row| (0..*across).map(move |column| (row, column))) {
            let (y, x) = (row * chunk.height - top, column * chunk.width);
            let part = Size::new(chunk.width.min(size.width - x), chunk.height.min(size.height - y));
            for plane in 0..planes {
                let index = plane * (across * down) as usize + (row * across + column) as usize;
                let from = self.chunk(own, index, part, each)?;
                if part == size && planes == 1 {
                    return Ok((from, stored));
                }
                let to = all.get_or_insert_with(|| empty(&from, size.pixels() as usize * stored));
                let place = Place { left: x as usize, top: y as usize, plane, each, stored, width: size.width as usize };
                match (to, &from) {
                    (Samples::U8(to), Samples::U8(from)) => place.put(to, from, part),
                    (Samples::U16(to), Samples::U16(from)) => place.put(to, from, part),
                    _ => return Err(DecodeError::damaged(Format::Tiff, "its strips are of several kinds")),
                }
            }
        }
        let all = all.ok_or_else(|| DecodeError::damaged(Format::Tiff, "it has no strips"))?;
        Ok((all, stored))
    }

    /// What a strip or tile shows of the picture, `each` samples a pixel.
    fn chunk(&self, own: &mut Option<Open<'a>>, index: usize, part: Size, each: usize) -> Result<Samples, DecodeError> {
        let wanted = part.pixels() as usize * each;
        if let Some(jpegs) = &self.jpegs {
            return jpegs.chunk(self.opening.bytes, &self.facts, &self.chunks, index, part).map(Samples::U8);
        }
        if let Some(packing) = self.facts.packing {
            let packed = self.chunks.data(self.opening.bytes, index);
            return packed::chunk(packed, &self.facts, packing, &self.chunks, index, part, each);
        }
        let decoder = match own {
            Some(decoder) => decoder,
            none => none.insert(self.opening.decoder(self.facts.stored_bytes() as usize)?),
        };
        let raw = decoder.read_chunk(u32::try_from(index).unwrap_or(u32::MAX)).map_err(failed)?;
        let mut samples = samples::of_library(raw, &self.facts, part.width as usize)?;
        // The library takes the lowest tiles of planes behind the first for whole.
        match &mut samples {
            Samples::U8(samples) => samples.truncate(wanted),
            Samples::U16(samples) => samples.truncate(wanted),
        }
        if samples.len() != wanted {
            return Err(DecodeError::damaged(Format::Tiff, "its strips or tiles are not of the size its tags say"));
        }
        Ok(samples)
    }
}

fn empty(like: &Samples, count: usize) -> Samples {
    match like {
        Samples::U8(_) => Samples::U8(vec![0; count]),
        Samples::U16(_) => Samples::U16(vec![0; count]),
    }
}

/// Where a strip or tile lies in a band.
struct Place {
    left: usize,
    top: usize,
    plane: usize,
    /// Samples a pixel of it, and of the band.
    each: usize,
    stored: usize,
    /// Pixels in a row of the band.
    width: usize,
}

impl Place {
    fn put<T: Copy>(&self, to: &mut [T], from: &[T], part: Size) {
        let row = part.width as usize * self.each;
        for (y, from) in from.chunks_exact(row).enumerate() {
            let to = &mut to[((self.top + y) * self.width + self.left) * self.stored..][..part.width as usize * self.stored];
            if self.each == self.stored {
                to.copy_from_slice(from);
            } else {
                to[self.plane..].iter_mut().step_by(self.stored).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
