//! JPEG 2000 (ITU-T T.800): JP2 files and bare codestreams, grey, RGB, sYCC, palettes and CMYK, 1 to 16 bits; samples of more than 8 bits
//! become 16.
//!
//! Decoders of JPEG 2000 are made to show something of half a file. So the boxes and tile-parts are walked here first ([`boxes`]): the
//! codestream must be all there and end where it says.

mod boxes;

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use self::boxes::Outline;
use super::{Stored, decode_cost_bytes, without_inks};
use crate::codec::exif;
use crate::codec::header::{DecodeLimits, ScanHeader};
use crate::codec::{Channels, DecodeError, Format};
use crate::colour::Declared;
use crate::imaging::{Samples, ScanImage};
use crate::metadata::{Found, MAX_IPTC, MAX_XMP};

fn damaged(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DecodeError {
    DecodeError::damaged(Format::Jpeg2000, what)
}

fn unsupported(what: impl Into<String>) -> DecodeError {
    DecodeError::unsupported(Format::Jpeg2000, what)
}

pub(super) fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    let outline = Outline::read(bytes)?;
    let bytes = outline.closed(bytes);
    let image = open(&bytes, &outline, limits)?;
    header(&outline, &image)
}

fn open<'a>(bytes: &'a [u8], outline: &Outline<'_>, limits: &DecodeLimits) -> Result<Image<'a>, DecodeError> {
    limits.check(Format::Jpeg2000, outline.size)?;
    let settings = DecodeSettings { resolve_palette_indices: true, strict: true, target_resolution: None };
    let image = Image::new(bytes, &settings).map_err(|error| damaged(error.to_string()))?;
    if (image.width(), image.height()) != (outline.size.width, outline.size.height) {
        return Err(damaged("its headers contradict each other"));
    }
    Ok(image)
}

fn header(outline: &Outline<'_>, image: &Image<'_>) -> Result<ScanHeader, DecodeError> {
    let (channels, is_separation) = match (image.color_space().num_channels(), image.has_alpha()) {
        (1, false) => (Channels::Grey, false),
        (1, true) => (Channels::GreyAlpha, false),
        (3, false) => (Channels::Rgb, false),
        (3, true) => (Channels::Rgba, false),
        (4, false) => (Channels::Rgb, true),
        (count, _) => return Err(unsupported(format!("{count} components"))),
    };
    let stored = channels.count() as u64 + u64::from(is_separation);
    Ok(ScanHeader {
        format: Format::Jpeg2000,
        size: outline.size,
        bit_depth: if outline.bits > 8 { 16 } else { 8 },
        channels,
        is_separation,
        in_bands: false,
        // Planes of floats, once as coefficients and once as samples, and their neighbours in a tile.
        scratch_bytes: outline.size.pixels() * stored * 12,
    })
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Stored, DecodeError> {
    let outline = Outline::read(bytes)?;
    let bytes = outline.closed(bytes);
    let image = open(&bytes, &outline, limits)?;
    let header = header(&outline, &image)?;
    header.reserve(decode_cost_bytes(&header))?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| damaged(error.to_string()))?;
    let components = decoded.components();
    let stored = header.channels.count() + usize::from(header.is_separation);
    let pixels = usize::try_from(header.size.pixels()).unwrap_or(usize::MAX);
    if components.len() != stored || components.iter().any(|one| one.samples().len() != pixels || one.bit_depth() > 16) {
        return Err(unsupported("components of several sizes, or of more than 16 bits"));
    }
    let planes: Vec<(&[f32], f32)> =
        components.iter().map(|one| (one.samples(), ((1_u32 << one.bit_depth()) - 1) as f32)).collect();
    let samples = if header.bit_depth == 8 {
        Samples::U8(interleaved(&planes, 255.0, |value| value as u8))
    } else {
        Samples::U16(interleaved(&planes, 65_535.0, |value| value as u16))
    };
    // As it stands in the file: the library keeps to itself those that do not suit the components.
    let mut declared = Declared { icc: outline.icc.map(<[u8]>::to_vec), ..Declared::default() };
    let samples = without_inks(samples, header.is_separation, &mut declared);
    let image = ScanImage::new(header.size, header.channels, samples).ok_or_else(|| damaged("it has too few samples"))?;
    let mut metadata = Found::default();
    let mut block = |name: &str, found: Option<&[u8]>, most: usize| {
        found.filter(|block| metadata.takes(name, block.len() as u64, most)).map(<[u8]>::to_vec)
    };
    let (xmp, iptc) = (block("the XMP packet", outline.xmp, MAX_XMP), block("IPTC-IIM", outline.iptc, MAX_IPTC));
    (metadata.xmp, metadata.iptc) = (xmp, iptc);
    let found = outline.exif.map(|block| exif::read(block, &mut metadata)).unwrap_or_default();
    let [captured, shown] =
        outline.resolutions.map(|resolution| exif::usable(resolution, "the JPEG 2000's resolution", &mut metadata));
    let dpi = captured.or(shown).or(found.dpi);
    // A JP2 is stored upright; what EXIF says of orientation in one is about the file it was made from.
    Ok(Stored { header, image, orientation: None, dpi, declared, metadata, other_pages: Vec::new() })
}

/// Planes of 0 to their own largest value as pixels of 0 to `most`.
fn interleaved<T: Copy + Default>(planes: &[(&[f32], f32)], most: f32, code: impl Fn(f32) -> T) -> Vec<T> {
    let mut samples = vec![T::default(); planes.first().map_or(0, |(plane, _)| plane.len()) * planes.len()];
    for (channel, (plane, largest)) in planes.iter().enumerate() {
        let scale = most / largest;
        let to = samples[channel..].iter_mut().step_by(planes.len());
        to.zip(*plane).for_each(|(to, &value)| *to = code((value * scale).round().clamp(0.0, most)));
    }
    samples
}

#[cfg(test)]
mod tests;
