//! The ConvNeXt encoder: a grey picture to features at 1/4, 1/8, 1/16 and 1/32 of its size.
//!
//! After Liu et al., "A ConvNet for the 2020s", CVPR 2022. Every stage's features go on un-normalised; the copy for
//! the U-Net is normalised.

use super::architecture::{RGB, STAGES};
use super::checkpoint::{Checkpoint, finite, non_finite};
use super::error::CheckpointError;
use super::fold::{Affine, Conv, Linear, Norm};
use super::graph::{Features, Graph, Value};

/// Epsilon of every layer normalisation of the encoder.
const EPSILON: f32 = 1e-6;
/// Side of the patches of the picture.
pub(super) const PATCH: usize = 4;
/// A norm of a stage's end serves both readers only while no channel's shift is more than so many times its scale. The
/// downsampling gets it by way of x̂ + shift/scale, and FP16 resolves 0.008 at 16, as much as the norm itself is off by.
const LARGEST_RATIO: f64 = 16.0;

/// Four stages.
pub(super) struct Encoder {
    stem: Stem,
    stages: Vec<Stage>,
}

/// 4×4 patches of the picture, the picture's own normalisation folded in, then the norm.
struct Stem {
    patches: Linear,
    norm: Norm,
}

struct Stage {
    blocks: Vec<Block>,
    /// The published normalisation of the stage's features; only shown.
    norm: Norm,
    end: End,
}

/// How a stage's features leave it: normalised for the U-Net, and, but for the last stage, for the patches of the next.
enum End {
    /// One norm for both. Its scale is the sign of what the U-Net wants and its shift is divided by the size of that; `gains`,
    /// the sizes, are folded into the U-Net, and what the downsampling wants into `halve`.
    Shared { norm: Norm, gains: Vec<f64>, halve: Linear },
    /// One norm each, where dividing by a scale would lose digits.
    Separate { skip: Norm, own: Norm, halve: Linear },
    /// The smallest features, for the U-Net alone.
    Last { norm: Norm },
}

struct Block {
    /// 7×7, each channel by itself.
    depthwise: Conv,
    /// The convolution's, which the norm adds.
    depthwise_bias: Vec<f32>,
    norm: Norm,
    widen: Linear,
    /// The layer scale gamma is folded in.
    narrow: Linear,
}

/// What the U-Net and the tail read.
pub(super) struct Encoded {
    /// The picture in patches: [places at a quarter of the size, 1, channels · 16].
    pub(super) patches: Value,
    /// Normalised features of the stages, largest first. All but the last are to be multiplied by [`Encoder::gains`].
    pub(super) features: Vec<Features>,
}

impl Encoder {
    pub(super) fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let stages = (0..STAGES).map(|i| Stage::read(checkpoint, i)).collect::<Result<_, _>>()?;
        Ok(Self { stem: Stem::read(checkpoint)?, stages })
    }

    /// What the features of a stage must be multiplied by, channel by channel, to be what the U-Net wants.
    pub(super) fn gains(&self, stage: usize) -> Option<&[f64]> {
        match &self.stages[stage].end {
            End::Shared { gains, .. } => Some(gains),
            End::Separate { .. } | End::Last { .. } => None,
        }
    }

    /// The features of `picture` [pictures, channels, H, W] in 0..=1.
    pub(super) fn emit<'w>(&'w self, graph: &mut Graph<'w>, picture: &Value) -> Encoded {
        graph.enter("encoder.arch.downsample_layers.0");
        let patches = patches(graph, picture);
        let mut x = self.stem.emit(graph, &patches);
        let mut features = Vec::new();
        for (i, stage) in self.stages.iter().enumerate() {
            for (j, block) in stage.blocks.iter().enumerate() {
                graph.enter(format!("encoder.arch.stages.{i}.{j}"));
                x = block.emit(graph, &x);
            }
            graph.enter(format!("encoder.arch.norm{i}"));
            if graph.is_traced() {
                let shown = Features { x: graph.norm(&x.x, None, &stage.norm), ..x };
                graph.show_features(format!("encoder.norm{i}"), &shown);
            }
            let (skip, below) = stage.end.emit(graph, &x, i);
            features.push(skip);
            if let Some(below) = below {
                x = below;
            }
        }
        Encoded { patches: patches.x, features }
    }
}

