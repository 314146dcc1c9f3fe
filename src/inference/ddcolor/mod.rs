//! The DDColor network (Kang et al., ICCV 2023, arXiv 2212.11613): a weights file in, an ONNX graph out.
//!
//! The weights are data pinned by their digest; the graph is this code. One statement of the network serves every
//! size of it, from the bundled starter to the official Large, in either precision, for any extent:
//!
//! | file | says |
//! |---|---|
//! | `survey`, `checkpoint`, `schema`, `architecture` | which tensors a file must hold, and that it does |
//! | `fold` | how constants disappear into their neighbours |
//! | `encoder`, `unet`, `color_decoder`, `tail` | the network, each part from its weights to its nodes |
//! | `precision` | what stays FP32 in an FP16 graph, and why |
//! | `graph`, `onnx` | operators, and the file format |
//!
//! Only standard operators with static shapes are used, in the plainest order that is exact. Sessions, providers and
//! the runs themselves are the engine's.

mod architecture;
mod checkpoint;
mod color_decoder;
mod encoder;
mod error;
mod fold;
mod graph;
mod onnx;
mod precision;
mod schema;
mod survey;
mod tail;
mod unet;

#[cfg(test)]
mod tests;

use std::fmt;

pub use architecture::Architecture;
pub(super) use error::printable;
pub use error::{CheckpointError, Problem, Problems};
pub use precision::FP32_ISLANDS;

pub(super) use checkpoint::decode;
pub(super) use fold::without_spectral_norm;
pub(super) use survey::{Inventory, Origin, Stated, Survey};

use super::Precision;
use crate::imaging::Size;
use architecture::RGB;
use checkpoint::Checkpoint;
use color_decoder::ColorDecoder;
use encoder::Encoder;
use graph::Graph;
use precision::Element;
use tail::Tail;
use unet::Unet;

/// What a graph gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// `ab`: f32 [1, 2, H, W], CIE a* and b* in Lab units, not bounded.
    Ab,
    /// Every tensor of [`TRACED`], f32, with the values of the official network: to find where a difference begins.
    Traced,
}

/// Tensors of a graph with [`Outputs::Traced`], in the order of the network: the encoder's normalised features at 1/4, 1/8,
/// 1/16 and 1/32 of the picture's size; the U-Net's blocks at 1/16, 1/8 and 1/4, all of them [1, channels, rows, columns];
/// what the colour decoder made of each query, [1, queries, channels]; and a* and b*.
pub const TRACED: [&str; 9] = [
    "encoder.norm0",
    "encoder.norm1",
    "encoder.norm2",
    "encoder.norm3",
    "decoder.0",
    "decoder.1",
    "decoder.2",
    "color_embed",
    "ab",
];

/// A checkpoint read, checked and folded.
pub struct Weights {
    architecture: Architecture,
    parameters: u64,
    encoder: Encoder,
    unet: Unet,
    color_decoder: ColorDecoder,
    tail: Tail,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights")
            .field("architecture", &self.architecture)
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// Reads a safetensors file of F32, F16 or BF16 tensors under the official names, spectral norms folded or not.
    /// Shapes decide widths, depths, queries and layers. Every key must be known and every needed key present.
    ///
    /// # Errors
    /// A file that is damaged, lacks or adds tensors, or holds numbers that are not finite: see [`CheckpointError`].
    pub fn read(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::open(bytes)?;
        Ok(Self {
            architecture: checkpoint.architecture().clone(),
            parameters: checkpoint.parameters(),
            encoder: Encoder::read(&checkpoint)?,
            unet: Unet::read(&checkpoint)?,
            color_decoder: ColorDecoder::read(&checkpoint)?,
            tail: Tail::read(&checkpoint)?,
        })
    }

    /// The sizes of the network.
    pub const fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Learned numbers of the network; running statistics do not count.
    pub const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// The ONNX model of a picture of `size` (multiples of 32): input `rgb` f32 [1, 3, H, W] in 0..=1, output `ab` f32
    /// [1, 2, H, W] in Lab units, whatever the precision inside.
    pub fn graph(&self, size: Size, precision: Precision) -> Vec<u8> {
        self.graph_with(size, precision, Outputs::Ab)
    }

    /// As [`Weights::graph`], with a choice of outputs.
    pub fn graph_with(&self, size: Size, precision: Precision, outputs: Outputs) -> Vec<u8> {
        debug_assert!(size.width.is_multiple_of(32) && size.height.is_multiple_of(32), "{size} is not an extent");
        let mut graph = Graph::new(Element::body(precision));
        if outputs == Outputs::Traced {
            graph.trace();
        }
        graph.enter("input");
        let rgb = graph.input("rgb", &[1, RGB, size.height as usize, size.width as usize]);
        let features = self.encoder.emit(&mut graph, &rgb);
        let scales = self.unet.emit(&mut graph, &features);
        let embedding = self.color_decoder.emit(&mut graph, &scales);
        let ab = self.tail.emit(&mut graph, &scales[2], &embedding, &rgb);
        if graph.is_traced() {
            let [queries, channels] = [embedding.shape[0], embedding.shape[1]];
            let shown = graph.reshape(&embedding, &[1, queries, channels]);
            graph.show("color_embed", &shown);
        }
        graph.show("ab", &ab);
        graph.finish(&[("architecture", self.architecture.to_string())])
    }
}
