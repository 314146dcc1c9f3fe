//! The colour decoder: a hundred colour queries that look at the three scales in turn.
//!
//! Post-norm transformer layers after Cheng et al., "Masked-attention Mask Transformer", CVPR 2022, without the masks.
//!
//! Constants vanish where mathematics allows. A shift that all keys share changes every score of a query alike, and the softmax
//! does not see it: biases of keys, and of the features before them, are dropped. A shift that all values share passes through,
//! since weights sum to 1: it becomes part of the output's bias. And max(0, y + b) = max(y, −b) + b, so a layer behind a ReLU
//! takes the + b into its own bias and the ReLU needs one pass where it had two.

use super::architecture::{HEADS, SCALES};
use super::checkpoint::{Checkpoint, finite};
use super::error::CheckpointError;
use super::fold::{Folding, Linear, Norm, narrow};
use super::graph::{Features, Graph, Value};
use super::unet::output_norm;

/// Epsilon of every layer normalisation of the colour decoder: PyTorch's default.
const EPSILON: f32 = 1e-5;
/// Largest wavelength of the position code, over 2π.
const TEMPERATURE: f64 = 10_000.0;
const ROOT: &str = "decoder.color_decoder";

/// Queries, layers, and the network that makes an embedding of each query.
pub(super) struct ColorDecoder {
    queries: usize,
    hidden: usize,
    content: Vec<f32>,
    /// One a scale: features to what the keys are made of, the BatchNorm of the U-Net block folded in, without constants.
    projections: Vec<Linear>,
    layers: Vec<Layer>,
    norm: Norm,
    embedding: Embedding,
}

struct Layer {
    cross: CrossAttention,
    cross_norm: Norm,
    own: SelfAttention,
    own_norm: Norm,
    feedforward: Feedforward,
    feedforward_norm: Norm,
}

/// Queries look at one scale.
struct CrossAttention {
    query: Linear,
    /// What the position of every query adds to its projection, [queries, hidden], the bias included.
    query_offset: Vec<f32>,
    /// The projection of layer 0, whose queries are the same for every picture.
    first_query: Option<Vec<f32>>,
    key: Linear,
    /// From the features themselves: the projection of the scale is folded in.
    value: Linear,
    output: Linear,
}

/// Queries look at each other.
struct SelfAttention {
    /// hidden → 3 · hidden, columns (which of the three, head, width of a head).
    packed: Linear,
    /// What positions and biases add, [queries, 3 · hidden].
    offset: Vec<f32>,
    output: Linear,
}

/// Two layers with a ReLU between, `max(x · W₁, −b₁) · W₂ + b₂'`.
struct Feedforward {
    widen: Linear,
    /// −b₁.
    floor: Vec<f32>,
    narrow: Linear,
}

/// Three layers with a ReLU between each.
struct Embedding {
    layers: [Linear; 3],
    floors: [Vec<f32>; 2],
}

