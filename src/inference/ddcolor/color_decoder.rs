//! The colour decoder: a hundred colour queries that look at the three scales in turn.
//!
//! Post-norm transformer layers after Cheng et al., "Masked-attention Mask Transformer", CVPR 2022, without the masks.
//! The queries are an island of FP32 (see `precision`); only their keys and values are projected in the body's format.

use super::architecture::{HEADS, SCALES};
use super::checkpoint::{Checkpoint, finite};
use super::error::CheckpointError;
use super::fold::{Conv, Linear, Norm};
use super::graph::{Graph, Value};
use super::precision::Element;
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
    position: Vec<f32>,
    /// One a scale: 1×1, the BatchNorm of the U-Net block and the level embedding folded in.
    projections: Vec<Conv>,
    layers: Vec<Layer>,
    norm: Norm,
    embedding: Vec<Linear>,
}

struct Layer {
    cross: Attention,
    cross_norm: Norm,
    own: Attention,
    own_norm: Norm,
    widen: Linear,
    narrow: Linear,
    feedforward_norm: Norm,
}

struct Attention {
    /// The division of the scores by √(width of a head) is folded in.
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
}

/// What the queries look at, at one scale: [places, hidden] in the body's format.
struct Memory {
    /// With the position code.
    keys: Value,
    /// Without.
    values: Value,
}

impl ColorDecoder {
    pub(super) fn read(checkpoint: &Checkpoint<'_>) -> Result<Self, CheckpointError> {
        let name = |part: &str| format!("{ROOT}.{part}");
        let sizes = checkpoint.architecture();
        let levels = checkpoint.values(&name("level_embed.weight"))?;
        let projection = |(i, level): (usize, &[f32])| {
            let name = name(&format!("input_proj.{i}"));
            let folding = checkpoint.folding(&name)?.after(&checkpoint.batch_norm(&output_norm(i))?).offset(level);
            Ok(finite(folding, &name)?.conv([1, 1]))
        };
        Ok(Self {
            queries: sizes.queries,
            hidden: sizes.hidden,
            content: checkpoint.values(&name("query_feat.weight"))?,
            position: checkpoint.values(&name("query_embed.weight"))?,
            projections: levels.chunks_exact(sizes.hidden).enumerate().map(projection).collect::<Result<_, _>>()?,
            layers: (0..sizes.layers).map(|i| Layer::read(checkpoint, i)).collect::<Result<_, _>>()?,
            norm: checkpoint.norm(&name("decoder_norm"), EPSILON)?,
            embedding: (0..3).map(|i| checkpoint.linear(&name(&format!("color_embed.layers.{i}")))).collect::<Result<_, _>>()?,
        })
    }

    /// The embedding of every query, [queries, channels of the full-size features] in FP32, from the U-Net's scales.
    pub(super) fn emit<'w>(&'w self, graph: &mut Graph<'w>, scales: &[Value]) -> Value {
        let mut memories = Vec::new();
        for (i, (scale, projection)) in scales.iter().zip(&self.projections).enumerate() {
            graph.enter(format!("{ROOT}.input_proj.{i}"));
            memories.push(memory(graph, scale, projection));
        }
        graph.enter(ROOT);
        let mut t = graph.constant(&[self.queries, self.hidden], self.content.as_slice(), Element::F32);
        let position = graph.constant(&[self.queries, self.hidden], self.position.as_slice(), Element::F32);
        for (i, layer) in self.layers.iter().enumerate() {
            t = layer.emit(graph, i, &t, &position, &memories[i % SCALES]);
        }
        graph.enter(format!("{ROOT}.color_embed"));
        let mut embedding = graph.layer_norm(&t, &self.norm);
        for (i, layer) in self.embedding.iter().enumerate() {
            if i > 0 {
                embedding = graph.relu(&embedding);
            }
            embedding = graph.linear(&embedding, layer);
        }
        embedding
    }
}

fn memory<'w>(graph: &mut Graph<'w>, scale: &Value, projection: &'w Conv) -> Memory {
    let [h, w] = scale.extent();
    let hidden = projection.shape[0];
    let values = graph.patch_conv(scale, projection);
    let values = graph.channels_last(&values);
    // Rows and columns are coded apart; their sum is a constant that the runtime forms once, so no file has to hold it.
    // In FP32, because the runtime folds constants on the processor, where it cannot add in FP16.
    let rows = graph.constant(&[1, h, 1, hidden], position_code(h, hidden, 0), Element::F32);
    let columns = graph.constant(&[1, 1, w, hidden], position_code(w, hidden, hidden / 2), Element::F32);
    let positions = graph.add(&rows, &columns);
    let positions = graph.body(&positions);
    let keys = graph.add(&values, &positions);
    let [keys, values] = [&keys, &values].map(|x| graph.reshape(x, &[h * w, hidden]));
    Memory { keys, values }
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

