//! Validated meaning: what the rest of the house is built from.

use std::path::PathBuf;
use std::time::Duration;

use super::layers::Effective;
use crate::codec::{DecodeLimits, EncodeSettings, Format};
use crate::imaging::{Border, ExtentRules, Label, Levels, Preprocessing};
use crate::inference::{EngineSettings, Precision};
use crate::ingest::Ready;
use crate::job::RetryPolicy;
use crate::metadata;
use crate::routing::RoutingRules;

/// Everything the program was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file it was told in; `None` when there was none.
    pub file: Option<PathBuf>,
    /// Directory of database and lock, absolute.
    pub state: PathBuf,
    /// Directory of the catalogue and its weights, absolute.
    pub models: PathBuf,
    /// Collections in the order of the file; names are unique.
    pub collections: Vec<CollectionSettings>,
    /// What a scan outside every collection is processed with.
    pub profile: ProfileSettings,
    /// Device, memory and threads of the networks.
    pub engine: EngineSettings,
    /// How much is worked on at once.
    pub workers: WorkerSettings,
    /// When a job is given up.
    pub retry: RetryPolicy,
    /// Time that running scans get after the first signal.
    pub shutdown_deadline: Duration,
}

/// One collection.
#[derive(Debug, Clone)]
pub struct CollectionSettings {
    /// Name, unique and safe to show.
    pub name: String,
    /// Where scans arrive, absolute.
    pub ingest: PathBuf,
    /// The derivatives of every scan; never none.
    pub outputs: Vec<OutputSettings>,
    /// Time without change after which a file is believed.
    pub rest: Duration,
    /// Longest time between two full looks.
    pub rescan: Duration,
    /// When a file is ready.
    pub ready: Ready,
    /// Whether notifications of the kernel are never relied on.
    pub poll: bool,
    /// What its scans are processed with.
    pub profile: ProfileSettings,
}

/// What scans are processed with.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileSettings {
    /// Portraits.
    pub portrait: SceneSettings,
    /// Buildings and streets.
    pub architecture: SceneSettings,
    /// Everything else.
    pub other: SceneSettings,
    /// Thresholds and override of routing.
    pub rules: RoutingRules,
    /// Noise.
    pub denoise: DenoiseSettings,
    /// What happens around the colour network.
    pub preprocessing: Preprocessing,
    /// Whether borders are looked for; without meaning under parity.
    pub border: Border,
    /// Whether the colour network's copy gets levels where it is faded; without meaning under parity.
    pub levels: Levels,
    /// Precision asked of the colour network.
    pub precision: Precision,
    /// How derivatives are written where an output does not say otherwise.
    pub writing: WritingSettings,
    /// Factor on chroma, 0..=1.5.
    pub saturation: f32,
    /// What of the scan's metadata goes on.
    pub metadata: metadata::Policy,
    /// Room that stays free on the output volume, bytes.
    pub min_free_bytes: u64,
    /// Bounds on what is decoded.
    pub limits: DecodeLimits,
    /// Bound on what is read, bytes.
    pub max_file_bytes: u64,
}

/// How a derivative is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritingSettings {
    /// Format.
    pub format: OutputChoice,
    /// Encoder settings.
    pub encode: EncodeSettings,
    /// Longest side, pixels.
    pub max_side: Option<u32>,
    /// Whether and where it says that its colours are a machine's; `None`: as its kind asks for.
    pub label: Option<Label>,
}

/// One derivative of every scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSettings {
    /// Where it goes, absolute.
    pub path: PathBuf,
    /// How it is written.
    pub writing: WritingSettings,
}

/// How pictures of one scene are coloured.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneSettings {
    /// Catalogue id of the colour network.
    pub model: String,
    /// Size of the network's copy.
    pub extent: ExtentRules,
}

/// When and on what the denoiser runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DenoiseSettings {
    /// What it may touch.
    pub apply_to: DenoiseScope,
    /// Noise σ in 8-bit code values, 0..=255, above which it runs.
    pub threshold: f32,
}

/// What the denoiser may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenoiseScope {
    /// Nothing.
    Off,
    /// The network's copy.
    Network,
    /// That and the published lightness.
    Output,
}

/// Format of derivatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputChoice {
    /// That of the scan.
    Source,
    /// Always this one.
    Fixed(Format),
}

/// How much is worked on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Scans at once, at least 1.
    pub count: usize,
    /// Memory that all of them share, MiB, at least 1.
    pub memory_mib: u64,
}

/// Settings, and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What holds.
    pub settings: Settings,
    /// Every key with its effective value and origin, in the order of the reference.
    pub effective: Vec<Effective>,
}
