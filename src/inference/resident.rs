//! A network of fixed shapes whose input and outputs have their places on the card: what a CUDA graph needs, and what saves the
//! runtime's own copies through pageable memory.

use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{DynTensor, TensorElementType};

use super::native::{CardCopies, CopyError};
use super::options::{MemoryUse, Treatment, Tuning, builder};
use super::profile::{Observed, ProfileDirectory};
use super::session::{Place, read_back, unclear};
use super::{InferenceError, Precision, Provider};

/// An input or output by name.
#[derive(Debug)]
pub(super) struct Port<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Vec<usize>,
    /// Number format in which it crosses between the card and this machine.
    pub(super) precision: Precision,
}

/// A part of an input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    /// Its values.
    pub(super) full: &'a [f32],
    /// The same in FP16, where somebody had the time to round them.
    pub(super) rounded: Option<&'a [f16]>,
}

/// A session, bound.
#[derive(Debug)]
pub(super) struct Resident {
    // In the order in which they have to go: what refers to the session first.
    binding: IoBinding,
    input: DynTensor,
    /// Where the input is written, in memory of this machine that the card can reach by itself.
    departure: DynTensor,
    outputs: Vec<Output>,
    /// Of such memory, for outputs.
    arrivals: Allocator,
    session: Session,
    copies: CardCopies,
    name: String,
    memory: MemoryUse,
    /// There until the first run has been read back.
    profile: Option<ProfileDirectory>,
    observed: Option<Observed>,
}

/// An output on the card, and the places in this machine's memory where results of it have arrived.
#[derive(Debug)]
struct Output {
    card: DynTensor,
    kind: TensorElementType,
    shape: Vec<usize>,
    /// Those that nobody else holds are free for the next run.
    arrived: Vec<Arc<Arrived>>,
}

/// One result, in memory of this machine that the card writes by itself. Whoever holds it may read it in its own time: the
/// session's next run takes another place.
#[derive(Debug)]
pub(super) struct Arrived {
    tensor: DynTensor,
}

