//! One network on one provider: a session that is never shared, and says where its first run took place.

use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use half::vec::HalfFloatVecExt as _;
use ort::environment::Environment;
use ort::ep::{self, ArenaExtendStrategy};
use ort::session::builder::SessionBuilder;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef, ValueType};

use super::error::one_line;
use super::profile::{Observed, ProfileDirectory, observe};
use super::{Array, InferenceError, Provider};

/// What every session of an engine has in common.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) environment: Environment,
    pub(super) provider: Provider,
    /// Threads inside one operator, on the processor.
    pub(super) threads: usize,
    /// Bound on a session's own memory on the card, MiB; 0: none.
    pub(super) memory_mib: u64,
    /// Whether products of FP32 may be rounded to TF32 on the card. Switching it off takes tensor cores from FP16 too.
    pub(super) tf32: bool,
}

/// Sizes that change between runs, by the names the network gives them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sizes<'a> {
    /// The network has none, or they are fixed here.
    Fixed(&'a [(&'a str, u32)]),
    /// They change from run to run.
    Free,
}

/// A named input: shape and values, row-major. A network that wants FP16 gets them rounded.
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    pub(super) data: &'a [f32],
}

/// A network ready to run.
#[derive(Debug)]
pub(super) struct Network {
    // Before `profile`: a session that goes while it is profiled still writes its file.
    session: Session,
    name: String,
    provider: Provider,
    /// There until the first run has been read back.
    profile: Option<ProfileDirectory>,
    observed: Option<Observed>,
}

impl Network {
    /// Makes a session of an ONNX model.
    pub(super) fn open(place: &Place, name: &str, model: &[u8], sizes: Sizes<'_>) -> Result<Self, InferenceError> {
        Self::open_with(place, name, sizes, |mut builder| builder.commit_from_memory(model))
    }

    /// As [`Network::open`], of a model in a file: the runtime reads it piece by piece, and there is one copy fewer of it.
    pub(super) fn open_file(place: &Place, name: &str, model: &Path, sizes: Sizes<'_>) -> Result<Self, InferenceError> {
        Self::open_with(place, name, sizes, |mut builder| builder.commit_from_file(model))
    }

    fn open_with(
        place: &Place,
        name: &str,
        sizes: Sizes<'_>,
        commit: impl FnOnce(SessionBuilder) -> Result<Session, ort::Error>,
    ) -> Result<Self, InferenceError> {
        let profile = ProfileDirectory::create().map_err(|error| unclear(name, error))?;
        let session = builder(place, name, sizes, &profile).and_then(commit);
        let session = session.map_err(|error| InferenceError::from_load(name, &error))?;
        Ok(Self { session, name: name.to_owned(), provider: place.provider, profile: Some(profile), observed: None })
    }

