//! Checkpoints of a network of toy sizes, whole and spoilt.

use half::{bf16, f16};

use super::architecture::Architecture;
use super::schema::{Role, expected};
use super::{CheckpointError, GraphSpec, Outputs, Problem, Weights};
use crate::imaging::Size;
use crate::inference::{Precision, Provider};

const TOY: Architecture = Architecture {
    dims: [8, 16, 24, 32],
    depths: [1, 2, 1, 1],
    decoder: [16, 16, 8],
    last: 8,
    hidden: 16,
    feedforward: 24,
    layers: 2,
    queries: 5,
};

#[derive(Clone)]
struct Tensor {
    kind: &'static str,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Tensor {
    fn f32(shape: &[usize], value: impl Fn(usize) -> f32) -> Self {
        let data = (0..shape.iter().product()).flat_map(|i| value(i).to_le_bytes()).collect();
        Self { kind: "F32", shape: shape.to_vec(), data }
    }

    fn values(&self) -> Vec<f32> {
        self.data.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    }
}

/// The tensors of a sound checkpoint, spectral norms folded.
fn toy() -> Vec<(String, Tensor)> {
    let tensor = |name: &str, shape: &[usize]| Tensor::f32(shape, |i| 0.5 + ((name.len() + 7 * i) % 13) as f32 / 26.0);
    expected(&TOY).into_iter().map(|entry| (entry.name.clone(), tensor(&entry.name, &entry.shape))).collect()
}

/// The toy with its spectral norms as training leaves them.
fn spectral_toy() -> Vec<(String, Tensor)> {
    let role = |name: &str| expected(&TOY).into_iter().find(|entry| entry.name == name).map(|entry| entry.role);
    let mut tensors = Vec::new();
    for (name, tensor) in toy() {
        if role(&name) != Some(Role::Spectral) {
            tensors.push((name, tensor));
            continue;
        }
        let columns = tensor.shape[1..].iter().product();
        tensors.push((format!("{name}_u"), Tensor::f32(&tensor.shape[..1], |i| if i == 0 { 1.0 } else { 0.0 })));
        tensors.push((format!("{name}_v"), Tensor::f32(&[columns], |i| if i == 0 { 1.0 } else { 0.0 })));
        tensors.push((format!("{name}_orig"), tensor));
    }
    tensors
}

