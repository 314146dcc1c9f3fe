//! The part of the ONNX file format that the graph needs, and its encoding.
//!
//! Field numbers are those of `onnx.proto3`. Weights are most of a file and are written
//! straight from where they lie into the file's buffer: no copy of all of them exists on the way.

use std::borrow::Cow;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use prost::Message;

use super::precision::Element;

/// The file format's version that came with opset 18 (ONNX 1.13).
const IR_VERSION: i64 = 8;
/// Version of the standard operators.
const OPSET: i64 = 18;
/// The domain of ONNX Runtime's own operators (`ContribOperators.md` of its documentation).
pub(super) const MICROSOFT: &str = "com.microsoft";

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    // Tag 7, the graph, is written by `encode`.
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A graph without its constants.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    // Tag 5, the constants, is written by `encode`.
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<AttributeProto>,
    /// Empty for the standard operators.
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(bytes = "vec", tag = "4")]
    s: Vec<u8>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    /// `AttributeProto.AttributeType`: 1 float, 2 integer, 3 string, 7 integers.
    #[prost(int32, tag = "20")]
    r#type: i32,
}

impl AttributeProto {
    pub(super) fn float(name: &str, value: f32) -> Self {
        Self { name: name.to_owned(), f: value, r#type: 1, ..Self::default() }
    }

    pub(super) fn int(name: &str, value: i64) -> Self {
        Self { name: name.to_owned(), i: value, r#type: 2, ..Self::default() }
    }

    pub(super) fn ints(name: &str, values: &[usize]) -> Self {
        Self { name: name.to_owned(), ints: values.iter().map(|&n| n as i64).collect(), r#type: 7, ..Self::default() }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeProto {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<DimensionProto>,
}

#[derive(Clone, PartialEq, Message)]
struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
}

impl ValueInfoProto {
    pub(super) fn new(name: &str, element: Element, shape: &[usize]) -> Self {
        let dim = shape.iter().map(|&n| DimensionProto { dim_value: Some(n as i64) }).collect();
        let tensor = TensorTypeProto { elem_type: element as i32, shape: Some(TensorShapeProto { dim }) };
        Self { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
    }
}

/// A tensor without its numbers.
#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    // Tag 9, the numbers, is written by `Constant::encode`.
}

/// A named constant of the graph.
pub(super) struct Constant<'w> {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers<'w>,
}

/// The numbers of a constant, in the format they will have in the file.
pub(super) enum Numbers<'w> {
    F32(Cow<'w, [f32]>),
    /// Rounded to FP16 when written. Beyond ±65504 that is infinity, which reaches the output and is noticed there.
    F16(Cow<'w, [f32]>),
    I64(Vec<i64>),
}

impl Numbers<'_> {
    const fn element(&self) -> Element {
        match self {
            Self::F32(_) => Element::F32,
            Self::F16(_) => Element::F16,
            Self::I64(_) => Element::I64,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => 4 * values.len(),
            Self::F16(values) => 2 * values.len(),
            Self::I64(values) => 8 * values.len(),
        }
    }

    fn write(&self, file: &mut Vec<u8>) {
        match self {
            Self::F32(values) => file.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::I64(values) => file.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16(values) => {
                let mut rounded = [f16::ZERO; 4096];
                for values in values.chunks(rounded.len()) {
                    let rounded = &mut rounded[..values.len()];
                    rounded.convert_from_f32_slice(values);
                    file.extend(rounded.iter().flat_map(|value| value.to_le_bytes()));
                }
            }
        }
    }
}

/// Protobuf key of a length-delimited field.
const fn key(field: u8) -> u8 {
    field << 3 | 2
}

/// Bytes of a length-delimited field with a one-byte key.
fn field_len(content: usize) -> usize {
    1 + prost::length_delimiter_len(content) + content
}

fn write_header(field: u8, content: usize, file: &mut Vec<u8>) {
    file.push(key(field));
    prost::encode_length_delimiter(content, file).expect("a Vec grows as needed");
}

impl Constant<'_> {
    fn header(&self) -> TensorProto {
        let dims = self.shape.iter().map(|&n| n as i64).collect();
        TensorProto { dims, data_type: self.numbers.element() as i32, name: self.name.clone() }
    }

    fn encoded_len(&self) -> usize {
        self.header().encoded_len() + field_len(self.numbers.bytes())
    }

    fn encode(&self, file: &mut Vec<u8>) {
        self.header().encode(file).expect("a Vec grows as needed");
        write_header(9, self.numbers.bytes(), file);
        self.numbers.write(file);
    }
}

/// The ONNX file of a graph, its constants, and a few words about it.
pub(super) fn encode(graph: &GraphProto, constants: &[Constant<'_>], metadata: &[(&str, String)]) -> Vec<u8> {
    let entry = |(key, value): &(&str, String)| StringStringEntryProto { key: (*key).to_owned(), value: value.clone() };
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        opset_import: [("", OPSET), (MICROSOFT, 1)]
            .map(|(domain, version)| OperatorSetIdProto { domain: domain.to_owned(), version })
            .to_vec(),
        metadata_props: metadata.iter().map(entry).collect(),
    };
    let graph_len = graph.encoded_len() + constants.iter().map(|constant| field_len(constant.encoded_len())).sum::<usize>();
    let mut file = Vec::with_capacity(model.encoded_len() + field_len(graph_len));
    model.encode(&mut file).expect("a Vec grows as needed");
    write_header(7, graph_len, &mut file);
    graph.encode(&mut file).expect("a Vec grows as needed");
    for constant in constants {
        write_header(5, constant.encoded_len(), &mut file);
        constant.encode(&mut file);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same messages with the fields that `encode` writes by hand.
    #[derive(Clone, PartialEq, Message)]
    struct WholeModel {
        #[prost(message, optional, tag = "7")]
        graph: Option<WholeGraph>,
        #[prost(message, repeated, tag = "8")]
        opset_import: Vec<OperatorSetIdProto>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct WholeGraph {
        #[prost(message, repeated, tag = "1")]
        node: Vec<NodeProto>,
        #[prost(message, repeated, tag = "5")]
        initializer: Vec<WholeTensor>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct WholeTensor {
        #[prost(int64, repeated, tag = "1")]
        dims: Vec<i64>,
        #[prost(int32, tag = "2")]
        data_type: i32,
        #[prost(string, tag = "8")]
        name: String,
        #[prost(bytes = "vec", tag = "9")]
        raw_data: Vec<u8>,
    }

    #[test]
    fn what_is_written_by_hand_reads_back_as_protobuf() {
        let node = NodeProto { op_type: "Relu".to_owned(), ..NodeProto::default() };
        let graph = GraphProto { node: vec![node.clone()], name: "g".to_owned(), ..GraphProto::default() };
        let long: Vec<f32> = (0..5000).map(|i| i as f32 / 8.0).collect();
        let constants = [
            Constant { name: "single".to_owned(), shape: vec![2], numbers: Numbers::F32(vec![1.5, -2.0].into()) },
            Constant { name: "half".to_owned(), shape: vec![50, 100], numbers: Numbers::F16(long.as_slice().into()) },
            Constant { name: "shape".to_owned(), shape: vec![1], numbers: Numbers::I64(vec![-1]) },
        ];
        let file = encode(&graph, &constants, &[("architecture", "test".to_owned())]);
        let model = WholeModel::decode(file.as_slice()).unwrap();
        assert_eq!(model.opset_import[0].version, OPSET);
        let read = model.graph.unwrap();
        assert_eq!(read.node, [node]);
        let [single, half, shape] = read.initializer.as_slice() else { panic!("three constants: {read:?}") };
        assert_eq!(
            (single.data_type, &single.dims, &single.raw_data),
            (1, &vec![2], &[1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat())
        );
        assert_eq!((half.data_type, half.dims.as_slice(), half.raw_data.len()), (10, [50, 100].as_slice(), 10_000));
        let expected: Vec<u8> = long.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        assert_eq!(half.raw_data, expected);
        assert_eq!((shape.data_type, &shape.raw_data, shape.name.as_str()), (7, &(-1_i64).to_le_bytes().to_vec(), "shape"));
    }
}
