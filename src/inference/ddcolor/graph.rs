//! Builds a graph of standard ONNX operators with static shapes, node by node.
//!
//! A [`Value`] knows its shape and its element type. Weights take the element type of what they are applied to, so
//! precision follows the data: a part of the graph is an island of FP32 because its input was cast. Knows operators;
//! the network is stated in the parts (`encoder`, `unet`, `color_decoder`, `tail`).

use std::borrow::Cow;

use super::fold::{Conv, Linear, Norm};
use super::onnx::{AttributeProto, Constant, GraphProto, NodeProto, Numbers, ValueInfoProto, encode};
use super::precision::Element;

/// A tensor in the graph.
#[derive(Debug, Clone)]
pub(super) struct Value {
    name: String,
    /// Static, the batch of one included.
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
}

impl Value {
    /// Rows and columns of a [1, channels, rows, columns] tensor.
    pub(super) fn extent(&self) -> [usize; 2] {
        [self.shape[2], self.shape[3]]
    }
}

/// How channels of a tensor become places of a block, in the words of `DepthToSpace`.
#[derive(Debug, Clone, Copy)]
pub(super) enum ChannelOrder {
    /// Channel first, place in the block last: PyTorch's `pixel_shuffle`.
    Crd,
    /// Place in the block first, channel last.
    Dcr,
}

/// A graph under construction; constants borrow from the weights.
pub(super) struct Graph<'w> {
    /// What everything that is no island computes in.
    body: Element,
    scope: String,
    nodes: Vec<NodeProto>,
    inputs: Vec<ValueInfoProto>,
    constants: Vec<Constant<'w>>,
    /// Numbers that several nodes use.
    scalars: Vec<(u32, Value)>,
    /// Results by the names they have outside.
    outputs: Vec<(String, Value)>,
    traced: bool,
}

impl<'w> Graph<'w> {
    pub(super) const fn new(body: Element) -> Self {
        Self {
            body,
            scope: String::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            constants: Vec::new(),
            scalars: Vec::new(),
            outputs: Vec::new(),
            traced: false,
        }
    }

    /// From here on the parts of the network show their results.
    pub(super) const fn trace(&mut self) {
        self.traced = true;
    }

    /// Whether parts show results that the network itself does not need.
    pub(super) const fn is_traced(&self) -> bool {
        self.traced
    }

    /// Makes a value a result of the graph, in FP32, under this name.
    pub(super) fn show(&mut self, name: impl Into<String>, value: &Value) {
        let value = self.island(value);
        self.outputs.push((name.into(), value));
    }

    /// Names the part that the next nodes belong to, as checkpoints name it: profiles and error messages show it.
    pub(super) fn enter(&mut self, scope: impl Into<String>) {
        self.scope = scope.into();
    }

    pub(super) fn input(&mut self, name: &str, shape: &[usize]) -> Value {
        self.inputs.push(ValueInfoProto::new(name, Element::F32, shape));
        Value { name: name.to_owned(), shape: shape.to_vec(), element: Element::F32 }
    }

    /// The file of the graph; its results are what was shown.
    pub(super) fn finish(mut self, metadata: &[(&str, String)]) -> Vec<u8> {
        for (name, value) in &self.outputs {
            let links = self.nodes.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
            links.filter(|link| **link == value.name).for_each(|link| name.clone_into(link));
        }
        let output = self.outputs.iter().map(|(name, value)| ValueInfoProto::new(name, value.element, &value.shape)).collect();
        let graph = GraphProto { node: self.nodes, name: "ddcolor".to_owned(), input: self.inputs, output };
        encode(&graph, &self.constants, metadata)
    }

    fn node(&mut self, op: &str, inputs: &[&Value], shape: Vec<usize>, attributes: Vec<AttributeProto>) -> Value {
        let element = inputs[0].element;
        self.typed_node(op, inputs, shape, element, attributes)
    }

    fn typed_node(
        &mut self,
        op: &str,
        inputs: &[&Value],
        shape: Vec<usize>,
        element: Element,
        attribute: Vec<AttributeProto>,
    ) -> Value {
        let name = format!("{}/{op}.{}", self.scope, self.nodes.len());
        let input = inputs.iter().map(|value| value.name.clone()).collect();
        self.nodes.push(NodeProto { input, output: vec![name.clone()], name: name.clone(), op_type: op.to_owned(), attribute });
        Value { name, shape, element }
    }

    /// Numbers as a tensor of the graph.
    pub(super) fn constant(&mut self, shape: &[usize], numbers: impl Into<Cow<'w, [f32]>>, element: Element) -> Value {
        let numbers = numbers.into();
        debug_assert_eq!(numbers.len(), shape.iter().product::<usize>(), "{}", self.scope);
        let numbers = if element == Element::F16 { Numbers::F16(numbers) } else { Numbers::F32(numbers) };
        self.store(shape, element, numbers)
    }

