//! The end of the network: colour queries and features become a* and b* at full size.
//!
//! The published network shuffles the features F to full size (256 channels), multiplies them with the colour
//! embedding E (100 query maps), appends the normalised picture and takes a 1×1 convolution R to two channels. That is
//! linear in F behind the ReLU, so R·(E·F) = (R·E)·F: the product R·E is two rows a picture, neither of the full-size
//! tensors has to exist, and shuffle and blur, which move and average pixels channel by channel, are done on two channels.

use super::architecture::{AB, RGB};
use super::checkpoint::{Checkpoint, finite};
use super::color_decoder::ColorDecoder;
use super::encoder::{PATCH, normalization, patch_weight};
use super::error::CheckpointError;
use super::fold::{Folding, Linear, narrow};
use super::graph::{Features, Graph, Value};
use super::operators::BIAS_COLUMNS;
use super::unet::output_norm;

/// Side of the block of full-size pixels that one place at a quarter of the size becomes.
const BLOCK: usize = PATCH;

/// Places, of all pictures together, from which they go through the last shuffle in two bands: its output is the largest tensor
/// of the network, 157 MB for 960 × 1280 pixels in FP16 even of one row of the block.
const PLACES: usize = 1 << 16;

/// The last shuffle and the refinement.
pub(super) struct Tail {
    /// Channels of the full-size features.
    channels: usize,
    queries: usize,
    /// The last shuffle's 1×1 convolution in four parts, one for each row of the block, outputs ordered (column of the
    /// block, channel). One part's output at a time is alive: a quarter of the largest tensor of the network.
    rows: Vec<Linear>,
    /// The refinement's part for the query maps, 2 × queries.
    query_mix: Vec<f32>,
    /// What the bias of the embedding's last layer adds to the mix, 2 × channels.
    mix_offset: Vec<f32>,
    /// The refinement's part for the picture, from a patch to a* and b* of its pixels, columns (a* or b*, row, column), with the
    /// bias and the picture's normalisation folded in.
    picture: Linear,
}

impl Tail {
    pub(super) fn read(checkpoint: &Checkpoint<'_>, decoder: &ColorDecoder) -> Result<Self, CheckpointError> {
        let sizes = checkpoint.architecture();
        let (channels, queries) = (sizes.last, sizes.queries);
        let name = "decoder.last_shuf.conv.0";
        let shuffle = checkpoint.folding(name)?.after(&checkpoint.batch_norm(&output_norm(2))?);
        let shuffle = finite(shuffle, name)?;
        // Checkpoints order the outputs as a pixel shuffle wants them: channel, row of the block, column of the block.
        let part = |row: usize| {
            let order = (0..BLOCK).flat_map(move |column| (0..channels).map(move |c| (c * BLOCK + row) * BLOCK + column));
            shuffle.rows(order).linear()
        };
        let rows = (0..BLOCK).map(part).collect();
        let (query_mix, picture) = checkpoint.folding("refine_net.0.0")?.split_columns(queries);
        let picture = finite(picture.after(&normalization(checkpoint)?), "std")?;
        let query_mix = query_mix.matrix();
        // R · (1 bᵀ): the sum of each row of R, times the bias.
        let sums = query_mix.chunks_exact(queries).map(|row| row.iter().map(|&value| f64::from(value)).sum::<f64>());
        let bias = &decoder.last_layer().bias;
        let mix_offset = sums.flat_map(|sum| bias.iter().map(move |&bias| sum * f64::from(bias))).collect::<Vec<_>>();
        Ok(Self { channels, queries, rows, query_mix, mix_offset: narrow(&mix_offset), picture: over_patches(&picture) })
    }

