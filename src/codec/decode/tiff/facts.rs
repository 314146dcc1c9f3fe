//! What the tags of a TIFF's first page say, and whether its strips or tiles are all there.

use tiff::decoder::{ChunkType, ifd::Value};
use tiff::tags::{IfdPointer, Tag};

use super::packed::Packing;
use super::palette::Palette;
use super::{Open, failed};
use crate::codec::exif;
use crate::codec::header::{DecodeLimits, ScanHeader};
use crate::codec::in_order::{in_flight, threads};
use crate::codec::{Channels, DecodeError, Format};
use crate::imaging::Size;

/// Most samples a pixel: colour, alpha and some of a scanner's extras.
const MAX_SAMPLES: u16 = 8;

/// What a band aims at, bytes as stored before compression: fits a second-level cache, and its overhead does not show. As long as
/// the encoder's strips.
const BAND_BYTES: u64 = 1 << 20;

/// Photometric interpretations (tag 262).
const WHITE_IS_ZERO: u16 = 0;
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const SEPARATED: u16 = 5;
const YCBCR: u16 = 6;

/// JPEG as technical note 2 has it (tag 259).
const JPEG: u16 = 7;

/// Meaning of the alpha sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    /// Multiplied into the colour.
    Associated,
    Unassociated,
}

/// The first page.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) size: Size,
    /// Bits a stored sample: 1, 2, 4, 8, 16, 32 or 64.
    pub(super) bits: u16,
    /// What indices mean, where the samples are indices.
    pub(super) palette: Option<Palette>,
    /// Samples a stored pixel.
    pub(super) samples: u16,
    pub(super) channels: Channels,
    pub(super) alpha: Alpha,
    pub(super) planar: bool,
    /// Words where it is none.
    pub(super) orientation: Result<Option<u8>, String>,
    pub(super) dpi: exif::Resolution,
    pub(super) icc: Option<Vec<u8>>,
    /// What was found of a profile that cannot be read.
    pub(super) oddity: Option<String>,
    pub(super) exif_colour_space: Option<u32>,
    /// Whether the samples are JPEGs.
    pub(super) is_jpeg: bool,
    /// Whether those hold luma and chroma.
    pub(super) is_ycbcr: bool,
    /// Whether the samples are inks.
    pub(super) is_separation: bool,
    /// Whether the samples lie there uncompressed.
    pub(super) is_uncompressed: bool,
    /// Whether strips hold the samples as they are, 8 or 16 bits each and none to be left out, so that rows can be taken from them.
    pub(super) is_plain: bool,
    /// How such samples are packed in strips or tiles, where they are and we unpack it.
    pub(super) packing: Option<Packing>,
    /// Whether differences of neighbours are stored (tag 317).
    pub(super) has_differences: bool,
    /// Whether 0 is white.
    pub(super) is_inverted: bool,
    pub(super) is_big_endian: bool,
    is_rgb: bool,
    /// Rows of a strip or tile.
    chunk_rows: u32,
}

fn unsupported(what: impl Into<String>) -> DecodeError {
    DecodeError::unsupported(Format::Tiff, what)
}

pub(super) fn number(decoder: &mut Open<'_>, tag: Tag, default: u16) -> Result<u16, DecodeError> {
    // The first value stands for all: the library refuses samples of different kinds.
    let values = decoder.find_tag_unsigned_vec::<u16>(tag).map_err(failed)?;
    Ok(values.and_then(|values| values.first().copied()).unwrap_or(default))
}

