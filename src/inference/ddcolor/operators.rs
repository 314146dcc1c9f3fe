//! The operators of which a provider has its own fastest form: same mathematics, other nodes.
//!
//! On the card the forms are those that measured fastest with ONNX Runtime 1.31 (`ARCHITECTURE.md`, "The colour network's
//! graph"). The processor lacks kernels for some of them and gets the nearest it has. Operators of the domain
//! `com.microsoft` are described in ONNX Runtime's `ContribOperators.md`.

use super::architecture::HEADS;
use super::fold::{Conv, Linear, Norm};
use super::graph::{Features, Graph, Value};
use super::onnx::AttributeProto;
use crate::inference::Provider;

/// Columns that carry a bias as one more row of a weight: the first is 1, the others keep rows aligned to 16 bytes in FP16, as
/// tensor cores want them.
pub(super) const BIAS_COLUMNS: usize = 8;

/// Width from which `BiasAdd` is faster than two additions on the card.
const WIDE: usize = 384;

/// Pictures from which the card's depthwise convolution is faster over channels that lie together, transposes and all: at 1, 2
/// and 4 it takes twice as long.
const MANY: usize = 8;

impl<'w> Graph<'w> {
    fn is_cuda(&self) -> bool {
        self.spec.provider == Provider::Cuda
    }

    /// Layer normalisation of `x + bias` over the last axis; statistics in FP32.
    ///
    /// `SkipLayerNormalization` with the bias of the operator before as the skip: on the card it is faster than
    /// `LayerNormalization` and saves the pass that adds the bias.
    pub(super) fn norm(&mut self, x: &Value, bias: Option<&'w [f32]>, norm: &'w Norm) -> Value {
        let channels = norm.scale.len();
        debug_assert_eq!(x.shape[1..], [1, channels]);
        let skip = match bias {
            Some(bias) => self.constant(&[1, 1, channels], bias, x.element),
            None => self.filled(&[1, 1, channels], 0.0, x.element),
        };
        self.skip_norm(x, &skip, None, norm)
    }

    /// Layer normalisation of `x + skip + bias` over the last axis.
    pub(super) fn skip_norm(&mut self, x: &Value, skip: &Value, bias: Option<&'w [f32]>, norm: &'w Norm) -> Value {
        let [scale, shift] = [&norm.scale, &norm.shift].map(|part| self.constant(&[part.len()], part.as_slice(), x.element));
        let bias = bias.map(|bias| self.constant(&[bias.len()], bias, x.element));
        let inputs: Vec<&Value> = [x, skip, &scale, &shift].into_iter().chain(&bias).collect();
        self.own_node("SkipLayerNormalization", &inputs, x.shape.clone(), vec![AttributeProto::float("epsilon", norm.epsilon)])
    }

    /// x · Φ(x) of `x + bias`, in its error-function form.
    pub(super) fn bias_gelu(&mut self, x: &Value, bias: &'w [f32]) -> Value {
        let bias = self.constant(&[bias.len()], bias, x.element);
        self.own_node("BiasGelu", &[x, &bias], x.shape.clone(), vec![])
    }

    /// `residual + y + bias`.
    pub(super) fn add_residual(&mut self, residual: &Value, y: &Value, bias: &'w [f32]) -> Value {
        let bias_value = self.constant(&[bias.len()], bias, y.element);
        if self.is_cuda() && bias.len() >= WIDE {
            return self.own_node("BiasAdd", &[y, &bias_value, residual], y.shape.clone(), vec![]);
        }
        let y = self.add(y, &bias_value);
        self.add(residual, &y)
    }

    /// Convolution of every channel by itself with zeros around, without its bias.
    pub(super) fn depthwise(&mut self, features: &Features, layer: &'w Conv) -> Features {
        let channels = features.channels();
        if self.is_cuda() && self.spec.pictures >= MANY {
            let x = self.map(features);
            let y = self.nhwc_conv(&x, layer, channels);
            return self.features(&y, features.extent);
        }
        let x = self.channels_first(features);
        let y = if self.is_cuda() { self.turned(&x, layer) } else { self.same_conv(&x, layer, channels) };
        let y = self.transpose(&y, &[0, 2, 3, 1]);
        self.features(&y, features.extent)
    }

