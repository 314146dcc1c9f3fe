//! PNG: every colour type and depth; palettes and fewer than 8 bits are expanded to 8, 16 bits stay 16.
//!
//! All checksums are verified and the end chunk is required. Animations are refused: which frame is the scan?

mod chunk;
mod text;

use std::io::{Cursor, ErrorKind};

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Info, Limits, Reader, ScaledFloat, Transformations, Unit};

use super::{Stored, decode_cost_bytes};
use crate::codec::exif;
use crate::codec::header::{DecodeLimits, ScanHeader};
use crate::codec::{Channels, DecodeError, Format};
use crate::colour::{Cicp, Declared};
use crate::imaging::{Samples, ScanImage, Size};
use crate::metadata::Found;

/// Memory for chunks and rows, bytes. The longest row that a limit lets pass takes 8 × 300 000.
const CHUNK_BYTES: usize = 64 << 20;

/// Metres an inch.
const METRES_PER_INCH: f64 = 0.0254;

type Open<'a> = Reader<Cursor<&'a [u8]>>;

fn failed(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::truncated(Format::Png, "a chunk is cut or its end chunk is missing")
        }
        DecodingError::Format(error) => DecodeError::damaged(Format::Png, words(&error.to_string())),
        error => DecodeError::damaged(Format::Png, error),
    }
}

/// The library's text for a break of the rules, behind words for people. Of a wrong checksum it has two numbers, which say nothing.
fn words(text: &str) -> String {
    if text.starts_with("CRC error") {
        return "a checksum is wrong: some of its bytes are not those that were written".to_owned();
    }
    format!("it breaks the rules of PNG ({})", text.trim_end_matches('.'))
}

