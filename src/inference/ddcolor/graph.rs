//! Builds a graph of ONNX operators with static shapes, node by node.
//!
//! A [`Value`] knows its shape and its element type. Weights take the element type of what they are applied to, so
//! precision follows the data. Knows how nodes, constants and results are written, and the operators that every provider
//! runs alike; `operators` has those that differ, and the network is stated in the parts (`encoder`, `unet`,
//! `color_decoder`, `tail`).

use std::borrow::Cow;

use super::fold::Linear;
use super::onnx::{AttributeProto, Constant, GraphProto, MICROSOFT, NodeProto, Numbers, ValueInfoProto, encode};
use super::precision::Element;
use super::{GraphSpec, Outputs};

/// A tensor in the graph.
#[derive(Debug, Clone)]
pub(super) struct Value {
    name: String,
    /// Static.
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
}

/// Features of a batch of pictures, one row a place: [pictures · rows · columns, 1, channels].
///
/// Channels lie together, so that norms and products work on whole rows; the axis in the middle lets a norm's bias
/// broadcast.
#[derive(Debug, Clone)]
pub(super) struct Features {
    pub(super) x: Value,
    /// Rows and columns of one picture.
    pub(super) extent: [usize; 2],
}

impl Features {
    pub(super) fn channels(&self) -> usize {
        self.x.shape[2]
    }
}

/// A graph under construction; constants borrow from the weights.
pub(super) struct Graph<'w> {
    pub(super) spec: GraphSpec,
    /// What everything that is no island computes in.
    body: Element,
    scope: String,
    nodes: Vec<NodeProto>,
    inputs: Vec<ValueInfoProto>,
    constants: Vec<Constant<'w>>,
    /// Tensors of one number that several nodes use: its bits, and the tensor.
    fills: Vec<(u32, Value)>,
    /// Results by the names they have outside.
    outputs: Vec<(String, Value)>,
}

