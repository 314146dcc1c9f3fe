//! Which number format each part of the graph computes in, and why.
//!
//! In an FP16 graph the encoder, the U-Net, the key and value projections and the last shuffle hold weights and
//! activations in FP16: that is where the time and the memory go, and convolutions and matrix products accumulate
//! in FP32 there. The rest is an island of FP32:
//!
//! * **Layer normalisation.** The variance of activations above 256 does not fit FP16. `LayerNormalization` with
//!   `stash_type` 1 takes mean and variance in FP32 by its definition, so the island is inside the operator.
//! * **Attention, from scores to weighted values.** A uniform weight over the 76,800 keys of a 960 × 1280 picture is
//!   1.3e-5, a subnormal in FP16.
//! * **The colour queries.** Normalisation, projections, feed-forward layers and the colour embedding of a hundred
//!   queries cost next to nothing and decide the colour of whole regions.
//! * **The colour mix**: the product of refinement and colour embedding, 2 × 256 numbers a picture.
//! * **The output**: last pixel shuffle, blur, and the sum with the picture's own part. Two channels only.

use crate::inference::Precision;

/// Blocks that compute in FP32 inside an FP16 graph, as the provenance record names them.
pub const FP32_ISLANDS: &[&str] = &["layer-normalization-statistics", "attention", "color-queries", "color-mix", "output"];

/// Element type of a tensor in the graph, numbered as `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    F32 = 1,
    I64 = 7,
    F16 = 10,
}

impl Element {
    /// What the body of the graph, everything that is not an island, computes in.
    pub(super) const fn body(precision: Precision) -> Self {
        match precision {
            Precision::Fp16 => Self::F16,
            Precision::Fp32 => Self::F32,
        }
    }
}