impl ColorDecoder {
    pub(super) fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let name = |part: &str| format!("{ROOT}.{part}");
        let sizes = checkpoint.architecture();
        let queries = Queries {
            content: checkpoint.values(&name("query_feat.weight"))?,
            position: checkpoint.values(&name("query_embed.weight"))?,
            width: sizes.hidden,
        };
        let levels = checkpoint.values(&name("level_embed.weight"))?;
        let projection = |(i, level): (usize, &[f32])| {
            let name = name(&format!("input_proj.{i}"));
            let level: Vec<f64> = level.iter().map(|&value| f64::from(value)).collect();
            finite(checkpoint.folding(&name)?.after(&checkpoint.batch_norm(&output_norm(i))?).offset(&level), &name)
        };
        let scales: Vec<Folding> = levels.chunks_exact(sizes.hidden).enumerate().map(projection).collect::<Result<_, _>>()?;
        let layers =
            (0..sizes.layers).map(|i| Layer::read(checkpoint, i, &scales[i % SCALES], &queries)).collect::<Result<_, _>>()?;
        Ok(Self {
            queries: sizes.queries,
            hidden: sizes.hidden,
            content: queries.content,
            projections: scales.into_iter().map(Folding::linear).collect(),
            layers,
            norm: checkpoint.norm(&name("decoder_norm"), EPSILON)?,
            embedding: Embedding::read(checkpoint)?,
        })
    }

    /// The embedding of every query but for its last layer, [pictures, queries, hidden]: see [`ColorDecoder::last_layer`].
    pub(super) fn emit<'w>(&'w self, graph: &mut Graph<'w>, scales: &[Features]) -> Value {
        let mut keys = Vec::new();
        for (i, (scale, projection)) in scales.iter().zip(&self.projections).enumerate() {
            graph.enter(format!("{ROOT}.input_proj.{i}"));
            keys.push(self.key_source(graph, scale, projection));
        }
        graph.enter(ROOT);
        let content = self.content.repeat(graph.spec.pictures);
        let like = scales[0].x.element;
        let mut t = graph.constant(&[graph.spec.pictures, self.queries, self.hidden], content, like);
        for (i, layer) in self.layers.iter().enumerate() {
            t = layer.emit(graph, i, &t, &keys[i % SCALES], &scales[i % SCALES]);
        }
        graph.enter(format!("{ROOT}.color_embed"));
        let none = graph.filled(&t.shape.clone(), 0.0, t.element);
        let t = graph.skip_norm(&t, &none, None, &self.norm);
        self.embedding.emit(graph, &t)
    }

    /// The last layer of the embedding, hidden → channels of the full-size features.
    pub(super) const fn last_layer(&self) -> &Linear {
        &self.embedding.layers[2]
    }

    /// [pictures, places, hidden]: features projected, with the code of their positions.
    fn key_source<'w>(&self, graph: &mut Graph<'w>, scale: &Features, projection: &'w Linear) -> Value {
        let [rows, columns] = scale.extent;
        let x = graph.product(&scale.x, projection);
        let x = graph.reshape(&x, &[graph.spec.pictures, rows * columns, self.hidden]);
        // Rows and columns are coded apart, and their sum is formed anew in every run: that takes no time to speak of, and the table
        // of all places would lie in the card's memory for good, 39 MB for 960 × 1280 pixels.
        let by_row = graph.constant(&[rows, 1, self.hidden], position_code(rows, self.hidden, 0), x.element);
        let by_column =
            graph.constant(&[1, columns, self.hidden], position_code(columns, self.hidden, self.hidden / 2), x.element);
        let code = graph.add(&by_row, &by_column);
        let code = graph.reshape(&code, &[1, rows * columns, self.hidden]);
        graph.add(&x, &code)
    }
}

/// The sine code of one axis: `length` × `hidden` numbers, zero but for the half of the features that starts at `from`.
/// Coordinates run from 1 and are normalised to 2π (Carion et al., "End-to-End Object Detection with Transformers").
fn position_code(length: usize, hidden: usize, from: usize) -> Vec<f32> {
    let half = hidden / 2;
    let mut code = vec![0.0; length * hidden];
    for (i, place) in code.chunks_exact_mut(hidden).enumerate() {
        let angle = (i + 1) as f64 / (length as f64 + 1e-6) * std::f64::consts::TAU;
        for (j, feature) in place[from..from + half].iter_mut().enumerate() {
            let phase = angle / TEMPERATURE.powf((j - j % 2) as f64 / half as f64);
            *feature = if j % 2 == 0 { phase.sin() } else { phase.cos() } as f32;
        }
    }
    code
}

/// What the queries begin with.
struct Queries {
    content: Vec<f32>,
    position: Vec<f32>,
    width: usize,
}

impl Queries {
    /// What a layer makes of every query of `of`, one after the other.
    fn through(&self, layer: &Folding, of: &[f32]) -> Vec<f64> {
        let wide = |query: &[f32]| query.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        of.chunks_exact(self.width).flat_map(|query| layer.apply(&wide(query))).collect()
    }
}

