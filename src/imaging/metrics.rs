//! stub
use super::ScanImage;
/// |ΔL*| between two pictures.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LightnessDifference {
    /// Largest.
    pub max: f32,
    /// Mean.
    pub mean: f32,
}
/// `None` when the sizes differ.
pub fn lightness_difference(_one: &ScanImage, _other: &ScanImage) -> Option<LightnessDifference> { todo!() }
/// CIEDE2000 between two Lab colours.
pub fn delta_e_2000(_one: [f32; 3], _other: [f32; 3]) -> f32 { todo!() }
