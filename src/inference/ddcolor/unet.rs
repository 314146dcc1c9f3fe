//! The U-Net: features from 1/32 up to 1/4 of the picture's size, with the encoder's features joining at each step.

use super::architecture::SCALES;
use super::checkpoint::{Checkpoint, finite};
use super::encoder::Encoder;
use super::error::CheckpointError;
use super::fold::{Affine, Conv, Linear, narrow};
use super::graph::{Features, Graph};
use super::operators::BIAS_COLUMNS;

/// Three blocks, each to twice the size.
pub(super) struct Unet {
    blocks: Vec<Block>,
}

/// The BatchNorm behind the block is not here: it is folded into every layer that reads the block's output, all of
/// which are 1×1 (see [`output_norm`]).
struct Block {
    /// 1×1 to four times the channels, its BatchNorm folded in: one part for each row of the 2×2 block of places, with columns
    /// (column of the block, channel).
    widen: [Linear; 2],
    /// 3×3 over the joined channels; the encoder's gains are folded into those of the skip.
    join: Conv,
    /// Factors and summands of the BatchNorm behind the block; only shown.
    norm: [Vec<f32>; 2],
}

/// Name of the BatchNorm behind block `i`, which the readers of its output fold in.
pub(super) fn output_norm(i: usize) -> String {
    format!("decoder.layers.{i}.conv.2")
}

impl Unet {
    pub(super) fn read(checkpoint: &Checkpoint<'_>, encoder: &Encoder) -> Result<Self, CheckpointError> {
        let blocks = (0..SCALES).map(|i| Block::read(checkpoint, encoder, i)).collect::<Result<_, _>>()?;
        Ok(Self { blocks })
    }

    /// Features at 1/16, 1/8 and 1/4, each before its BatchNorm, from the encoder's four, largest first.
    pub(super) fn emit<'w>(&'w self, graph: &mut Graph<'w>, features: &[Features]) -> Vec<Features> {
        let mut scales: Vec<Features> = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            graph.enter(format!("decoder.layers.{i}"));
            let below = scales.last().unwrap_or(&features[SCALES]);
            let scale = block.emit(graph, below, &features[SCALES - 1 - i]);
            if graph.is_traced() {
                block.show(graph, i, &scale);
            }
            scales.push(scale);
        }
        scales
    }
}

impl Block {
    fn read(checkpoint: &Checkpoint<'_>, encoder: &Encoder, i: usize) -> Result<Self, CheckpointError> {
        let name = |part: &str| format!("decoder.layers.{i}.{part}");
        let mut widen = checkpoint.folding(&name("shuf.conv.0"))?.then(&checkpoint.batch_norm(&name("shuf.conv.1"))?);
        if let Some(below) = i.checked_sub(1) {
            widen = widen.after(&checkpoint.batch_norm(&output_norm(below))?);
        }
        let widen = finite(widen, &name("shuf.conv.1.running_var"))?;
        let channels = checkpoint.architecture().decoder[i];
        // Checkpoints order the outputs as a pixel shuffle wants them: channel, row of the block, column of the block.
        let part = |row: usize| {
            let order = (0..2).flat_map(move |column| (0..channels).map(move |c| (c * 2 + row) * 2 + column));
            widen.rows(order).linear()
        };
        let mut join = checkpoint.folding(&name("conv.0"))?;
        if let Some(gains) = encoder.gains(SCALES - 1 - i) {
            let scale: Vec<f64> = vec![1.0; channels].into_iter().chain(gains.iter().copied()).collect();
            join = finite(join.after(&Affine { shift: vec![0.0; scale.len()], scale }), &name("bn.weight"))?;
        }
        let Affine { scale, shift } = checkpoint.batch_norm(&output_norm(i))?;
        Ok(Self { widen: [part(0), part(1)], join: join.conv([3, 3]), norm: [scale, shift].map(|part| narrow(&part)) })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, below: &Features, skip: &Features) -> Features {
        let [rows, columns] = below.extent;
        let (pictures, channels) = (graph.spec.pictures, self.widen[0].outputs / 2);
        // [pictures, 1, places, inputs] · [1, row of the block, inputs, (column of the block, channel)].
        let x = graph.reshape(&below.x, &[pictures, 1, rows * columns, below.channels()]);
        let x = graph.with_bias_columns(&x);
        let weight = self.widen.iter().flat_map(Graph::biased_weight).collect::<Vec<f32>>();
        let weight = graph.constant(&[1, 2, below.channels() + BIAS_COLUMNS, 2 * channels], weight, x.element);
        let y = graph.matmul(&x, &weight);
        let y = graph.relu(&y);
        // Rows come (row of the block, row), columns in order: shuffle and blur are one product for each axis.
        let [high, wide] = [2 * rows, 2 * columns];
        let y = graph.reshape(&y, &[pictures, high, wide * channels]);
        let y = graph.blur_rows(&y, 2);
        let y = graph.reshape(&y, &[pictures * high, wide, channels]);
        let y = graph.blur_rows(&y, 1);
        let y = graph.reshape(&y, &[pictures, high, wide, channels]);
        // The official network takes ReLU of both; means of ReLU's output are not negative already.
        let skip = graph.map(skip);
        let skip = graph.relu(&skip);
        let y = graph.concat(&[&y, &skip], 3);
        graph.conv_relu(&y, [high, wide], &self.join)
    }

    fn show<'w>(&'w self, graph: &mut Graph<'w>, i: usize, scale: &Features) {
        let [factors, summands] =
            self.norm.each_ref().map(|part| graph.constant(&[part.len()], part.as_slice(), scale.x.element));
        let shown = graph.mul(&scale.x, &factors);
        let shown = graph.add(&shown, &summands);
        graph.show_features(format!("decoder.{i}"), &Features { x: shown, ..*scale });
    }
}
