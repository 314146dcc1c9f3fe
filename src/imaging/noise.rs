//! stub
use super::Plane;
/// Noise σ of a grey plane in 0..=1, in 8-bit code values.
pub fn estimate_noise(_grey: &Plane) -> f32 { todo!() }
