//! Colour networks that others saved as ONNX, from the catalogue to the record.

use std::fs;
use std::path::PathBuf;

use autochrome::digest::Digest;
use autochrome::imaging::Size;
use autochrome::inference::ddcolor::Weights;
use autochrome::inference::{Precision, Provider};

use crate::golden::{recipe, shapes};
use crate::onnx::{FLOAT16, Small};
use crate::workbench::{Workbench, jpeg, text};

/// Imports a file into a models directory of the museum's own; the scenes `portrait`, `architecture` and `other` use it. Returns
/// the model's file.
fn install(bench: &Workbench, id: &str, file: &[u8]) -> PathBuf {
    let models = bench.own_models();
    let theirs = bench.path().join("theirs");
    fs::write(&theirs, file).unwrap();
    bench.ok(&["models", "import", theirs.to_str().unwrap(), "--id", id, "--licence", "CC0-1.0"]);
    let text = fs::read_to_string(bench.config()).unwrap();
    let scene = |scene: &str| format!("[scene.{scene}]\nmodel = {id:?}\n");
    let text = ["portrait", "architecture", "other"]
        .iter()
        .fold(text, |text, name| text.replace(&format!("[scene.{name}]\n"), &scene(name)));
    fs::write(bench.config(), text).unwrap();
    models.join(format!("{id}.onnx"))
}

#[test]
fn a_network_of_one_size_colours_and_the_record_says_what_became_of_the_scene_s_height() {
    let bench = Workbench::new();
    let file = Small { inside: FLOAT16, ..Small::fixed(64, 96) }.encode();
    install(&bench, "small-fp16", &file);
    bench.put("plate.jpg", &jpeg(31));
    bench.ok(&["once"]);
    bench.assert_consistent();
    let [picture] = bench.pictures().try_into().unwrap();
    let record = bench.record(&picture);
    assert_eq!(record["model"]["id"], "small-fp16");
    assert_eq!(record["model"]["sha256"], Digest::of(&file).to_string().as_str());
    assert_eq!(record["model"]["architecture"], "ddcolor (onnx, fp16 inside, fixed 64×96)");
    let extent = &record["extent"];
    assert_eq!((extent["width"].as_u64(), extent["height"].as_u64()), (Some(64), Some(96)));
    // 160 × 128 fitted into 64 × 96.
    assert_eq!((extent["content_width"].as_u64(), extent["content_height"].as_u64()), (Some(64), Some(51)));
    let rule = extent["rule"].as_str().unwrap();
    assert!(rule.starts_with("fixed 64×96 by the model; height 96 ") && rule.ends_with(" of the scene does not apply"), "{rule}");
    let precision = &record["precision"];
    assert_eq!((precision["requested"].as_str(), precision["observed"].as_str()), (Some("fp16"), Some("fp32")));
    assert_eq!(precision["reason"], "the CPU provider computes in fp32");
    assert!(precision["fallback"].is_null());
    assert_eq!((record["derivative"]["width"].as_u64(), record["derivative"]["height"].as_u64()), (Some(160), Some(128)));
}

#[test]
fn ddcolor_tiny_saved_as_fp16_onnx_colours_like_any_model() {
    let bench = Workbench::new();
    let weights = Weights::read(&recipe::checkpoint(&shapes("tiny"))).unwrap();
    let file = weights.graph(Size::new(96, 96), Precision::Fp16, Provider::Cpu);
    drop(weights);
    install(&bench, "tiny-onnx", &file);
    bench.put("plate.jpg", &jpeg(32));
    bench.ok(&["once"]);
    let [picture] = bench.pictures().try_into().unwrap();
    let record = bench.record(&picture);
    assert_eq!(record["model"]["architecture"], "ddcolor (onnx, fp16 inside, fixed 96×96)");
    assert_eq!(record["precision"]["observed"], "fp32");
    assert!(record["numerics"]["chroma_p99"].as_f64().unwrap() > 0.5, "{}", record["numerics"]);
}

#[test]
fn a_file_that_is_not_the_pinned_one_ends_the_start_before_a_scan_is_looked_at() {
    let bench = Workbench::new();
    let file = install(&bench, "small", &Small::new().encode());
    bench.put("first.jpg", &jpeg(33));
    bench.ok(&["once"]);
    bench.put("second.jpg", &jpeg(34));
    let told = |what: &str| {
        let output = bench.run(&["once"]);
        assert_eq!(output.status.code(), Some(78), "{what}: {}", text(&output));
        let told = text(&output);
        assert!(told.contains("small.onnx of model small"), "{what}: {told}");
        // The ledger is as it was: the second scan is not in it, and nothing is claimed or charged.
        let jobs = bench.jobs();
        assert_eq!(jobs.keys().collect::<Vec<_>>(), ["first.jpg"], "{what}");
        assert_eq!(jobs["first.jpg"]["state"], "completed", "{what}");
    };
    let mut other = fs::read(&file).unwrap();
    other[40] ^= 1;
    fs::write(&file, &other).unwrap();
    told("another byte");
    fs::remove_file(&file).unwrap();
    told("no file");
    fs::write(&file, Small::new().encode()).unwrap();
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 2);
}
