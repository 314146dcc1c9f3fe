//! A colour network's file, read and checked, and the sessions made of it: our graph over weights, and the graphs of others as
//! they come.
//!
//! How much memory each takes is said here; what is kept is the `colorizer`'s to decide.

use super::ddcolor::Weights;
use super::foreign::{self, Examined, ForeignError};
use super::profile::Observed;
use super::session::{Input, Network, Place, Sizes};
use super::{Catalogue, Entry, FixedSize, InferenceError, Precision, Provider};
use crate::imaging::{ChromaPlanes, Plane, Size};

/// Bytes that a resting session has on the processor for every parameter: the weights in FP32, and what ONNX Runtime packs of
/// them for its kernels. Measured with DDColor Large: 1,500 MiB for 228 million, 6.9.
const RESTING: u64 = 8;
/// Bytes that a run has besides for every pixel. Measured with DDColor Large at 512×512 and 1280×960: 1,280 and 1,290.
const RUNNING: u64 = 1536;
/// The same for a graph without our shortcut at the end: 256 and 100 channels at full size, in and out, beside the rest.
const RUNNING_PLAIN: u64 = 6144;

/// What a colour network's file holds.
#[derive(Debug)]
pub(super) enum Model {
    /// Weights for our graph.
    Weights(Box<Weights>),
    /// A graph with its weights.
    Foreign {
        /// The file.
        file: Vec<u8>,
        /// What it was found to be.
        examined: Examined,
    },
}

/// A session, and how pictures go through it.
#[derive(Debug)]
pub(super) struct Session {
    network: Network,
    form: Form,
    parameters: u64,
}

#[derive(Debug)]
enum Form {
    Ours,
    Foreign(Examined),
}

impl Model {
    /// Bytes that reading an entry's file takes: the file, and the weights parsed from it, twice as many when it is FP16.
    pub(super) const fn reading_bytes(entry: &Entry) -> u64 {
        entry.bytes.saturating_mul(3)
    }

    /// Reads the pinned file: what is used is what was hashed, whatever happened to the file since the program's start.
    pub(super) fn read(catalogue: &Catalogue, entry: &Entry) -> Result<Self, InferenceError> {
        let file = catalogue.read(entry)?;
        let model = entry.id.clone();
        if !entry.is_onnx() {
            let weights = Weights::read(&file).map_err(|source| InferenceError::Checkpoint { model, source })?;
            return Ok(Self::Weights(Box::new(weights)));
        }
        let examined = foreign::examine(&file).map_err(|source: ForeignError| InferenceError::Foreign { model, source })?;
        if examined.size() != entry.size {
            // A recipe holds the digest and not the size, so the size must follow from the file.
            let [found, expected] = [examined.size(), entry.size].map(size_word);
            return Err(InferenceError::Size { model: entry.id.clone(), found, expected });
        }
        Ok(Self::Foreign { file, examined })
    }

    const fn parameters(&self) -> u64 {
        match self {
            Self::Weights(weights) => weights.parameters(),
            Self::Foreign { examined, .. } => examined.parameters(),
        }
    }

    /// Bytes that it takes itself.
    pub(super) const fn bytes(&self) -> u64 {
        match self {
            Self::Weights(weights) => weights.parameters().saturating_mul(4),
            Self::Foreign { file, .. } => file.len() as u64,
        }
    }

    /// Bytes of the file that is made to make a session of, gone when that is done.
    pub(super) const fn graph_bytes(&self, precision: Precision) -> u64 {
        match (self, precision) {
            (Self::Weights(weights), Precision::Fp16) => weights.parameters().saturating_mul(2),
            (Self::Weights(weights), Precision::Fp32) => weights.parameters().saturating_mul(4),
            (Self::Foreign { .. }, _) => 0,
        }
    }

    /// Bytes of a resting session in this machine's memory.
    pub(super) const fn resting_bytes(&self, provider: Provider) -> u64 {
        resting_bytes(self.parameters(), provider)
    }

