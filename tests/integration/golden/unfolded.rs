//! The DDColor network as its checkpoint states it, one step a line, in f64.
//!
//! What the product folds, moves or leaves out is done here at its own place and at its own size: spectral norms, every
//! BatchNorm and LayerNorm, level embedding and position code, the query maps at full size. Shares no code with the product.
//! Slow, so for toys only: the official arrays `tiny_256x320_*`, which it computes to within 4e-6, take it minutes.

use std::collections::BTreeMap;
use std::f64::consts::{PI, SQRT_2, TAU};

use safetensors::{Dtype, SafeTensors};

/// Attention heads: no tensor tells their number.
const HEADS: usize = 8;
/// Epsilon of the encoder's LayerNorms.
const ENCODER_EPSILON: f64 = 1e-6;
/// Epsilon of the colour decoder's LayerNorms and of every BatchNorm: PyTorch's default.
const EPSILON: f64 = 1e-5;

/// Numbers, row-major. Maps are [channels, rows, columns], lists [places, channels]; a batch of one has no axis.
#[derive(Clone)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

/// The tensors of a checkpoint by their official names, spectral norms as training leaves them.
pub(super) struct Network {
    pub(super) tensors: BTreeMap<String, Tensor>,
}

impl Network {
    /// From a safetensors file; what is not F32 counts batches.
    pub(super) fn read(file: &[u8]) -> Self {
        let file = SafeTensors::deserialize(file).unwrap();
        let tensors = file.tensors().into_iter().filter(|(_, view)| view.dtype() == Dtype::F32);
        let wide = |four: &[u8; 4]| f64::from(f32::from_le_bytes(*four));
        let tensors = tensors.map(|(name, view)| {
            let values = view.data().as_chunks().0.iter().map(wide).collect();
            (name, Tensor { shape: view.shape().to_vec(), values })
        });
        Self { tensors: tensors.collect() }
    }