impl Layer {
    fn read(checkpoint: &Checkpoint<'_>, i: usize, scale: &Folding, queries: &Queries) -> Result<Self, CheckpointError> {
        let cross = format!("{ROOT}.transformer_cross_attention_layers.{i}");
        let own = format!("{ROOT}.transformer_self_attention_layers.{i}");
        let feedforward = format!("{ROOT}.transformer_ffn_layers.{i}");
        let starts = (i == 0).then_some(queries.content.as_slice());
        Ok(Self {
            cross: CrossAttention::read(checkpoint, &format!("{cross}.multihead_attn"), scale, queries, starts)?,
            cross_norm: checkpoint.norm(&format!("{cross}.norm"), EPSILON)?,
            own: SelfAttention::read(checkpoint, &format!("{own}.self_attn"), queries)?,
            own_norm: checkpoint.norm(&format!("{own}.norm"), EPSILON)?,
            feedforward: Feedforward::read(checkpoint, &feedforward)?,
            feedforward_norm: checkpoint.norm(&format!("{feedforward}.norm"), EPSILON)?,
        })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, i: usize, t: &Value, keys: &Value, scale: &Features) -> Value {
        graph.enter(format!("{ROOT}.transformer_cross_attention_layers.{i}"));
        let y = self.cross.emit(graph, t, keys, scale);
        let t = graph.skip_norm(&y, t, Some(&self.cross.output.bias), &self.cross_norm);

        graph.enter(format!("{ROOT}.transformer_self_attention_layers.{i}"));
        let y = self.own.emit(graph, &t);
        let t = graph.skip_norm(&y, &t, Some(&self.own.output.bias), &self.own_norm);

        graph.enter(format!("{ROOT}.transformer_ffn_layers.{i}"));
        let y = self.feedforward.emit(graph, &t);
        graph.skip_norm(&y, &t, Some(&self.feedforward.narrow.bias), &self.feedforward_norm)
    }
}

/// The three projections of an attention in one, hidden → 3 · hidden.
fn packed(checkpoint: &Checkpoint<'_>, name: &str) -> Result<Folding, CheckpointError> {
    checkpoint.named_folding(&format!("{name}.in_proj_weight"), &format!("{name}.in_proj_bias"))
}

/// Query, key and value, each hidden → hidden.
fn projections(packed: &Folding, hidden: usize) -> [Folding; 3] {
    [0, 1, 2].map(|i| packed.rows(i * hidden..(i + 1) * hidden))
}

impl CrossAttention {
    fn read(
        checkpoint: &Checkpoint<'_>,
        name: &str,
        scale: &Folding,
        queries: &Queries,
        starts: Option<&[f32]>,
    ) -> Result<Self, CheckpointError> {
        let [query, key, value] = projections(&packed(checkpoint, name)?, queries.width);
        let query_offset = queries.through(&query, &queries.position);
        // The bias of the query comes with its position.
        let (plain, _) = query.clone().without_bias();
        let first_query = starts.map(|content| {
            let projected = queries.through(&plain, content);
            projected.iter().zip(&query_offset).map(|(a, b)| (a + b) as f32).collect()
        });
        let (value, shift) = finite(scale.clone().into(&value), name)?.without_bias();
        let output = checkpoint.folding(&format!("{name}.out_proj"))?;
        let bias = output.apply(&shift);
        let output = finite(output.with_bias(bias), name)?.linear();
        Ok(Self {
            query: plain.linear(),
            query_offset: narrow(&query_offset),
            first_query,
            key: key.linear(),
            value: value.linear(),
            output,
        })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, t: &Value, keys: &Value, scale: &Features) -> Value {
        // Keys and values before the query: the runtime visits a node's inputs from the last one made to the first, and would
        // otherwise make those of all layers, 39 MB each at a quarter of 960 × 1280, before the first layer needs any.
        let key = graph.product(keys, &self.key);
        let value = graph.product(&scale.x, &self.value);
        let value = graph.reshape(&value, &key.shape);
        let query = match &self.first_query {
            Some(query) => graph.constant(&t.shape, query.repeat(graph.spec.pictures), t.element),
            None => {
                let query = graph.product(t, &self.query);
                let offset = graph.constant(&t.shape[1..], self.query_offset.as_slice(), t.element);
                graph.add(&query, &offset)
            }
        };
        let read = graph.attention(&query, &key, &value);
        graph.product(&read, &self.output)
    }
}

