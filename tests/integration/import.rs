//! `models import`: checkpoints in every layout become models that compute what the official network does, and files that
//! are none leave no trace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use autochrome::digest::Digest;
use autochrome::inference::ddcolor::Weights;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::golden::{agrees_with_the_official_network, recipe, shapes};
use crate::onnx::{FLOAT16, Small};
use crate::workbench::{Workbench, text};
use torch_file::{Layout, Tensor, archive};

/// Files that are refused.
mod refused;
/// Writes what `torch.save` writes.
mod torch_file;

/// A museum with a models directory of its own: the bundled catalogue, none of its files.
struct Room {
    bench: Workbench,
}

impl Room {
    fn new() -> Self {
        let room = Self { bench: Workbench::new() };
        fs::create_dir(room.models()).unwrap();
        let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/models.toml");
        fs::copy(catalogue, room.models().join("models.toml")).unwrap();
        room
    }

    fn models(&self) -> PathBuf {
        self.bench.path().join("models")
    }

    /// Puts a file where it can be imported from.
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.bench.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn command(&self, file: &Path, id: &str, more: &[&str]) -> std::process::Command {
        let mut command = self.bench.command(&["models", "import"]);
        command.arg(file).args(["--id", id]).args(more).env("AUTOCHROME__MODELS", self.models());
        command
    }

    fn import(&self, file: &Path, id: &str, more: &[&str]) -> Output {
        self.command(file, id, more).output().unwrap()
    }

    #[track_caller]
    fn imported(&self, file: &Path, id: &str, more: &[&str]) -> Value {
        let output = self.import(file, id, &[more, &["--json"]].concat());
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Every file of the models directory with its digest.
    fn contents(&self) -> BTreeMap<PathBuf, Digest> {
        let files = fs::read_dir(self.models()).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| (path.clone(), Digest::of(&fs::read(path).unwrap()))).collect()
    }

    fn model(&self, id: &str) -> Vec<u8> {
        fs::read(self.models().join(format!("{id}.safetensors"))).unwrap()
    }

    /// The import fails with this code, says so in one line and a hint, and leaves no trace.
    #[track_caller]
    fn refuses(&self, file: &Path, id: &str, code: i32) -> String {
        let before = self.contents();
        let output = self.import(file, id, &[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(self.contents(), before, "{said}");
        assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
        let lines: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("error: ")).collect();
        assert!(lines.len() <= 2 && lines[1..].iter().all(|line| line.starts_with("hint: ")), "{said}");
        assert!(lines[0].chars().count() < 1200, "{said}");
        lines[0].to_owned()
    }
}

/// Keys and shapes of a small network of the family: every width an eighth of Tiny's, queries and kernels as they are.
fn small() -> recipe::Shapes {
    let mut shapes = shapes("tiny");
    let narrow = |n: &mut usize| {
        if *n >= 96 && ![100, 103].contains(n) {
            *n /= 8;
        }
    };
    shapes.values_mut().flatten().for_each(narrow);
    shapes
}

fn tensors(shapes: &recipe::Shapes) -> Vec<Tensor> {
    let one = |(name, shape): (&String, &Vec<usize>)| {
        let mut data = Vec::new();
        recipe::tensor(name, shape, &mut data);
        Tensor { name: name.clone(), shape: shape.clone(), storage: storage(name), data }
    };
    shapes.iter().map(one).collect()
}

fn storage(name: &str) -> &'static str {
    if recipe::is_counter(name) { "LongStorage" } else { "FloatStorage" }
}

/// Writes a checkpoint of any size as a `.pth`, one tensor in memory at a time.
fn write_pth(path: &Path, layout: Layout, shapes: &recipe::Shapes) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let list: Vec<_> = shapes.iter().map(|(name, shape)| (name.clone(), shape.clone(), storage(name))).collect();
    torch_file::save(&mut file, layout, &list, |index| {
        let mut data = Vec::new();
        recipe::tensor(&list[index].0, &list[index].1, &mut data);
        data
    });
    file.flush().unwrap();
}

/// The numbers of a safetensors file without what it says about itself.
fn numbers(file: &[u8]) -> &[u8] {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    &file[8 + length..]
}

