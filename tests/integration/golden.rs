//! Our graph on ONNX Runtime's CPU provider against arrays that the official PyTorch network computed
//! (piddnad/DDColor at 2adb63f, FP32) with the synthetic checkpoints of `recipe`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use autochrome::imaging::Size;
use autochrome::inference::ddcolor::{GraphSpec, Outputs, Weights};
use autochrome::inference::{Array, Precision, Provider};
use ort::environment::Environment;
use ort::session::{Session, builder::GraphOptimizationLevel};
use ort::value::Tensor;

/// Several pictures in one run.
mod batch;
/// `models check` on these checkpoints.
mod check;
/// The checkpoints and the picture behind the arrays.
pub(crate) mod recipe;
/// Our graph of random small networks against `unfolded`.
mod toys;
/// The network stated step by step.
mod unfolded;

/// Largest difference from the official output that is still rounding; a mistake is above 1e-3.
const ROUNDING: f32 = 1e-3;

#[test]
fn the_tiny_network_computes_what_the_official_one_does() {
    // The Large network comes by way of a `.pth`: see `import`.
    let weights = Weights::read(&recipe::checkpoint(&shapes("tiny"))).unwrap();
    agrees_with_the_official_network("tiny", (96, 160), weights);
}

#[test]
fn an_fp16_graph_stays_close_to_fp32_at_another_extent() {
    let weights = Weights::read(&recipe::checkpoint(&shapes("tiny"))).unwrap();
    let size = Size::new(96, 64);
    let [full, half] =
        [Precision::Fp32, Precision::Fp16].map(|precision| run(&weights.graph(size, precision, Provider::Cpu), size));
    let (full, half) = (&full["ab"], &half["ab"]);
    let (largest, mean) = differences(half, full);
    println!("FP16 against FP32: largest {largest:.2e}, mean {mean:.2e}, deviation {:.3}", deviation(full));
    // In Lab units. One step of 8-bit sRGB is about 0.3; the output's deviation is about 0.5 here.
    assert!(largest < 0.02 && mean < 0.003, "largest {largest}, mean {mean}");
    assert!(largest > 0.0, "an FP16 graph rounds its weights");
}

#[test]
fn the_bundled_starter_computes_what_its_trainer_does() {
    // The array is PyTorch's output for the shipped file, so weights, graph and pin belong together.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ddcolor-starter.safetensors");
    let weights = Weights::read(&fs::read(file).unwrap()).unwrap();
    let size = Size::new(224, 160);
    let outputs = run(&weights.graph(size, Precision::Fp32, Provider::Cpu), size);
    let (_, want) = npy(&fixture("starter_160x224_ab.npy"));
    let (largest, mean) = differences(&outputs["ab"], &want);
    println!("starter ab: largest difference {largest:.2e}, mean {mean:.2e}, deviation {:.3}", deviation(&want));
    assert!(largest < ROUNDING, "differs by {largest}");
}

/// Compares what these weights compute with the official network's arrays of this name, at height and width of `other` too.
pub fn agrees_with_the_official_network(name: &str, other: (usize, usize), weights: Weights) {
    // Another size, and channels that differ.
    let (height, width) = other;
    let size = Size::new(width as u32, height as u32);
    let outputs = run_on(&weights.graph(size, Precision::Fp32, Provider::Cpu), size, three_channels(height, width));
    agrees(&outputs, &format!("{name}_{height}x{width}"), "ab");
    // The weights go before the session is built: one copy fewer.
    let size = Size::new(320, 256);
    let graph = weights.graph_of(GraphSpec { outputs: Outputs::Traced, ..GraphSpec::new(size, Precision::Fp32, Provider::Cpu) });
    drop(weights);
    let outputs = run(&graph, size);
    agrees(&outputs, &format!("{name}_256x320"), "color_embed");
    agrees(&outputs, &format!("{name}_256x320"), "ab");
}

fn agrees(outputs: &BTreeMap<String, Vec<f32>>, arrays: &str, output: &str) {
    let (shape, want) = npy(&fixture(&format!("{arrays}_{output}.npy")));
    let got = &outputs[output];
    assert_eq!(got.len(), want.len(), "{output} is {shape:?}");
    let (largest, mean) = differences(got, &want);
    println!("{arrays} {output}: largest difference {largest:.2e}, mean {mean:.2e}, deviation {:.3}", deviation(&want));
    assert!(largest < ROUNDING, "{arrays} {output} differs by {largest}");
}

/// Three pictures as red, green and blue: the test picture, its negative, and it at half its brightness.
fn three_channels(height: usize, width: usize) -> Vec<f32> {
    let picture = recipe::picture(height, width);
    let channels: [fn(f32) -> f32; 3] = [|v| v, |v| 1.0 - v, |v| 0.5 * v];
    channels.iter().flat_map(|channel| picture.iter().map(|&value| channel(value))).collect()
}

/// Runs a graph on the test picture; the outputs by name.
fn run(graph: &[u8], size: Size) -> BTreeMap<String, Vec<f32>> {
    run_on(graph, size, recipe::picture(size.height as usize, size.width as usize).repeat(3))
}

fn run_on(graph: &[u8], size: Size, rgb: Vec<f32>) -> BTreeMap<String, Vec<f32>> {
    let mut session = session(graph);
    let input = Tensor::from_array(([1, 3, size.height as usize, size.width as usize], rgb)).unwrap();
    let outputs = session.run(ort::inputs!["rgb" => input]).unwrap();
    outputs.iter().map(|(name, value)| (name.to_owned(), value.try_extract_tensor::<f32>().unwrap().1.to_vec())).collect()
}

fn session(graph: &[u8]) -> Session {
    let builder = Session::builder(&RUNTIME).unwrap().with_intra_threads(2).unwrap().with_intra_op_spinning(false).unwrap();
    builder.with_optimization_level(GraphOptimizationLevel::All).unwrap().commit_from_memory(graph).unwrap()
}

/// ONNX Runtime allows one environment a process.
static RUNTIME: LazyLock<Environment> =
    LazyLock::new(|| ort::init_from(runtime_library()).unwrap().with_telemetry(false).build().unwrap());

/// The library the product would load.
fn runtime_library() -> PathBuf {
    autochrome::inference::runtime::locate().expect("`make test` fetches the runtime first")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(crate) fn shapes(name: &str) -> recipe::Shapes {
    serde_json::from_slice(&fs::read(fixture(&format!("shapes_{name}.json"))).unwrap()).unwrap()
}

/// Shape and values of a NumPy file.
fn npy(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let Array { shape, values } = Array::read(path).unwrap();
    (shape, values)
}

/// Largest and mean absolute difference; not a number counts as infinite.
fn differences(got: &[f32], want: &[f32]) -> (f32, f64) {
    assert_eq!(got.len(), want.len());
    let each = got.iter().zip(want).map(|(got, want)| (got - want).abs()).map(|d| if d.is_nan() { f32::INFINITY } else { d });
    let (largest, sum) = each.fold((0.0_f32, 0.0), |(largest, sum), d| (largest.max(d), sum + f64::from(d)));
    (largest, sum / got.len() as f64)
}

fn deviation(values: &[f32]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt()
}
