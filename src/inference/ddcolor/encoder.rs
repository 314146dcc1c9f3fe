//! The ConvNeXt encoder: a grey picture to features at 1/4, 1/8, 1/16 and 1/32 of its size.
//!
//! After Liu et al., "A ConvNet for the 2020s", CVPR 2022. Every stage's features go on un-normalised; the copy for
//! the U-Net is normalised.

use super::architecture::STAGES;
use super::checkpoint::{Checkpoint, finite, non_finite};
use super::error::CheckpointError;
use super::fold::{Affine, Conv, Linear, Norm};
use super::graph::{Graph, Value};

/// Epsilon of every layer normalisation of the encoder.
const EPSILON: f32 = 1e-6;

/// Four stages.
pub(super) struct Encoder {
    stages: Vec<Stage>,
}

struct Stage {
    entry: Entry,
    blocks: Vec<Block>,
    /// The published normalisation of the stage's features; only shown.
    norm: Norm,
    /// Normalises the stage's features for the U-Net. The U-Net's BatchNorm of the skip is folded into it.
    skip_norm: Norm,
}

/// How features get their next smaller size.
enum Entry {
    /// 4×4 patches of the picture, then the norm. The picture's own normalisation is folded into the patches.
    Stem { patches: Conv, norm: Norm },
    /// The norm, then 2×2 patches.
    Halve { norm: Norm, patches: Conv },
}

struct Block {
    /// 7×7, each channel by itself.
    depthwise: Conv,
    norm: Norm,
    widen: Linear,
    /// The layer scale gamma is folded in.
    narrow: Linear,
}

impl Encoder {
    pub(super) fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let stages = (0..STAGES).map(|i| Stage::read(checkpoint, i)).collect::<Result<_, _>>()?;
        Ok(Self { stages })
    }

    /// The normalised features of the four stages, largest first, of `rgb` [1, 3, H, W] in 0..=1.
    pub(super) fn emit<'w>(&'w self, graph: &mut Graph<'w>, rgb: &Value) -> Vec<Value> {
        let mut x = graph.body(rgb);
        let mut features = Vec::new();
        for (i, stage) in self.stages.iter().enumerate() {
            graph.enter(format!("encoder.arch.downsample_layers.{i}"));
            x = stage.entry.emit(graph, &x);
            for (j, block) in stage.blocks.iter().enumerate() {
                graph.enter(format!("encoder.arch.stages.{i}.{j}"));
                x = block.emit(graph, &x);
            }
            graph.enter(format!("encoder.arch.norm{i}"));
            if graph.is_traced() {
                let shown = graph.layer_norm_channels(&x, &stage.norm);
                graph.show(format!("encoder.norm{i}"), &shown);
            }
            features.push(graph.layer_norm_channels(&x, &stage.skip_norm));
        }
        features
    }
}

impl Stage {
    fn read(checkpoint: &Checkpoint<'_>, i: usize) -> Result<Self, CheckpointError> {
        let entry = Entry::read(checkpoint, i)?;
        let blocks = (0..checkpoint.architecture().depths[i]).map(|j| Block::read(checkpoint, i, j)).collect::<Result<_, _>>()?;
        let name = format!("encoder.arch.norm{i}");
        let mut skip_norm = checkpoint.norm(&name, EPSILON)?;
        // The smallest features start the U-Net; the others join it through the BatchNorm of block 2 − i.
        if let Some(block) = (STAGES - 2).checked_sub(i) {
            skip_norm = skip_norm.then(&checkpoint.batch_norm(&format!("decoder.layers.{block}.bn"))?);
        }
        let is_finite = skip_norm.scale.iter().chain(&skip_norm.shift).all(|value| value.is_finite());
        let norm = checkpoint.norm(&name, EPSILON)?;
        if is_finite { Ok(Self { entry, blocks, norm, skip_norm }) } else { Err(non_finite(&format!("{name}.weight"))) }
    }
}

impl Entry {
    fn read(checkpoint: &Checkpoint<'_>, i: usize) -> Result<Self, CheckpointError> {
        let layer = |j: usize| format!("encoder.arch.downsample_layers.{i}.{j}");
        if i > 0 {
            return Ok(Self::Halve { norm: checkpoint.norm(&layer(0), EPSILON)?, patches: checkpoint.conv(&layer(1))? });
        }
        let folding = checkpoint.folding(&layer(0))?.after(&normalization(checkpoint)?);
        let patches = finite(folding, "std")?.conv([4, 4]);
        Ok(Self::Stem { patches, norm: checkpoint.norm(&layer(1), EPSILON)? })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, x: &Value) -> Value {
        match self {
            Self::Stem { patches, norm } => {
                let x = graph.patch_conv(x, patches);
                graph.layer_norm_channels(&x, norm)
            }
            Self::Halve { norm, patches } => {
                let x = graph.layer_norm_channels(x, norm);
                graph.patch_conv(&x, patches)
            }
        }
    }
}

impl Block {
    fn read(checkpoint: &Checkpoint<'_>, i: usize, j: usize) -> Result<Self, CheckpointError> {
        let name = |part: &str| format!("encoder.arch.stages.{i}.{j}.{part}");
        let gamma: Vec<f64> = checkpoint.values(&name("gamma"))?.into_iter().map(f64::from).collect();
        let layer_scale = Affine { shift: vec![0.0; gamma.len()], scale: gamma };
        let narrow = checkpoint.folding(&name("pwconv2"))?.then(&layer_scale);
        Ok(Self {
            depthwise: checkpoint.conv(&name("dwconv"))?,
            norm: checkpoint.norm(&name("norm"), EPSILON)?,
            widen: checkpoint.linear(&name("pwconv1"))?,
            narrow: finite(narrow, &name("gamma"))?.linear(),
        })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, x: &Value) -> Value {
        let y = graph.same_conv(x, &self.depthwise, x.shape[1]);
        let y = graph.channels_last(&y);
        let y = graph.layer_norm(&y, &self.norm);
        let y = graph.linear(&y, &self.widen);
        let y = graph.gelu(&y);
        let y = graph.linear(&y, &self.narrow);
        let y = graph.channels_first(&y);
        graph.add(x, &y)
    }
}

/// The normalisation of the picture that a checkpoint was trained with.
pub(super) fn normalization(checkpoint: &Checkpoint<'_>) -> Result<Affine, CheckpointError> {
    Ok(Affine::standardize(&checkpoint.values("mean")?, &checkpoint.values("std")?))
}
