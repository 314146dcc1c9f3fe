//! Reads an ONNX model as far as it has to be known before it is trusted to the runtime.
//!
//! Field numbers are those of `onnx.proto3`. A field that protobuf would merge is merged here, too: what the runtime will
//! see must be what was looked at. Judges nothing but external data; the rest is `foreign`'s.

use std::collections::BTreeSet;

use super::ForeignError;
use super::wire::{Fields, Malformed, Value, varint};
use crate::inference::ddcolor::printable;

/// Graphs inside graphs: control flow has two or three. Deeper is an attack on the reader's stack.
const DEEPEST: usize = 16;

/// `TensorProto.DataType`.
pub(super) const FLOAT: u64 = 1;
/// `TensorProto.DataType`.
pub(super) const FLOAT16: u64 = 10;
/// Types of numbers that are learned; the others hold shapes and switches: uint8, int8, double, bfloat16 and the 8-bit floats.
const LEARNED: &[u64] = &[FLOAT, 2, 3, FLOAT16, 11, 16, 17, 18, 19, 20];

/// An axis of a declared tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis<'a> {
    /// Always this long.
    Fixed(u64),
    /// As long as the run makes it; the name is empty where the file gives none.
    Free(&'a str),
}

/// An input or output of the graph.
#[derive(Debug, Default)]
pub(super) struct Declared<'a> {
    pub(super) name: &'a str,
    /// `TensorProto.DataType`; 0 when it is no tensor.
    pub(super) element: u64,
    /// `None`: no shape is declared.
    pub(super) axes: Option<Vec<Axis<'a>>>,
}

/// What a model says of itself.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    pub(super) ir_version: u64,
    pub(super) nodes: u64,
    pub(super) inputs: Vec<Declared<'a>>,
    pub(super) outputs: Vec<Declared<'a>>,
    /// Names of the constants of the outermost graph.
    pub(super) constants: BTreeSet<&'a str>,
    /// Learned numbers of all graphs.
    pub(super) parameters: u64,
    /// Those of them that are FP16.
    pub(super) parameters_fp16: u64,
    /// Length of the file: no tensor has more numbers than that.
    length: u64,
}

/// Reads a whole model.
pub(super) fn read(file: &[u8]) -> Result<Facts<'_>, ForeignError> {
    let mut facts = Facts { length: file.len() as u64, ..Facts::default() };
    for field in Fields::of(file) {
        match field? {
            (1, Value::Number(version)) => facts.ir_version = version,
            (7, Value::Bytes(graph)) => facts.graph(graph, 0)?,
            // Training information: an initialization and an algorithm.
            (20, Value::Bytes(training)) => each(training, &[1, 2], |graph| facts.graph(graph, 1))?,
            (25, Value::Bytes(function)) => facts.function(function)?,
            _ => {}
        }
    }
    Ok(facts)
}

impl From<Malformed> for ForeignError {
    fn from(Malformed: Malformed) -> Self {
        Self::Format { what: "its bytes end early or are no protobuf message".to_owned() }
    }
}