impl Resident {
    /// Makes a session of an ONNX model on the card.
    pub(super) fn open(
        place: &Place,
        name: &str,
        model: &[u8],
        tuning: Tuning,
        input: &Port<'_>,
        outputs: &[Port<'_>],
    ) -> Result<Self, InferenceError> {
        let profile = ProfileDirectory::create().map_err(|error| unclear(name, error))?;
        let made = || {
            let session = builder(place, name, Treatment::AsWritten(tuning), &profile)?.commit_from_memory(model)?;
            let card = allocator(&session, AllocationDevice::CUDA, MemoryType::Default)?;
            let departures = allocator(&session, AllocationDevice::CUDA_PINNED, MemoryType::CPUInput)?;
            let arrivals = allocator(&session, AllocationDevice::CUDA_PINNED, MemoryType::CPUOutput)?;
            let tensor = |on: &Allocator, port: &Port<'_>| DynTensor::new(on, element(port.precision), port.shape.clone());
            let mut binding = session.create_binding()?;
            let (from, to) = (tensor(&departures, input)?, tensor(&card, input)?);
            binding.bind_input(input.name, &to)?;
            let mut bound = Vec::new();
            for port in outputs {
                let mut card = tensor(&card, port)?;
                binding.bind_output(port.name, &mut card)?;
                let (kind, shape) = (element(port.precision), port.shape.clone());
                bound.push(Output { card, kind, shape, arrived: Vec::new() });
            }
            Ok::<_, ort::Error>((session, binding, from, to, bound, arrivals))
        };
        let made = made().map_err(|error| InferenceError::from_load(name, &error))?;
        let (session, binding, departure, input, outputs, arrivals) = made;
        let copies = CardCopies::open().map_err(|error| unreachable_card(name, &error))?;
        let (name, memory) = (name.to_owned(), tuning.memory);
        let profile = Some(profile);
        Ok(Self { binding, input, departure, outputs, arrivals, session, copies, name, memory, profile, observed: None })
    }

    /// Runs the network on `parts`, one after the other, which fill its input; the outputs in the order of the ports.
    ///
    /// After the first run the session's profile is read: a session that did not run where it was meant to is an error.
    pub(super) fn run(&mut self, parts: &[Part<'_>]) -> Result<Vec<Arc<Arrived>>, InferenceError> {
        write(&mut self.departure, parts).map_err(|error| InferenceError::from_run(&self.name, &error))?;
        self.copies.up(&self.departure, &mut self.input).map_err(|error| unreachable_card(&self.name, &error))?;
        self.run_again()?;
        let mut arrived = Vec::with_capacity(self.outputs.len());
        for output in &mut self.outputs {
            let place = output.free_place(&self.arrivals).map_err(|error| InferenceError::from_run(&self.name, &error))?;
            let host = Arc::get_mut(&mut output.arrived[place]).expect("nobody holds a free place");
            self.copies.down(&output.card, &mut host.tensor).map_err(|error| unreachable_card(&self.name, &error))?;
            arrived.push(output.arrived[place].clone());
        }
        Ok(arrived)
    }

    /// Runs the network on the input that lies on the card, and leaves the outputs there.
    pub(super) fn run_again(&mut self) -> Result<(), InferenceError> {
        let failed = |error: ort::Error| InferenceError::from_run(&self.name, &error);
        let mut options = RunOptions::new().map_err(failed)?;
        if self.memory == MemoryUse::Small && self.profile.is_some() {
            options.set("memory.enable_memory_arena_shrinkage", "gpu:0").map_err(failed)?;
        }
        self.session.run_binding_with_options(&self.binding, &options).map(drop).map_err(failed)?;
        if let Some(profile) = self.profile.take() {
            self.observed = Some(read_back(&mut self.session, &profile, &self.name, Provider::Cuda)?);
        }
        Ok(())
    }

    /// Where and how the first run took place; `None` before it.
    pub(super) const fn observed(&self) -> Option<Observed> {
        self.observed
    }
}

impl Output {
    /// A place that nobody reads, made if there is none: as many are made as results were held at one time.
    fn free_place(&mut self, arrivals: &Allocator) -> Result<usize, ort::Error> {
        if let Some(place) = self.arrived.iter().position(|place| Arc::strong_count(place) == 1) {
            return Ok(place);
        }
        let tensor = DynTensor::new(arrivals, self.kind, self.shape.clone())?;
        self.arrived.push(Arc::new(Arrived { tensor }));
        Ok(self.arrived.len() - 1)
    }
}

impl Arrived {
    /// Values `from..from + count`, row-major.
    pub(super) fn values(&self, from: usize, count: usize) -> Vec<f32> {
        match self.tensor.try_extract_tensor::<f16>() {
            Ok((_, values)) => values[from..from + count].to_f32_vec(),
            Err(_) => self.tensor.try_extract_tensor::<f32>().expect("ports are FP16 or FP32").1[from..from + count].to_vec(),
        }
    }
}

/// The number format, as the runtime names it.
const fn element(precision: Precision) -> TensorElementType {
    match precision {
        Precision::Fp16 => TensorElementType::Float16,
        Precision::Fp32 => TensorElementType::Float32,
    }
}

/// Fills a tensor of this machine, rounding to its number format what is not rounded yet.
fn write(to: &mut DynTensor, parts: &[Part<'_>]) -> Result<(), ort::Error> {
    let mut at = 0;
    if *to.data_type() == TensorElementType::Float16 {
        let values = to.try_extract_tensor_mut::<f16>()?.1;
        for Part { full, rounded } in parts {
            let place = &mut values[at..at + full.len()];
            match rounded {
                Some(rounded) => place.copy_from_slice(rounded),
                None => place.convert_from_f32_slice(full),
            }
            at += full.len();
        }
    } else {
        let values = to.try_extract_tensor_mut::<f32>()?.1;
        for Part { full, .. } in parts {
            values[at..at + full.len()].copy_from_slice(full);
            at += full.len();
        }
    }
    Ok(())
}

fn allocator(session: &Session, device: AllocationDevice<'static>, kind: MemoryType) -> Result<Allocator, ort::Error> {
    Allocator::new(session, MemoryInfo::new(device, 0, AllocatorType::Device, kind)?)
}

fn unreachable_card(name: &str, error: &CopyError) -> InferenceError {
    InferenceError::DeviceLost { network: name.to_owned(), detail: error.to_string() }
}
