//! A network of one convolution, to find out whether a provider works at all before a scan depends on it.

use super::options::Treatment;
use super::profile::Observed;
use super::session::{Input, Network, Place};
use super::{InferenceError, Provider};

/// Side of the trial's picture and number of its channels.
const SIDE: u32 = 8;
const CHANNELS: u32 = 8;

/// Runs the trial network and compares its result. A convolution needs most of what the real networks need: on the card
/// cuDNN and its companions, which are loaded only when they are called.
fn run(place: &Place) -> Result<Observed, InferenceError> {
    let name = "trial";
    let mut network = Network::open(place, name, &model(), Treatment::Fixed(&[]))?;
    let (side, channels) = (SIDE as usize, CHANNELS as usize);
    let picture = vec![1.0; channels * side * side];
    let weights = vec![0.5; channels * channels * 9];
    let inputs = [
        Input { name: "x", shape: &[1, channels, side, side], data: &picture },
        Input { name: "w", shape: &[channels, channels, 3, 3], data: &weights },
    ];
    let output = network.run(&inputs, "y", channels * side * side)?;
    // Away from the border, nine ones in each of eight channels, weighted by a half.
    let (found, expected) = (output[side + 1], 36.0);
    if (found - expected).abs() > 0.01 {
        let found = format!("{found} on {}", place.provider);
        return Err(InferenceError::Contract { network: name.to_owned(), found, expected: expected.to_string() });
    }
    network.observed().ok_or_else(|| InferenceError::unprofiled(name))
}

/// The trial on the card, as words: why it cannot be used.
pub(super) fn cuda(place: &Place) -> Result<(), String> {
    let place = Place { provider: Provider::Cuda, ..place.clone() };
    run(&place).map(drop).map_err(|error| error.to_string())
}

/// The network as an ONNX model (onnx.proto3, IR version 9, opset 17): y = Conv(x, w), same size.
fn model() -> Vec<u8> {
    let side = u64::from(SIDE);
    let channels = u64::from(CHANNELS);
    let ints = |name, values: &[u64]| {
        // AttributeProto: name, type INTS, the integers.
        [text(1, name), number(20, 7), values.iter().flat_map(|&value| number(8, value)).collect()].concat()
    };
    let node = [
        text(1, "x"),
        text(1, "w"),
        text(2, "y"),
        text(3, "convolution"),
        text(4, "Conv"),
        bytes(5, &ints("kernel_shape", &[3, 3])),
        bytes(5, &ints("pads", &[1, 1, 1, 1])),
    ]
    .concat();
    let graph = [
        bytes(1, &node),
        text(2, "trial"),
        bytes(11, &floats("x", &[1, channels, side, side])),
        bytes(11, &floats("w", &[channels, channels, 3, 3])),
        bytes(12, &floats("y", &[1, channels, side, side])),
    ]
    .concat();
    let opset = [text(1, ""), number(2, 17)].concat();
    [number(1, 9), bytes(7, &graph), bytes(8, &opset)].concat()
}

/// A `ValueInfoProto` of floats.
fn floats(name: &str, shape: &[u64]) -> Vec<u8> {
    let dimensions: Vec<u8> = shape.iter().flat_map(|&size| bytes(1, &number(1, size))).collect();
    let tensor = [number(1, 1), bytes(2, &dimensions)].concat();
    [text(1, name), bytes(2, &bytes(1, &tensor))].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    bytes(field, value.as_bytes())
}

/// A length-delimited field of the protobuf wire format.
fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// An integer field of the protobuf wire format.
fn number(field: u64, value: u64) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::foreign::tests::processor;
    use crate::inference::{Precision, ProviderChoice, runtime};

    #[test]
    fn the_processor_passes_and_its_profile_says_that_it_was_the_processor() {
        let observed = run(&processor()).unwrap();
        assert_eq!((observed.provider, observed.precision()), (Provider::Cpu, Precision::Fp32));
        assert_eq!((observed.heavy, observed.heavy_fp16), (1, 0));
    }

    #[test]
    fn a_runtime_without_cuda_never_passes_for_one_with_it() {
        let library = runtime::locate_for(ProviderChoice::Cpu).expect("run `autochrome setup` before the tests");
        assert!(cuda(&processor()).is_err() || runtime::has_cuda(&library));
    }

    #[test]
    fn bytes_that_are_no_model_are_refused_with_the_runtime_s_words() {
        let error = Network::open(&processor(), "broken", b"not a model", Treatment::Fixed(&[])).unwrap_err();
        assert!(
            matches!(&error, InferenceError::Load { network, detail } if network == "broken" && !detail.is_empty()),
            "{error}"
        );
    }

    #[test]
    fn a_result_of_another_size_than_promised_is_refused() {
        let place = processor();
        let mut network = Network::open(&place, "trial", &model(), Treatment::Fixed(&[])).unwrap();
        let (picture, weights) = ([1.0; 8 * 64], [0.5; 8 * 8 * 9]);
        let inputs = [
            Input { name: "x", shape: &[1, 8, 8, 8], data: &picture },
            Input { name: "w", shape: &[8, 8, 3, 3], data: &weights },
        ];
        assert!(matches!(network.run(&inputs, "y", 7), Err(InferenceError::Contract { .. })));
        assert!(matches!(network.run(&inputs, "z", 8 * 64), Err(InferenceError::Contract { .. })));
        assert_eq!(network.run(&inputs, "y", 8 * 64).unwrap().len(), 8 * 64);
    }

    #[test]
    fn integers_are_written_as_protobuf_writes_them() {
        // The example of the encoding guide: 150 as field 1.
        assert_eq!(number(1, 150), [0x08, 0x96, 0x01]);
        assert_eq!(text(2, "testing"), b"\x12\x07testing");
    }
}