impl Facts {
    /// Reads and checks the tags of a file.
    /// `palette` is that of a page which calls its indices grey now.
    pub(super) fn read(
        decoder: &mut Open<'_>,
        bytes: &[u8],
        limits: &DecodeLimits,
        palette: Option<Palette>,
    ) -> Result<Self, DecodeError> {
        let (width, height) = decoder.dimensions().map_err(failed)?;
        let size = Size::new(width, height);
        limits.check(Format::Tiff, size)?;
        let photometric = number(decoder, Tag::PhotometricInterpretation, u16::MAX)?;
        let samples = number(decoder, Tag::SamplesPerPixel, 1)?;
        let bits = number(decoder, Tag::BitsPerSample, 1)?;
        let compression = number(decoder, Tag::Compression, 1)?;
        let predictor = number(decoder, Tag::Predictor, 1)?;
        let has_predictor = predictor != 1;
        let planar = number(decoder, Tag::PlanarConfiguration, 1)? == 2;
        require_compression(compression)?;
        require_samples(decoder, photometric, bits, samples, compression == JPEG)?;
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(failed)?.unwrap_or_default();
        let (is_rgb, is_separation) = (matches!(photometric, RGB | YCBCR), photometric == SEPARATED);
        let colours = match (is_rgb, is_separation) {
            (true, _) => 3,
            (_, true) => 4,
            _ => 1,
        };
        let alpha = match (extra.first(), samples.checked_sub(colours)) {
            (_, None) => return Err(DecodeError::damaged(Format::Tiff, format!("colour of {samples} samples a pixel"))),
            (_, Some(0)) => Alpha::None,
            (Some(1), _) => Alpha::Associated,
            // Writers that forget the tag mean alpha (as libtiff assumes).
            (Some(2), _) => Alpha::Unassociated,
            (None, Some(1)) if is_rgb => Alpha::Unassociated,
            _ => Alpha::None,
        };
        let channels = match (is_rgb, alpha == Alpha::None) {
            (false, true) if palette.is_some() || is_separation => Channels::Rgb,
            (false, true) => Channels::Grey,
            (false, false) => Channels::GreyAlpha,
            (true, true) => Channels::Rgb,
            (true, false) => Channels::Rgba,
        };
        if photometric == WHITE_IS_ZERO && samples > 1 {
            return Err(unsupported("inverted grey with extra samples"));
        }
        if palette.is_some() && samples > 1 {
            return Err(unsupported("a palette with extra samples"));
        }
        if is_separation {
            require_inks(decoder, samples)?;
        }
        if compression == JPEG && (bits != 8 || planar || samples != colours || is_separation || photometric == WHITE_IS_ZERO) {
            return Err(unsupported("JPEG inside TIFF of anything but 8-bit grey, RGB or YCbCr"));
        }
        // The library undoes the predictor after it has left samples out, which garbles the rest.
        if is_rgb && has_predictor && !planar && usize::from(samples) > channels.count() {
            return Err(unsupported("a predictor over samples beyond colour and alpha"));
        }
        let (icc, oddity) = match decoder.find_tag(Tag::IccProfile).map(|value| value.map(Value::into_u8_vec)) {
            Ok(None) => (None, None),
            Ok(Some(Ok(icc))) => (Some(icc), None),
            Ok(Some(Err(error))) | Err(error) => {
                (None, Some(format!("the ICC profile cannot be read and was not used: {error}")))
            }
        };
        let (chunk_width, chunk_rows) = decoder.chunk_dimensions();
        if chunk_width == 0 || chunk_rows == 0 {
            return Err(DecodeError::damaged(Format::Tiff, "its tags say strips or tiles without pixels"));
        }
        let is_float = number(decoder, Tag::SampleFormat, 1)? == 3;
        let is_tiled = decoder.get_chunk_type() == ChunkType::Tile;
        let is_whole = matches!(bits, 8 | 16) && !is_float;
        let is_chunky = samples == 1 || !planar;
        let mut facts = Self {
            size,
            bits,
            palette,
            samples,
            channels,
            alpha,
            planar,
            orientation: orientation(decoder),
            dpi: resolution(decoder),
            icc,
            oddity,
            exif_colour_space: exif_colour_space(decoder),
            is_jpeg: compression == JPEG,
            is_ycbcr: photometric == YCBCR,
            is_separation,
            is_uncompressed: compression == 1,
            is_plain: compression == 1 && !has_predictor && is_whole && is_chunky && !is_tiled,
            packing: if is_whole && matches!(predictor, 1 | 2) { Packing::of(compression) } else { None },
            has_differences: predictor == 2,
            is_inverted: photometric == WHITE_IS_ZERO,
            is_big_endian: bytes.starts_with(b"MM"),
            is_rgb,
            chunk_rows: chunk_rows.min(height),
        };
        if facts.decoded_samples() != usize::from(samples) {
            // The library leaves samples out.
            facts.is_plain = false;
            facts.packing = facts.packing.filter(|_| !is_chunky);
        }
        Ok(facts)
    }

