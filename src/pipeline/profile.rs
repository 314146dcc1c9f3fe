//! What one collection's scans are processed with: plain data, built once from the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::codec::{DecodeLimits, EncodeSettings, Format};
use crate::digest::Digest;
use crate::imaging::{Border, Label, Levels, Preprocessing, Sizing};
use crate::inference::Precision;
use crate::job::{Recipe, WeightsRef};
use crate::metadata;
use crate::routing::{Decision, RoutingRules, Scene};

/// How pictures of one scene are coloured.
#[derive(Debug, Clone)]
pub struct SceneProfile {
    /// The colour network.
    pub model: WeightsRef,
    /// Size of the network's copy.
    pub extent: Sizing,
}

/// What the denoiser may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyTo {
    /// Nothing.
    Off,
    /// The network's and the router's copy.
    Network,
    /// Those, and the published lightness: an opt-in, recorded as a change to the picture.
    Output,
}

/// When and how the denoiser runs.
#[derive(Debug, Clone)]
pub struct DenoiseProfile {
    /// What it may touch.
    pub apply_to: ApplyTo,
    /// Noise σ, in 8-bit code values, above which it runs.
    pub threshold: f32,
    /// The network; `None` only when off.
    pub model: Option<WeightsRef>,
}

/// The derivative's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// The source's own, where it is written.
    Source,
    /// Always this one.
    Fixed(Format),
}

impl OutputFormat {
    /// The format for a scan of format `source`.
    pub const fn of(self, source: Format) -> Format {
        match self {
            Self::Source => source.of_derivative(),
            Self::Fixed(format) => format,
        }
    }
}

/// One derivative of every scan: where it goes, and how it is written.
#[derive(Debug, Clone)]
pub struct Output {
    /// Root of its tree.
    pub root: PathBuf,
    /// Format.
    pub format: OutputFormat,
    /// Encoder settings.
    pub encode: EncodeSettings,
    /// Longest side, pixels; a larger picture is reduced to it.
    pub max_side: Option<u32>,
    /// Whether and where it says that its colours are a machine's; `None`: as its kind asks for.
    pub label: Option<Label>,
}

impl Output {
    /// The label of a derivative of this format: where nobody asked, a JPEG that is kept small has one, since it is made to be shown where
    /// nobody sees a record.
    pub fn label(&self, format: Format) -> Label {
        let is_for_access = format == Format::Jpeg && self.max_side.is_some();
        self.label.unwrap_or(if is_for_access { Label::Corner } else { Label::Off })
    }
}

/// What a record says of a model beside its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// Architecture.
    pub architecture: String,
    /// Licence.
    pub licence: String,
    /// Origin.
    pub source: String,
    /// SHA-256 of the file it was imported from.
    pub imported_sha256: Option<Digest>,
}

/// Everything a scan of one collection is processed with.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Collection.
    pub collection: String,
    /// Where scans come from.
    pub ingest_root: PathBuf,
    /// The derivatives of every scan; never none. The first is the one that the ledger names.
    pub outputs: Vec<Output>,
    /// What decides the pixels.
    pub recipe: Recipe,
    /// Bounds on what is decoded.
    pub limits: DecodeLimits,
    /// Bound on what is read, bytes.
    pub max_file_bytes: u64,
    /// Thresholds and override of routing.
    pub rules: RoutingRules,
    /// Portraits.
    pub portrait: SceneProfile,
    /// Buildings and streets.
    pub architecture: SceneProfile,
    /// Everything else.
    pub other: SceneProfile,
    /// The scene network.
    pub router: WeightsRef,
    /// Noise.
    pub denoise: DenoiseProfile,
    /// What happens around the colour network.
    pub preprocessing: Preprocessing,
    /// Whether borders are looked for; never under parity, which squashes the whole scan.
    pub border: Border,
    /// Whether the colour network's copy gets levels where it is faded; never under parity, which shows it the scan's own tones.
    pub levels: Levels,
    /// Precision asked for.
    pub precision: Precision,
    /// Factor on chroma, 0..=1.5; 1 under parity.
    pub saturation: f32,
    /// What of the scan's metadata goes on.
    pub metadata: metadata::Policy,
    /// Room that stays free on the output volume, bytes.
    pub min_free_bytes: u64,
    /// Facts of the models named above, by id.
    pub models: BTreeMap<String, ModelFacts>,
}

impl Profile {
    /// The profile of one scan that a person put to a scene: its recipe fixes that scene, and what is measured has no say.
    #[must_use]
    pub fn decided(&self, scene: Scene, decision: &Decision) -> Self {
        let rules = RoutingRules { scene_override: Some(scene), decision: Some(decision.clone()), ..self.rules.clone() };
        Self { recipe: self.recipe.for_scene(scene), rules, ..self.clone() }
    }

    /// The first derivative.
    pub fn main(&self) -> &Output {
        self.outputs.first().expect("a profile has an output")
    }

    /// How pictures of `scene` are coloured.
    pub const fn scene(&self, scene: Scene) -> &SceneProfile {
        match scene {
            Scene::Portrait => &self.portrait,
            Scene::Architecture => &self.architecture,
            // No picture is routed to `document`: pages are left alone before, or coloured as a scene somebody chose.
            Scene::Other | Scene::Document => &self.other,
        }
    }
}