    /// Runs the network and gives back one output, which must have `expected` values; whether they are finite is the
    /// caller's to look at.
    ///
    /// After the first run the session's profile is read: a session that did not run where it was meant to is an error.
    pub(super) fn run(&mut self, inputs: &[Input<'_>], output: &str, expected: usize) -> Result<Vec<f32>, InferenceError> {
        let data = self.run_for(inputs, &[output])?.swap_remove(0).values;
        if data.len() != expected {
            return Err(self.contract(format!("{} values", data.len()), format!("{expected} values")));
        }
        Ok(data)
    }

    /// As [`Network::run`], for a network that somebody else made: the output must have this shape, not only its number of
    /// values.
    pub(super) fn run_shaped(
        &mut self,
        inputs: &[Input<'_>],
        output: &str,
        expected: &[usize],
    ) -> Result<Vec<f32>, InferenceError> {
        let Array { shape, values } = self.run_for(inputs, &[output])?.swap_remove(0);
        if shape != expected {
            return Err(self.contract(format!("{output} of shape {shape:?}"), format!("{expected:?}")));
        }
        Ok(values)
    }

    /// As [`Network::run`], for several outputs, in the order of the names.
    pub(super) fn run_for(&mut self, inputs: &[Input<'_>], names: &[&str]) -> Result<Vec<Array>, InferenceError> {
        let found = self.run_session(inputs, names)?;
        if let Some(profile) = self.profile.take() {
            self.observed = Some(self.read_back(&profile)?);
        }
        Ok(found)
    }

    /// Where and how the first run took place; `None` before it.
    pub(super) const fn observed(&self) -> Option<Observed> {
        self.observed
    }

    /// Size of an output's last dimension, where the model fixes it.
    pub(super) fn last_dimension(&self, output: &str) -> Option<usize> {
        let outlet = self.session.outputs().iter().find(|outlet| outlet.name() == output)?;
        usize::try_from(*outlet.dtype().tensor_shape()?.last()?).ok()
    }

    fn run_session(&mut self, inputs: &[Input<'_>], names: &[&str]) -> Result<Vec<Array>, InferenceError> {
        let failed = |error: ort::Error| InferenceError::from_run(&self.name, &error);
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for input in inputs {
            values.push((input.name, value(input, self.wants_f16(input.name)).map_err(failed)?));
        }
        let mut options = RunOptions::new().map_err(failed)?;
        if self.provider == Provider::Cpu {
            // What a run needed goes back to the machine: many sessions rest while one works, and the rest of the pipeline
            // needs the memory.
            options.set("memory.enable_memory_arena_shrinkage", "cpu:0").map_err(failed)?;
        }
        let outputs = self.session.run_with_options(values, &options);
        let outputs = outputs.map_err(|error| InferenceError::from_run(&self.name, &error))?;
        let one = |name: &&str| {
            let contract = |found, expected| InferenceError::Contract { network: self.name.clone(), found, expected };
            let all = || outputs.keys().collect::<Vec<_>>().join(", ");
            let found = outputs.get(name).ok_or_else(|| contract(all(), format!("an output {name}")))?;
            let (shape, values) =
                floats(found).map_err(|error| contract(one_line(error.message()), format!("floats in {name}")))?;
            Ok(Array { shape, values })
        };
        names.iter().map(one).collect()
    }

    fn wants_f16(&self, name: &str) -> bool {
        let declared = self.session.inputs().iter().find(|input| input.name() == name);
        declared.is_some_and(|input| matches!(input.dtype(), ValueType::Tensor { ty: TensorElementType::Float16, .. }))
    }

    fn read_back(&mut self, profile: &ProfileDirectory) -> Result<Observed, InferenceError> {
        let file = self.session.end_profiling().map_err(|error| unclear(&self.name, error))?;
        let json = profile.read(&file).map_err(|error| unclear(&self.name, error))?;
        let misplaced = |found: String| InferenceError::Misplaced { network: self.name.clone(), wanted: self.provider, found };
        let observed = match observe(&json) {
            Err(mixed @ super::profile::Unclear::Mixed { .. }) => return Err(misplaced(mixed.to_string())),
            other => other.map_err(|error| unclear(&self.name, error))?,
        };
        if observed.provider != self.provider {
            return Err(misplaced(format!("it ran on {}", observed.provider)));
        }
        Ok(observed)
    }

    fn contract(&self, found: String, expected: String) -> InferenceError {
        InferenceError::Contract { network: self.name.clone(), found, expected }
    }
}

/// What the session is given: the values where they lie, or rounded to FP16.
fn value<'v>(input: &Input<'v>, rounded: bool) -> Result<SessionInputValue<'v>, ort::Error> {
    let shape = input.shape.to_vec();
    if rounded {
        return Ok(Tensor::from_array((shape, Vec::<f16>::from_f32_slice(input.data)))?.into());
    }
    Ok(TensorRef::from_array_view((shape, input.data))?.into())
}

/// Shape and values of an output of f32 or f16.
fn floats(output: &DynValue) -> Result<(Vec<usize>, Vec<f32>), ort::Error> {
    let is_f16 = matches!(output.dtype(), ValueType::Tensor { ty: TensorElementType::Float16, .. });
    let (shape, data) = if is_f16 {
        let (shape, data) = output.try_extract_tensor::<f16>()?;
        (shape, data.to_f32_vec())
    } else {
        let (shape, data) = output.try_extract_tensor::<f32>()?;
        (shape, data.to_vec())
    };
    // Lengths of a value that exists are not negative.
    Ok((shape.iter().map(|&side| usize::try_from(side).unwrap_or(0)).collect(), data))
}

fn unclear(network: &str, error: impl std::fmt::Display) -> InferenceError {
    InferenceError::Profile { network: network.to_owned(), detail: one_line(&error.to_string()) }
}

fn builder(place: &Place, name: &str, sizes: Sizes<'_>, profile: &ProfileDirectory) -> Result<SessionBuilder, ort::Error> {
    let builder = Session::builder(&place.environment)?.with_log_id(name)?.with_profiling(profile.prefix())?;
    // Threads that spin while they wait would take the cores that decode and encode.
    let mut builder = builder.with_intra_op_spinning(false)?;
    builder = match sizes {
        Sizes::Free => builder.with_memory_pattern(false)?,
        Sizes::Fixed(fixed) => {
            for (name, size) in fixed {
                builder = builder.with_dimension_override(name, i64::from(*size))?;
            }
            builder
        }
    };
    match place.provider {
        Provider::Cpu => Ok(builder.with_intra_threads(place.threads.max(1))?),
        // Without the second call a node that CUDA cannot run would go to the processor without a word.
        Provider::Cuda => {
            Ok(builder.with_intra_threads(1)?.with_execution_providers([cuda(place)])?.with_disable_cpu_fallback()?)
        }
    }
}

/// The CUDA provider.
fn cuda(place: &Place) -> ep::ExecutionProviderDispatch {
    let mut cuda = ep::CUDA::default()
        .with_device_id(0)
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
        // Sums of an FP16 SkipLayerNormalization are kept in FP32.
        .with_skip_layer_norm_strict_mode(true)
        .with_tf32(place.tf32);
    if place.memory_mib > 0 {
        cuda = cuda.with_memory_limit(usize::try_from(place.memory_mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX));
    }
    cuda.build().error_on_failure()
}