    /// Samples a pixel of what the library gives back: it leaves those beyond RGB(A) out, but not those beyond grey.
    pub(super) fn decoded_samples(&self) -> usize {
        if self.is_rgb { self.channels.count() } else { usize::from(self.samples) }
    }

    /// Samples a pixel of what is kept of that: colour and alpha, or inks.
    pub(super) fn kept_samples(&self) -> usize {
        if self.is_separation { 4 } else { self.channels.count() }
    }

    /// How many planes the samples lie in.
    pub(super) fn planes(&self) -> usize {
        if self.planar { usize::from(self.samples) } else { 1 }
    }

    /// Bytes of a row of what the library gives back.
    fn stored_row(&self) -> u64 {
        (u64::from(self.size.width) * self.decoded_samples() as u64 * u64::from(self.bits)).div_ceil(8)
    }

    /// Bytes of what the library gives back.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored_row() * u64::from(self.size.height)
    }

    /// Rows that are decoded together: whole strips or rows of tiles, or any rows of what lies in the file as it is.
    pub(super) fn band_rows(&self) -> u32 {
        let step = if self.is_plain { 1 } else { self.chunk_rows };
        let steps = BAND_BYTES / (self.stored_row() * u64::from(step)).max(1);
        u32::try_from(steps.max(1)).unwrap_or(u32::MAX).saturating_mul(step).min(self.size.height)
    }

    pub(super) fn header(&self) -> ScanHeader {
        let bit_depth = match &self.palette {
            Some(palette) if !palette.is_eight_bits() => 16,
            _ if self.bits > 8 => 16,
            _ => 8,
        };
        let mut header = ScanHeader {
            format: Format::Tiff,
            size: self.size,
            bit_depth,
            channels: self.channels,
            is_separation: self.is_separation,
            in_bands: true,
            scratch_bytes: 0,
        };
        // A band as it is stored, and as it becomes; as many as are under way at once, or all there are.
        let rows = u64::from(self.band_rows());
        let mut band = rows * self.stored_row() + header.picture_bytes() / u64::from(self.size.height) * rows;
        if self.is_jpeg {
            // Coefficients of 16 bits, were it a progressive one, and a bit for each of them.
            band += rows * self.stored_row() * 17 / 8;
        }
        let bands = u64::from(self.size.height).div_ceil(rows);
        header.scratch_bytes = band * bands.min(in_flight(threads()) as u64);
        header
    }
}

fn require_compression(compression: u16) -> Result<(), DecodeError> {
    let name = match compression {
        1 | 4 | 5 | JPEG | 8 | 32_773 | 32_946 | 50_000 => return Ok(()),
        2 => "CCITT run-length compression",
        3 => "CCITT Group 3 compression",
        6 => "JPEG compression of the old style inside TIFF",
        34_887 => "LERC compression",
        33_003 | 33_005 | 34_712 => "JPEG 2000 compression inside TIFF",
        50_001 => "WebP compression inside TIFF",
        other => return Err(unsupported(format!("compression method {other}"))),
    };
    Err(unsupported(name))
}

