//! TIFF and BigTIFF: grey, RGB, CMYK and palettes, with or without alpha, strips and tiles, chunky and planar, stored as they are or as
//! LZW, Deflate, PackBits, Zstandard, CCITT Group 4 or JPEG. Bilevel and 2- and 4-bit grey are expanded to 8 bits; whole numbers of 32 bits and
//! floating-point samples, which must lie in 0..=1, become 16 bits.
//!
//! The first page that is no reduced copy and no mask is the scan; the others are named ([`pages`]). Samples beyond colour and alpha
//! (a scanner's infrared channel) are left out. Alpha that was multiplied into the colour is divided out again.

mod bands;
mod blocks;
mod chunks;
mod facts;
mod jpeg;
mod packed;
mod pages;
mod palette;
mod samples;

use std::io::ErrorKind;

use tiff::TiffError;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

pub(in crate::codec) use self::bands::Bands;
use self::bands::Opening;
use self::chunks::Chunks;
use self::facts::{Facts, number};
use self::palette::{Overlaid, Palette};
use super::Stored;
use crate::codec::exif;
use crate::codec::header::{DecodeLimits, ScanHeader};
use crate::codec::{DecodeError, Format};
use crate::colour::{Declared, Inks};

type Open<'a> = Decoder<Overlaid<'a>>;

/// Largest value of a tag, bytes: profiles end at 8 MiB.
const VALUE_BYTES: usize = 16 << 20;

/// Largest tile that may be larger than the picture, bytes: what writers of tiles use at most.
const TILE_BYTES: usize = 4 << 20;

fn failed(error: TiffError) -> DecodeError {
    match error {
        TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::truncated(Format::Tiff, "what its tags point at is cut or lies beyond its end")
        }
        TiffError::UnsupportedError(error) => DecodeError::unsupported(Format::Tiff, error.to_string()),
        error => DecodeError::damaged(Format::Tiff, error),
    }
}

pub(super) fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    Ok(choose(bytes, limits)?.facts.header())
}

/// Everything but the samples, which the bands are going to give.
pub(super) fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Stored<Bands<'a>>, DecodeError> {
    let mut page = choose(bytes, limits)?;
    let mut metadata = blocks::read(&mut page.decoder);
    let other_pages = std::mem::take(&mut page.others);
    let facts = &mut page.facts;
    let oddities = facts.oddity.take().into_iter().collect();
    let orientation = exif::usable(facts.orientation.clone(), "the TIFF's orientation", &mut metadata);
    let dpi = exif::usable(facts.dpi.clone(), "the TIFF's resolution", &mut metadata);
    let header = facts.header();
    let icc = facts.icc.take();
    let mut declared = Declared { icc, exif_colour_space: facts.exif_colour_space, oddities, ..Declared::default() };
    let inks = facts.is_separation.then(|| Inks::of(declared.icc.as_deref()));
    declared.separation = inks.as_ref().map(Inks::separation);
    let image = Bands::new(page, inks)?;
    Ok(Stored { header, image, orientation, dpi, declared, metadata, other_pages })
}

/// The scan's page.
struct Page<'a> {
    /// The file at it, and the way there.
    decoder: Open<'a>,
    opening: Opening<'a>,
    /// What its tags say.
    facts: Facts,
    chunks: Chunks,
    /// The other pages, in words.
    others: Vec<String>,
}

fn choose<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Page<'a>, DecodeError> {
    let mut opening = Opening { bytes, page: 0, indices_as_grey: false };
    let mut decoder = opening.open()?;
    let (page, others) = pages::choose(&mut decoder)?;
    opening.page = page;
    let photometric = number(&mut decoder, Tag::PhotometricInterpretation, u16::MAX)?;
    let bits = number(&mut decoder, Tag::BitsPerSample, 1)?;
    let palette = Palette::read(&mut decoder, photometric, bits)?;
    if palette.is_some() {
        if page != 0 {
            return Err(DecodeError::unsupported(Format::Tiff, "a palette on a page that is not the first"));
        }
        opening.indices_as_grey = true;
        decoder = opening.open()?;
    }
    let facts = Facts::read(&mut decoder, bytes, limits, palette)?;
    let chunks = Chunks::read(&mut decoder, &facts, bytes.len() as u64)?;
    Ok(Page { decoder, opening, facts, chunks, others })
}

#[cfg(test)]
mod bands_tests;
#[cfg(test)]
mod tests;