    fn integers(&mut self, numbers: &[usize]) -> Value {
        let values = numbers.iter().map(|&n| n as i64).collect();
        self.store(&[numbers.len()], Element::I64, Numbers::I64(values))
    }

    fn scalar(&mut self, number: f32, element: Element) -> Value {
        let known = |(bits, value): &&(u32, Value)| *bits == number.to_bits() && value.element == element;
        if let Some((_, value)) = self.scalars.iter().find(known) {
            return value.clone();
        }
        let value = self.constant(&[], vec![number], element);
        self.scalars.push((number.to_bits(), value.clone()));
        value
    }

    fn store(&mut self, shape: &[usize], element: Element, numbers: Numbers<'w>) -> Value {
        let name = format!("{}/constant.{}", self.scope, self.constants.len());
        self.constants.push(Constant { name: name.clone(), shape: shape.to_vec(), numbers });
        Value { name, shape: shape.to_vec(), element }
    }

    fn cast(&mut self, x: &Value, to: Element) -> Value {
        if x.element == to {
            return x.clone();
        }
        self.typed_node("Cast", &[x], x.shape.clone(), to, vec![AttributeProto::int("to", to as i64)])
    }

    /// In the number format of the body.
    pub(super) fn body(&mut self, x: &Value) -> Value {
        self.cast(x, self.body)
    }

    /// In FP32: the beginning of an island.
    pub(super) fn island(&mut self, x: &Value) -> Value {
        self.cast(x, Element::F32)
    }

    /// Convolution with the kernel as stride, no padding: non-overlapping patches, 1×1 included.
    pub(super) fn patch_conv(&mut self, x: &Value, layer: &'w Conv) -> Value {
        let [_, _, rows, columns] = layer.shape;
        self.conv(x, layer, [rows, columns], 0, 1)
    }

    /// Convolution with stride 1 and zeros around, so that the extent stays; `groups` of channels by themselves.
    pub(super) fn same_conv(&mut self, x: &Value, layer: &'w Conv, groups: usize) -> Value {
        self.conv(x, layer, [1, 1], layer.shape[2] / 2, groups)
    }

    fn conv(&mut self, x: &Value, layer: &'w Conv, strides: [usize; 2], padding: usize, groups: usize) -> Value {
        let [outputs, inputs, rows, columns] = layer.shape;
        debug_assert_eq!(x.shape[1], inputs * groups, "{}", self.scope);
        let [h, w] = x.extent();
        let shape = vec![1, outputs, (h + 2 * padding - rows) / strides[0] + 1, (w + 2 * padding - columns) / strides[1] + 1];
        let weight = self.constant(&layer.shape, layer.weight.as_slice(), x.element);
        let bias = layer.bias.as_ref().map(|bias| self.constant(&[outputs], bias.as_slice(), x.element));
        let attributes = vec![
            AttributeProto::ints("kernel_shape", &[rows, columns]),
            AttributeProto::ints("strides", &strides),
            AttributeProto::ints("pads", &[padding; 4]),
            AttributeProto::int("group", groups as i64),
        ];
        let inputs: Vec<&Value> = [x, &weight].into_iter().chain(&bias).collect();
        self.node("Conv", &inputs, shape, attributes)
    }

    /// `x · weight + bias` along the last axis.
    pub(super) fn linear(&mut self, x: &Value, layer: &'w Linear) -> Value {
        let weight = self.constant(&[layer.inputs, layer.outputs], layer.weight.as_slice(), x.element);
        let bias = self.constant(&[layer.outputs], layer.bias.as_slice(), x.element);
        let product = self.matmul(x, &weight);
        self.add(&product, &bias)
    }