    /// A depthwise convolution written as the transposed convolution of the turned kernel, which is the same: what cuDNN
    /// chooses for it is five times as fast.
    fn turned(&mut self, x: &Value, layer: &'w Conv) -> Value {
        let [channels, _, rows, columns] = layer.shape;
        let turned: Vec<f32> =
            layer.weight.chunks_exact(rows * columns).flat_map(|kernel| kernel.iter().rev().copied()).collect();
        let weight = self.constant(&[channels, 1, rows, columns], turned, x.element);
        self.node("ConvTranspose", &[x, &weight], x.shape.clone(), same_attributes(rows, columns, channels))
    }

    /// 3×3 convolution over all channels with zeros around, without bias, then ReLU.
    pub(super) fn conv_relu(&mut self, x: &Value, extent: [usize; 2], layer: &'w Conv) -> Features {
        let y = if self.is_cuda() {
            self.nhwc_conv(x, layer, 1)
        } else {
            let x = self.transpose(x, &[0, 3, 1, 2]);
            let y = self.same_conv(&x, layer, 1);
            self.transpose(&y, &[0, 2, 3, 1])
        };
        let y = self.relu(&y);
        self.features(&y, extent)
    }

    /// [pictures, channels, rows, columns], stride 1, zeros around.
    fn same_conv(&mut self, x: &Value, layer: &'w Conv, groups: usize) -> Value {
        let [outputs, _, rows, columns] = layer.shape;
        let weight = self.constant(&layer.shape, layer.weight.as_slice(), x.element);
        let shape = vec![x.shape[0], outputs, x.shape[2], x.shape[3]];
        self.node("Conv", &[x, &weight], shape, same_attributes(rows, columns, groups))
    }

    /// [pictures, rows, columns, channels], stride 1, zeros around.
    fn nhwc_conv(&mut self, x: &Value, layer: &'w Conv, groups: usize) -> Value {
        let [outputs, inputs, rows, columns] = layer.shape;
        let taps = rows * columns;
        let kernel = layer.weight.chunks_exact(inputs * taps);
        let together = kernel.flat_map(|kernel| (0..taps).flat_map(move |tap| (0..inputs).map(move |c| kernel[c * taps + tap])));
        let weight = self.constant(&[outputs, rows, columns, inputs], together.collect::<Vec<f32>>(), x.element);
        let shape = vec![x.shape[0], x.shape[1], x.shape[2], outputs];
        self.own_node("NhwcConv", &[x, &weight], shape, same_attributes(rows, columns, groups))
    }

    /// One more group of columns, [1, 0, …, 0], for a weight whose first row behind the inputs is the bias.
    pub(super) fn with_bias_columns(&mut self, x: &Value) -> Value {
        let mut shape = x.shape.clone();
        *shape.last_mut().expect("features have channels") = BIAS_COLUMNS;
        let count = shape.iter().product::<usize>() / BIAS_COLUMNS;
        let mut row = [0.0; BIAS_COLUMNS];
        row[0] = 1.0;
        let columns = self.constant(&shape, row.repeat(count), x.element);
        self.concat(&[x, &columns], x.shape.len() - 1)
    }

    /// A weight of `layer` with its bias as a row: [inputs + BIAS_COLUMNS, outputs] numbers.
    pub(super) fn biased_weight(layer: &Linear) -> Vec<f32> {
        let mut weight = Vec::with_capacity((layer.inputs + BIAS_COLUMNS) * layer.outputs);
        weight.extend_from_slice(&layer.weight);
        weight.extend_from_slice(&layer.bias);
        weight.resize((layer.inputs + BIAS_COLUMNS) * layer.outputs, 0.0);
        weight
    }