#[test]
fn the_large_network_imported_computes_what_the_official_one_does_and_costs_little_memory() {
    let room = Room::new();
    let pth = room.bench.path().join("ddcolor_large.pth");
    write_pth(&pth, Layout::Module, &shapes("large"));
    let size = fs::metadata(&pth).unwrap().len();
    let mut child = room.command(&pth, "large", &["--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_resident(child.id()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("peak {} MiB for {} MiB, {} s", peak >> 20, size >> 20, told["seconds"]);
    assert!(peak > 0 && peak as f64 <= 2.5 * size as f64, "{} MiB for a file of {} MiB", peak >> 20, size >> 20);
    assert_eq!(told["variant"], "large");
    fs::remove_file(&pth).unwrap();
    let file = room.model("large");
    let weights = Weights::read(&file).unwrap();
    drop(file);
    agrees_with_the_official_network("large", (64, 96), weights);
}

/// Largest resident memory a process has had, bytes; 0 once it is no more.
fn peak_resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

#[test]
fn the_tiny_network_imported_computes_what_the_official_one_does() {
    let room = Room::new();
    let pth = room.bench.path().join("ddcolor_paper_tiny.pth");
    write_pth(&pth, Layout::Params, &shapes("tiny"));
    let told = room.imported(&pth, "tiny", &[]);
    assert_eq!((&told["outcome"], &told["variant"]), (&"imported".into(), &"tiny".into()));
    let file = room.model("tiny");
    let weights = Weights::read(&file).unwrap();
    assert_eq!(told["parameters"], weights.parameters());
    agrees_with_the_official_network("tiny", (96, 160), weights);
}

#[test]
fn one_network_in_any_layout_is_one_set_of_numbers() {
    let room = Room::new();
    let tensors = tensors(&small());
    let plain = room.put("plain.safetensors", &recipe::checkpoint(&small()));
    room.imported(&plain, "plain", &[]);
    for (id, layout) in [("params", Layout::Params), ("bare", Layout::Bare), ("module", Layout::Module)] {
        // What a file is called says nothing about what it is.
        let file = room.put(&format!("{id}.bin"), &torch_file::file(layout, &tensors));
        room.imported(&file, id, &[]);
        assert!(numbers(&room.model(id)) == numbers(&room.model("plain")), "{layout:?}");
    }
}

#[test]
fn a_model_says_where_it_comes_from() {
    let room = Room::new();
    let bytes = torch_file::file(Layout::Params, &tensors(&small()));
    let file = room.put("weights of ours.pth", &bytes);
    let url = "https://example.org/weights.pth";
    let told = room.imported(&file, "ours", &["--licence", "Apache-2.0", "--source", url]);
    let digest = Digest::of(&bytes).to_string();
    let model = room.model("ours");
    assert_eq!(told["sha256"], Digest::of(&model).to_string());
    let (_, header) = SafeTensors::read_metadata(&model).unwrap();
    let said = header.metadata().clone().unwrap();
    for (key, value) in [
        ("imported_sha256", digest.as_str()),
        ("licence", "Apache-2.0"),
        ("source", url),
        ("variant", "other"),
        ("architecture", told["architecture"].as_str().unwrap()),
    ] {
        assert_eq!(said[key], value, "{key}");
    }
    let catalogue: toml::Table = fs::read_to_string(room.models().join("models.toml")).unwrap().parse().unwrap();
    let entry = catalogue["model"].as_array().unwrap().last().unwrap();
    for (key, value) in [("id", "ours"), ("kind", "colour"), ("file", "ours.safetensors"), ("imported_sha256", &digest)] {
        assert_eq!(entry[key].as_str(), Some(value), "{key}");
    }
    assert_eq!(entry["bytes"].as_integer(), Some(model.len() as i64));
    assert_eq!((entry["licence"].as_str(), entry["source"].as_str()), (Some("Apache-2.0"), Some(url)));

    // Nobody said anything: nothing is assumed, and the answer says so and what to do next.
    let output = room.import(&file, "silent", &[]);
    assert!(output.status.success(), "{}", text(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    for part in
        ["NOASSERTION", "imported from weights of ours.pth", "[scene.portrait]\n  model = \"silent\"", "silent.safetensors"]
    {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
}

#[test]
fn a_second_import_does_nothing_and_a_lost_file_comes_back() {
    let room = Room::new();
    let file = room.put("a.pth", &torch_file::file(Layout::Bare, &tensors(&small())));
    room.imported(&file, "a", &[]);
    let first = room.contents();
    assert_eq!(room.imported(&file, "a", &[])["outcome"], "already there");
    assert_eq!(room.contents(), first);
    let model = room.models().join("a.safetensors");
    fs::remove_file(&model).unwrap();
    assert_eq!(room.imported(&file, "a", &[])["outcome"], "restored");
    assert_eq!(room.contents(), first);
    fs::write(&model, b"damaged").unwrap();
    assert_eq!(room.imported(&file, "a", &[])["outcome"], "restored");
    assert_eq!(room.contents(), first);
    // A bundled model's own file, under its own id.
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ddcolor-starter.safetensors");
    assert_eq!(room.imported(&starter, "ddcolor-starter", &[])["outcome"], "restored");
    assert_eq!(room.model("ddcolor-starter"), fs::read(starter).unwrap());
}

#[test]
fn what_a_killed_import_left_is_no_hindrance() {
    let room = Room::new();
    let file = room.put("a.pth", &torch_file::file(Layout::Bare, &tensors(&small())));
    let catalogue = fs::read(room.models().join("models.toml")).unwrap();
    room.imported(&file, "a", &[]);
    let first = room.contents();
    // Killed between the file and its entry, and killed while the file was written.
    fs::write(room.models().join("models.toml"), catalogue).unwrap();
    fs::write(room.models().join(".a.safetensors.part"), b"half").unwrap();
    fs::write(room.models().join(".other.trial.onnx.part"), b"half").unwrap();
    assert_eq!(room.imported(&file, "a", &[])["outcome"], "imported");
    assert_eq!(room.contents(), first);
}

#[test]
fn an_onnx_file_is_kept_as_it_is_with_the_size_it_takes() {
    let room = Room::new();
    let bytes = Small { inside: FLOAT16, ..Small::fixed(64, 96) }.encode();
    let file = room.put("theirs.bin", &bytes);
    let said = room.imported(&file, "fixed", &["--licence", "MIT", "--source", "https://example.org/ddcolor.onnx"]);
    assert_eq!((&said["architecture"], &said["parameters"]), (&"ddcolor (onnx, fp16 inside, fixed 64×96)".into(), &8.into()));
    assert_eq!(said["sha256"], Digest::of(&bytes).to_string().as_str());
    assert_eq!(fs::read(room.models().join("fixed.onnx")).unwrap(), bytes);
    let catalogue = fs::read_to_string(room.models().join("models.toml")).unwrap();
    assert!(catalogue.contains("size = { width = 64, height = 96 }") || catalogue.contains("[model.size]"), "{catalogue}");
    assert_eq!(room.imported(&file, "fixed", &[])["outcome"], "already there");
    fs::remove_file(room.models().join("fixed.onnx")).unwrap();
    assert_eq!(room.imported(&file, "fixed", &[])["outcome"], "restored");
}

#[test]
fn sixteen_bit_checkpoints_keep_their_type() {
    let room = Room::new();
    type Case = (&'static str, &'static str, Dtype, fn(f32) -> [u8; 2]);
    let round: [Case; 2] = [
        ("f16", "HalfStorage", Dtype::F16, |value| f16::from_f32(value).to_le_bytes()),
        ("bf16", "BFloat16Storage", Dtype::BF16, |value| bf16::from_f32(value).to_le_bytes()),
    ];
    for (id, storage, dtype, round) in round {
        let mut tensors = tensors(&small());
        for tensor in tensors.iter_mut().filter(|tensor| tensor.storage == "FloatStorage") {
            tensor.storage = storage;
            tensor.data = tensor.data.as_chunks().0.iter().flat_map(|&four| round(f32::from_le_bytes(four))).collect();
        }
        let file = room.put("half.pth", &torch_file::file(Layout::Params, &tensors));
        room.imported(&file, id, &[]);
        let model = room.model(id);
        let model = SafeTensors::deserialize(&model).unwrap();
        let kept = |name: &str| model.tensor(name).unwrap().dtype();
        assert_eq!(kept("encoder.arch.stages.0.0.pwconv1.weight"), dtype);
        assert_eq!(kept("decoder.layers.0.bn.running_var"), dtype);
        // A spectral norm is divided out: that needs digits.
        assert_eq!(kept("decoder.layers.0.conv.0.weight"), Dtype::F32);
    }
}