/// Every 4×4 patch of the picture as one row: channel, row, column.
fn patches(graph: &mut Graph<'_>, picture: &Value) -> Features {
    let &[pictures, channels, height, width] = picture.shape.as_slice() else { unreachable!("pictures have four axes") };
    let extent = [height / PATCH, width / PATCH];
    let x = graph.body(picture);
    let x = graph.reshape(&x, &[pictures, channels, extent[0], PATCH, extent[1], PATCH]);
    let x = graph.transpose(&x, &[0, 2, 4, 1, 3, 5]);
    graph.features(&x, extent)
}

/// The weight of a layer over patches, for pictures of `channels`: those of the one channel of a grey picture are the sums over
/// the three that would be equal.
pub(super) fn patch_weight<'w>(graph: &mut Graph<'w>, layer: &'w Linear, channels: usize, like: &Value) -> Value {
    if channels == RGB {
        return graph.constant(&[layer.inputs, layer.outputs], layer.weight.as_slice(), like.element);
    }
    let (red, rest) = layer.weight.split_at(layer.weight.len() / RGB);
    let (green, blue) = rest.split_at(red.len());
    let sum: Vec<f32> = red.iter().zip(green).zip(blue).map(|((r, g), b)| r + g + b).collect();
    graph.constant(&[layer.inputs / RGB, layer.outputs], sum, like.element)
}

/// The normalisation of the picture that a checkpoint was trained with.
pub(super) fn normalization(checkpoint: &Checkpoint<'_>) -> Result<Affine, CheckpointError> {
    Ok(Affine::standardize(&checkpoint.values("mean")?, &checkpoint.values("std")?))
}

impl Stem {
    fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let layer = |j: usize| format!("encoder.arch.downsample_layers.0.{j}");
        let folding = checkpoint.folding(&layer(0))?.after(&normalization(checkpoint)?);
        Ok(Self { patches: finite(folding, "std")?.linear(), norm: checkpoint.norm(&layer(1), EPSILON)? })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, patches: &Features) -> Features {
        let channels = patches.channels() / (PATCH * PATCH);
        let weight = patch_weight(graph, &self.patches, channels, &patches.x);
        let x = graph.matmul(&patches.x, &weight);
        let x = graph.norm(&x, Some(&self.patches.bias), &self.norm);
        Features { x, extent: patches.extent }
    }
}

impl Stage {
    fn read(checkpoint: &Checkpoint<'_>, i: usize) -> Result<Self, CheckpointError> {
        let blocks = (0..checkpoint.architecture().depths[i]).map(|j| Block::read(checkpoint, i, j)).collect::<Result<_, _>>()?;
        let norm = checkpoint.norm(&format!("encoder.arch.norm{i}"), EPSILON)?;
        Ok(Self { blocks, end: End::read(checkpoint, i)?, norm })
    }
}

impl End {
    fn read(checkpoint: &Checkpoint<'_>, i: usize) -> Result<Self, CheckpointError> {
        let name = format!("encoder.arch.norm{i}");
        let norm = checkpoint.norm(&name, EPSILON)?;
        // The smallest features start the U-Net; the others join it through the BatchNorm of block 2 − i.
        let Some(block) = (STAGES - 2).checked_sub(i) else { return Ok(Self::Last { norm }) };
        let skip = Affine::of_norm(&norm).then(&checkpoint.batch_norm(&format!("decoder.layers.{block}.bn"))?);
        if !skip.is_finite() {
            return Err(non_finite(&format!("{name}.weight")));
        }
        let layer = |j: usize| format!("encoder.arch.downsample_layers.{}.{j}", i + 1);
        let own = checkpoint.norm(&layer(0), EPSILON)?;
        let halve = checkpoint.folding(&layer(1))?;
        // Checkpoints order the columns of a 2×2 patch (channel, row, column); rows of features come (row, column, channel).
        let channels = own.scale.len();
        let by_place = |column: usize| column % channels * 4 + column / channels;
        let Some((shared, gains)) = shared(&skip) else {
            return Ok(Self::Separate { skip: skip.norm(EPSILON), own, halve: halve.columns_in(by_place).linear() });
        };
        // x̂ is what the shared norm gives, less its shift, times its sign.
        let undo = shared.scale.iter().zip(&shared.shift).map(|(&sign, &shift)| (sign, -shift * sign)).unzip();
        let undo = Affine { scale: undo.0, shift: undo.1 };
        let halve = finite(halve.after(&undo.then(&Affine::of_norm(&own))), &format!("{}.weight", layer(0)))?;
        Ok(Self::Shared { norm: shared.norm(EPSILON), gains, halve: halve.columns_in(by_place).linear() })
    }

