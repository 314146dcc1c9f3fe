//! stub
use serde::Serialize;
use super::{Catalogue, Entry, InferenceError};
use crate::imaging::{ChromaPlanes, Plane};
use crate::routing::SceneScores;
/// Number format of the colour network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision { /// 16 bits, with islands of 32.
    Fp16, /// 32 bits.
    Fp32 }
impl std::fmt::Display for Precision { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
impl std::str::FromStr for Precision { type Err = String; fn from_str(_: &str) -> Result<Self, String> { todo!() } }
/// Where a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider { /// NVIDIA.
    Cuda, /// Processor.
    Cpu }
impl std::fmt::Display for Provider { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
/// Where sessions may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderChoice { /// CUDA or nothing.
    Cuda, /// Processor.
    Cpu, /// CUDA if it works, else the processor, and the record says why.
    Auto }
impl std::fmt::Display for ProviderChoice { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
impl std::str::FromStr for ProviderChoice { type Err = String; fn from_str(_: &str) -> Result<Self, String> { todo!() } }
/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Where sessions may run.
    pub provider: ProviderChoice,
    /// Bound on device memory, MiB; 0: from the machine.
    pub memory_mib: u64,
    /// Threads of one network run on the processor.
    pub threads: usize,
    /// Sessions of the colour network kept at once.
    pub sessions: usize,
}
/// What the device says of itself.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceReport {
    /// Provider at work.
    pub provider: Provider,
    /// Why, when it was not named in the configuration.
    pub reason: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Driver.
    pub driver: Option<String>,
    /// ONNX Runtime version.
    pub runtime_version: Option<String>,
    /// CUDA version.
    pub cuda: Option<String>,
    /// cuDNN version.
    pub cudnn: Option<String>,
}
/// What the network's output looked like.
#[derive(Debug, Clone, PartialEq)]
pub struct Numerics {
    /// Not finite.
    pub non_finite: u64,
    /// Smallest.
    pub ab_min: f32,
    /// Largest.
    pub ab_max: f32,
    /// Mean chroma.
    pub chroma_mean: f32,
    /// 99th percentile.
    pub chroma_p99: f32,
}
/// A re-run.
#[derive(Debug, Clone, PartialEq)]
pub struct Fallback {
    /// From.
    pub from: Precision,
    /// To.
    pub to: Precision,
    /// Why.
    pub reason: String,
}
/// Asked and observed.
#[derive(Debug, Clone, PartialEq)]
pub struct PrecisionFacts {
    /// Asked.
    pub requested: Precision,
    /// Read back from the session.
    pub observed: Precision,
    /// Why they differ.
    pub reason: Option<String>,
    /// Blocks in FP32 inside an FP16 network.
    pub fp32_islands: Vec<String>,
    /// Re-run.
    pub fallback: Option<Fallback>,
    /// Read back from the session.
    pub provider: Provider,
}
/// One picture for the colour network.
#[derive(Debug)]
pub struct ColorizeRequest {
    /// Catalogue id.
    pub model: String,
    /// Padded grey copy, sRGB-encoded, 0..=1.
    pub input: Plane,
    /// Asked.
    pub precision: Precision,
}
/// What came out, padding included.
#[derive(Debug)]
pub struct Coloured {
    /// Chroma at the input's size.
    pub chroma: ChromaPlanes,
    /// Statistics.
    pub numerics: Numerics,
    /// Precision and provider.
    pub precision: PrecisionFacts,
}
/// Handle of the inference thread.
#[derive(Debug, Clone)]
pub struct Engine {}
impl Engine {
    /// Loads the runtime, reads and checks every model of `models`, starts the thread.
    pub fn start(_settings: &EngineSettings, _catalogue: &Catalogue, _models: &[Entry]) -> Result<Self, InferenceError> { todo!() }
    /// The device.
    pub fn device(&self) -> &DeviceReport { todo!() }
    /// Scores.
    pub fn scene_scores(&self, _grey: Plane) -> Result<SceneScores, InferenceError> { todo!() }
    /// Cleans a grey plane in 0..=1; `sigma` in 8-bit code values.
    pub fn denoise(&self, _grey: Plane, _sigma: f32) -> Result<Plane, InferenceError> { todo!() }
    /// Colours.
    pub fn colorize(&self, _request: ColorizeRequest) -> Result<Coloured, InferenceError> { todo!() }
}
