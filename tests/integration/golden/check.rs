//! `models check` on the synthetic Tiny checkpoint, whole and spoilt in one place.
//!
//! `tiny_256x320_*` are the official network's. The arrays of other sizes, `large_64x96_ab`, `tiny_96x160_ab` and everything in
//! `fixtures/inner` (32×64, with all tensors inside), come from `models/training/ddcolor.py` in PyTorch, which
//! `check_golden.py` holds to the official arrays: FP32 on the CPU, `fold_spectral_norm` of the same checkpoint, a forward hook
//! on `decoder.layers`, and as input the three channels of [`three_channels`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use autochrome::digest::Digest;
use serde_json::Value;

use super::{fixture, npy, recipe, shapes, three_channels};
use crate::workbench::{Workbench, text};

/// Tensors of `fixtures/inner`, in the order of the network.
const INNER: [&str; 8] =
    ["encoder.norm0", "encoder.norm1", "encoder.norm2", "encoder.norm3", "decoder.0", "decoder.1", "decoder.2", "color_embed"];

/// A catalogue of one model.
struct Check {
    bench: Workbench,
}

impl Check {
    fn new(weights: &[u8]) -> Self {
        let check = Self { bench: Workbench::new() };
        fs::create_dir(check.models()).unwrap();
        fs::write(check.models().join("tiny.safetensors"), weights).unwrap();
        let (bytes, sha256) = (weights.len(), Digest::of(weights));
        let catalogue = format!(
            "[[model]]\nid = \"tiny\"\nkind = \"colour\"\narchitecture = \"ddcolor\"\nfile = \"tiny.safetensors\"\n\
             bytes = {bytes}\nsha256 = \"{sha256}\"\nlicence = \"Apache-2.0\"\nsource = \"a recipe\"\n"
        );
        fs::write(check.models().join("models.toml"), catalogue).unwrap();
        check
    }

    fn models(&self) -> PathBuf {
        self.bench.path().join("catalogue")
    }

