//! stub
use super::{ChromaPlanes, Plane, ScanImage};
/// Whose lightness is published.
#[derive(Debug, Clone, Copy)]
pub enum Lightness<'a> {
    /// The scan's own.
    Source,
    /// That of a full-size sRGB-encoded grey in 0..=1 (denoised): an opt-in.
    Replaced(&'a Plane),
}
/// A coloured picture.
#[derive(Debug)]
pub struct Recombined {
    /// RGB(A) at the scan's size and depth.
    pub image: ScanImage,
    /// Share of pixels whose chroma was reduced to fit into sRGB.
    pub out_of_gamut_share: f64,
}
/// Recombines.
pub fn recombine(_scan: &ScanImage, _lightness: Lightness<'_>, _chroma: &ChromaPlanes) -> Recombined { todo!() }