/// The messages in the fields `numbers` of a message.
fn each<'a>(
    message: &'a [u8],
    numbers: &[u64],
    mut look: impl FnMut(&'a [u8]) -> Result<(), ForeignError>,
) -> Result<(), ForeignError> {
    for field in Fields::of(message) {
        if let (number, Value::Bytes(inner)) = field?
            && numbers.contains(&number)
        {
            look(inner)?;
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, ForeignError> {
    std::str::from_utf8(bytes).map_err(|_| ForeignError::Format { what: "a name is not text".to_owned() })
}

impl<'a> Facts<'a> {
    fn graph(&mut self, graph: &'a [u8], depth: usize) -> Result<(), ForeignError> {
        if depth > DEEPEST {
            return Err(ForeignError::Format { what: format!("graphs lie more than {DEEPEST} deep inside each other") });
        }
        for field in Fields::of(graph) {
            match field? {
                (1, Value::Bytes(node)) => self.node(node, depth)?,
                (5, Value::Bytes(tensor)) => {
                    let name = self.tensor(tensor)?;
                    if depth == 0 {
                        self.constants.insert(name);
                    }
                }
                (15, Value::Bytes(sparse)) => self.sparse(sparse)?,
                (11, Value::Bytes(input)) if depth == 0 => self.inputs.push(declared(input)?),
                (12, Value::Bytes(output)) if depth == 0 => self.outputs.push(declared(output)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &'a [u8], depth: usize) -> Result<(), ForeignError> {
        self.nodes += 1;
        each(node, &[5], |attribute| self.attribute(attribute, depth))
    }

    fn function(&mut self, function: &'a [u8]) -> Result<(), ForeignError> {
        each(function, &[7], |node| self.node(node, 1))?;
        each(function, &[11], |attribute| self.attribute(attribute, 1))
    }

    fn attribute(&mut self, attribute: &'a [u8], depth: usize) -> Result<(), ForeignError> {
        for field in Fields::of(attribute) {
            match field? {
                (5 | 10, Value::Bytes(tensor)) => drop(self.tensor(tensor)?),
                (6 | 11, Value::Bytes(graph)) => self.graph(graph, depth + 1)?,
                (22 | 23, Value::Bytes(sparse)) => self.sparse(sparse)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Values and indices; they are counted as they are stored.
    fn sparse(&mut self, sparse: &'a [u8]) -> Result<(), ForeignError> {
        each(sparse, &[1, 2], |tensor| self.tensor(tensor).map(drop))
    }

    /// Counts a tensor and gives its name.
    fn tensor(&mut self, tensor: &'a [u8]) -> Result<&'a str, ForeignError> {
        let (mut name, mut element, mut count) = ("", 0, Some(1_u64));
        let (mut is_external, mut location) = (false, None);
        for field in Fields::of(tensor) {
            match field? {
                (1, Value::Number(side)) => count = count.and_then(|count| count.checked_mul(side)),
                (1, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        let side = varint(&mut packed).ok_or(Malformed)?;
                        count = count.and_then(|count| count.checked_mul(side));
                    }
                }
                (2, Value::Number(number)) => element = number,
                (8, Value::Bytes(bytes)) => name = text(bytes)?,
                (13, Value::Bytes(entry)) => {
                    is_external = true;
                    location = external_location(entry)?.or(location);
                }
                (14, Value::Number(place)) => is_external |= place != 0,
                _ => {}
            }
        }
        if is_external {
            let file = printable(location.unwrap_or("without a name"));
            return Err(ForeignError::External { tensor: printable(name), file });
        }
        let count = count.filter(|&count| count <= self.length);
        let count = count.ok_or_else(|| ForeignError::Format {
            what: format!("tensor {} claims more numbers than the file has bytes", printable(name)),
        })?;
        if LEARNED.contains(&element) {
            // Each is at most the file's length, and there are fewer than that.
            self.parameters = self.parameters.saturating_add(count);
            self.parameters_fp16 = self.parameters_fp16.saturating_add(if element == FLOAT16 { count } else { 0 });
        }
        Ok(name)
    }
}

/// The file that an entry of `external_data` names, if that is what it says.
fn external_location(entry: &[u8]) -> Result<Option<&str>, ForeignError> {
    let (mut key, mut value) = ("", "");
    for field in Fields::of(entry) {
        match field? {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    Ok((key == "location").then_some(value))
}

/// A `ValueInfoProto`.
fn declared(value: &[u8]) -> Result<Declared<'_>, ForeignError> {
    let mut found = Declared::default();
    for field in Fields::of(value) {
        match field? {
            (1, Value::Bytes(bytes)) => found.name = text(bytes)?,
            (2, Value::Bytes(kind)) => each(kind, &[1], |tensor| tensor_type(tensor, &mut found))?,
            _ => {}
        }
    }
    Ok(found)
}

fn tensor_type<'a>(tensor: &'a [u8], found: &mut Declared<'a>) -> Result<(), ForeignError> {
    for field in Fields::of(tensor) {
        match field? {
            (1, Value::Number(element)) => found.element = element,
            (2, Value::Bytes(shape)) => {
                let axes = found.axes.get_or_insert_default();
                each(shape, &[1], |dimension| {
                    axes.push(axis(dimension)?);
                    Ok(())
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn axis(dimension: &[u8]) -> Result<Axis<'_>, ForeignError> {
    let mut found = Axis::Free("");
    for field in Fields::of(dimension) {
        match field? {
            // Some exporters write −1 for "any".
            (1, Value::Number(length)) => {
                found = if length.cast_signed() < 0 { Axis::Free("") } else { Axis::Fixed(length) };
            }
            (2, Value::Bytes(name)) => found = Axis::Free(text(name)?),
            _ => {}
        }
    }
    Ok(found)
}
