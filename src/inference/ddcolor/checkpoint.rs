//! Reads a safetensors checkpoint: the architecture from its shapes, then its numbers by official name.
//!
//! A file is checked as a whole before any number is converted; afterwards every expected tensor is there with the
//! right shape. What the numbers are folded into is up to the parts of the network.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::architecture::Architecture;
use super::error::{CheckpointError, Problem, Problems, printable};
use super::fold::{Affine, Conv, Folding, Linear, Norm, spectral_norm};
use super::schema::{Expected, Role, expected, is_unused};

/// ONNX models are protobuf messages, which end at 2 GiB; 16 MiB stay for the nodes and small constants.
const LARGEST_GRAPH: u64 = (1 << 31) - (16 << 20);

/// A checkpoint whose tensors are all there, known, and of the right shape.
pub(super) struct Checkpoint<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
    architecture: Architecture,
    parameters: u64,
}

impl<'a> Checkpoint<'a> {
    /// Checks a whole file. Missing, surplus, wrongly shaped and wrongly typed tensors come back in one error.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        let file = SafeTensors::deserialize(bytes).map_err(|source| CheckpointError::Format { source })?;
        let tensors: BTreeMap<String, TensorView<'a>> = file.tensors().into_iter().collect();
        let architecture = Architecture::infer(
            |key| tensors.get(key).map(TensorView::shape),
            |prefix| tensors.range(prefix.to_owned()..).next().is_some_and(|(key, _)| key.starts_with(prefix)),
        );
        let expected = expected(&architecture);
        let problems = problems(&tensors, &expected);
        if !problems.is_empty() {
            return Err(CheckpointError::Mismatch { problems: Problems::new(problems) });
        }
        if let Some(what) = architecture.objection() {
            return Err(CheckpointError::Unsupported { what });
        }
        let elements = |entry: &Expected| entry.shape.iter().map(|&n| n as u64).product::<u64>();
        let parameters = expected.iter().filter(|entry| entry.role != Role::Buffer).map(elements).sum();
        if parameters > LARGEST_GRAPH / 4 {
            let what = format!("{parameters} parameters, more than the {} an ONNX file can hold", LARGEST_GRAPH / 4);
            return Err(CheckpointError::Unsupported { what });
        }
        Ok(Self { tensors, architecture, parameters })
    }

    /// The sizes of the network.
    pub(super) const fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Learned numbers; statistics and spectral vectors do not count.
    pub(super) const fn parameters(&self) -> u64 {
        self.parameters
    }

    fn view(&self, name: &str) -> Result<&TensorView<'a>, CheckpointError> {
        // `open` saw every tensor that the parts ask for, so this is a mistake between schema and part, not the file's.
        let missing = || Problems::new(vec![Problem::Missing { name: name.to_owned() }]);
        self.tensors.get(name).ok_or_else(|| CheckpointError::Mismatch { problems: missing() })
    }

    /// The numbers of a tensor, row-major, all finite.
    pub(super) fn values(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let values = decode(self.view(name)?);
        if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(non_finite(name)) }
    }

    /// The bias of a layer, if it has one.
    fn bias(&self, prefix: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        let name = format!("{prefix}.bias");
        self.tensors.contains_key(&name).then(|| self.values(&name)).transpose()
    }

    /// A convolution that nothing is folded into.
    pub(super) fn conv(&self, prefix: &str) -> Result<Conv, CheckpointError> {
        let name = format!("{prefix}.weight");
        let &[outputs, inputs, rows, columns] = self.view(&name)?.shape() else {
            return Err(CheckpointError::Unsupported { what: format!("a convolution {name} that is not four-dimensional") });
        };
        Ok(Conv { shape: [outputs, inputs, rows, columns], weight: self.values(&name)?, bias: self.bias(prefix)? })
    }

    /// A linear layer that nothing is folded into.
    pub(super) fn linear(&self, prefix: &str) -> Result<Linear, CheckpointError> {
        let bias = self.values(&format!("{prefix}.bias"))?;
        Ok(Linear::from_rows(bias.len(), &self.values(&format!("{prefix}.weight"))?, bias))
    }

    /// A layer that something will be folded into; its spectral norm is already.
    pub(super) fn folding(&self, prefix: &str) -> Result<Folding, CheckpointError> {
        let bias = self.bias(prefix)?;
        let name = format!("{prefix}.weight");
        if self.tensors.contains_key(&name) {
            let weight = self.values(&name)?;
            return Ok(Folding::new(self.view(&name)?.shape()[0], &weight, bias.as_deref()));
        }
        let [orig, u, v] = ["orig", "u", "v"].map(|part| format!("{name}_{part}"));
        let (weight, u, v) = (self.values(&orig)?, self.values(&u)?, self.values(&v)?);
        let folding = Folding::new(u.len(), &weight, bias.as_deref()).divide(spectral_norm(&weight, &u, &v));
        finite(folding, &orig)
    }

    /// A matrix and a bias under names of their own.
    pub(super) fn named_folding(&self, weight: &str, bias: &str) -> Result<Folding, CheckpointError> {
        let bias = self.values(bias)?;
        Ok(Folding::new(bias.len(), &self.values(weight)?, Some(&bias)))
    }

    /// A BatchNorm as an affine.
    pub(super) fn batch_norm(&self, prefix: &str) -> Result<Affine, CheckpointError> {
        let part = |part: &str| self.values(&format!("{prefix}.{part}"));
        let parts = [part("weight")?, part("bias")?, part("running_mean")?, part("running_var")?];
        let affine = Affine::batch_norm(parts.each_ref().map(Vec::as_slice));
        let finite = affine.scale.iter().chain(&affine.shift).all(|value| value.is_finite());
        if finite { Ok(affine) } else { Err(non_finite(&format!("{prefix}.running_var"))) }
    }

    /// A layer normalisation.
    pub(super) fn norm(&self, prefix: &str, epsilon: f32) -> Result<Norm, CheckpointError> {
        let (scale, shift) = (self.values(&format!("{prefix}.weight"))?, self.values(&format!("{prefix}.bias"))?);
        Ok(Norm { scale, shift, epsilon })
    }
}

