//! stub
pub use crate::imaging::Channels;
use crate::imaging::{ScanImage, Size};
use crate::job::Disposition;
/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format { /// JPEG
    Jpeg, /// PNG
    Png, /// TIFF
    Tiff }
impl Format {
    /// `jpg`, `png`, `tif`.
    pub const fn extension(self) -> &'static str { match self { Self::Jpeg => "jpg", Self::Png => "png", Self::Tiff => "tif" } }
}
/// `jpeg`, `png`, `tiff`
impl std::fmt::Display for Format { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
impl std::str::FromStr for Format { type Err = String; fn from_str(_: &str) -> Result<Self, String> { todo!() } }
/// Bounds checked from the header, before a pixel is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Pixels.
    pub max_pixels: u64,
}
impl Default for DecodeLimits { fn default() -> Self { Self { max_pixels: 400_000_000 } } }
/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanHeader {
    /// Format by content, not by name.
    pub format: Format,
    /// Pixels as stored, before orientation.
    pub size: Size,
    /// Bits a sample: 8 or 16.
    pub bit_depth: u8,
    /// Meaning of samples.
    pub channels: Channels,
}
/// Metadata carried from the scan into the derivative.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Carried { /// Pixels per inch, horizontally and vertically.
    pub dpi: Option<(f64, f64)> }
/// A decoded scan.
#[derive(Debug)]
pub struct DecodedScan {
    /// What the header said.
    pub header: ScanHeader,
    /// Upright picture.
    pub image: ScanImage,
    /// EXIF orientation found, 1..=8.
    pub orientation: u8,
    /// What goes on into the derivative.
    pub carried: Carried,
}
/// Compression of TIFF derivatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TiffCompression { /// None
    #[default] None, /// LZW
    Lzw, /// Deflate
    Deflate }
impl std::fmt::Display for TiffCompression { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
impl std::str::FromStr for TiffCompression { type Err = String; fn from_str(_: &str) -> Result<Self, String> { todo!() } }
/// Encoder settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeSettings {
    /// 1..=100.
    pub jpeg_quality: u8,
    /// TIFF only.
    pub tiff_compression: TiffCompression,
}
impl Default for EncodeSettings { fn default() -> Self { Self { jpeg_quality: 92, tiff_compression: TiffCompression::None } } }
/// What decoding an encoded picture once more showed: |ΔL*|.
pub type Verified = crate::imaging::metrics::LightnessDifference;
/// Decode errors.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError { /// stub
    #[error("stub")] Stub }
impl DecodeError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition { Disposition::Permanent }
    /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None }
}
/// Encode errors.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError { /// stub
    #[error("stub")] Stub }
impl EncodeError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition { Disposition::Permanent }
    /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None }
}
/// Reads the header and checks it against the limits.
pub fn read_header(_bytes: &[u8], _limits: &DecodeLimits) -> Result<ScanHeader, DecodeError> { todo!() }
/// Decodes.
pub fn decode(_bytes: &[u8], _limits: &DecodeLimits) -> Result<DecodedScan, DecodeError> { todo!() }
/// Memory that decoding needs at its peak, bytes, beside the file itself.
pub fn decode_cost_bytes(_header: &ScanHeader) -> u64 { todo!() }
/// Encodes. A JPEG has 8 bits and no alpha.
pub fn encode(_image: &ScanImage, _format: Format, _settings: &EncodeSettings, _carried: &Carried) -> Result<Vec<u8>, EncodeError> { todo!() }
/// Decodes what was encoded and compares it with the picture it was made from.
pub fn verify(_bytes: &[u8], _image: &ScanImage, _format: Format) -> Result<Verified, EncodeError> { todo!() }