    /// Writes an array into the museum's folder.
    fn array(&self, name: &str, shape: &[usize], values: &[f32]) -> PathBuf {
        self.written(name, "<f4", shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    fn written(&self, name: &str, kind: &str, shape: &[usize], data: &[u8]) -> PathBuf {
        let shape: String = shape.iter().map(|side| format!("{side}, ")).collect();
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let count = u16::try_from(header.len()).unwrap().to_le_bytes();
        let path = self.bench.path().join(name);
        fs::write(&path, [b"\x93NUMPY\x01\x00", count.as_slice(), header.as_bytes(), data].concat()).unwrap();
        path
    }

    /// The picture of the official arrays.
    fn grey(&self) -> PathBuf {
        self.array("grey.npy", &[1, 3, 256, 320], &recipe::picture(256, 320).repeat(3))
    }

    /// The picture of the others.
    fn coloured(&self, height: usize, width: usize) -> PathBuf {
        self.array("coloured.npy", &[1, 3, height, width], &three_channels(height, width))
    }

    fn run(&self, input: &Path, expect: &Path, more: &[&str]) -> Output {
        let (input, expect) = (input.to_str().unwrap(), expect.to_str().unwrap());
        let arguments = [&["models", "check", "tiny", "--input", input, "--expect", expect], more].concat();
        self.bench.command(&arguments).env("AUTOCHROME__MODELS", self.models()).output().unwrap()
    }

    /// Exit code and JSON of a comparison with every inner tensor.
    fn trace(&self) -> (Option<i32>, Value) {
        let files = INNER.map(|name| inner(name).to_str().unwrap().to_owned());
        let more: Vec<&str> = ["--json", "--trace"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let output = self.run(&self.coloured(32, 64), &inner("ab"), &more);
        let report = serde_json::from_slice(&output.stdout);
        (output.status.code(), report.unwrap_or_else(|error| panic!("{error} in {}", text(&output))))
    }
}

fn inner(tensor: &str) -> PathBuf {
    fixture(&format!("inner/tiny_32x64_{tensor}.npy"))
}

fn tiny() -> Vec<u8> {
    recipe::checkpoint(&shapes("tiny"))
}

/// The checkpoint with every other number of one tensor moved by a tenth of its size: a factor over all of them would be divided
/// out again where there is a spectral norm.
fn tiny_with_changed(tensor: &str) -> Vec<u8> {
    let mut file = tiny();
    let count = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + count]).unwrap();
    let [begin, end] = [0, 1].map(|i| 8 + count + header[tensor]["data_offsets"][i].as_u64().unwrap() as usize);
    for value in file[begin..end].as_chunks_mut::<4>().0.iter_mut().step_by(2) {
        *value = (f32::from_le_bytes(*value) * 1.1).to_le_bytes();
    }
    file
}

#[test]
fn a_network_is_held_to_arrays_that_another_implementation_made() {
    let check = Check::new(&tiny());
    let official = fixture("tiny_256x320_ab.npy");

    let output = check.run(&check.grey(), &official, &["--json", "--precision", "fp16"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| report[key].as_f64().unwrap();
    assert!(number("max_abs") < 1e-3 && number("p999_abs") <= number("max_abs"), "{report}");
    assert!(number("mean_abs") > 0.0 && number("mean_abs") <= number("p999_abs"), "{report}");
    assert_eq!((&report["precision"]["requested"], &report["precision"]["observed"]), (&"fp16".into(), &"fp32".into()));
    assert_eq!((&report["provider"], &report["agrees"], &report["non_finite"]), (&"cpu".into(), &true.into(), &0.into()));

    // Oblong, and with channels that differ.
    let output = check.run(&check.coloured(96, 160), &fixture("tiny_96x160_ab.npy"), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("fp32 on cpu") && text(&output).contains("agrees"), "{}", text(&output));

    let (shape, mut values) = npy(&official);
    values[12_345] += 0.01;
    let moved = check.array("moved.npy", &shape, &values);
    let output = check.run(&check.grey(), &moved, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("max 1.0") && text(&output).contains("--trace"), "{}", text(&output));
    let output = check.run(&check.grey(), &moved, &["--tolerance", "0.02"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));

    let (code, report) = check.trace();
    assert_eq!((code, &report["first_difference"]), (Some(0), &Value::Null), "{report}");
    let lines = report["trace"].as_array().unwrap();
    let tensors: Vec<&str> = lines.iter().map(|line| line["tensor"].as_str().unwrap()).collect();
    assert_eq!(tensors, [&INNER[..], &["ab"]].concat());
    // Rounding only: the tensors have deviations from 0.1 to 1.
    assert!(lines.iter().all(|line| line["max_abs"].as_f64().unwrap() < 1e-4), "{report}");
}

#[test]
fn a_trace_finds_the_part_of_the_network_that_differs() {
    let tensor = "decoder.color_decoder.transformer_ffn_layers.4.linear2.weight";
    let (code, report) = Check::new(&tiny_with_changed(tensor)).trace();
    assert_eq!((code, &report["first_difference"]), (Some(1), &"color_embed".into()), "{report}");
}

#[test]
fn a_difference_at_the_very_end_is_seen_at_the_end_alone() {
    let check = Check::new(&tiny_with_changed("refine_net.0.0.weight_orig"));
    let (code, report) = check.trace();
    assert_eq!((code, &report["first_difference"]), (Some(1), &"ab".into()), "{report}");

    let embedding = inner("color_embed");
    let output = check.run(&check.coloured(32, 64), &inner("ab"), &["--trace", embedding.to_str().unwrap()]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let marked: Vec<&str> = lines.lines().filter(|line| line.ends_with("first difference here")).collect();
    assert!(matches!(marked[..], [line] if line.starts_with("ab ")), "{lines}");
}

#[test]
fn arrays_that_cannot_be_meant_are_refused_before_a_model_is_read() {
    let check = Check::new(b"no weights are read here");
    let (good, ab) = (check.coloured(32, 64), inner("ab"));
    let bad = |name: &str, shape: &[usize], value: f32| {
        let mut values = vec![0.5; shape.iter().product()];
        values[7] = value;
        check.array(name, shape, &values)
    };
    let bytes = vec![0; 8 * 3 * 32 * 64];
    for (input, expect, more, words) in [
        (check.bench.path().join("absent.npy"), ab.clone(), &[][..], "absent.npy cannot be read: No such file"),
        (check.bench.config(), ab.clone(), &[], "is not a whole .npy file: it does not begin as one"),
        (check.written("wide.npy", "<f8", &[1, 3, 32, 64], &bytes), ab.clone(), &[], "type '<f8', and float32"),
        (bad("odd.npy", &[1, 3, 32, 65], 0.5), ab.clone(), &[], "shape [1, 3, 32, 65]"),
        (bad("one.npy", &[1, 1, 32, 64], 0.5), ab.clone(), &[], "shape [1, 1, 32, 64]"),
        (bad("bytes.npy", &[1, 3, 32, 64], 255.0), ab.clone(), &[], "holds 255 at position 7, and a value in 0..=1"),
        (bad("nan.npy", &[1, 3, 32, 64], f32::NAN), ab.clone(), &[], "holds NaN at position 7"),
        (good.clone(), bad("inf.npy", &[1, 2, 32, 64], f32::INFINITY), &[], "holds inf at position 7, and a finite value"),
        (good.clone(), fixture("tiny_96x160_ab.npy"), &[], "[1, 2, 32, 64], the shape of ab here, was expected"),
        (good.clone(), ab.clone(), &["--trace", good.to_str().unwrap()], "is named after no tensor"),
        (good.clone(), ab, &["--tolerance=-1"], "a tolerance of -1 is none"),
    ] {
        let output = check.run(&input, &expect, more);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(words), "{words:?} is not in {}", text(&output));
    }
}

#[test]
fn a_model_that_is_not_the_pinned_one_is_not_run() {
    let check = Check::new(b"other bytes than those pinned");
    fs::write(check.models().join("tiny.safetensors"), b"other bytes than these pinned").unwrap();
    let output = check.run(&check.coloured(32, 64), &inner("ab"), &[]);
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    assert!(text(&output).contains("tiny"), "{}", text(&output));
}
