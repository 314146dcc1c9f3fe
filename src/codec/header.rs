//! What a file's header says, and the bounds it must keep before anything is decoded.

use super::{Channels, DecodeError, Format};
use crate::imaging::Size;

/// Longest side, pixels: five times a plate of 24 inches at 2400 dpi. A longer one is a damaged or hostile header.
pub(super) const MAX_SIDE: u32 = 300_000;

/// Bounds checked from the header, before a pixel is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels a scan may have; exactly that many are allowed. Default: 400 million.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 400_000_000 }
    }
}

impl DecodeLimits {
    /// Lets sizes within the limits pass.
    pub(super) fn check(&self, format: Format, size: Size) -> Result<(), DecodeError> {
        if size.width == 0 || size.height == 0 {
            return Err(DecodeError::damaged(format, format!("its header says {size} pixels")));
        }
        if size.pixels() > self.max_pixels {
            return Err(DecodeError::TooManyPixels { size, limit: self.max_pixels });
        }
        if size.width.max(size.height) > MAX_SIDE {
            return Err(DecodeError::SideTooLong { size, limit: MAX_SIDE });
        }
        Ok(())
    }
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanHeader {
    /// Format by content, not by name.
    pub format: Format,
    /// Pixels as stored, before orientation.
    pub size: Size,
    /// Bits a sample of the decoded picture: 8 or 16. Fewer bits in the file are expanded to 8.
    pub bit_depth: u8,
    /// Meaning of the decoded samples.
    pub channels: Channels,
    /// Whether the file's own samples are inks (CMYK), which decoding turns into sRGB.
    pub is_separation: bool,
    /// Whether it is decoded in bands of rows, which need not be put together.
    pub in_bands: bool,
    /// Bytes that decoding needs at its peak beside the picture itself: coefficients of a progressive JPEG, bands
    /// that wait to be put together, and the like.
    pub scratch_bytes: u64,
}

impl ScanHeader {
    /// Bytes of the decoded picture.
    pub const fn picture_bytes(&self) -> u64 {
        self.size.pixels() * self.channels.count() as u64 * (self.bit_depth as u64 / 8)
    }

    /// Bytes of the lightness that is kept: 16 bits, but of grey scans of 8, unless their profile is not sRGB's.
    pub const fn lightness_bytes(&self) -> u64 {
        let samples = if self.channels.has_alpha() { 2 } else { 1 };
        let bytes = if self.channels.is_rgb() || self.bit_depth > 8 { 2 } else { 1 };
        self.size.pixels() * samples * bytes
    }

    /// Asks the allocator for the memory that decoding is going to need and gives it back at once: libraries that
    /// allocate for us end the process where this can return an error.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), DecodeError> {
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
        Vec::<u8>::new().try_reserve_exact(wanted).map_err(|source| DecodeError::Memory { size: self.size, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixel_limit_is_the_last_size_allowed() {
        let limits = DecodeLimits { max_pixels: 1200 };
        assert!(limits.check(Format::Png, Size::new(40, 30)).is_ok());
        let error = limits.check(Format::Png, Size::new(1201, 1)).unwrap_err();
        assert_eq!(error.to_string(), "1201×1 pixels are more than the limit of 1200 pixels");
        let error = DecodeLimits::default().check(Format::Tiff, Size::new(60_000, 60_000)).unwrap_err();
        assert_eq!(error.to_string(), "60000×60000 pixels are more than the limit of 400 megapixels");
        assert!(DecodeLimits::default().check(Format::Tiff, Size::new(20_000, 20_000)).is_ok());
    }

    #[test]
    fn sides_of_zero_or_beyond_reason_are_refused() {
        let limits = DecodeLimits::default();
        assert!(limits.check(Format::Tiff, Size::new(MAX_SIDE, 3)).is_ok());
        assert!(matches!(limits.check(Format::Tiff, Size::new(MAX_SIDE + 1, 3)), Err(DecodeError::SideTooLong { .. })));
        assert!(matches!(limits.check(Format::Png, Size::new(0, 3)), Err(DecodeError::Damaged { .. })));
        assert!(matches!(limits.check(Format::Png, Size::new(u32::MAX, u32::MAX)), Err(DecodeError::TooManyPixels { .. })));
    }
}