    /// Matrix product over the last two axes; the axes before them are those of the operand that has more.
    pub(super) fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        let (rows, columns) = (a.shape[a.shape.len() - 2], b.shape[b.shape.len() - 1]);
        debug_assert_eq!(a.shape.last(), b.shape.iter().nth_back(1), "{}", self.scope);
        let batch = if a.shape.len() >= b.shape.len() { &a.shape } else { &b.shape };
        let shape = batch[..batch.len() - 2].iter().copied().chain([rows, columns]).collect();
        self.node("MatMul", &[a, b], shape, vec![])
    }

    /// Sum, broadcasting axes of length 1 and missing leading axes.
    pub(super) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.elementwise("Add", a, b)
    }

    fn elementwise(&mut self, op: &str, a: &Value, b: &Value) -> Value {
        debug_assert_eq!(a.element, b.element, "{}", self.scope);
        let rank = a.shape.len().max(b.shape.len());
        let axis = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
        let shape = (0..rank).map(|i| axis(&a.shape, i).max(axis(&b.shape, i))).collect();
        self.node(op, &[a, b], shape, vec![])
    }

    pub(super) fn relu(&mut self, x: &Value) -> Value {
        self.node("Relu", &[x], x.shape.clone(), vec![])
    }

    /// x · Φ(x) in its error-function form, spelled as ONNX Runtime's fusion expects it.
    pub(super) fn gelu(&mut self, x: &Value) -> Value {
        let [root, one, half] = [std::f32::consts::SQRT_2, 1.0, 0.5].map(|number| self.scalar(number, x.element));
        let scaled = self.elementwise("Div", x, &root);
        let erf = self.node("Erf", &[&scaled], x.shape.clone(), vec![]);
        let raised = self.add(&erf, &one);
        let product = self.elementwise("Mul", x, &raised);
        self.elementwise("Mul", &product, &half)
    }

    /// Along the last axis.
    pub(super) fn softmax(&mut self, x: &Value) -> Value {
        self.node("Softmax", &[x], x.shape.clone(), vec![AttributeProto::int("axis", -1)])
    }

    /// Layer normalisation along the last axis; mean and variance in FP32 whatever the element type.
    pub(super) fn layer_norm(&mut self, x: &Value, norm: &'w Norm) -> Value {
        let [scale, shift] = [&norm.scale, &norm.shift].map(|part| self.constant(&[part.len()], part.as_slice(), x.element));
        let attributes = vec![
            AttributeProto::int("axis", -1),
            AttributeProto::float("epsilon", norm.epsilon),
            AttributeProto::int("stash_type", Element::F32 as i64),
        ];
        self.node("LayerNormalization", &[x, &scale, &shift], x.shape.clone(), attributes)
    }

    /// `x · scale + shift`, channel by channel of a [1, channels, rows, columns] tensor, in FP32.
    pub(super) fn affine_channels(&mut self, x: &Value, scale: &'w [f32], shift: &'w [f32]) -> Value {
        let x = self.island(x);
        let [scale, shift] = [scale, shift].map(|part| self.constant(&[1, part.len(), 1, 1], part, x.element));
        let scaled = self.elementwise("Mul", &x, &scale);
        self.add(&scaled, &shift)
    }

    /// Layer normalisation over the channels of a [1, channels, rows, columns] tensor.
    pub(super) fn layer_norm_channels(&mut self, x: &Value, norm: &'w Norm) -> Value {
        let last = self.channels_last(x);
        let normal = self.layer_norm(&last, norm);
        self.channels_first(&normal)
    }

    /// [1, channels, rows, columns] to [1, rows, columns, channels].
    pub(super) fn channels_last(&mut self, x: &Value) -> Value {
        self.transpose(x, &[0, 2, 3, 1])
    }

    /// [1, rows, columns, channels] to [1, channels, rows, columns].
    pub(super) fn channels_first(&mut self, x: &Value) -> Value {
        self.transpose(x, &[0, 3, 1, 2])
    }

    pub(super) fn transpose(&mut self, x: &Value, axes: &[usize]) -> Value {
        let shape = axes.iter().map(|&axis| x.shape[axis]).collect();
        self.node("Transpose", &[x], shape, vec![AttributeProto::ints("perm", axes)])
    }

    pub(super) fn reshape(&mut self, x: &Value, shape: &[usize]) -> Value {
        debug_assert_eq!(x.shape.iter().product::<usize>(), shape.iter().product::<usize>(), "{}", self.scope);
        let target = self.integers(shape);
        self.node("Reshape", &[x, &target], shape.to_vec(), vec![])
    }

    pub(super) fn concat(&mut self, parts: &[&Value], axis: usize) -> Value {
        let mut shape = parts[0].shape.clone();
        shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
        self.node("Concat", parts, shape, vec![AttributeProto::int("axis", axis as i64)])
    }

    /// Channels to the places of `block` × `block` pixels.
    pub(super) fn depth_to_space(&mut self, x: &Value, block: usize, order: ChannelOrder) -> Value {
        let [h, w] = x.extent();
        let mode = match order {
            ChannelOrder::Crd => "CRD",
            ChannelOrder::Dcr => "DCR",
        };
        let attributes = vec![AttributeProto::int("blocksize", block as i64), AttributeProto::string("mode", mode)];
        self.node("DepthToSpace", &[x], vec![1, x.shape[1] / (block * block), h * block, w * block], attributes)
    }

    /// Mean of each pixel with its upper and left neighbours, the edge repeated: takes the checkerboard out of a pixel
    /// shuffle.
    pub(super) fn blur(&mut self, x: &Value) -> Value {
        let [h, w] = x.extent();
        // Begin of each axis, then end of each axis: one row above, one column to the left.
        let pads = self.integers(&[0, 0, 1, 1, 0, 0, 0, 0]);
        let padded =
            self.node("Pad", &[x, &pads], vec![1, x.shape[1], h + 1, w + 1], vec![AttributeProto::string("mode", "edge")]);
        let attributes = vec![AttributeProto::ints("kernel_shape", &[2, 2]), AttributeProto::ints("strides", &[1, 1])];
        self.node("AveragePool", &[&padded], x.shape.clone(), attributes)
    }
}