    /// a* and b* [pictures, 2, H, W] in FP32 from the U-Net's last scale, the colour embedding before its last layer
    /// [pictures, queries, hidden], and the picture in patches.
    pub(super) fn emit<'w>(
        &'w self,
        graph: &mut Graph<'w>,
        scale: &Features,
        embedding: &Value,
        last_layer: &'w Linear,
        patches: &Value,
    ) -> Value {
        let (pictures, [rows, columns]) = (graph.spec.pictures, scale.extent);
        let mix = self.mix(graph, embedding, last_layer);
        let x = graph.reshape(&scale.x, &[pictures, rows * columns, scale.channels()]);
        graph.enter("decoder.last_shuf");
        let x = graph.with_bias_columns(&x);
        let bands = if pictures * rows * columns > PLACES { 2 } else { 1 };
        let band = rows / bands;
        let x = match bands {
            1 => vec![x],
            _ => (0..bands).map(|i| graph.slice(&x, 1, i * band * columns, band * columns)).collect(),
        };
        let mut parts = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            graph.enter(format!("decoder.last_shuf.{i}"));
            let weight = graph.constant(&[row.inputs + BIAS_COLUMNS, row.outputs], Graph::biased_weight(row), mix.element);
            for x in &x {
                let y = graph.matmul(x, &weight);
                let y = graph.relu(&y);
                let y = graph.matmul(&y, &mix);
                parts.push(graph.reshape(&y, &[pictures, 1, band, columns, BLOCK, AB]));
            }
        }
        graph.enter("refine_net");
        // (picture, row of the block with band, row of the band, column, column of the block, a* or b*) to planes whose rows come
        // (row of the block, row) and whose columns are in order.
        let x = graph.concat(&parts.iter().collect::<Vec<_>>(), 1);
        let x = graph.transpose(&x, &[0, 5, 1, 2, 3, 4]);
        let full = [pictures, AB, BLOCK * rows, BLOCK * columns];
        let x = graph.reshape(&x, &full);
        let x = graph.blur_rows(&x, BLOCK);
        let x = graph.blur_columns(&x);

        let weight = patch_weight(graph, &self.picture, patches.shape[2] / (BLOCK * BLOCK), patches);
        let y = graph.matmul(patches, &weight);
        let bias = graph.constant(&[self.picture.outputs], self.picture.bias.as_slice(), y.element);
        let y = graph.add(&y, &bias);
        let y = graph.reshape(&y, &[pictures, rows, columns, AB, BLOCK, BLOCK]);
        let y = graph.transpose(&y, &[0, 3, 1, 4, 2, 5]);
        let y = graph.reshape(&y, &full);
        graph.add(&x, &y)
    }

    /// R · E of every picture, spread over the columns of a block: [pictures, columns of the block · channels, columns of the
    /// block · 2], zero but where the two columns are the same.
    ///
    /// One product for the four columns with eight results is twice as fast as four products with two.
    fn mix<'w>(&'w self, graph: &mut Graph<'w>, embedding: &Value, last_layer: &'w Linear) -> Value {
        graph.enter("refine_net.query_mix");
        let pictures = graph.spec.pictures;
        let mix = graph.constant(&[AB, self.queries], self.query_mix.as_slice(), embedding.element);
        let mix = graph.matmul(&mix, embedding);
        let mix = graph.product(&mix, last_layer);
        let offset = graph.constant(&[AB, self.channels], self.mix_offset.as_slice(), embedding.element);
        let mix = graph.add(&mix, &offset);
        let mix = graph.transpose(&mix, &[0, 2, 1]);
        let mix = graph.reshape(&mix, &[pictures, 1, self.channels, AB]);
        let mut spread = vec![0.0; BLOCK * AB * BLOCK * AB];
        for column in 0..BLOCK {
            for ab in 0..AB {
                spread[(column * AB + ab) * BLOCK * AB + column * AB + ab] = 1.0;
            }
        }
        let spread = graph.constant(&[1, BLOCK, AB, BLOCK * AB], spread, embedding.element);
        let mix = graph.matmul(&mix, &spread);
        graph.reshape(&mix, &[pictures, BLOCK * self.channels, BLOCK * AB])
    }
}

/// A 1×1 convolution of the picture, as a layer over its patches: rows (channel, row, column), columns (output, row, column).
fn over_patches(layer: &Folding) -> Linear {
    let place = BLOCK * BLOCK;
    let (matrix, bias) = layer.clone().without_bias();
    let matrix = matrix.matrix();
    let outputs = bias.len() * place;
    let mut weight = vec![0.0; RGB * place * outputs];
    for (output, row) in matrix.chunks_exact(RGB).enumerate() {
        for (channel, &value) in row.iter().enumerate() {
            for pixel in 0..place {
                weight[(channel * place + pixel) * outputs + output * place + pixel] = value;
            }
        }
    }
    let bias = bias.iter().flat_map(|&bias| [bias as f32; BLOCK * BLOCK]).collect();
    Linear { inputs: RGB * place, outputs, weight, bias }
}
