//! A network of fixed shapes whose input and outputs have their places on the card: what a CUDA graph needs, and what saves the
//! runtime's own copies through pageable memory.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::Tensor;

use super::InferenceError;
use super::native::{CardCopies, CopyError};
use super::options::{MemoryUse, Treatment, Tuning, builder};
use super::profile::{Observed, ProfileDirectory};
use super::session::{Place, read_back, unclear};

/// An input or output by name, f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
}

/// A session, bound.
#[derive(Debug)]
pub(super) struct Resident {
    // In the order in which they have to go: what refers to the session first.
    binding: IoBinding,
    input: Pair,
    outputs: Vec<Pair>,
    session: Session,
    copies: CardCopies,
    name: String,
    memory: MemoryUse,
    /// There until the first run has been read back.
    profile: Option<ProfileDirectory>,
    observed: Option<Observed>,
}

/// A tensor on the card, and memory of this machine that the card can reach by itself.
#[derive(Debug)]
struct Pair {
    card: Tensor<f32>,
    host: Tensor<f32>,
}

impl Resident {
    /// Makes a session of an ONNX model on the card.
    pub(super) fn open(
        place: &Place,
        name: &str,
        model: &[u8],
        tuning: Tuning,
        input: Port<'_>,
        outputs: &[Port<'_>],
    ) -> Result<Self, InferenceError> {
        let profile = ProfileDirectory::create().map_err(|error| unclear(name, error))?;
        let made = || {
            let session = builder(place, name, Treatment::AsWritten(tuning), &profile)?.commit_from_memory(model)?;
            let card = allocator(&session, AllocationDevice::CUDA, MemoryType::Default)?;
            let (up, down) = (
                allocator(&session, AllocationDevice::CUDA_PINNED, MemoryType::CPUInput)?,
                allocator(&session, AllocationDevice::CUDA_PINNED, MemoryType::CPUOutput)?,
            );
            let pair = |port: &Port<'_>, host: &Allocator| {
                Ok::<_, ort::Error>(Pair {
                    card: Tensor::new(&card, port.shape.to_vec())?,
                    host: Tensor::new(host, port.shape.to_vec())?,
                })
            };
            let mut binding = session.create_binding()?;
            let input_pair = pair(&input, &up)?;
            binding.bind_input(input.name, &input_pair.card)?;
            let mut output_pairs = Vec::new();
            for port in outputs {
                let mut made = pair(port, &down)?;
                binding.bind_output(port.name, &mut made.card)?;
                output_pairs.push(made);
            }
            Ok::<_, ort::Error>((session, binding, input_pair, output_pairs))
        };
        let (session, binding, input, outputs) = made().map_err(|error| InferenceError::from_load(name, &error))?;
        let copies = CardCopies::open().map_err(|error| unreachable_card(name, &error))?;
        let (name, memory) = (name.to_owned(), tuning.memory);
        Ok(Self { binding, input, outputs, session, copies, name, memory, profile: Some(profile), observed: None })
    }

    /// Runs the network on what `fill` writes as its input; the outputs are here then.
    ///
    /// After the first run the session's profile is read: a session that did not run where it was meant to is an error.
    pub(super) fn run(&mut self, fill: impl FnOnce(&mut [f32])) -> Result<(), InferenceError> {
        fill(self.input.host.extract_tensor_mut().1);
        self.copies.up(&self.input.host, &mut self.input.card).map_err(|error| unreachable_card(&self.name, &error))?;
        self.run_again()?;
        for output in &mut self.outputs {
            self.copies.down(&output.card, &mut output.host).map_err(|error| unreachable_card(&self.name, &error))?;
        }
        Ok(())
    }

    /// An output of the last run, by the order of the ports.
    pub(super) fn output(&self, index: usize) -> &[f32] {
        self.outputs[index].host.extract_tensor().1
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
            self.observed = Some(read_back(&mut self.session, &profile, &self.name, super::Provider::Cuda)?);
        }
        Ok(())
    }

    /// Where and how the first run took place; `None` before it.
    pub(super) const fn observed(&self) -> Option<Observed> {
        self.observed
    }
}

fn allocator(session: &Session, device: AllocationDevice<'static>, kind: MemoryType) -> Result<Allocator, ort::Error> {
    Allocator::new(session, MemoryInfo::new(device, 0, AllocatorType::Device, kind)?)
}

fn unreachable_card(name: &str, error: &CopyError) -> InferenceError {
    InferenceError::DeviceLost { network: name.to_owned(), detail: error.to_string() }
}