    /// Every tensor that a traced graph shows, by its name there, for a picture [3, H, W] in 0..=1.
    pub(super) fn run(&self, rgb: &Tensor) -> BTreeMap<String, Tensor> {
        let (mean, std) = (self.values("mean"), self.values("std"));
        let x = each_channel(rgb, |channel, value| (value - mean[channel]) / std[channel]);
        let features = self.encoder(&x);
        let scales = self.unet(&features);
        let embedding = self.color_decoder(&scales);

        let full = self.spectral_conv(&scales[2], "decoder.last_shuf.conv.0", 0);
        let full = blur(&pixel_shuffle(&relu(full), 4));
        // einsum("qc,chw->qhw"): a full-size map a query.
        let mix = Tensor { shape: vec![embedding.shape[0], embedding.shape[1], 1, 1], values: embedding.values.clone() };
        let maps = convolve(&full, &mix, 1, 0);
        let ab = self.spectral_conv(&concat(&maps, &x), "refine_net.0.0", 0);

        let features = features.into_iter().enumerate().map(|(i, map)| (format!("encoder.norm{i}"), map));
        let scales = scales.into_iter().enumerate().map(|(i, map)| (format!("decoder.{i}"), map));
        let ends = [("color_embed".to_owned(), embedding), ("ab".to_owned(), ab)];
        features.chain(scales).chain(ends).collect()
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn values(&self, name: &str) -> &[f64] {
        &self.tensor(name).values
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// ConvNeXt. The features of each stage go on as they are; what is returned is normalised.
    fn encoder(&self, x: &Tensor) -> Vec<Tensor> {
        let mut features = Vec::new();
        let mut x = x.clone();
        for i in 0..4 {
            let down = format!("encoder.arch.downsample_layers.{i}");
            x = if i == 0 {
                let x = self.conv(&x, &format!("{down}.0"), 4, 0);
                self.channel_norm(&x, &format!("{down}.1"))
            } else {
                let x = self.channel_norm(&x, &format!("{down}.0"));
                self.conv(&x, &format!("{down}.1"), 2, 0)
            };
            let block = |j: usize| format!("encoder.arch.stages.{i}.{j}");
            for j in (0..).take_while(|&j| self.has(&format!("{}.gamma", block(j)))) {
                x = self.block(&x, &block(j));
            }
            features.push(self.channel_norm(&x, &format!("encoder.arch.norm{i}")));
        }
        features
    }

    fn block(&self, x: &Tensor, name: &str) -> Tensor {
        let y = self.conv(x, &format!("{name}.dwconv"), 1, 3);
        let y = channels_last(&y);
        let y = self.layer_norm(&y, &format!("{name}.norm"), ENCODER_EPSILON);
        let y = self.linear(&y, &format!("{name}.pwconv1"));
        let y = each(y, gelu);
        let y = self.linear(&y, &format!("{name}.pwconv2"));
        let y = channels_first(&y, x);
        let gamma = self.values(&format!("{name}.gamma"));
        add(x, &each_channel(&y, |channel, value| gamma[channel] * value))
    }

    fn unet(&self, features: &[Tensor]) -> Vec<Tensor> {
        let mut scales: Vec<Tensor> = Vec::new();
        for i in 0..3 {
            let block = format!("decoder.layers.{i}");
            let below = scales.last().unwrap_or(&features[3]);
            let up = self.spectral_conv(below, &format!("{block}.shuf.conv.0"), 0);
            let up = self.batch_norm(&up, &format!("{block}.shuf.conv.1"));
            let up = blur(&pixel_shuffle(&relu(up), 2));
            let skip = self.batch_norm(&features[2 - i], &format!("{block}.bn"));
            let joined = relu(concat(&up, &skip));
            let joined = self.spectral_conv(&joined, &format!("{block}.conv.0"), 1);
            scales.push(self.batch_norm(&relu(joined), &format!("{block}.conv.2")));
        }
        scales
    }

    fn color_decoder(&self, scales: &[Tensor]) -> Tensor {
        let name = |part: &str| format!("decoder.color_decoder.{part}");
        let levels = self.tensor(&name("level_embed.weight"));
        let hidden = levels.shape[1];
        let (mut memories, mut positions) = (Vec::new(), Vec::new());
        for (i, scale) in scales.iter().enumerate() {
            let memory = self.conv(scale, &name(&format!("input_proj.{i}")), 1, 0);
            memories.push(channels_last(&offset(&memory, &levels.values[i * hidden..][..hidden])));
            positions.push(position_code(scale.shape[1], scale.shape[2], hidden));
        }
        let mut t = self.tensor(&name("query_feat.weight")).clone();
        let place = self.tensor(&name("query_embed.weight"));
        let feedforward = |i: usize| name(&format!("transformer_ffn_layers.{i}"));
        for i in (0..).take_while(|&i| self.has(&format!("{}.linear1.weight", feedforward(i)))) {
            let layer = name(&format!("transformer_cross_attention_layers.{i}"));
            let (memory, position) = (&memories[i % 3], &positions[i % 3]);
            let y = self.attention(&format!("{layer}.multihead_attn"), &add(&t, place), &add(memory, position), memory);
            t = self.layer_norm(&add(&t, &y), &format!("{layer}.norm"), EPSILON);

            let layer = name(&format!("transformer_self_attention_layers.{i}"));
            let placed = add(&t, place);
            let y = self.attention(&format!("{layer}.self_attn"), &placed, &placed, &t);
            t = self.layer_norm(&add(&t, &y), &format!("{layer}.norm"), EPSILON);

            let layer = feedforward(i);
            let y = self.linear(&t, &format!("{layer}.linear1"));
            let y = self.linear(&relu(y), &format!("{layer}.linear2"));
            t = self.layer_norm(&add(&t, &y), &format!("{layer}.norm"), EPSILON);
        }
        let y = self.layer_norm(&t, &name("decoder_norm"), EPSILON);
        let y = relu(self.linear(&y, &name("color_embed.layers.0")));
        let y = relu(self.linear(&y, &name("color_embed.layers.1")));
        self.linear(&y, &name("color_embed.layers.2"))
    }

    /// Multi-head attention as `torch.nn.MultiheadAttention` has it.
    fn attention(&self, name: &str, query: &Tensor, key: &Tensor, value: &Tensor) -> Tensor {
        let (weight, bias) = (self.tensor(&format!("{name}.in_proj_weight")), self.values(&format!("{name}.in_proj_bias")));
        let hidden = weight.shape[1];
        let project = |i: usize, x: &Tensor| {
            let values = weight.values[i * hidden * hidden..][..hidden * hidden].to_vec();
            affine(x, &Tensor { shape: vec![hidden, hidden], values }, &bias[i * hidden..][..hidden])
        };
        let (q, k, v) = (project(0, query), project(1, key), project(2, value));
        let width = hidden / HEADS;
        let mut read = zeros(&q.shape);
        for head in 0..HEADS {
            let of = |x: &Tensor, place: usize, i: usize| x.values[place * hidden + head * width + i];
            for row in 0..q.shape[0] {
                let score = |place: usize| (0..width).map(|i| of(&q, row, i) * of(&k, place, i)).sum::<f64>();
                let scores: Vec<f64> = (0..k.shape[0]).map(|place| score(place) / (width as f64).sqrt()).collect();
                for (place, weight) in softmax(&scores).into_iter().enumerate() {
                    for i in 0..width {
                        read.values[row * hidden + head * width + i] += weight * of(&v, place, i);
                    }
                }
            }
        }
        self.linear(&read, &format!("{name}.out_proj"))
    }

    /// A convolution with a bias.
    fn conv(&self, x: &Tensor, name: &str, stride: usize, padding: usize) -> Tensor {
        let (weight, bias) = (self.tensor(&format!("{name}.weight")), self.values(&format!("{name}.bias")));
        offset(&convolve(x, weight, stride, padding), bias)
    }

    /// A convolution whose weight is divided by u · (W v); with a bias if the checkpoint has one.
    fn spectral_conv(&self, x: &Tensor, name: &str, padding: usize) -> Tensor {
        let weight = self.tensor(&format!("{name}.weight_orig"));
        let (u, v) = (self.values(&format!("{name}.weight_u")), self.values(&format!("{name}.weight_v")));
        let norm: f64 = weight.values.chunks_exact(v.len()).zip(u).map(|(row, u)| u * dot(row, v)).sum();
        let y = convolve(x, &each(weight.clone(), |value| value / norm), 1, padding);
        let bias = format!("{name}.bias");
        if self.has(&bias) { offset(&y, self.values(&bias)) } else { y }
    }

    fn linear(&self, x: &Tensor, name: &str) -> Tensor {
        affine(x, self.tensor(&format!("{name}.weight")), self.values(&format!("{name}.bias")))
    }

    /// BatchNorm at inference.
    fn batch_norm(&self, x: &Tensor, name: &str) -> Tensor {
        let part = |part: &str| self.values(&format!("{name}.{part}"));
        let (weight, bias, mean, variance) = (part("weight"), part("bias"), part("running_mean"), part("running_var"));
        each_channel(x, |channel, value| {
            (value - mean[channel]) / (variance[channel] + EPSILON).sqrt() * weight[channel] + bias[channel]
        })
    }

    /// Over the channels of a map.
    fn channel_norm(&self, x: &Tensor, name: &str) -> Tensor {
        channels_first(&self.layer_norm(&channels_last(x), name, ENCODER_EPSILON), x)
    }

    /// Over the channels of each place of a list.
    fn layer_norm(&self, x: &Tensor, name: &str, epsilon: f64) -> Tensor {
        let (weight, bias) = (self.values(&format!("{name}.weight")), self.values(&format!("{name}.bias")));
        let mut y = x.clone();
        for place in y.values.chunks_exact_mut(weight.len()) {
            let n = place.len() as f64;
            let mean = place.iter().sum::<f64>() / n;
            let variance = place.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
            for (i, value) in place.iter_mut().enumerate() {
                *value = (*value - mean) / (variance + epsilon).sqrt() * weight[i] + bias[i];
            }
        }
        y
    }
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor { shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] }
}

fn each(mut x: Tensor, change: impl Fn(f64) -> f64) -> Tensor {
    x.values.iter_mut().for_each(|value| *value = change(*value));
    x
}

/// Every value of a map, with the number of its channel.
fn each_channel(x: &Tensor, change: impl Fn(usize, f64) -> f64) -> Tensor {
    let pixels = x.shape[1] * x.shape[2];
    let values = x.values.iter().enumerate().map(|(i, &value)| change(i / pixels, value)).collect();
    Tensor { shape: x.shape.clone(), values }
}

/// A bias: one summand a channel of a map.
fn offset(x: &Tensor, by: &[f64]) -> Tensor {
    each_channel(x, |channel, value| value + by[channel])
}

fn add(a: &Tensor, b: &Tensor) -> Tensor {
    assert_eq!(a.shape, b.shape);
    Tensor { shape: a.shape.clone(), values: a.values.iter().zip(&b.values).map(|(a, b)| a + b).collect() }
}

/// Along the channels of maps.
fn concat(a: &Tensor, b: &Tensor) -> Tensor {
    assert_eq!(a.shape[1..], b.shape[1..]);
    let shape = vec![a.shape[0] + b.shape[0], a.shape[1], a.shape[2]];
    Tensor { shape, values: [a.values.as_slice(), &b.values].concat() }
}

fn relu(x: Tensor) -> Tensor {
    each(x, |value| value.max(0.0))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `x · weightᵀ + bias` of a list.
fn affine(x: &Tensor, weight: &Tensor, bias: &[f64]) -> Tensor {
    let [outputs, inputs] = weight.shape[..] else { panic!("a matrix of {:?}", weight.shape) };
    let outcome = |place: &[f64]| -> Vec<f64> {
        weight.values.chunks_exact(inputs).zip(bias).map(|(row, bias)| dot(row, place) + bias).collect()
    };
    let values = x.values.chunks_exact(inputs).flat_map(outcome).collect();
    Tensor { shape: vec![x.shape[0], outputs], values }
}

/// A convolution with zeros around the map, in as many groups as the inputs of one output leave.
fn convolve(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Tensor {
    let (&[inputs, h, w], &[outputs, depth, rows, columns]) = (x.shape.as_slice(), weight.shape.as_slice()) else {
        panic!("a convolution of {:?} with {:?}", x.shape, weight.shape)
    };
    let group = outputs / (inputs / depth);
    let (high, wide) = ((h + 2 * padding - rows) / stride + 1, (w + 2 * padding - columns) / stride + 1);
    let mut y = zeros(&[outputs, high, wide]);
    for (output, plane) in y.values.chunks_exact_mut(high * wide).enumerate() {
        for (tap, factor) in weight.values[output * depth * rows * columns..][..depth * rows * columns].iter().enumerate() {
            let (input, row, column) = (tap / (rows * columns), tap / columns % rows, tap % columns);
            let source = &x.values[(output / group * depth + input) * h * w..][..h * w];
            for (i, value) in plane.iter_mut().enumerate() {
                // Counted with the padding.
                let (row, column) = (i / wide * stride + row, i % wide * stride + column);
                if (padding..h + padding).contains(&row) && (padding..w + padding).contains(&column) {
                    *value += factor * source[(row - padding) * w + column - padding];
                }
            }
        }
    }
    y
}

/// A map as a list of its pixels.
fn channels_last(x: &Tensor) -> Tensor {
    let (channels, pixels) = (x.shape[0], x.shape[1] * x.shape[2]);
    let values = (0..pixels * channels).map(|i| x.values[i % channels * pixels + i / channels]).collect();
    Tensor { shape: vec![pixels, channels], values }
}

/// A list of pixels as a map, of as many rows and columns as `like`.
fn channels_first(x: &Tensor, like: &Tensor) -> Tensor {
    let [pixels, channels] = x.shape[..] else { panic!("a list of {:?}", x.shape) };
    let values = (0..pixels * channels).map(|i| x.values[i % pixels * channels + i / pixels]).collect();
    Tensor { shape: vec![channels, like.shape[1], like.shape[2]], values }
}

fn pixel_shuffle(x: &Tensor, block: usize) -> Tensor {
    let [channels, h, w] = x.shape[..] else { panic!("a map of {:?}", x.shape) };
    let mut y = zeros(&[channels / (block * block), h * block, w * block]);
    for (i, &value) in x.values.iter().enumerate() {
        let (channel, row, column) = (i / (h * w), i / w % h, i % w);
        let (target, place) = (channel / (block * block), channel % (block * block));
        let (row, column) = (row * block + place / block, column * block + place % block);
        y.values[(target * h * block + row) * w * block + column] = value;
    }
    y
}

/// One row above and one column to the left that repeat the edge, then the mean of 2×2 pixels at every place.
fn blur(x: &Tensor) -> Tensor {
    let [channels, h, w] = x.shape[..] else { panic!("a map of {:?}", x.shape) };
    let mut padded = zeros(&[channels, h + 1, w + 1]);
    for (i, value) in padded.values.iter_mut().enumerate() {
        let (channel, row, column) = (i / ((h + 1) * (w + 1)), i / (w + 1) % (h + 1), i % (w + 1));
        *value = x.values[(channel * h + row.saturating_sub(1)) * w + column.saturating_sub(1)];
    }
    convolve(&padded, &each(zeros(&[channels, 1, 2, 2]), |_| 0.25), 1, 0)
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// x · Φ(x).
fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / SQRT_2))
}

/// Abramowitz and Stegun 7.1.6: 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)), without cancellation.
fn erf(x: f64) -> f64 {
    // 1 − erf(6) is 2e-17.
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-17 {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

/// The 2-D sine code of DETR, a list: half of the features for the row, half for the column, sines at even places.
fn position_code(rows: usize, columns: usize, hidden: usize) -> Tensor {
    let half = hidden / 2;
    let mut code = zeros(&[rows * columns, hidden]);
    for (i, value) in code.values.iter_mut().enumerate() {
        let (place, feature) = (i / hidden, i % hidden);
        let (at, length) = if feature < half { (place / columns, rows) } else { (place % columns, columns) };
        let angle = (at + 1) as f64 / (length as f64 + 1e-6) * TAU;
        let feature = feature % half;
        let phase = angle / 10_000_f64.powf(2.0 * (feature / 2) as f64 / half as f64);
        *value = if feature.is_multiple_of(2) { phase.sin() } else { phase.cos() };
    }
    code
}
