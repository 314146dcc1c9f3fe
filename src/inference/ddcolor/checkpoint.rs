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
use super::survey::{Stated, Survey, spectral};

/// A checkpoint whose tensors are all there, known, and of the right shape.
pub(super) struct Checkpoint<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
    survey: Survey,
}

impl<'a> Checkpoint<'a> {
    /// Checks a whole file, as [`Survey::of`] does.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, CheckpointError> {
        let file = SafeTensors::deserialize(bytes).map_err(|source| CheckpointError::Format { source })?;
        let tensors: BTreeMap<String, TensorView<'a>> = file.tensors().into_iter().collect();
        let stated = |view: &TensorView<'_>| Stated { dtype: view.dtype(), shape: view.shape().to_vec() };
        let survey = Survey::of(&tensors.iter().map(|(name, view)| (name.clone(), stated(view))).collect())?;
        Ok(Self { tensors, survey })
    }

    /// The sizes of the network.
    pub(super) const fn architecture(&self) -> &Architecture {
        self.survey.architecture()
    }

    /// Learned numbers; statistics and spectral vectors do not count.
    pub(super) const fn parameters(&self) -> u64 {
        self.survey.parameters()
    }

    fn view(&self, name: &str) -> Result<&TensorView<'a>, CheckpointError> {
        // `open` saw every tensor that the parts ask for, so this is a mistake between schema and part, not the file's.
        let missing = || Problems::new(vec![Problem::Missing { name: name.to_owned() }]);
        self.tensors.get(name).ok_or_else(|| CheckpointError::Mismatch { problems: missing() })
    }

    /// The numbers of a tensor, row-major, all finite.
    pub(super) fn values(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let view = self.view(name)?;
        let values = decode(view.dtype(), view.data());
        if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(non_finite(name)) }
    }

    /// The bias of a layer, if it has one.
    pub(super) fn bias(&self, prefix: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        let name = format!("{prefix}.bias");
        self.tensors.contains_key(&name).then(|| self.values(&name)).transpose()
    }

    /// A convolution that nothing is folded into, without its bias.
    pub(super) fn conv(&self, prefix: &str) -> Result<Conv, CheckpointError> {
        let name = format!("{prefix}.weight");
        let &[outputs, inputs, rows, columns] = self.view(&name)?.shape() else {
            return Err(CheckpointError::Unsupported { what: format!("a convolution {name} that is not four-dimensional") });
        };
        Ok(Conv { shape: [outputs, inputs, rows, columns], weight: self.values(&name)? })
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
        let [orig, u, v] = spectral(&name);
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

/// The numbers of a tensor's little-endian bytes: F16, BF16, or F32, which are all that [`Survey::of`] lets through.
pub(in crate::inference) fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&pair| f16::from_le_bytes(pair).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&pair| bf16::from_le_bytes(pair).to_f32()).collect(),
        _ => bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
    }
}
