//! A temporary museum: ingest root, output tree, state, configuration, and the real binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use autochrome::codec::{self, Carried, EncodeSettings, Format};
use autochrome::imaging::{Channels, Samples, ScanImage, Size};
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for something that is going to happen; a limit against hanging, not a measurement.
const PATIENCE: Duration = Duration::from_secs(120);

/// A museum for one test.
pub struct Workbench {
    dir: TempDir,
}

/// The daemon at work; killed when dropped.
pub struct Daemon {
    child: Child,
}

impl Workbench {
    pub fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(bench.ingest()).unwrap();
        bench.configure("");
        bench
    }

    /// Writes the configuration: the museum's paths, small network sizes so that a test takes seconds, and `extra`.
    pub fn configure(&self, extra: &str) {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let text = format!(
            "state = \"state\"\nmodels = {models:?}\n\
             [[collection]]\nname = \"plates\"\ningest = \"ingest\"\noutput = \"output\"\n\
             [ingest]\nrest = \"200ms\"\nrescan = \"1s\"\n\
             [device]\nprovider = \"cpu\"\n\
             [workers]\ncount = 2\n\
             [output]\nmin_free_mib = 0\n\
             [scene.portrait]\nheight = {{ min = 96, max = 128 }}\n\
             [scene.architecture]\nheight = {{ min = 96, max = 160 }}\n\
             [scene.other]\nheight = {{ min = 96, max = 96 }}\n{extra}\n"
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Gives the museum a models directory of its own, with the bundled models in it, and configures it.
    pub fn own_models(&self) -> PathBuf {
        let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let own = self.path().join("models");
        fs::create_dir_all(&own).unwrap();
        for file in ["ddcolor-starter.safetensors", "scene.onnx", "denoise.onnx"] {
            std::os::unix::fs::symlink(bundled.join(file), own.join(file)).unwrap();
        }
        fs::copy(bundled.join("models.toml"), own.join("models.toml")).unwrap();
        let config = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), config.replace(&format!("models = {bundled:?}"), "models = \"models\"")).unwrap();
        own
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("autochrome.toml")
    }

    pub fn ingest(&self) -> PathBuf {
        self.path().join("ingest")
    }

    pub fn output(&self) -> PathBuf {
        self.path().join("output")
    }

    /// Puts a file into the ingest root.
    pub fn put(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.ingest().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_autochrome"));
        command.arg("--config").arg(self.config()).args(arguments);
        command.env("AUTOCHROME_LOG", "info,ort=warn").env_remove("AUTOCHROME_FAULT").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed and gives back what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?} ended with {}\n{}", output.status, text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must succeed and parses the JSON it printed.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Starts a command that goes on while the test does.
    pub fn spawn(&self, arguments: &[&str], fault: Option<&str>) -> Daemon {
        let mut command = self.command(arguments);
        if let Some(fault) = fault {
            command.env("AUTOCHROME_FAULT", fault);
        }
        let log = fs::File::create(self.path().join("daemon.log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        Daemon { child: command.spawn().unwrap() }
    }

    /// What the spawned daemon logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("daemon.log")).unwrap_or_default()
    }

    /// Waits until the number of jobs in a state is `count`.
    #[track_caller]
    pub fn wait_for(&self, state: &str, count: u64) {
        self.wait_until(&format!("{count} jobs {state}"), || self.count(state) == count);
    }

    #[track_caller]
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn count(&self, state: &str) -> u64 {
        self.json(&["status", "--json"])["jobs"][state].as_u64().unwrap()
    }

    /// Jobs by the name of their scan.
    pub fn jobs(&self) -> BTreeMap<String, Value> {
        let jobs = self.json(&["jobs", "--json"]);
        jobs.as_array().unwrap().iter().map(|job| (job["path"].as_str().unwrap().to_owned(), job.clone())).collect()
    }

    /// Every file of the output tree, relative, sorted.
    pub fn published(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.output()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => found.push(entry.path().strip_prefix(self.output()).unwrap().to_owned()),
                }
            }
        }
        found.sort();
        found
    }

    /// The published pictures, without their records.
    pub fn pictures(&self) -> Vec<PathBuf> {
        let is_picture = |path: &PathBuf| path.extension().is_none_or(|extension| extension != "json");
        self.published().into_iter().filter(is_picture).collect()
    }

    /// The record beside a published picture.
    pub fn record(&self, picture: &Path) -> Value {
        let mut name = self.output().join(picture).into_os_string();
        name.push(".json");
        serde_json::from_slice(&fs::read(name).unwrap()).unwrap()
    }

    /// Holds the invariants that every end must have: each picture with its record, nothing half-written, the ledger at
    /// rest and in agreement with the output tree.
    #[track_caller]
    pub fn assert_consistent(&self) {
        let published = self.published();
        let parts: Vec<_> = published.iter().filter(|path| path.to_string_lossy().ends_with(".part")).collect();
        assert!(parts.is_empty(), "unfinished files: {parts:?}");
        let pictures = self.pictures();
        assert_eq!(published.len(), pictures.len() * 2, "every picture has its record and nothing else: {published:?}");
        let status = self.json(&["status", "--json"]);
        assert_eq!(status["jobs"]["running"], 0);
        assert_eq!(status["jobs"]["completed"], pictures.len() as u64);
        for picture in &pictures {
            let digest = autochrome::digest::Digest::of(&fs::read(self.output().join(picture)).unwrap()).to_string();
            assert_eq!(self.record(picture)["derivative"]["sha256"], digest.as_str());
        }
    }
}

impl Daemon {
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the end; `None` when a signal ended it.
    pub fn wait(mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "the daemon did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command printed, for a failing assertion.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A grey picture that looks like something: waves, an edge, a little grain. Different seeds are different pictures.
pub fn photograph(width: u32, height: u32, seed: u32) -> ScanImage {
    let sample = |x: u32, y: u32| {
        let (fx, fy) = (f64::from(x), f64::from(y));
        let phase = f64::from(seed);
        let waves = 0.5 + 0.25 * ((fx / 17.0 + phase).sin() * (fy / 23.0).cos()) + 0.15 * ((fx + 2.0 * fy) / 41.0 + phase).sin();
        let grain = f64::from((x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ seed.wrapping_mul(97)) >> 8 & 15) / 510.0;
        ((waves + grain).clamp(0.0, 1.0) * 255.0).round() as u8
    };
    let samples = (0..height).flat_map(|y| (0..width).map(move |x| sample(x, y))).collect();
    ScanImage::new(Size::new(width, height), Channels::Grey, Samples::U8(samples)).unwrap()
}

/// The same at 16 bits.
pub fn photograph16(width: u32, height: u32, seed: u32) -> ScanImage {
    let Samples::U8(samples) = photograph(width, height, seed).into_samples() else { unreachable!("8 bits were made") };
    let wide = samples.iter().enumerate().map(|(index, &value)| (u16::from(value) * 257) ^ (index as u16 & 127)).collect();
    ScanImage::new(Size::new(width, height), Channels::Grey, Samples::U16(wide)).unwrap()
}

pub fn encode(image: &ScanImage, format: Format) -> Vec<u8> {
    codec::encode(image, format, &EncodeSettings::default(), &Carried::default()).unwrap()
}

pub fn jpeg(seed: u32) -> Vec<u8> {
    encode(&photograph(160, 128, seed), Format::Jpeg)
}
