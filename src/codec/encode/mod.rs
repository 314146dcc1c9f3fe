//! From a picture to the bytes of a file; the same picture and settings always give the same bytes.
//!
//! Pictures in colour carry the profile of their colour space. Grey ones, which are no derivatives, carry none: PNG says in a chunk of its own that
//! they are sRGB, JPEG (JFIF) and TIFF without a profile are taken as that.

mod tiff;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use libjpeg_turbo_rs::{Encoder as JpegEncoder, PixelFormat as JpegPixels, Subsampling};
use png::{
    BitDepth, ColorType as PngColor, Compression, Encoder as PngEncoder, Info as PngInfo, PixelDimensions, SrgbRenderingIntent,
    Unit,
};

use super::checksums::Checksums;
use super::format::UnknownWord;
use super::in_order::{in_flight, threads};
use super::{Carried, Channels, EncodeError, Format};
use crate::colour;
use crate::imaging::{ColourSpace, Rows, Samples, ScanImage, to_eight_bits};

/// Longest side a JPEG can have, pixels: its fields have 16 bits.
const JPEG_MAX_SIDE: u32 = 65_535;

/// JFIF's word for densities in dots an inch (ITU-T T.871, 10.1).
const JFIF_INCH: u8 = 1;

/// Keywords of PNG's texts for an XMP packet (XMP part 3, 1.1.5) and for IPTC-IIM.
const XMP_KEYWORD: &str = "XML:com.adobe.xmp";
const IPTC_KEYWORD: &str = "Raw profile type iptc";

/// Compression of TIFF derivatives, all lossless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TiffCompression {
    /// None: the fastest by far, and what archives like best.
    #[default]
    None,
    /// LZW with horizontal prediction: read everywhere; larger than nothing on grainy 16-bit scans.
    Lzw,
    /// Deflate at its fast level with horizontal prediction: smaller and quicker than LZW.
    Deflate,
}

impl TiffCompression {
    const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lzw => "lzw",
            Self::Deflate => "deflate",
        }
    }
}

impl fmt::Display for TiffCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for TiffCompression {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::None, Self::Lzw, Self::Deflate]
            .into_iter()
            .find(|compression| compression.word() == word)
            .ok_or_else(|| UnknownWord { word: word.to_owned(), choices: "none, lzw, deflate" })
    }
}

/// Encoder settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeSettings {
    /// 1..=100, of libjpeg's scale; values outside count as the nearer end.
    pub jpeg_quality: u8,
    /// TIFF only.
    pub tiff_compression: TiffCompression,
    /// Whose profile pictures in colour carry: that of their samples.
    pub colour_space: ColourSpace,
}

impl Default for EncodeSettings {
    fn default() -> Self {
        Self { jpeg_quality: 92, tiff_compression: TiffCompression::None, colour_space: ColourSpace::Srgb }
    }
}

/// Encodes the picture.
///
/// PNG and TIFF keep every sample, TIFF beyond 4 GiB as BigTIFF. A JPEG has 8 bits (16 are rounded), full chroma resolution
/// (4:4:4) and no alpha (it is dropped, not blended). A resolution that the format cannot hold is left out.
///
/// # Errors
/// [`EncodeError::TooLarge`] for a JPEG with a side above 65535 pixels, [`EncodeError::Encoder`] when an encoder fails.
pub fn encode(image: &ScanImage, format: Format, settings: &EncodeSettings, carried: &Carried) -> Result<Vec<u8>, EncodeError> {
    match format {
        Format::Jpeg => encode_jpeg(image, settings, carried),
        Format::Png => encode_png(image, settings.colour_space, carried).map_err(|error| EncodeError::encoder(format, error)),
        Format::Tiff => Ok(encode_strips(image, settings, carried)?.bytes),
        Format::WebP | Format::Jpeg2000 => Err(EncodeError::encoder(format, "this format is read and not written")),
    }
}

/// A TIFF whose samples were made strip by strip.
#[derive(Debug)]
pub struct InStrips {
    /// The file.
    pub bytes: Vec<u8>,
    /// By which its samples are known again.
    pub checksums: Checksums,
}

/// Encodes a picture as a TIFF without ever having it whole: rows are asked for, and compressed, by several threads.
///
/// # Errors
/// [`EncodeError::Encoder`] when an encoder fails.
pub fn encode_strips(picture: &dyn Rows, settings: &EncodeSettings, carried: &Carried) -> Result<InStrips, EncodeError> {
    let made = tiff::encode(picture, settings, carried);
    let (bytes, checksums) = made.map_err(|error| EncodeError::encoder(Format::Tiff, error))?;
    Ok(InStrips { bytes, checksums })
}

/// Most bytes that strips take while they are made: samples as they are, predicted, and compressed.
pub fn strips_bytes() -> u64 {
    (3 * tiff::STRIP_BYTES * in_flight(threads())) as u64
}

