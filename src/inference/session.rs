//! One network on one provider: a session that is never shared, and says where its first run took place.

use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use half::vec::HalfFloatVecExt as _;
use ort::environment::Environment;
use ort::session::builder::SessionBuilder;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef, ValueType};

use super::error::one_line;
use super::options::{MemoryUse, Treatment, builder};
use super::profile::{Observed, ProfileDirectory, Unclear, observe};
use super::{Array, InferenceError, Provider};

/// What every session of an engine has in common.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) environment: Environment,
    pub(super) provider: Provider,
    /// Threads inside one operator, on the processor.
    pub(super) threads: usize,
    /// Bound on what a session takes on the card, weights included, bytes.
    pub(super) limit: Option<u64>,
    /// How our own networks use the card's memory.
    pub(super) memory: MemoryUse,
    /// Whether products of FP32 may be rounded to TF32 on the card. Switching it off takes tensor cores from FP16 too.
    pub(super) tf32: bool,
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
    pub(super) fn open(place: &Place, name: &str, model: &[u8], treatment: Treatment<'_>) -> Result<Self, InferenceError> {
        Self::open_with(place, name, treatment, |mut builder| builder.commit_from_memory(model))
    }

    /// As [`Network::open`], of a model in a file: the runtime reads it piece by piece, and there is one copy fewer of it.
    pub(super) fn open_file(place: &Place, name: &str, model: &Path, treatment: Treatment<'_>) -> Result<Self, InferenceError> {
        Self::open_with(place, name, treatment, |mut builder| builder.commit_from_file(model))
    }

    fn open_with(
        place: &Place,
        name: &str,
        treatment: Treatment<'_>,
        commit: impl FnOnce(SessionBuilder) -> Result<Session, ort::Error>,
    ) -> Result<Self, InferenceError> {
        let profile = ProfileDirectory::create().map_err(|error| unclear(name, error))?;
        let session = builder(place, name, treatment, &profile).and_then(commit);
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
            self.observed = Some(read_back(&mut self.session, &profile, &self.name, self.provider)?);
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

/// Ends the profile of a session's first run and reads in it where that took place, which must be where it was meant to.
pub(super) fn read_back(
    session: &mut Session,
    profile: &ProfileDirectory,
    name: &str,
    wanted: Provider,
) -> Result<Observed, InferenceError> {
    let file = session.end_profiling().map_err(|error| unclear(name, error))?;
    let json = profile.read(&file).map_err(|error| unclear(name, error))?;
    let misplaced = |found: String| InferenceError::Misplaced { network: name.to_owned(), wanted, found };
    let observed = match observe(&json) {
        Err(mixed @ Unclear::Mixed { .. }) => return Err(misplaced(mixed.to_string())),
        other => other.map_err(|error| unclear(name, error))?,
    };
    if observed.provider == wanted { Ok(observed) } else { Err(misplaced(format!("it ran on {}", observed.provider))) }
}

pub(super) fn unclear(network: &str, error: impl std::fmt::Display) -> InferenceError {
    InferenceError::Profile { network: network.to_owned(), detail: one_line(&error.to_string()) }
}
