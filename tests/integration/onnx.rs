//! Small ONNX files of DDColor's shape, as others might save them: one 1×1 convolution from RGB to ab.
//!
//! Written from the field numbers of `onnx.proto3`, so that nothing of the reader under test takes part. Unit tests of the
//! inference room include this file, too.

/// `TensorProto.DataType`.
pub(crate) const FLOAT: u64 = 1;
/// `TensorProto.DataType`.
pub(crate) const FLOAT16: u64 = 10;

/// One network.
#[derive(Clone)]
pub(crate) struct Small {
    /// Width and height; `None`: free axes with names.
    pub(crate) size: Option<(u64, u64)>,
    /// Type of input and output.
    pub(crate) io: u64,
    /// Type of the weights and the convolution.
    pub(crate) inside: u64,
    /// Multiplies the weights, which otherwise are a = 40·r + 5 and b = −30·g − 5.
    pub(crate) gain: f32,
    /// Channels of the declared input.
    pub(crate) channels: u64,
    /// Type of a second, unused input.
    pub(crate) second: Option<u64>,
    /// The file that holds the weights instead.
    pub(crate) external: Option<&'static str>,
    /// Fields that go into the one node, encoded: attributes, for one.
    pub(crate) in_node: Vec<u8>,
    /// Fields that go into the model, encoded.
    pub(crate) in_model: Vec<u8>,
}

impl Small {
    /// Of FP32 and free size.
    pub(crate) fn new() -> Self {
        Self {
            size: None,
            io: FLOAT,
            inside: FLOAT,
            gain: 1.0,
            channels: 3,
            second: None,
            external: None,
            in_node: Vec::new(),
            in_model: Vec::new(),
        }
    }

    /// The same for one size only.
    pub(crate) fn fixed(width: u64, height: u64) -> Self {
        Self { size: Some((width, height)), ..Self::new() }
    }

    /// The file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let weights = [40.0, 0.0, 0.0, 0.0, -30.0, 0.0].map(|weight| weight * self.gain);
        let mut nodes = Vec::new();
        let (mut x, mut y) = ("picture", "chroma");
        if self.io != self.inside {
            nodes.push(node("Cast", &[x], "x", &cast(self.inside)));
            (x, y) = ("x", "y");
        }
        nodes.push(node("Conv", &[x, "weight", "bias"], y, &self.in_node));
        if self.io != self.inside {
            nodes.push(node("Cast", &[y], "chroma", &cast(self.io)));
        }
        let mut graph: Vec<u8> = nodes.iter().flat_map(|node| message(1, node)).collect();
        graph.extend(text(2, "small"));
        graph.extend(message(5, &self.tensor("weight", &[2, 3, 1, 1], &weights)));
        graph.extend(message(5, &self.tensor("bias", &[2], &[5.0, -5.0])));
        graph.extend(message(11, &self.value("picture", self.io, self.channels)));
        // Exporters list constants among the inputs, as old versions of the format want.
        graph.extend(message(11, &value("bias", self.inside, &[number(1, 2)])));
        if let Some(element) = self.second {
            graph.extend(message(11, &self.value("second", element, 1)));
        }
        graph.extend(message(12, &self.value("chroma", self.io, 2)));
        let opset = [text(1, ""), number(2, 17)].concat();
        [number(1, 8), message(7, &graph), message(8, &opset), self.in_model.clone()].concat()
    }

    fn value(&self, name: &str, element: u64, channels: u64) -> Vec<u8> {
        let sides = match self.size {
            Some((width, height)) => [number(1, height), number(1, width)],
            None => [text(2, "height"), text(2, "width")],
        };
        let [height, width] = sides;
        value(name, element, &[text(2, "batch"), number(1, channels), height, width])
    }

    fn tensor(&self, name: &str, shape: &[u64], values: &[f32]) -> Vec<u8> {
        let mut tensor: Vec<u8> = shape.iter().flat_map(|&side| number(1, side)).collect();
        tensor.extend(number(2, self.inside));
        tensor.extend(text(8, name));
        match self.external {
            Some(file) => tensor.extend(external(file)),
            None if self.inside == FLOAT16 => {
                let bytes: Vec<u8> = values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect();
                tensor.extend(message(9, &bytes));
            }
            None => tensor.extend(message(9, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())),
        }
        tensor
    }
}

/// The fields of a tensor whose numbers lie in `file`.
pub(crate) fn external(file: &str) -> Vec<u8> {
    let location = [text(1, "location"), text(2, file)].concat();
    [message(13, &location), number(14, 1)].concat()
}

fn cast(to: u64) -> Vec<u8> {
    message(5, &[text(1, "to"), number(3, to), number(20, 2)].concat())
}

fn node(operator: &str, inputs: &[&str], output: &str, more: &[u8]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| text(1, input)).collect();
    [inputs, text(2, output), text(3, &format!("{operator} of {output}")), text(4, operator), more.to_vec()].concat()
}

/// A `ValueInfoProto`; `axes` are encoded dimensions.
fn value(name: &str, element: u64, axes: &[Vec<u8>]) -> Vec<u8> {
    let shape: Vec<u8> = axes.iter().flat_map(|axis| message(1, axis)).collect();
    let tensor = [number(1, element), message(2, &shape)].concat();
    [text(1, name), message(2, &message(1, &tensor))].concat()
}

pub(crate) fn text(field: u64, value: &str) -> Vec<u8> {
    message(field, value.as_bytes())
}

pub(crate) fn message(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
