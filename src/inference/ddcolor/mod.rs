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
//! | `graph`, `operators`, `onnx` | nodes, operators that providers have in forms of their own, and the file format |
//! | `guard` | what the network says of its own result |
//!
//! Shapes are static, and every folding is exact: the same numbers but for rounding. Operators are the standard's and those of
//! ONNX Runtime's own domain. Sessions and the runs themselves are the engine's.

mod architecture;
mod checkpoint;
mod color_decoder;
mod encoder;
mod error;
mod fold;
mod graph;
mod guard;
mod onnx;
mod operators;
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
pub use guard::{SAID, STRIPS};
pub use precision::FP32_ISLANDS;

pub(super) use checkpoint::decode;
pub(super) use fold::without_spectral_norm;
pub(super) use survey::{Inventory, Origin, Stated, Survey};

use super::{Precision, Provider};
use crate::imaging::Size;
use architecture::RGB;
use checkpoint::Checkpoint;
use color_decoder::ColorDecoder;
use encoder::Encoder;
use graph::Graph;
use precision::Element;
use tail::Tail;
use unet::Unet;

/// Which graph is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphSpec {
    /// Pictures of one run, 1 or more.
    pub pictures: usize,
    /// Size of each of them; sides are multiples of 32.
    pub size: Size,
    /// Number format of the inside.
    pub precision: Precision,
    /// Where it is to run: some operators have another fastest form on each provider.
    pub provider: Provider,
    /// What it is given.
    pub input: PictureInput,
    /// Number format of the picture and of a* and b*. In FP16 a graph that is FP16 inside loses nothing: that is what the picture is
    /// rounded to, and what a* and b* are.
    pub ports: Precision,
    /// What it gives back.
    pub outputs: Outputs,
}

impl GraphSpec {
    /// One picture of three channels to a* and b*, both in FP32.
    pub const fn new(size: Size, precision: Precision, provider: Provider) -> Self {
        let (input, ports, outputs) = (PictureInput::Rgb, Precision::Fp32, Outputs::Ab);
        Self { pictures: 1, size, precision, provider, input, ports, outputs }
    }
}

/// What a graph is given, sRGB-encoded, in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureInput {
    /// `rgb` [pictures, 3, H, W], as the official network is.
    Rgb,
    /// `grey` [pictures, 1, H, W]: the same as three equal channels, since the first layer is linear.
    Grey,
}

/// What a graph gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// `ab` [pictures, 2, H, W]: CIE a* and b* in Lab units, not bounded.
    Ab,
    /// `ab`, and `said`: f32 [[`SAID`], pictures, [`STRIPS`]], what the network says of it.
    Guarded,
    /// Every tensor of [`TRACED`], the others than `ab` in f32, with the values of the official network: to find where a difference begins.
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
        let encoder = Encoder::read(&checkpoint)?;
        let unet = Unet::read(&checkpoint, &encoder)?;
        let color_decoder = ColorDecoder::read(&checkpoint)?;
        let tail = Tail::read(&checkpoint, &color_decoder)?;
        let (architecture, parameters) = (checkpoint.architecture().clone(), checkpoint.parameters());
        Ok(Self { architecture, parameters, encoder, unet, color_decoder, tail })
    }

    /// The sizes of the network.
    pub const fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Learned numbers of the network; running statistics do not count.
    pub const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// The ONNX model of one picture of three channels, `rgb` to `ab`: see [`GraphSpec::new`].
    pub fn graph(&self, size: Size, precision: Precision, provider: Provider) -> Vec<u8> {
        self.graph_of(GraphSpec::new(size, precision, provider))
    }

    /// The ONNX model of a specification.
    pub fn graph_of(&self, spec: GraphSpec) -> Vec<u8> {
        let (width, height) = (spec.size.width as usize, spec.size.height as usize);
        debug_assert!(width.is_multiple_of(32) && height.is_multiple_of(32), "{} is not an extent", spec.size);
        let mut graph = Graph::new(spec);
        graph.enter("input");
        let (name, channels) = match spec.input {
            PictureInput::Rgb => ("rgb", RGB),
            PictureInput::Grey => ("grey", 1),
        };
        let picture = graph.input(name, &[spec.pictures, channels, height, width]);
        let encoded = self.encoder.emit(&mut graph, &picture);
        let scales = self.unet.emit(&mut graph, &encoded.features);
        let embedding = self.color_decoder.emit(&mut graph, &scales);
        let last_layer = self.color_decoder.last_layer();
        if spec.outputs == Outputs::Traced {
            let shown = graph.linear(&embedding, last_layer);
            graph.show("color_embed", &shown);
        }
        let ab = self.tail.emit(&mut graph, &scales[2], &embedding, last_layer, &encoded.patches);
        let ab = graph.show_in(Element::body(spec.ports), "ab", &ab);
        if spec.outputs == Outputs::Guarded {
            guard::emit(&mut graph, &ab);
        }
        graph.finish(&[("architecture", self.architecture.to_string())])
    }
}