impl<'w> Graph<'w> {
    pub(super) const fn new(spec: GraphSpec) -> Self {
        Self {
            spec,
            body: Element::body(spec.precision),
            scope: String::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            constants: Vec::new(),
            fills: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Whether parts show results that the network itself does not need.
    pub(super) fn is_traced(&self) -> bool {
        self.spec.outputs == Outputs::Traced
    }

    /// Makes a value a result of the graph, in FP32, under this name.
    pub(super) fn show(&mut self, name: impl Into<String>, value: &Value) {
        self.show_in(Element::F32, name, value);
    }

    /// As [`Graph::show`], in another number format; gives it back as it is shown.
    pub(super) fn show_in(&mut self, element: Element, name: impl Into<String>, value: &Value) -> Value {
        let value = self.cast(value, element);
        self.outputs.push((name.into(), value.clone()));
        value
    }

    /// Shows features as [pictures, channels, rows, columns].
    pub(super) fn show_features(&mut self, name: impl Into<String>, features: &Features) {
        let map = self.channels_first(features);
        self.show(name, &map);
    }

    /// Names the part that the next nodes belong to, as checkpoints name it: profiles and error messages show it.
    pub(super) fn enter(&mut self, scope: impl Into<String>) {
        self.scope = scope.into();
    }

    pub(super) fn input(&mut self, name: &str, shape: &[usize]) -> Value {
        let element = Element::body(self.spec.ports);
        self.inputs.push(ValueInfoProto::new(name, element, shape));
        Value { name: name.to_owned(), shape: shape.to_vec(), element }
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

    /// A standard operator whose result has the element type of its first input.
    pub(super) fn node(&mut self, op: &str, inputs: &[&Value], shape: Vec<usize>, attributes: Vec<AttributeProto>) -> Value {
        let element = inputs[0].element;
        self.push("", op, inputs, shape, element, attributes)
    }

    /// As [`Graph::node`], of ONNX Runtime's own operators.
    pub(super) fn own_node(&mut self, op: &str, inputs: &[&Value], shape: Vec<usize>, attributes: Vec<AttributeProto>) -> Value {
        let element = inputs[0].element;
        self.push(MICROSOFT, op, inputs, shape, element, attributes)
    }

    fn push(
        &mut self,
        domain: &str,
        op: &str,
        inputs: &[&Value],
        shape: Vec<usize>,
        element: Element,
        attribute: Vec<AttributeProto>,
    ) -> Value {
        let name = format!("{}/{op}.{}", self.scope, self.nodes.len());
        let input = inputs.iter().map(|value| value.name.clone()).collect();
        let (op_type, domain) = (op.to_owned(), domain.to_owned());
        self.nodes.push(NodeProto { input, output: vec![name.clone()], name: name.clone(), op_type, attribute, domain });
        Value { name, shape, element }
    }

    /// Numbers as a tensor of the graph.
    pub(super) fn constant(&mut self, shape: &[usize], numbers: impl Into<Cow<'w, [f32]>>, element: Element) -> Value {
        let numbers = numbers.into();
        debug_assert_eq!(numbers.len(), shape.iter().product::<usize>(), "{}", self.scope);
        let numbers = if element == Element::F16 { Numbers::F16(numbers) } else { Numbers::F32(numbers) };
        self.store(shape, element, numbers)
    }

    /// A tensor of one number.
    pub(super) fn filled(&mut self, shape: &[usize], number: f32, element: Element) -> Value {
        let known = |(bits, value): &&(u32, Value)| *bits == number.to_bits() && value.shape == shape && value.element == element;
        if let Some((_, value)) = self.fills.iter().find(known) {
            return value.clone();
        }
        let value = self.constant(shape, vec![number; shape.iter().product()], element);
        self.fills.push((number.to_bits(), value.clone()));
        value
    }

    pub(super) fn integers(&mut self, numbers: &[usize]) -> Value {
        let values = numbers.iter().map(|&n| n as i64).collect();
        self.store(&[numbers.len()], Element::I64, Numbers::I64(values))
    }

    fn store(&mut self, shape: &[usize], element: Element, numbers: Numbers<'w>) -> Value {
        let name = format!("{}/constant.{}", self.scope, self.constants.len());
        self.constants.push(Constant { name: name.clone(), shape: shape.to_vec(), numbers });
        Value { name, shape: shape.to_vec(), element }
    }

    pub(super) fn cast(&mut self, x: &Value, to: Element) -> Value {
        if x.element == to {
            return x.clone();
        }
        self.push("", "Cast", &[x], x.shape.clone(), to, vec![AttributeProto::int("to", to as i64)])
    }

    /// In the number format of the body.
    pub(super) fn body(&mut self, x: &Value) -> Value {
        self.cast(x, self.body)
    }

    /// One where `a` ≤ `b`, else zero, in FP32.
    pub(super) fn at_most(&mut self, a: &Value, b: &Value) -> Value {
        let found = self.push("", "LessOrEqual", &[a, b], a.shape.clone(), Element::Bool, vec![]);
        self.cast(&found, Element::F32)
    }

    /// Features of rows that lie in this order already.
    pub(super) fn features(&mut self, x: &Value, extent: [usize; 2]) -> Features {
        let places = self.spec.pictures * extent[0] * extent[1];
        let channels = x.shape.iter().product::<usize>() / places;
        Features { x: self.reshape(x, &[places, 1, channels]), extent }
    }

    /// Features as [pictures, rows, columns, channels].
    pub(super) fn map(&mut self, features: &Features) -> Value {
        let [rows, columns] = features.extent;
        self.reshape(&features.x, &[self.spec.pictures, rows, columns, features.channels()])
    }

    /// Features as [pictures, channels, rows, columns].
    pub(super) fn channels_first(&mut self, features: &Features) -> Value {
        let map = self.map(features);
        self.transpose(&map, &[0, 3, 1, 2])
    }

    /// `x · weight` along the last axis, without the bias.
    pub(super) fn product(&mut self, x: &Value, layer: &'w Linear) -> Value {
        let weight = self.constant(&[layer.inputs, layer.outputs], layer.weight.as_slice(), x.element);
        self.matmul(x, &weight)
    }

    /// `x · weight + bias` along the last axis.
    pub(super) fn linear(&mut self, x: &Value, layer: &'w Linear) -> Value {
        let product = self.product(x, layer);
        let bias = self.constant(&[layer.outputs], layer.bias.as_slice(), x.element);
        self.add(&product, &bias)
    }

    /// Matrix product over the last two axes; the axes before them are broadcast.
    pub(super) fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        let (rows, columns) = (a.shape[a.shape.len() - 2], b.shape[b.shape.len() - 1]);
        debug_assert_eq!(a.shape.last(), b.shape.iter().nth_back(1), "{}", self.scope);
        let mut shape = broadcast(&a.shape[..a.shape.len() - 2], &b.shape[..b.shape.len() - 2]);
        shape.extend([rows, columns]);
        self.node("MatMul", &[a, b], shape, vec![])
    }

    /// Sum, broadcasting axes of length 1 and missing leading axes.
    pub(super) fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.elementwise("Add", a, b)
    }

    /// The larger of each number and its column's of `floor`.
    pub(super) fn at_least(&mut self, x: &Value, floor: &'w [f32]) -> Value {
        let floor = self.constant(&[floor.len()], floor, x.element);
        self.elementwise("Max", x, &floor)
    }

    pub(super) fn mul(&mut self, a: &Value, b: &Value) -> Value {
        self.elementwise("Mul", a, b)
    }

    fn elementwise(&mut self, op: &str, a: &Value, b: &Value) -> Value {
        debug_assert_eq!(a.element, b.element, "{}", self.scope);
        let shape = broadcast(&a.shape, &b.shape);
        self.node(op, &[a, b], shape, vec![])
    }

    pub(super) fn relu(&mut self, x: &Value) -> Value {
        self.node("Relu", &[x], x.shape.clone(), vec![])
    }

    pub(super) fn transpose(&mut self, x: &Value, axes: &[usize]) -> Value {
        let shape = axes.iter().map(|&axis| x.shape[axis]).collect();
        self.node("Transpose", &[x], shape, vec![AttributeProto::ints("perm", axes)])
    }

    pub(super) fn reshape(&mut self, x: &Value, shape: &[usize]) -> Value {
        debug_assert_eq!(x.shape.iter().product::<usize>(), shape.iter().product::<usize>(), "{}", self.scope);
        if x.shape == shape {
            return x.clone();
        }
        let target = self.integers(shape);
        self.node("Reshape", &[x, &target], shape.to_vec(), vec![])
    }

    /// `count` of the places along one axis.
    pub(super) fn slice(&mut self, x: &Value, axis: usize, from: usize, count: usize) -> Value {
        let mut shape = x.shape.clone();
        shape[axis] = count;
        let [from, to, axis] = [from, from + count, axis].map(|number| self.integers(&[number]));
        self.node("Slice", &[x, &from, &to, &axis], shape, vec![])
    }

    pub(super) fn concat(&mut self, parts: &[&Value], axis: usize) -> Value {
        let mut shape = parts[0].shape.clone();
        shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
        self.node("Concat", parts, shape, vec![AttributeProto::int("axis", axis as i64)])
    }
}

/// The shape of an operation on two tensors: axes of length 1 and missing leading axes stretch.
fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let axis = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
    (0..rank).map(|i| axis(a, i).max(axis(b, i))).collect()
}
