//! The DDColor network: weights in, ONNX graph out.
use super::Precision;
use crate::imaging::Size;
/// Blocks that compute in FP32 inside an FP16 graph.
pub const FP32_ISLANDS: &[&str] = &[];
/// A checkpoint read, checked and folded.
#[derive(Debug)]
pub struct Weights {}
/// Checkpoint errors.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError { /// stub
    #[error("stub")] Stub }
impl Weights {
    /// Reads a safetensors file: shapes decide the widths, depths, queries and layers; every key must be known and every
    /// needed key present.
    pub fn read(_bytes: &[u8]) -> Result<Self, CheckpointError> { todo!() }
    /// The ONNX model of a picture of `size` (multiples of 32): input `rgb` f32 [1,3,H,W] in 0..=1, output `ab` f32
    /// [1,2,H,W] in Lab units, whatever the precision inside.
    pub fn graph(&self, _size: Size, _precision: Precision) -> Vec<u8> { todo!() }
}