fn require_samples(decoder: &mut Open<'_>, photometric: u16, bits: u16, samples: u16, is_jpeg: bool) -> Result<(), DecodeError> {
    match photometric {
        WHITE_IS_ZERO | BLACK_IS_ZERO | RGB | SEPARATED => {}
        YCBCR if is_jpeg => {}
        3 => return Err(unsupported("palette colour")),
        4 => return Err(unsupported("a transparency mask")),
        YCBCR => return Err(unsupported("YCbCr colour that is not JPEG")),
        8..=10 => return Err(unsupported("CIELab colour")),
        32_803 | 34_892 => return Err(unsupported("camera raw data")),
        other => return Err(unsupported(format!("photometric interpretation {other}"))),
    }
    match number(decoder, Tag::SampleFormat, 1)? {
        1 if bits <= 32 => {}
        2 => return Err(unsupported("signed samples")),
        3 if matches!(bits, 16 | 32 | 64) && photometric != WHITE_IS_ZERO => return require_count(samples),
        3 => return Err(unsupported(format!("inverted or {bits}-bit floating-point samples"))),
        1 => return Err(unsupported(format!("{bits} bits a sample"))),
        other => return Err(unsupported(format!("sample format {other}"))),
    }
    require_count(samples)?;
    match bits {
        8 | 16 | 32 => {}
        1 | 2 | 4 if samples == 1 && photometric != RGB => {}
        _ => return Err(unsupported(format!("{bits} bits a sample"))),
    }
    if bits < 8 && number(decoder, Tag::FillOrder, 1)? != 1 {
        return Err(unsupported("bits stored from the right (FillOrder 2)"));
    }
    Ok(())
}

/// Inks must be those of process colour (tag 332), four of them.
fn require_inks(decoder: &mut Open<'_>, samples: u16) -> Result<(), DecodeError> {
    match (number(decoder, Tag::Unknown(332), 1)?, samples) {
        (1, 4) => Ok(()),
        (1, count) => Err(unsupported(format!("CMYK of {count} samples a pixel"))),
        _ => Err(unsupported("inks other than cyan, magenta, yellow and black")),
    }
}

fn require_count(samples: u16) -> Result<(), DecodeError> {
    match samples {
        0..=MAX_SAMPLES => Ok(()),
        samples => Err(unsupported(format!("{samples} samples a pixel"))),
    }
}

/// Orientation by tag 274.
fn orientation(decoder: &mut Open<'_>) -> Result<Option<u8>, String> {
    match decoder.find_tag_unsigned::<u32>(Tag::Orientation) {
        Ok(None) => Ok(None),
        Ok(number) => exif::orientation_of(number),
        Err(_) => exif::orientation_of(None),
    }
}

/// Resolution by tags 282, 283 and 296.
fn resolution(decoder: &mut Open<'_>) -> exif::Resolution {
    let mut side = |tag| match decoder.find_tag(tag) {
        Ok(value) => value.map(|value| first_number(&value)),
        Err(_) => Some(f64::NAN),
    };
    let (x, y) = (side(Tag::XResolution), side(Tag::YResolution));
    // Inches when nothing else is said (TIFF 6.0, section 8).
    let unit = decoder.find_tag_unsigned::<u32>(Tag::ResolutionUnit).ok().flatten().unwrap_or(2);
    exif::dpi_of(x, y, unit)
}

/// The first number of a value; none of the kinds that hold numbers is not a number.
fn first_number(value: &Value) -> f64 {
    match value {
        Value::List(values) => values.first().map_or(f64::NAN, first_number),
        Value::Rational(n, d) => f64::from(*n) / f64::from(*d),
        Value::SRational(n, d) => f64::from(*n) / f64::from(*d),
        Value::Byte(value) => f64::from(*value),
        Value::Short(value) => f64::from(*value),
        Value::Unsigned(value) => f64::from(*value),
        Value::Float(value) => f64::from(*value),
        Value::Double(value) => *value,
        _ => f64::NAN,
    }
}

/// ColorSpace (tag 0xA001) of the EXIF directory, if there is one.
fn exif_colour_space(decoder: &mut Open<'_>) -> Option<u32> {
    let at = decoder.find_tag_unsigned::<u64>(Tag::ExifDirectory).ok()??;
    let directory = decoder.read_directory(IfdPointer(at)).ok()?;
    decoder.read_directory_tags(&directory).find_tag_unsigned::<u32>(Tag::Unknown(0xA001)).ok()?
}