fn file(tensors: &[(String, Tensor)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let begin = data.len();
        data.extend(&tensor.data);
        let entry = serde_json::json!({ "dtype": tensor.kind, "shape": tensor.shape, "data_offsets": [begin, data.len()] });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [(header.len() as u64).to_le_bytes().as_slice(), &header, &data].concat()
}

fn edit<'a>(tensors: &'a mut [(String, Tensor)], name: &str) -> &'a mut Tensor {
    &mut tensors.iter_mut().find(|(key, _)| key == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn problems(tensors: &[(String, Tensor)]) -> Vec<Problem> {
    match Weights::read(&file(tensors)) {
        Err(CheckpointError::Mismatch { problems }) => problems.all().to_vec(),
        other => panic!("not a mismatch: {other:?}"),
    }
}

#[test]
fn shapes_tell_the_architecture() {
    let weights = Weights::read(&file(&toy())).unwrap();
    assert_eq!(*weights.architecture(), TOY);
    assert_eq!(
        weights.architecture().to_string(),
        "ddcolor convnext 8-16-24-32 depths 1-2-1-1, decoder 16-16-8, 2 layers, 5 queries"
    );
    let statistics: usize = toy().iter().filter(|(name, _)| name.contains("running_")).map(|(_, t)| t.values().len()).sum();
    let all: usize = toy().iter().map(|(_, t)| t.values().len()).sum();
    assert_eq!(weights.parameters(), (all - statistics - 6) as u64, "mean and std are six numbers");
}

#[test]
fn everything_that_does_not_fit_is_listed_at_once() {
    let mut tensors = toy();
    tensors.retain(|(name, _)| name != "encoder.arch.stages.1.1.gamma" && name != "refine_net.0.0.bias");
    *edit(&mut tensors, "decoder.layers.1.bn.weight") = Tensor::f32(&[17], |_| 1.0);
    edit(&mut tensors, "std").kind = "I32";
    tensors.push(("encoder.arch.head.weight".to_owned(), Tensor::f32(&[2], |_| 1.0)));
    tensors.push(("encoder.arch.stages.0.7.gamma".to_owned(), Tensor::f32(&[8], |_| 1.0)));
    let missing = |name: &str| Problem::Missing { name: name.to_owned() };
    let surplus = |name: &str| Problem::Surplus { name: name.to_owned() };
    assert_eq!(
        problems(&tensors),
        [
            Problem::Kind { name: "std".to_owned(), found: "I32".to_owned() },
            missing("encoder.arch.stages.1.1.gamma"),
            Problem::Shape { name: "decoder.layers.1.bn.weight".to_owned(), found: vec![17], expected: vec![16] },
            missing("refine_net.0.0.bias"),
            surplus("encoder.arch.head.weight"),
            surplus("encoder.arch.stages.0.7.gamma"),
        ]
    );
}

#[test]
fn a_tensor_that_tells_a_size_may_be_the_missing_one() {
    let mut tensors = toy();
    tensors.retain(|(name, _)| name != "encoder.arch.norm2.weight");
    assert_eq!(problems(&tensors), [Problem::Missing { name: "encoder.arch.norm2.weight".to_owned() }]);
}

#[test]
fn another_networks_file_is_told_apart() {
    let one = |name: &str| (name.to_owned(), Tensor::f32(&[64, 3, 7, 7], |_| 1.0));
    let refused = Weights::read(&file(&[one("conv1.weight"), one("bn1.weight")])).unwrap_err();
    assert_eq!(refused.to_string(), "not a DDColor network: 2 keys unknown, first bn1.weight");
    assert!(matches!(Weights::read(&file(&[])), Err(CheckpointError::Foreign { unknown: 0, .. })));
}

#[test]
fn an_incomplete_spectral_norm_is_a_missing_tensor() {
    let mut tensors = spectral_toy();
    assert!(Weights::read(&file(&tensors)).is_ok());
    tensors.retain(|(name, _)| name != "decoder.layers.0.conv.0.weight_v");
    assert_eq!(problems(&tensors), [Problem::Missing { name: "decoder.layers.0.conv.0.weight_v".to_owned() }]);
}

#[test]
fn a_spectral_norm_is_divided_out() {
    // u and v pick the first element, so the norm of every weight is that element.
    let spectral = Weights::read(&file(&spectral_toy())).unwrap();
    let mut tensors = toy();
    for entry in expected(&TOY).into_iter().filter(|entry| entry.role == Role::Spectral) {
        let tensor = edit(&mut tensors, &entry.name);
        let values = tensor.values();
        *tensor = Tensor::f32(&entry.shape, |i| values[i] / values[0]);
    }
    let folded = Weights::read(&file(&tensors)).unwrap();
    let size = Size::new(32, 32);
    let [spectral, folded] = [spectral, folded].map(|weights| weights.graph(size, Precision::Fp16, Provider::Cpu));
    // The folded file was rounded to f32 on the way; in FP16 that shows in next to no number.
    assert_eq!(spectral.len(), folded.len());
    let different = spectral.iter().zip(&folded).filter(|(a, b)| a != b).count();
    assert!(different * 100 < folded.len(), "{different} of {} bytes differ", folded.len());
}

#[test]
fn known_but_unused_tensors_are_dropped() {
    let mut tensors = toy();
    let counter = Tensor { kind: "I64", shape: vec![], data: vec![0; 8] };
    tensors.push(("decoder.layers.0.bn.num_batches_tracked".to_owned(), counter));
    tensors.push(("encoder.arch.norm.weight".to_owned(), Tensor::f32(&[32], |_| f32::NAN)));
    tensors.push(("encoder.arch.norm.bias".to_owned(), Tensor::f32(&[32], |_| 0.0)));
    let size = Size::new(32, 64);
    let graph = |tensors: &[(String, Tensor)]| Weights::read(&file(tensors)).unwrap().graph(size, Precision::Fp32, Provider::Cpu);
    assert!(graph(&tensors) == graph(&toy()));
}

#[test]
fn a_weight_that_is_not_a_number_is_named() {
    let spoil = |name: &str, value: f32| {
        let mut tensors = spectral_toy();
        let shape = edit(&mut tensors, name).shape.clone();
        *edit(&mut tensors, name) = Tensor::f32(&shape, |_| value);
        match Weights::read(&file(&tensors)) {
            Err(CheckpointError::NonFinite { tensor }) => tensor,
            other => panic!("{name} of {value} was not noticed: {other:?}"),
        }
    };
    for name in ["encoder.arch.stages.2.0.pwconv1.weight", "decoder.color_decoder.level_embed.weight", "mean"] {
        assert_eq!(spoil(name, f32::NAN), name);
        assert_eq!(spoil(name, f32::NEG_INFINITY), name);
    }
    // Finite in the file, and not any more once folded.
    assert_eq!(spoil("decoder.layers.1.bn.running_var", -2.0), "decoder.layers.1.bn.running_var");
    assert_eq!(spoil("decoder.last_shuf.conv.0.weight_u", 0.0), "decoder.last_shuf.conv.0.weight_orig");
    assert_eq!(spoil("std", 0.0), "std");
}

#[test]
fn sixteen_bit_files_are_read() {
    let narrow = |kind: &'static str, round: &dyn Fn(f32) -> [u8; 2]| {
        let mut tensors = toy();
        for (_, tensor) in &mut tensors {
            let data = tensor.values().into_iter().flat_map(round).collect();
            *tensor = Tensor { kind, shape: tensor.shape.clone(), data };
        }
        Weights::read(&file(&tensors)).unwrap().graph(Size::new(32, 32), Precision::Fp32, Provider::Cpu)
    };
    let exact = |round: &dyn Fn(f32) -> f32| {
        let mut tensors = toy();
        for (_, tensor) in &mut tensors {
            let values = tensor.values();
            *tensor = Tensor::f32(&tensor.shape, |i| round(values[i]));
        }
        Weights::read(&file(&tensors)).unwrap().graph(Size::new(32, 32), Precision::Fp32, Provider::Cpu)
    };
    assert!(narrow("F16", &|x| f16::from_f32(x).to_le_bytes()) == exact(&|x| f16::from_f32(x).to_f32()));
    assert!(narrow("BF16", &|x| bf16::from_f32(x).to_le_bytes()) == exact(&|x| bf16::from_f32(x).to_f32()));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = file(&toy());
    for part in 0..64 {
        let cut = &whole[..whole.len() * part / 64];
        assert!(matches!(Weights::read(cut), Err(CheckpointError::Format { .. })), "{part}/64 of the file were taken");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(matches!(Weights::read(&longer), Err(CheckpointError::Format { .. })));
}

#[test]
fn absurd_claims_are_refused_without_being_believed() {
    // Shapes without a single number in them may claim any size.
    let hollow = |name: &str, shape: &[usize]| (name.to_owned(), Tensor { kind: "F32", shape: shape.to_vec(), data: vec![] });
    let claims = [
        hollow("encoder.arch.norm0.weight", &[usize::MAX, 0]),
        hollow("decoder.color_decoder.query_feat.weight", &[1 << 62, 0]),
        hollow("decoder.color_decoder.decoder_norm.weight", &[0]),
        hollow("encoder.arch.stages.0.18446744073709551615.gamma", &[0]),
        hollow("decoder.layers.0.conv.2.weight", &[usize::MAX / 2, 0]),
    ];
    assert!(!problems(&claims).is_empty());
    let mut tensors = toy();
    for (name, tensor) in &mut tensors {
        if name.starts_with("decoder.color_decoder.transformer_ffn_layers.") && tensor.shape.contains(&TOY.feedforward) {
            let shape: Vec<usize> = tensor.shape.iter().map(|&n| if n == TOY.feedforward { 0 } else { n }).collect();
            *tensor = Tensor { kind: "F32", shape, data: vec![] };
        }
    }
    let refused = Weights::read(&file(&tensors)).unwrap_err();
    assert_eq!(refused.to_string(), "weights have a layer of width 0, outside 1 to 65536");
}

#[test]
fn heads_must_divide_the_width() {
    let mut tensors = toy();
    for entry in expected(&Architecture { hidden: 12, ..TOY }) {
        *edit(&mut tensors, &entry.name) = Tensor::f32(&entry.shape, |_| 1.0);
    }
    let refused = Weights::read(&file(&tensors)).unwrap_err();
    assert_eq!(refused.to_string(), "weights have a colour decoder of width 12, not a multiple of 8");
}

#[test]
fn a_graph_is_the_same_every_time_and_smaller_in_fp16() {
    let weights = Weights::read(&file(&toy())).unwrap();
    let size = Size::new(64, 96);
    let full = weights.graph(size, Precision::Fp32, Provider::Cpu);
    assert!(full == weights.graph(size, Precision::Fp32, Provider::Cpu));
    assert!(weights.graph(size, Precision::Fp16, Provider::Cpu).len() < full.len());
    assert!(
        weights.graph_of(GraphSpec { outputs: Outputs::Traced, ..GraphSpec::new(size, Precision::Fp32, Provider::Cpu) }).len()
            > full.len()
    );
}
