//! The end of the network: colour queries and features become a* and b* at full size.
//!
//! The published network shuffles the features F to full size (256 channels), multiplies them with the colour
//! embedding E (100 query maps), appends the normalised picture and takes a 1×1 convolution R to two channels. That is
//! linear in F behind the ReLU, so R·(E·F) = (R·E)·F: the product R·E is two rows a picture, neither of the full-size
//! tensors has to exist, and shuffle and blur, which move and average pixels channel by channel, are done on two channels.

use super::architecture::AB;
use super::checkpoint::{Checkpoint, finite};
use super::encoder::normalization;
use super::error::CheckpointError;
use super::fold::Conv;
use super::graph::{ChannelOrder, Graph, Value};
use super::precision::Element;
use super::unet::output_norm;

/// Side of the block of full-size pixels that one place at a quarter of the size becomes.
const BLOCK: usize = 4;

/// The last shuffle and the refinement.
pub(super) struct Tail {
    /// Channels of the full-size features.
    channels: usize,
    queries: usize,
    /// The last shuffle's 1×1 convolution in four parts, one for each row of the block, outputs ordered (column of the
    /// block, channel). One part's output at a time is alive: a quarter of the largest tensor of the network.
    rows: Vec<Conv>,
    /// The refinement's part for the query maps, 2 × queries.
    query_mix: Vec<f32>,
    /// Its part for the picture, with the bias and the picture's normalisation folded in.
    picture: Conv,
}

impl Tail {
    pub(super) fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let sizes = checkpoint.architecture();
        let (channels, queries) = (sizes.last, sizes.queries);
        let name = "decoder.last_shuf.conv.0";
        let shuffle = checkpoint.folding(name)?.after(&checkpoint.batch_norm(&output_norm(2))?);
        let shuffle = finite(shuffle, name)?;
        // Checkpoints order the outputs as a pixel shuffle wants them: channel, row of the block, column of the block.
        let part = |row: usize| {
            let order = (0..BLOCK).flat_map(move |column| (0..channels).map(move |c| (c * BLOCK + row) * BLOCK + column));
            shuffle.rows(order).conv([1, 1])
        };
        let rows = (0..BLOCK).map(part).collect();
        let (query_mix, picture) = checkpoint.folding("refine_net.0.0")?.split_columns(queries);
        let picture = finite(picture.after(&normalization(checkpoint)?), "std")?.conv([1, 1]);
        Ok(Self { channels, queries, rows, query_mix: query_mix.matrix(), picture })
    }

    /// a* and b* [1, 2, H, W] in FP32 from the U-Net's last scale, the colour embedding [queries, channels] and the
    /// picture [1, 3, H, W], both in FP32.
    pub(super) fn emit<'w>(&'w self, graph: &mut Graph<'w>, scale: &Value, embedding: &Value, rgb: &Value) -> Value {
        let [h, w] = scale.extent();
        graph.enter("refine_net.query_mix");
        let mix = graph.constant(&[AB, self.queries], self.query_mix.as_slice(), Element::F32);
        let mix = graph.matmul(&mix, embedding);
        let mix = graph.body(&mix);
        let mut parts = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            graph.enter(format!("decoder.last_shuf.{i}"));
            let x = graph.patch_conv(scale, row);
            let x = graph.relu(&x);
            let x = graph.reshape(&x, &[BLOCK, self.channels, h * w]);
            parts.push(graph.matmul(&mix, &x));
        }
        graph.enter("refine_net");
        let x = graph.concat(&parts.iter().collect::<Vec<_>>(), 0);
        let x = graph.reshape(&x, &[1, BLOCK * BLOCK * AB, h, w]);
        let x = graph.island(&x);
        let x = graph.depth_to_space(&x, BLOCK, ChannelOrder::Dcr);
        let x = graph.blur(&x);
        let picture = graph.patch_conv(rgb, &self.picture);
        graph.add(&x, &picture)
    }
}
