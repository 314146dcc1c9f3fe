//! A colour network's file, read and checked, and the sessions made of it: our graph over weights, and the graphs of others as
//! they come.
//!
//! How much memory each takes is said here; what is kept is the `colorizer`'s to decide.

use std::sync::Arc;

use half::f16;
use half::vec::HalfFloatVecExt as _;

use super::card::Need;
use super::chroma::Chroma;
use super::ddcolor::{GraphSpec, Outputs, PictureInput, SAID, STRIPS, Weights};
use super::foreign::{self, Examined, ForeignError};
use super::numerics::Said;
use super::options::{Treatment, Tuning};
use super::profile::Observed;
use super::resident::{Arrived, Part, Port, Resident};
use super::session::{Input, Network, Place};
use super::{Array, Catalogue, Entry, FixedSize, InferenceError, Precision, Provider};
use crate::imaging::{ChromaPlanes, Plane, Size};

/// Bytes that a resting session has on the processor for every parameter: the weights in FP32, and what ONNX Runtime packs of
/// them for its kernels. Measured with DDColor Large: 1,500 MiB for 228 million, 6.9.
const RESTING: u64 = 8;
/// Bytes that a run has besides for every pixel. Measured with DDColor Large at 512×512 and 1280×960: 1,280 and 1,290.
const RUNNING: u64 = 1536;
/// The same for a graph without our shortcut at the end: 256 and 100 channels at full size, in and out, beside the rest.
const RUNNING_PLAIN: u64 = 6144;

/// Bytes of the card's memory for every pixel of a session, besides its weights: FP16 and FP32, each in the fast form and in the
/// small one. Measured on an H200, rounded up: 451 (DDColor Tiny, from 512×512 to 1280×960) and 562 (Large), small 365; in FP32
/// 1,440 at 1280×960.
const ON_CARD: [[u64; 2]; 2] = [[640, 448], [1536, 1408]];

/// The same for a graph of others. Measured: DDColor Tiny as PyTorch exports it, 11,047 MiB at 1280×960 with CUDA's context, 8,700.
const PLAIN_ON_CARD: u64 = 9216;

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
    form: Form,
    parameters: u64,
    /// Bytes that it takes on the card, as far as they are known.
    card: u64,
}

#[derive(Debug)]
enum Form {
    /// Our own graph on the processor.
    Ours(Network),
    /// Our own graph on the card.
    Resident(Box<Resident>),
    Foreign(Network, Examined),
}

/// What is wanted of a session of our own graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// Pictures of a run.
    pub(super) pictures: usize,
    /// Size of each of them.
    pub(super) size: Size,
}

impl Batch {
    /// Of pictures of one size, at least one.
    pub(super) fn of(pictures: &[Grey<'_>]) -> Self {
        Self { pictures: pictures.len(), size: pictures[0].plane.size() }
    }
}

/// A padded picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grey<'a> {
    /// sRGB-encoded, 0..=1.
    pub(super) plane: &'a Plane,
    /// The same in FP16, where somebody had the time to round it.
    pub(super) rounded: Option<&'a [f16]>,
}

/// A picture as it crosses to the card, if it does and in FP16: for the thread that wants the picture, so that the one that keeps
/// the card at work moves half as many bytes.
pub(super) fn rounded(provider: Provider, precision: Precision, plane: &Plane) -> Option<Vec<f16>> {
    (provider == Provider::Cuda && precision == Precision::Fp16).then(|| Vec::from_f32_slice(plane.data()))
}