impl Layer {
    fn read(checkpoint: &Checkpoint<'_>, i: usize) -> Result<Self, CheckpointError> {
        let cross = format!("{ROOT}.transformer_cross_attention_layers.{i}");
        let own = format!("{ROOT}.transformer_self_attention_layers.{i}");
        let feedforward = format!("{ROOT}.transformer_ffn_layers.{i}");
        Ok(Self {
            cross: Attention::read(checkpoint, &format!("{cross}.multihead_attn"))?,
            cross_norm: checkpoint.norm(&format!("{cross}.norm"), EPSILON)?,
            own: Attention::read(checkpoint, &format!("{own}.self_attn"))?,
            own_norm: checkpoint.norm(&format!("{own}.norm"), EPSILON)?,
            widen: checkpoint.linear(&format!("{feedforward}.linear1"))?,
            narrow: checkpoint.linear(&format!("{feedforward}.linear2"))?,
            feedforward_norm: checkpoint.norm(&format!("{feedforward}.norm"), EPSILON)?,
        })
    }

    fn emit<'w>(&'w self, graph: &mut Graph<'w>, i: usize, t: &Value, position: &Value, memory: &Memory) -> Value {
        graph.enter(format!("{ROOT}.transformer_cross_attention_layers.{i}"));
        let query = graph.add(t, position);
        let y = self.cross.emit(graph, &query, &memory.keys, &memory.values);
        let t = add_norm(graph, t, &y, &self.cross_norm);

        graph.enter(format!("{ROOT}.transformer_self_attention_layers.{i}"));
        let query = graph.add(&t, position);
        let y = self.own.emit(graph, &query, &query, &t);
        let t = add_norm(graph, &t, &y, &self.own_norm);

        graph.enter(format!("{ROOT}.transformer_ffn_layers.{i}"));
        let y = graph.linear(&t, &self.widen);
        let y = graph.relu(&y);
        let y = graph.linear(&y, &self.narrow);
        add_norm(graph, &t, &y, &self.feedforward_norm)
    }
}

fn add_norm<'w>(graph: &mut Graph<'w>, t: &Value, y: &Value, norm: &'w Norm) -> Value {
    let sum = graph.add(t, y);
    graph.layer_norm(&sum, norm)
}

impl Attention {
    fn read(checkpoint: &Checkpoint<'_>, name: &str) -> Result<Self, CheckpointError> {
        let hidden = checkpoint.architecture().hidden;
        let packed = checkpoint.named_folding(&format!("{name}.in_proj_weight"), &format!("{name}.in_proj_bias"))?;
        let part = |i: usize| packed.rows(i * hidden..(i + 1) * hidden);
        Ok(Self {
            query: part(0).scale(1.0 / ((hidden / HEADS) as f64).sqrt()).linear(),
            key: part(1).linear(),
            value: part(2).linear(),
            output: checkpoint.linear(&format!("{name}.out_proj"))?,
        })
    }

    /// What each query reads from `values` [places, hidden] by likeness with `keys`; the result is [queries, hidden].
    fn emit<'w>(&'w self, graph: &mut Graph<'w>, query: &Value, keys: &Value, values: &Value) -> Value {
        let (queries, hidden) = (query.shape[0], query.shape[1]);
        let q = graph.linear(query, &self.query);
        let q = heads(graph, &q, [1, 0, 2]);
        let k = graph.linear(keys, &self.key);
        let k = heads(graph, &k, [1, 2, 0]);
        let v = graph.linear(values, &self.value);
        let v = heads(graph, &v, [1, 0, 2]);
        let scores = graph.matmul(&q, &k);
        let weights = graph.softmax(&scores);
        let read = graph.matmul(&weights, &v);
        let read = graph.transpose(&read, &[1, 0, 2]);
        let read = graph.reshape(&read, &[queries, hidden]);
        graph.linear(&read, &self.output)
    }
}

/// [places, hidden] to the axes (places, heads, width of a head) in the given order, in FP32.
fn heads(graph: &mut Graph<'_>, x: &Value, order: [usize; 3]) -> Value {
    let (places, hidden) = (x.shape[0], x.shape[1]);
    let split = graph.reshape(x, &[places, HEADS, hidden / HEADS]);
    let split = graph.transpose(&split, &order);
    graph.island(&split)
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
}