pub(super) fn read_header(bytes: &[u8], limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> {
    let (bytes, _) = chunk::without_oversized(bytes, &mut Found::default());
    Ok(open(&bytes, limits)?.1)
}

/// Reads up to the picture's data.
fn open<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<(Open<'a>, ScanHeader), DecodeError> {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(false);
    // Compressed texts unpack without bound there: those that are used are unpacked within one here ([`text`]).
    options.set_ignore_text_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(Limits { bytes: CHUNK_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    let info = decoder.read_header_info().map_err(failed)?;
    let size = Size::new(info.width, info.height);
    limits.check(Format::Png, size)?;
    let reader = decoder.read_info().map_err(failed)?;
    if reader.info().animation_control.is_some() {
        return Err(DecodeError::unsupported(Format::Png, "an animation (APNG)"));
    }
    let (color, depth) = reader.output_color_type();
    let channels = match color {
        ColorType::Grayscale => Channels::Grey,
        ColorType::GrayscaleAlpha => Channels::GreyAlpha,
        ColorType::Rgb => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
        ColorType::Indexed => return Err(DecodeError::damaged(Format::Png, "its palette is missing")),
    };
    let bit_depth = if depth == BitDepth::Sixteen { 16 } else { 8 };
    let mut header =
        ScanHeader { format: Format::Png, size, bit_depth, channels, is_separation: false, in_bands: false, scratch_bytes: 0 };
    if reader.info().interlaced && bit_depth == 16 {
        // An interlaced picture is put together as bytes before it becomes samples.
        header.scratch_bytes = header.picture_bytes();
    }
    Ok((reader, header))
}

pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Stored, DecodeError> {
    let mut metadata = Found::default();
    let (bytes, oddity) = chunk::without_oversized(bytes, &mut metadata);
    let bytes = &bytes[..];
    let (mut reader, header) = open(bytes, limits)?;
    header.reserve(decode_cost_bytes(&header))?;
    let too_large = || DecodeError::TooManyPixels { size: header.size, limit: limits.max_pixels };
    let count = usize::try_from(header.picture_bytes()).map_err(|_| too_large())?;
    let samples = if header.bit_depth == 8 {
        let mut samples = vec![0; count];
        reader.next_frame(&mut samples).map_err(failed)?;
        Samples::U8(samples)
    } else if reader.info().interlaced {
        let mut raw = vec![0; count];
        reader.next_frame(&mut raw).map_err(failed)?;
        Samples::U16(raw.chunks_exact(2).map(big_endian).collect())
    } else {
        let mut samples = Vec::with_capacity(count / 2);
        let mut row = vec![0; count / header.size.height as usize];
        while reader.read_row(&mut row).map_err(failed)?.is_some() {
            samples.extend(row.chunks_exact(2).map(big_endian));
        }
        Samples::U16(samples)
    };
    reader.finish().map_err(failed)?;
    let image = ScanImage::new(header.size, header.channels, samples)
        .ok_or_else(|| DecodeError::damaged(Format::Png, "it has fewer rows than its header says"))?;
    let info = reader.info();
    text::metadata(bytes, &mut metadata);
    let found = info.exif_metadata.as_deref().map(|block| exif::read(block, &mut metadata)).unwrap_or_default();
    let dpi = exif::usable(resolution(info, bytes), "the PNG's resolution", &mut metadata);
    let mut declared = declared(info, found.colour_space);
    declared.oddities.extend(oddity);
    // The library says nothing of a profile that does not unpack.
    if declared.icc.is_none() && chunk::all(bytes).any(|(kind, _)| kind == *b"iCCP") {
        declared.oddities.push("the ICC profile is broken and was not used: it does not unpack".to_owned());
    }
    Ok(Stored {
        header,
        image,
        orientation: found.orientation,
        dpi: finer(dpi, found.dpi),
        declared,
        metadata,
        other_pages: Vec::new(),
    })
}

/// Resolution by the pHYs chunk; without a unit it is a mere aspect ratio.
fn resolution(info: &Info<'_>, bytes: &[u8]) -> exif::Resolution {
    match info.pixel_dims {
        Some(dims) if dims.unit == Unit::Meter => {
            exif::plausible(f64::from(dims.xppu) * METRES_PER_INCH, f64::from(dims.yppu) * METRES_PER_INCH)
        }
        Some(_) => Ok(None),
        // The library says nothing of a chunk that it does not understand.
        None if chunk::all(bytes).any(|(kind, _)| kind == *b"pHYs") => Err("its chunk pHYs cannot be understood".to_owned()),
        None => Ok(None),
    }
}

/// The chunk's resolution, unless EXIF's is the same but for the chunk's rounding to whole pixels a metre.
fn finer(chunk: Option<(f64, f64)>, exif: Option<(f64, f64)>) -> Option<(f64, f64)> {
    // Half a pixel a metre is 0.0127 pixels an inch; EXIF's fraction may be rounded too.
    const ROUNDING: f64 = 0.02;
    let same =
        |(x, y): (f64, f64), (other_x, other_y): (f64, f64)| (x - other_x).abs() < ROUNDING && (y - other_y).abs() < ROUNDING;
    match (chunk, exif) {
        (Some(chunk), Some(exif)) if same(chunk, exif) => Some(exif),
        (chunk, exif) => chunk.or(exif),
    }
}

fn declared(info: &Info<'_>, exif_colour_space: Option<u32>) -> Declared {
    let point = |(x, y): (ScaledFloat, ScaledFloat)| [x.into_value(), y.into_value()];
    Declared {
        icc: info.icc_profile.as_deref().map(<[u8]>::to_vec),
        cicp: info.coding_independent_code_points.map(|points| Cicp {
            primaries: points.color_primaries,
            transfer: points.transfer_function,
            full_range: points.is_video_full_range_image,
        }),
        srgb: info.srgb.is_some(),
        gamma: info.gama_chunk.map(ScaledFloat::into_value),
        chromaticities: info.chrm_chunk.map(|chunk| [chunk.white, chunk.red, chunk.green, chunk.blue].map(point)),
        exif_colour_space,
        ..Declared::default()
    }
}

fn big_endian(pair: &[u8]) -> u16 {
    u16::from_be_bytes([pair[0], pair[1]])
}

#[cfg(test)]
mod tests;