/// What came out for one picture.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) chroma: Chroma,
    /// How it looks.
    pub(super) said: Said,
    /// Where and how it ran.
    pub(super) observed: Observed,
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

    /// What a session takes on the card.
    pub(super) const fn need(&self, batch: Batch, precision: Precision) -> Need {
        let pixels = batch.size.pixels().saturating_mul(batch.pictures as u64);
        let [fast, small] = match (self, precision) {
            (Self::Weights(_), Precision::Fp16) => ON_CARD[0],
            (Self::Weights(_), Precision::Fp32) => ON_CARD[1],
            (Self::Foreign { .. }, _) => [PLAIN_ON_CARD; 2],
        };
        let weights = match self {
            Self::Weights(_) => self.graph_bytes(precision),
            Self::Foreign { file, .. } => file.len() as u64,
        };
        Need { weights, fast: pixels.saturating_mul(fast), small: pixels.saturating_mul(small) }
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
        batch: Batch,
        precision: Precision,
        keep: bool,
    ) -> Result<(Session, Option<Self>), InferenceError> {
        let parameters = self.parameters();
        let need = self.need(batch, precision);
        let card = match (place.provider, place.limit) {
            (Provider::Cpu, _) => 0,
            // The runtime counts weights, and where they alone pass its limit it counts below zero and has none.
            (Provider::Cuda, Some(limit)) if limit <= need.weights => {
                let detail = format!("its weights take {} MiB, and {} MiB are allowed", need.weights >> 20, limit >> 20);
                return Err(InferenceError::OutOfMemory { network: id.to_owned(), detail });
            }
            (Provider::Cuda, Some(limit)) => limit,
            (Provider::Cuda, None) => need.of(place.memory),
        };
        match self {
            Self::Weights(weights) => {
                let graph = weights.graph_of(spec(place, batch, precision));
                let kept = keep.then_some(Self::Weights(weights));
                let form = ours(place, id, batch, precision, &graph)?;
                Ok((Session { form, parameters, card }, kept))
            }
            Self::Foreign { file, examined } => {
                let serves_all = serves_all_sizes(place.provider, examined.size());
                let network = examined.open(place, id, &file, (!serves_all).then_some(batch.size))?;
                let session = Session { form: Form::Foreign(network, examined.clone()), parameters, card };
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

    /// Bytes that it takes on the card.
    pub(super) const fn card_bytes(&self) -> u64 {
        self.card
    }

    /// Bytes that a run takes besides, given back after it.
    pub(super) const fn running_bytes(&self, provider: Provider, size: Size) -> u64 {
        match (provider, &self.form) {
            (Provider::Cuda, _) => 0,
            (Provider::Cpu, Form::Ours(_) | Form::Resident(_)) => size.pixels().saturating_mul(RUNNING),
            (Provider::Cpu, Form::Foreign(..)) => size.pixels().saturating_mul(RUNNING_PLAIN),
        }
    }

    /// What most of a foreign graph is stored in; our own is made in the precision that is wanted.
    pub(super) const fn stored(&self) -> Option<Precision> {
        match &self.form {
            Form::Ours(_) | Form::Resident(_) => None,
            Form::Foreign(_, examined) => Some(examined.precision()),
        }
    }

    /// Our own graph on the card, if that is what it is.
    pub(super) const fn resident(&mut self) -> Option<&mut Resident> {
        match &mut self.form {
            Form::Resident(resident) => Some(resident),
            Form::Ours(_) | Form::Foreign(..) => None,
        }
    }

    /// Colours padded pictures, as many as the session was made for, all of its size.
    ///
    /// As many results of sessions on the card are kept in this machine's memory as are held at one time.
    pub(super) fn run(&mut self, id: &str, pictures: &[Grey<'_>]) -> Result<Vec<Ran>, InferenceError> {
        let size = pictures[0].plane.size();
        let (width, height) = (size.width as usize, size.height as usize);
        let count = pictures.len();
        match &mut self.form {
            Form::Ours(network) => {
                let grey = pictures.iter().flat_map(|picture| picture.plane.data().iter().copied()).collect::<Vec<f32>>();
                let input = Input { name: INPUT, shape: &[count, 1, height, width], data: &grey };
                let found = network.run_for(&[input], &["ab", "said"])?;
                let [ab, said] = <[Array; 2]>::try_from(found).expect("two outputs were asked for");
                let observed = network.observed().ok_or_else(|| InferenceError::unprofiled(id))?;
                Ok(results(size, &ab.values, observed, |index, _| Said::from_strips(&said.values, index, count, planes(size))))
            }
            Form::Resident(resident) => {
                let part = |&Grey { plane, rounded }| Part { full: plane.data(), rounded };
                let parts: Vec<Part<'_>> = pictures.iter().map(part).collect();
                let [ab, said] = <[Arc<Arrived>; 2]>::try_from(resident.run(&parts)?).expect("two outputs are bound");
                let said = said.values(0, SAID * count * STRIPS);
                let observed = resident.observed().ok_or_else(|| InferenceError::unprofiled(id))?;
                let one = |picture| Ran {
                    chroma: Chroma::Arrived { result: ab.clone(), picture, size },
                    said: Said::from_strips(&said, picture, count, planes(size)),
                    observed,
                };
                Ok((0..count).map(one).collect())
            }
            Form::Foreign(network, examined) => {
                let rgb = pictures[0].plane.data().repeat(3);
                let ab = examined.run(network, &rgb, size)?;
                let observed = network.observed().ok_or_else(|| InferenceError::unprofiled(id))?;
                Ok(results(size, &ab, observed, |_, [a, b]| Said::of(a, b)))
            }
        }
    }
}

/// The results of the pictures whose planes lie one after the other.
fn results(size: Size, ab: &[f32], observed: Observed, said: impl Fn(usize, [&[f32]; 2]) -> Said) -> Vec<Ran> {
    let plane = |data: &[f32]| Plane::new(size, data.to_vec()).expect("half of the values of two planes");
    let one = |(index, both): (usize, &[f32])| {
        let (a, b) = both.split_at(both.len() / 2);
        let chroma = Chroma::Planes(ChromaPlanes { a: plane(a), b: plane(b) });
        Ran { chroma, said: said(index, [a, b]), observed }
    };
    ab.chunks_exact(planes(size)).enumerate().map(one).collect()
}

/// Values of a* and b* of one picture.
fn planes(size: Size) -> usize {
    2 * size.width as usize * size.height as usize
}

/// Name of our own graph's input here: pictures are grey.
const INPUT: &str = "grey";

fn spec(place: &Place, Batch { pictures, size }: Batch, precision: Precision) -> GraphSpec {
    let (input, outputs) = (PictureInput::Grey, Outputs::Guarded);
    // The processor's form computes in FP32, and has nothing to cross.
    let ports = if place.provider == Provider::Cuda { precision } else { Precision::Fp32 };
    GraphSpec { pictures, input, ports, outputs, ..GraphSpec::new(size, precision, place.provider) }
}

/// A session of our own graph.
fn ours(
    place: &Place,
    id: &str,
    Batch { pictures, size }: Batch,
    precision: Precision,
    graph: &[u8],
) -> Result<Form, InferenceError> {
    let tuning = Tuning { pictures, memory: place.memory };
    if place.provider == Provider::Cpu {
        return Ok(Form::Ours(Network::open(place, id, graph, Treatment::AsWritten(tuning))?));
    }
    let (width, height) = (size.width as usize, size.height as usize);
    let port = |name, shape, precision| Port { name, shape, precision };
    let input = port(INPUT, vec![pictures, 1, height, width], precision);
    let outputs =
        [port("ab", vec![pictures, 2, height, width], precision), port("said", vec![SAID, pictures, STRIPS], Precision::Fp32)];
    Ok(Form::Resident(Box::new(Resident::open(place, id, graph, tuning, &input, &outputs)?)))
}
