//! stub
use super::ScanImage;
/// What can be said of a scan before any network looks at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Features {
    /// Mean chroma of the picture, Lab units.
    pub chroma_mean: f32,
    /// Chroma left after a uniform tone (sepia, selenium: a smooth function of lightness) is discounted, rms Lab units.
    pub chroma_residual: f32,
    /// Standard deviation of lightness, L* units.
    pub lightness_deviation: f32,
    /// Share of pixels that belong to edges or texture, 0..=1.
    pub detail_share: f32,
}
/// Measures.
pub fn features(_image: &ScanImage) -> Features { todo!() }
