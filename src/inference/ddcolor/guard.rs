//! What the network says of its own a* and b*, found where they are: a few passes on the card instead of a look at every
//! value by the processor.
//!
//! Each picture is counted in strips, and whoever reads them adds them up: the card's reduction of one long row keeps most of it
//! idle, 8 ms for eight pictures where strips take a few microseconds.

use super::architecture::AB;
use super::graph::{Graph, Value};
use super::onnx::AttributeProto;
use super::precision::Element;

/// Strips of a picture: its values divide by this, since sides are multiples of 32.
pub const STRIPS: usize = 1024;

/// Numbers of a strip, each for all pictures and strips before the next: how many values of a* and b* are finite; the smallest and
/// the largest of them; mean chroma √(a*² + b*²), and its mean square. All but the first mean nothing unless every value is
/// finite.
pub const SAID: usize = 5;

/// Shows `said` [SAID, pictures, STRIPS] of `ab` [pictures, 2, H, W], counted in FP32: sums and squares leave FP16's range.
pub(super) fn emit(graph: &mut Graph<'_>, ab: &Value) {
    graph.enter("guard");
    let ab = &graph.cast(ab, Element::F32);
    let &[pictures, _, height, width] = ab.shape.as_slice() else { unreachable!("a* and b* have four axes") };
    let pixels = height * width;
    let values = graph.reshape(ab, &[pictures * STRIPS, AB * pixels / STRIPS]);
    let largest = graph.filled(&[1], f32::MAX, Element::F32);
    // No comparison with what is not a number holds.
    let size = graph.node("Abs", &[&values], values.shape.clone(), vec![]);
    let finite = graph.at_most(&size, &largest);
    let finite = reduce(graph, "ReduceSum", &finite);
    let low = reduce(graph, "ReduceMin", &values);
    let high = reduce(graph, "ReduceMax", &values);
    // Of squares: their sum over a* and b* as a product with [1, 1], which is faster than a sum over an axis outside.
    let squares = graph.mul(ab, ab);
    let squares = graph.reshape(&squares, &[pictures, AB, pixels]);
    let ones = graph.filled(&[1, AB], 1.0, Element::F32);
    let squares = graph.matmul(&ones, &squares);
    let squares = graph.reshape(&squares, &[pictures * STRIPS, pixels / STRIPS]);
    let chroma = graph.node("Sqrt", &[&squares], squares.shape.clone(), vec![]);
    let mean = reduce(graph, "ReduceMean", &chroma);
    let square = reduce(graph, "ReduceMean", &squares);
    let said = graph.concat(&[&finite, &low, &high, &mean, &square], 0);
    let said = graph.reshape(&said, &[SAID, pictures, STRIPS]);
    graph.show("said", &said);
}

/// [rows, numbers] to [rows, 1].
fn reduce(graph: &mut Graph<'_>, op: &str, x: &Value) -> Value {
    let axis = graph.integers(&[1]);
    graph.node(op, &[x, &axis], vec![x.shape[0], 1], vec![AttributeProto::int("keepdims", 1)])
}