fn encode_jpeg(image: &ScanImage, settings: &EncodeSettings, carried: &Carried) -> Result<Vec<u8>, EncodeError> {
    let size = image.size();
    let (Ok(width), Ok(height)) = (u16::try_from(size.width), u16::try_from(size.height)) else {
        return Err(EncodeError::TooLarge { size, format: Format::Jpeg, limit: JPEG_MAX_SIDE });
    };
    let (samples, pixels) = jpeg_samples(image);
    // The decoder that every file has to pass before it is published is another author's: what this encoder gets wrong is found.
    let mut encoder = JpegEncoder::new(&samples, width.into(), height.into(), pixels)
        .quality(settings.jpeg_quality.clamp(1, 100))
        .subsampling(Subsampling::S444);
    if let Some((x, y)) = carried.dpi.and_then(|(x, y)| Some((whole(x)?, whole(y)?))) {
        encoder = encoder.density(JFIF_INCH, x, y);
    }
    if let Some(profile) = profile_of(image.channels(), settings.colour_space) {
        encoder = encoder.icc_profile(profile);
    }
    if !carried.exif_block.is_empty() {
        encoder = encoder.exif_data(&carried.exif_block);
    }
    if let Some(xmp) = &carried.xmp {
        encoder = encoder.xmp_data(xmp);
    }
    if let Some(iptc) = &carried.iptc {
        encoder = encoder.iptc_data(iptc);
    }
    encoder.encode().map_err(|error| EncodeError::encoder(Format::Jpeg, error))
}

/// The profile that a picture carries.
fn profile_of(channels: Channels, space: ColourSpace) -> Option<&'static [u8]> {
    channels.is_rgb().then(|| colour::profile_of(space))
}

/// A resolution in whole pixels, where it fits JFIF's 16 bits.
fn whole(dpi: f64) -> Option<u16> {
    let rounded = dpi.round();
    (1.0..=f64::from(u16::MAX)).contains(&rounded).then_some(rounded as u16)
}

/// Samples of 8 bits, without alpha unless the encoder skips it by itself.
fn jpeg_samples(image: &ScanImage) -> (Cow<'_, [u8]>, JpegPixels) {
    let channels = image.channels();
    let color = if channels.is_rgb() { JpegPixels::Rgb } else { JpegPixels::Grayscale };
    let kept = if channels.is_rgb() { 3 } else { 1 };
    match image.samples() {
        Samples::U8(samples) if channels == Channels::Rgba => (Cow::Borrowed(samples), JpegPixels::Rgba),
        Samples::U8(samples) if channels == Channels::GreyAlpha => {
            (samples.chunks_exact(2).map(|pixel| pixel[0]).collect(), color)
        }
        Samples::U8(samples) => (Cow::Borrowed(samples), color),
        Samples::U16(samples) if channels.has_alpha() => {
            (samples.chunks_exact(kept + 1).flat_map(|pixel| &pixel[..kept]).copied().map(to_eight_bits).collect(), color)
        }
        Samples::U16(samples) => (samples.iter().copied().map(to_eight_bits).collect(), color),
    }
}

fn encode_png(image: &ScanImage, space: ColourSpace, carried: &Carried) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut info = PngInfo::with_size(image.size().width, image.size().height);
    info.icc_profile = profile_of(image.channels(), space).map(Cow::Borrowed);
    if !carried.exif_block.is_empty() {
        info.exif_metadata = Some(Cow::Borrowed(&carried.exif_block));
    }
    let names_itself = info.icc_profile.is_none();
    let mut encoder = PngEncoder::with_info(&mut bytes, info)?;
    if names_itself {
        encoder.set_source_srgb(SrgbRenderingIntent::Perceptual);
    }
    encoder.set_color(match image.channels() {
        Channels::Grey => PngColor::Grayscale,
        Channels::GreyAlpha => PngColor::GrayscaleAlpha,
        Channels::Rgb => PngColor::Rgb,
        Channels::Rgba => PngColor::Rgba,
    });
    encoder.set_depth(if image.bit_depth() == 16 { BitDepth::Sixteen } else { BitDepth::Eight });
    encoder.set_compression(Compression::Fast);
    encoder.set_pixel_dims(carried.dpi.and_then(|(x, y)| {
        let metre = |dpi: f64| Some((dpi / 0.0254).round()).filter(|count| (1.0..=f64::from(u32::MAX)).contains(count));
        Some(PixelDimensions { xppu: metre(x)? as u32, yppu: metre(y)? as u32, unit: Unit::Meter })
    }));
    if let Some(xmp) = carried.xmp.as_deref().and_then(|xmp| std::str::from_utf8(xmp).ok()) {
        encoder.add_itxt_chunk(XMP_KEYWORD.to_owned(), xmp.to_owned())?;
    }
    if let Some(iptc) = &carried.iptc {
        encoder.add_ztxt_chunk(IPTC_KEYWORD.to_owned(), raw_profile(iptc))?;
    }
    let mut writer = encoder.write_header()?;
    match image.samples() {
        Samples::U8(samples) => writer.write_image_data(samples)?,
        // The encoder takes the whole picture at once, in PNG's byte order, or else cannot store what does not compress.
        Samples::U16(samples) => {
            let big_endian: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
            writer.write_image_data(&big_endian)?;
        }
    }
    writer.finish()?;
    Ok(bytes)
}

/// Bytes as PNG's texts carry them in the way of ImageMagick and ExifTool: a name, their number, and digits on lines.
fn raw_profile(bytes: &[u8]) -> String {
    let mut text = format!("\niptc\n{:>8}", bytes.len());
    for (index, byte) in bytes.iter().enumerate() {
        if index % 36 == 0 {
            text.push('\n');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