    /// What every query [pictures, queries, width] reads from values by the likeness of keys, both [pictures, places, width]:
    /// softmax of the products over the root of a head's width, taken in FP32.
    pub(super) fn attention(&mut self, query: &Value, key: &Value, value: &Value) -> Value {
        self.own_node(
            "MultiHeadAttention",
            &[query, key, value],
            query.shape.clone(),
            vec![AttributeProto::int("num_heads", HEADS as i64)],
        )
    }

    /// Attention among the queries themselves, from their packed projections [pictures, queries, 3 · width], columns in the
    /// order of [`Graph::packs_by_head`].
    pub(super) fn self_attention(&mut self, packed: &Value) -> Value {
        let &[pictures, queries, columns] = packed.shape.as_slice() else { unreachable!("projections have three axes") };
        let width = columns / 3;
        if self.packs_by_head() {
            let packed = self.reshape(packed, &[pictures, queries, HEADS, 3, width / HEADS]);
            return self.own_node(
                "MultiHeadAttention",
                &[&packed],
                vec![pictures, queries, width],
                vec![AttributeProto::int("num_heads", HEADS as i64)],
            );
        }
        let [query, key, value] = [0, 1, 2].map(|i| self.slice(packed, 2, i * width, width));
        self.attention(&query, &key, &value)
    }

    /// Whether packed projections are (head, which of the three, width of a head), as the card's kernel reads them, or (which of
    /// the three, head, width of a head).
    pub(super) fn packs_by_head(&self) -> bool {
        self.is_cuda()
    }

    /// The mean of each row with the row above it, the first repeated, of rows that come in the order of a pixel shuffle:
    /// [`blur_matrix`] times `x`, over its last axis but one.
    pub(super) fn blur_rows(&mut self, x: &Value, phases: usize) -> Value {
        let rows = x.shape[x.shape.len() - 2];
        let matrix = self.constant(&[rows, rows], blur_matrix(rows, phases), x.element);
        self.matmul(&matrix, x)
    }

    /// The same of columns: `x` times the transpose of the matrix, over the last axis, whose columns are in order.
    pub(super) fn blur_columns(&mut self, x: &Value) -> Value {
        let columns = x.shape[x.shape.len() - 1];
        let matrix = blur_matrix(columns, 1);
        let turned = (0..columns * columns).map(|i| matrix[i % columns * columns + i / columns]).collect::<Vec<f32>>();
        let matrix = self.constant(&[columns, columns], turned, x.element);
        self.matmul(x, &matrix)
    }
}

/// Pixel shuffle and blur of one axis as a matrix, `length` × `length`, row-major: output row y is the mean of rows y − 1 and y
/// (row 0 of itself), where row y = `phases` · i + p of the picture is the input's row p · `length` / `phases` + i. Entries are
/// 0, ½ and 1, exact in FP16.
fn blur_matrix(length: usize, phases: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; length * length];
    for (y, row) in matrix.chunks_exact_mut(length.max(1)).enumerate() {
        for from in [y, y.saturating_sub(1)] {
            row[from % phases * (length / phases) + from / phases] += 0.5;
        }
    }
    matrix
}

fn same_attributes(rows: usize, columns: usize, groups: usize) -> Vec<AttributeProto> {
    vec![
        AttributeProto::ints("kernel_shape", &[rows, columns]),
        AttributeProto::ints("strides", &[1, 1]),
        AttributeProto::ints("pads", &[rows / 2, columns / 2, rows / 2, columns / 2]),
        AttributeProto::int("group", groups as i64),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_takes_each_row_with_the_one_above_it() {
        // Two phases of two rows: input rows 0, 2 of the picture, then 1, 3.
        #[rustfmt::skip]
        let want = [
            1.0, 0.0, 0.0, 0.0,
            0.5, 0.0, 0.5, 0.0,
            0.0, 0.5, 0.5, 0.0,
            0.0, 0.5, 0.0, 0.5,
        ];
        assert_eq!(blur_matrix(4, 2), want);
        assert_eq!(blur_matrix(2, 1), [1.0, 0.0, 0.5, 0.5]);
    }
}
