//! JPEG: 8-bit Huffman-coded grey or RGB, baseline, extended and progressive; nothing that is not all there.
//!
//! Decoders of the web forgive: what is missing becomes grey. `zune-jpeg` in strict mode forgives less but still accepts a lost
//! end-of-image marker, data that ends early with one, data that is too long, and missing scans. So the segments are walked here first
//! ([`stream`]), and every code between them ([`entropy`]); the decoder gets a copy without metadata that ends in a way it cannot overlook.
//! Arrangements that it decodes wrongly are refused.

mod entropy;
mod frame;
mod huffman;
mod stream;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use self::stream::{Colour, Head};
use super::{Stored, decode_cost_bytes, without_inks};
use crate::codec::exif;
use crate::codec::header::{DecodeLimits, ScanHeader};
use crate::codec::{Channels, DecodeError, Format};
use crate::colour::Declared;
use crate::imaging::{Samples, ScanImage};

/// Longest side a JPEG can have, pixels: its fields have 16 bits.
const MAX_SIDE: usize = 65_535;

pub(super) fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    let head = Head::read(bytes)?;
    header(&head, bytes, limits)
}

fn header(head: &Head<'_>, bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    limits.check(Format::Jpeg, head.frame.size)?;
    let channels = match head.colour()? {
        Colour::Grey => Channels::Grey,
        Colour::YCbCr | Colour::Rgb | Colour::Cmyk | Colour::Ycck => Channels::Rgb,
    };
    head.require_known_sampling()?;
    let is_separation = matches!(head.colour()?, Colour::Cmyk | Colour::Ycck);
    let inks = if is_separation { 4 * head.frame.size.pixels() } else { 0 };
    let scratch_bytes = bytes.len() as u64 + head.coefficient_bytes() + inks;
    Ok(ScanHeader {
        format: Format::Jpeg,
        size: head.frame.size,
        bit_depth: 8,
        channels,
        is_separation,
        in_bands: false,
        scratch_bytes,
    })
}

/// `samples` is memory to decode into; what it holds does not matter.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits, mut samples: Vec<u8>) -> Result<Stored, DecodeError> {
    let head = Head::read(bytes)?;
    let header = header(&head, bytes, limits)?;
    header.reserve(decode_cost_bytes(&header))?;
    // Raw components are what an RGB JPEG holds; the decoder has no other way to leave them alone, for it knows RGB by
    // the components' names only.
    let output = match head.colour()? {
        Colour::Grey => ColorSpace::Luma,
        Colour::Rgb if !head.is_named_rgb() => ColorSpace::YCbCr,
        Colour::Rgb | Colour::YCbCr => ColorSpace::RGB,
        // The copy that is decoded has no word on inks, so the decoder leaves both as they are stored.
        Colour::Cmyk | Colour::Ycck => ColorSpace::CMYK,
    };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE)
        .set_max_height(MAX_SIDE)
        .jpeg_set_out_colorspace(output);
    let picture = head.picture(bytes)?;
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&picture), options);
    let damaged = |error: DecodeErrors| {
        // Some of the library's texts stand in quotation marks.
        let text = error.to_string();
        DecodeError::damaged(Format::Jpeg, format!("its data cannot be decoded ({})", text.trim_matches('"')))
    };
    decoder.decode_headers().map_err(damaged)?;
    let stored = if header.is_separation { 4 * header.size.pixels() } else { header.picture_bytes() };
    let wanted = usize::try_from(stored).ok();
    if wanted.is_none() || decoder.output_buffer_size() != wanted {
        return Err(DecodeError::damaged(Format::Jpeg, "its headers contradict each other"));
    }
    samples.resize(wanted.unwrap_or(0), 0);
    decoder.decode_into(&mut samples).map_err(damaged)?;
    let mut metadata = head.metadata();
    let found = head.exif.map(|block| exif::read(block, &mut metadata)).unwrap_or_default();
    let dpi = exif::usable(head.dpi.clone(), "JFIF's resolution", &mut metadata);
    let mut declared = Declared { exif_colour_space: found.colour_space, ..Declared::default() };
    match head.icc() {
        Ok(icc) => declared.icc = icc,
        Err(oddity) => declared.oddities.push(oddity),
    }
    if header.is_separation {
        inks(&mut samples, &head)?;
    }
    let samples = without_inks(Samples::U8(samples), header.is_separation, &mut declared);
    let image = ScanImage::new(header.size, header.channels, samples);
    let image = image.expect("the buffer was made for the header's size and channels");
    Ok(Stored {
        header,
        image,
        orientation: found.orientation,
        dpi: dpi.or(found.dpi),
        declared,
        metadata,
        other_pages: Vec::new(),
    })
}

/// Coverage of cyan, magenta, yellow and black from the stored components.
fn inks(samples: &mut [u8], head: &Head<'_>) -> Result<(), DecodeError> {
    let is_ycck = head.colour()? == Colour::Ycck;
    for pixel in samples.as_chunks_mut::<4>().0 {
        if is_ycck {
            // Complements of the stored inks by the formulas of JFIF (ITU-T T.871, 7).
            let [y, cb, cr] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
            let (cb, cr) = (cb - 128.0, cr - 128.0);
            let rgb = [y + 1.402 * cr, y - 0.344_136_3 * cb - 0.714_136_3 * cr, y + 1.772 * cb];
            rgb.into_iter().zip(&mut *pixel).for_each(|(value, ink)| *ink = 255 - value.round().clamp(0.0, 255.0) as u8);
        }
        if head.is_inverted() {
            pixel.iter_mut().for_each(|ink| *ink = 255 - *ink);
        }
    }
    Ok(())
}

#[cfg(test)]
mod entropy_tests;
#[cfg(test)]
mod tests;