    /// The features for the U-Net, and those at half the size.
    fn emit<'w>(&'w self, graph: &mut Graph<'w>, x: &Features, i: usize) -> (Features, Option<Features>) {
        let mut normal = |norm: &'w Norm| Features { x: graph.norm(&x.x, None, norm), extent: x.extent };
        let (skip, own, halve) = match self {
            Self::Last { norm } => return (normal(norm), None),
            Self::Shared { norm, halve, .. } => {
                let both = normal(norm);
                (both.clone(), both, halve)
            }
            Self::Separate { skip, own, halve } => (normal(skip), normal(own), halve),
        };
        graph.enter(format!("encoder.arch.downsample_layers.{}", i + 1));
        let [rows, columns] = [x.extent[0] / 2, x.extent[1] / 2];
        let y = graph.reshape(&own.x, &[graph.spec.pictures * rows, 2, columns, 2 * x.channels()]);
        let y = graph.transpose(&y, &[0, 2, 1, 3]);
        let y = graph.features(&y, [rows, columns]);
        let y = Features { x: graph.linear(&y.x, halve), ..y };
        (skip, Some(y))
    }
}

/// A norm that differs from an affine only by positive factors, and the factors; `None` where a channel's shift is too large
/// for its scale.
fn shared(wanted: &Affine) -> Option<(Affine, Vec<f64>)> {
    let divides = |(&scale, &shift): (&f64, &f64)| scale != 0.0 && (shift / scale).abs() <= LARGEST_RATIO;
    if !wanted.scale.iter().zip(&wanted.shift).all(divides) {
        return None;
    }
    let gains: Vec<f64> = wanted.scale.iter().map(|scale| scale.abs()).collect();
    let shift = wanted.shift.iter().zip(&gains).map(|(shift, gain)| shift / gain).collect();
    Some((Affine { scale: wanted.scale.iter().map(|scale| scale.signum()).collect(), shift }, gains))
}

impl Block {
    fn read(checkpoint: &Checkpoint<'_>, i: usize, j: usize) -> Result<Self, CheckpointError> {
        let name = |part: &str| format!("encoder.arch.stages.{i}.{j}.{part}");
        let gamma: Vec<f64> = checkpoint.values(&name("gamma"))?.into_iter().map(f64::from).collect();
        let layer_scale = Affine { shift: vec![0.0; gamma.len()], scale: gamma };
        let narrow = checkpoint.folding(&name("pwconv2"))?.then(&layer_scale);
        Ok(Self {
            depthwise: checkpoint.conv(&name("dwconv"))?,
            depthwise_bias: checkpoint.values(&name("dwconv.bias"))?,
            norm: checkpoint.norm(&name("norm"), EPSILON)?,
            widen: checkpoint.linear(&name("pwconv1"))?,
            narrow: finite(narrow, &name("gamma"))?.linear(),
        })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, x: &Features) -> Features {
        let y = graph.depthwise(x, &self.depthwise).x;
        let y = graph.norm(&y, Some(&self.depthwise_bias), &self.norm);
        let y = graph.product(&y, &self.widen);
        let y = graph.bias_gelu(&y, &self.widen.bias);
        let y = graph.product(&y, &self.narrow);
        Features { x: graph.add_residual(&x.x, &y, &self.narrow.bias), extent: x.extent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_norm_is_shared_while_no_channel_divides_by_next_to_nothing() {
        let wanted = Affine { scale: vec![2.0, -0.5], shift: vec![1.0, 4.0] };
        let (norm, gains) = shared(&wanted).unwrap();
        assert_eq!((norm.scale, norm.shift, gains), (vec![1.0, -1.0], vec![0.5, 8.0], vec![2.0, 0.5]));
        for (scale, shift) in [(0.0, 0.0), (0.0, 1.0), (1e-3, 1.0), (-1e-3, -1.0)] {
            assert!(shared(&Affine { scale: vec![1.0, scale], shift: vec![0.0, shift] }).is_none());
        }
    }
}