/// Passes a folded layer on if its numbers are still numbers; `name` is who is to blame.
pub(super) fn finite(folding: Folding, name: &str) -> Result<Folding, CheckpointError> {
    if folding.is_finite() { Ok(folding) } else { Err(non_finite(name)) }
}

pub(super) fn non_finite(name: &str) -> CheckpointError {
    CheckpointError::NonFinite { tensor: printable(name) }
}

/// Compares a file with what the network needs.
fn problems(tensors: &BTreeMap<String, TensorView<'_>>, expected: &[Expected]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut surplus: BTreeMap<&str, ()> =
        tensors.keys().map(|key| (key.as_str(), ())).filter(|(key, ())| !is_unused(key)).collect();
    let mut check = |name: String, shape: &[usize]| {
        let Some(tensor) = tensors.get(&name) else {
            problems.push(Problem::Missing { name });
            return;
        };
        surplus.remove(name.as_str());
        let found = tensor.shape();
        let fits = found.len() == shape.len() && found.iter().zip(shape).all(|(&found, &want)| want == 0 || found == want);
        if !fits {
            problems.push(Problem::Shape { name, found: found.to_vec(), expected: shape.to_vec() });
        } else if !matches!(tensor.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            problems.push(Problem::Kind { name, found: format!("{:?}", tensor.dtype()) });
        }
    };
    for entry in expected {
        let parts = ["orig", "u", "v"].map(|part| format!("{}_{part}", entry.name));
        if entry.role == Role::Spectral && parts.iter().any(|part| tensors.contains_key(part)) {
            let rest = entry.shape[1..].iter().try_fold(1_usize, |product, &n| product.checked_mul(n)).unwrap_or(0);
            let [orig, u, v] = parts;
            check(orig, &entry.shape);
            check(u, &entry.shape[..1]);
            check(v, &[rest]);
        } else {
            check(entry.name.clone(), &entry.shape);
        }
    }
    problems.extend(surplus.into_keys().map(|name| Problem::Surplus { name: name.to_owned() }));
    problems
}

fn decode(tensor: &TensorView<'_>) -> Vec<f32> {
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&pair| f16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        // `problems` lets F32 through and nothing else.
        _ => bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
    }
}
