//! Which number format each part of the graph computes in, and why.
//!
//! In an FP16 graph weights and activations are FP16 from the picture's patches to a* and b*, which become FP32 at the very
//! end. What stays FP32 is inside operators, where it costs no memory traffic: see [`FP32_ISLANDS`].

use crate::inference::Precision;

/// Blocks that compute in FP32 inside an FP16 graph, as the provenance record names them, and the reason of each.
pub const FP32_ISLANDS: &[(&str, &str)] = &[
    (
        "layer-normalization-statistics",
        "the squares of activations above 256 do not fit FP16: mean and variance are summed in FP32 inside the operator",
    ),
    (
        "attention-softmax",
        "a uniform weight over the 76,800 places of a 960 × 1280 picture is 1.3e-5, a subnormal of FP16: the softmax is FP32 inside the operator",
    ),
    (
        "product-accumulation",
        "sums of thousands of products lose what FP16 cannot hold: matrix products and convolutions accumulate in FP32",
    ),
    ("output", "a* and b* leave the network in FP32, and what the guard counts is counted there"),
];

/// Element type of a tensor in the graph, numbered as `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Element {
    F32 = 1,
    I64 = 7,
    Bool = 9,
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