    /// Makes a session for pictures of `size`, and gives the model back if it is to be kept: if not, it goes before the runtime
    /// makes a copy of its own.
    pub(super) fn open(
        self,
        place: &Place,
        id: &str,
        size: Size,
        precision: Precision,
        keep: bool,
    ) -> Result<(Session, Option<Self>), InferenceError> {
        let parameters = self.parameters();
        match self {
            Self::Weights(weights) => {
                let graph = weights.graph(size, precision, place.provider);
                let kept = keep.then_some(Self::Weights(weights));
                let network = Network::open(place, id, &graph, Sizes::Fixed(&[]))?;
                Ok((Session { network, form: Form::Ours, parameters }, kept))
            }
            Self::Foreign { file, examined } => {
                let serves_all = serves_all_sizes(place.provider, examined.size());
                let network = examined.open(place, id, &file, (!serves_all).then_some(size))?;
                let session = Session { network, form: Form::Foreign(examined.clone()), parameters };
                Ok((session, keep.then_some(Self::Foreign { file, examined })))
            }
        }
    }
}

/// The size a session of this entry is bound to. One of a graph that takes every size serves them all on the processor; on the
/// card arithmetic on shapes is done when it is loaded, and cuDNN plans its convolutions once.
pub(super) fn session_size(entry: &Entry, provider: Provider, size: Size) -> Option<Size> {
    (!(entry.is_onnx() && serves_all_sizes(provider, entry.size))).then_some(size)
}

fn serves_all_sizes(provider: Provider, fixed: Option<FixedSize>) -> bool {
    provider == Provider::Cpu && fixed.is_none()
}

/// On the card a session's weights are the card's, where the number of sessions is bounded and not their bytes.
const fn resting_bytes(parameters: u64, provider: Provider) -> u64 {
    match provider {
        Provider::Cpu => parameters.saturating_mul(RESTING),
        Provider::Cuda => 0,
    }
}

fn size_word(size: Option<FixedSize>) -> String {
    size.map_or_else(|| "pictures of any size".to_owned(), |FixedSize { width, height }| format!("pictures of {width}×{height}"))
}

impl Session {
    /// Bytes that it takes at rest.
    pub(super) const fn resting_bytes(&self, provider: Provider) -> u64 {
        resting_bytes(self.parameters, provider)
    }

    /// Bytes that a run takes besides, given back after it.
    pub(super) const fn running_bytes(&self, provider: Provider, size: Size) -> u64 {
        match (provider, &self.form) {
            (Provider::Cuda, _) => 0,
            (Provider::Cpu, Form::Ours) => size.pixels().saturating_mul(RUNNING),
            (Provider::Cpu, Form::Foreign(_)) => size.pixels().saturating_mul(RUNNING_PLAIN),
        }
    }

    /// What most of a foreign graph is stored in; our own is made in the precision that is wanted.
    pub(super) const fn stored(&self) -> Option<Precision> {
        match &self.form {
            Form::Ours => None,
            Form::Foreign(examined) => Some(examined.precision()),
        }
    }

    /// Colours a padded picture, given as three planes of `size`; chroma is finite or not.
    pub(super) fn run(&mut self, id: &str, rgb: &[f32], size: Size) -> Result<(ChromaPlanes, Observed), InferenceError> {
        let (width, height) = (size.width as usize, size.height as usize);
        let network = &mut self.network;
        let mut a = match &self.form {
            Form::Ours => {
                let input = Input { name: "rgb", shape: &[1, 3, height, width], data: rgb };
                network.run(&[input], "ab", 2 * width * height)?
            }
            Form::Foreign(examined) => examined.run(network, rgb, size)?,
        };
        let b = a.split_off(width * height);
        let plane = |data| Plane::new(size, data).expect("half of 2 × width × height values");
        let observed = network.observed().ok_or_else(|| InferenceError::unprofiled(id))?;
        Ok((ChromaPlanes { a: plane(a), b: plane(b) }, observed))
    }
}
