//! The U-Net: features from 1/32 up to 1/4 of the picture's size, with the encoder's features joining at each step.

use super::architecture::SCALES;
use super::checkpoint::{Checkpoint, finite};
use super::error::CheckpointError;
use super::fold::{Affine, Conv};
use super::graph::{ChannelOrder, Graph, Value};

/// Three blocks, each to twice the size.
pub(super) struct Unet {
    blocks: Vec<Block>,
}

/// The BatchNorm behind the block is not here: it is folded into every layer that reads the block's output, all of
/// which are 1×1 (see [`output_norm`]).
struct Block {
    /// 1×1 to four times the channels, its BatchNorm folded in.
    widen: Conv,
    /// 3×3 over the joined channels.
    join: Conv,
    /// Factors and summands of the BatchNorm behind the block; only shown.
    norm: [Vec<f32>; 2],
}

/// Name of the BatchNorm behind block `i`, which the readers of its output fold in.
pub(super) fn output_norm(i: usize) -> String {
    format!("decoder.layers.{i}.conv.2")
}

impl Unet {
    pub(super) fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let blocks = (0..SCALES).map(|i| Block::read(checkpoint, i)).collect::<Result<_, _>>()?;
        Ok(Self { blocks })
    }

    /// Features at 1/16, 1/8 and 1/4, each before its BatchNorm, from the encoder's four, largest first.
    pub(super) fn emit<'w>(&'w self, graph: &mut Graph<'w>, features: &[Value]) -> Vec<Value> {
        let mut scales: Vec<Value> = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            graph.enter(format!("decoder.layers.{i}"));
            let below = scales.last().unwrap_or(&features[SCALES]);
            let scale = block.emit(graph, below, &features[SCALES - 1 - i]);
            if graph.is_traced() {
                let [factors, summands] = &block.norm;
                let shown = graph.affine_channels(&scale, factors, summands);
                graph.show(format!("decoder.{i}"), &shown);
            }
            scales.push(scale);
        }
        scales
    }
}

impl Block {
    fn read(checkpoint: &Checkpoint<'_>, i: usize) -> Result<Self, CheckpointError> {
        let name = |part: &str| format!("decoder.layers.{i}.{part}");
        let mut widen = checkpoint.folding(&name("shuf.conv.0"))?.then(&checkpoint.batch_norm(&name("shuf.conv.1"))?);
        if let Some(below) = i.checked_sub(1) {
            widen = widen.after(&checkpoint.batch_norm(&output_norm(below))?);
        }
        let join = checkpoint.folding(&name("conv.0"))?;
        let Affine { scale, shift } = checkpoint.batch_norm(&output_norm(i))?;
        Ok(Self {
            widen: finite(widen, &name("shuf.conv.1.running_var"))?.conv([1, 1]),
            join: join.conv([3, 3]).without_bias(),
            norm: [scale, shift].map(|part| part.into_iter().map(|value| value as f32).collect()),
        })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, below: &Value, skip: &Value) -> Value {
        let y = graph.patch_conv(below, &self.widen);
        let y = graph.relu(&y);
        let y = graph.depth_to_space(&y, 2, ChannelOrder::Crd);
        let y = graph.blur(&y);
        // The official network takes ReLU of both; means of ReLU's output are not negative already.
        let skip = graph.relu(skip);
        let y = graph.concat(&[&y, &skip], 1);
        let y = graph.same_conv(&y, &self.join, 1);
        graph.relu(&y)
    }
}