impl SelfAttention {
    fn read(checkpoint: &Checkpoint<'_>, name: &str, queries: &Queries) -> Result<Self, CheckpointError> {
        let packed = packed(checkpoint, name)?;
        let parts = projections(&packed, queries.width);
        // Values carry no position.
        let offsets = [
            queries.through(&parts[0], &queries.position),
            queries.through(&parts[1], &queries.position),
            queries.through(&parts[2], &vec![0.0; queries.position.len()]),
        ];
        let width = queries.width;
        let row = |i: usize| offsets.iter().flat_map(move |part| part[i * width..][..width].iter().map(|&value| value as f32));
        let offset = (0..queries.position.len() / width).flat_map(row).collect();
        Ok(Self { packed: packed.linear(), offset, output: checkpoint.linear(&format!("{name}.out_proj"))? })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, t: &Value) -> Value {
        let Linear { inputs, outputs, weight, .. } = &self.packed;
        let width = outputs / 3;
        let packs_by_head = graph.packs_by_head();
        // Of the projections as the checkpoint has them, the columns in the order that the operator wants.
        let column = |i: usize| {
            let (head, part, rest) = (i / (3 * width / HEADS), i / (width / HEADS) % 3, i % (width / HEADS));
            if packs_by_head { part * width + head * (width / HEADS) + rest } else { i }
        };
        let ordered = |rows: &[f32]| -> Vec<f32> {
            rows.chunks_exact(*outputs).flat_map(|row| (0..*outputs).map(|i| row[column(i)])).collect()
        };
        let weight = graph.constant(&[*inputs, *outputs], ordered(weight), t.element);
        let offset = graph.constant(&[t.shape[1], *outputs], ordered(&self.offset), t.element);
        let packed = graph.matmul(t, &weight);
        let packed = graph.add(&packed, &offset);
        let read = graph.self_attention(&packed);
        graph.product(&read, &self.output)
    }
}

/// A layer in front of a ReLU, its bias turned for `max(y, −b)`, and the layer behind with what that leaves out.
fn around_relu(first: Folding, second: Folding) -> (Folding, Vec<f32>, Folding) {
    let (first, bias) = first.without_bias();
    let passed = second.apply(&bias);
    let floor = bias.iter().map(|&bias| -bias as f32).collect();
    (first, floor, second.with_bias(passed))
}

impl Feedforward {
    fn read(checkpoint: &Checkpoint<'_>, name: &str) -> Result<Self, CheckpointError> {
        let (widen, narrow) = (format!("{name}.linear1"), format!("{name}.linear2"));
        let (first, floor, second) = around_relu(checkpoint.folding(&widen)?, checkpoint.folding(&narrow)?);
        Ok(Self { widen: first.linear(), floor, narrow: finite(second, &narrow)?.linear() })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, t: &Value) -> Value {
        let y = graph.product(t, &self.widen);
        let y = graph.at_least(&y, &self.floor);
        graph.product(&y, &self.narrow)
    }
}

impl Embedding {
    fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let layer = |i: usize| checkpoint.folding(&format!("{ROOT}.color_embed.layers.{i}"));
        let (first, first_floor, second) = around_relu(layer(0)?, layer(1)?);
        let (second, second_floor, third) = around_relu(second, layer(2)?);
        let third = finite(third, &format!("{ROOT}.color_embed.layers.2"))?;
        Ok(Self { layers: [first.linear(), second.linear(), third.linear()], floors: [first_floor, second_floor] })
    }

    /// All but the last layer.
    fn emit<'w>(&'w self, graph: &mut Graph<'w>, t: &Value) -> Value {
        let mut t = t.clone();
        for (layer, floor) in self.layers.iter().zip(&self.floors) {
            t = graph.product(&t, layer);
            t = graph.at_least(&t, floor);
        }
        t
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_code_is_the_published_one() {
        // Third of four places, eight features, second half: angle 3/4 · 2π, wavelengths 1, 1, 100, 100.
        let code = position_code(4, 8, 4);
        let angle = 3.0 / 4.000_001 * std::f64::consts::TAU;
        let want = [0.0, 0.0, 0.0, 0.0, angle.sin(), angle.cos(), (angle / 100.0).sin(), (angle / 100.0).cos()];
        let got = &code[16..24];
        assert!(got.iter().zip(want).all(|(&g, w)| (f64::from(g) - w).abs() < 1e-7), "{got:?} is not {want:?}");
    }

    #[test]
    fn a_bias_in_front_of_a_relu_passes_to_the_layer_behind() {
        let first = Folding::new(2, &[1.0, -1.0], Some(&[0.5, -2.0]));
        let second = Folding::new(1, &[3.0, -0.25], Some(&[1.0]));
        let (folded, floor, behind) = around_relu(first.clone(), second.clone());
        for x in [-3.0, -0.4, 0.0, 1.5, 4.0] {
            let plain: Vec<f64> = first.apply(&[x]).into_iter().map(|y| y.max(0.0)).collect();
            let raised: Vec<f64> =
                folded.apply(&[x]).into_iter().zip(&floor).map(|(y, &floor)| y.max(f64::from(floor))).collect();
            assert!((second.apply(&plain)[0] - behind.apply(&raised)[0]).abs() < 1e-12, "at {x}");
        }
    }
}
