//! Turns settings into the parts of the house: profiles with their recipes, the networks, the ingest roots.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::{
    CollectionSettings, DenoiseScope, OutputChoice, OutputSettings, ProfileSettings, SceneSettings, Settings, WritingSettings,
};
use crate::failure::Failure;
use crate::imaging::{Border, ExtentRules, Label, Levels, Preprocessing, Size, Sizing};
use crate::inference::{Catalogue, CatalogueError, Engine, Entry, FixedSize, ModelKind};
use crate::ingest::RootSettings;
use crate::job::{OutputRecipe, PIPELINE_VERSION, Recipe, RecipeFacts, SceneRecipe, WeightsRef};
use crate::pipeline::{ApplyTo, DenoiseProfile, ModelFacts, Output, OutputFormat, Profile, SceneProfile, Workshop};

/// The catalogue, and a profile for every collection.
///
/// # Errors
/// The catalogue cannot be read, or a model that is asked for is not in it.
pub fn profiles(settings: &Settings) -> Result<(Catalogue, BTreeMap<String, Profile>), Failure> {
    let catalogue = Catalogue::open(&settings.models)?;
    let build = |one: &CollectionSettings| -> Result<_, CatalogueError> {
        let profile = profile(&catalogue, &one.profile, &one.name, &one.ingest, &one.outputs)?;
        Ok((one.name.clone(), profile))
    };
    let profiles = settings.collections.iter().map(build).collect::<Result<_, _>>()?;
    Ok((catalogue, profiles))
}

/// What a picture outside every collection is processed with: it comes from nowhere and goes nowhere.
///
/// # Errors
/// A model that is asked for is not in the catalogue.
pub fn common_profile(settings: &Settings, catalogue: &Catalogue) -> Result<Profile, Failure> {
    let nowhere = OutputSettings { path: PathBuf::new(), writing: settings.profile.writing };
    Ok(profile(catalogue, &settings.profile, "", Path::new(""), &[nowhere])?)
}

/// Every model that some of `profiles` uses, once.
///
/// # Errors
/// A model is not in the catalogue, or is for something else.
pub fn used_models<'a>(
    catalogue: &Catalogue,
    profiles: impl IntoIterator<Item = &'a Profile>,
) -> Result<Vec<Entry>, CatalogueError> {
    let mut models: BTreeMap<&str, Entry> = BTreeMap::new();
    for (id, kind) in profiles.into_iter().flat_map(used) {
        models.insert(id, catalogue.find(id, kind)?.clone());
    }
    Ok(models.into_values().collect())
}

/// The networks that `profiles` use and no others, and the report of the device they run on as JSON.
///
/// # Errors
/// The runtime, the device or a model cannot be used.
pub fn workshop<'a>(
    settings: &Settings,
    catalogue: &Catalogue,
    profiles: impl IntoIterator<Item = &'a Profile>,
) -> Result<(Workshop, String), Failure> {
    let models = used_models(catalogue, profiles)?;
    let engine = Engine::start(&settings.engine, catalogue, &models)?;
    let device = serde_json::to_string(engine.device()).expect("a report is made of strings");
    Ok((Workshop { engine }, device))
}

/// What the ingest room needs to know of a collection; what the root was when last seen, the ledger knows.
pub(super) fn root_settings(one: &CollectionSettings) -> RootSettings {
    RootSettings {
        collection: one.name.clone(),
        path: one.ingest.clone(),
        rest: one.rest,
        rescan: one.rescan,
        poll: one.poll,
        ready: one.ready,
        max_file_bytes: one.profile.max_file_bytes,
        expected: None,
    }
}

/// Models of a profile, each with what it is for.
fn used(profile: &Profile) -> impl Iterator<Item = (&str, ModelKind)> {
    let scenes = [&profile.portrait, &profile.architecture, &profile.other];
    let colour = scenes.map(|scene| (scene.model.id.as_str(), ModelKind::Colour));
    let denoiser = profile.denoise.model.as_ref().map(|model| (model.id.as_str(), ModelKind::Denoise));
    colour.into_iter().chain([(profile.router.id.as_str(), ModelKind::Scene)]).chain(denoiser)
}

fn profile(
    catalogue: &Catalogue,
    settings: &ProfileSettings,
    collection: &str,
    ingest: &Path,
    outputs: &[OutputSettings],
) -> Result<Profile, CatalogueError> {
    let scene = |scene: &SceneSettings| -> Result<SceneProfile, CatalogueError> {
        let entry = catalogue.find(&scene.model, ModelKind::Colour)?;
        Ok(SceneProfile { model: weights(entry), extent: sizing(entry, scene) })
    };
    let (portrait, architecture, other) = (scene(&settings.portrait)?, scene(&settings.architecture)?, scene(&settings.other)?);
    let router = weights(catalogue.only(ModelKind::Scene)?);
    let denoise = denoise(catalogue, settings)?;
    let (border, levels) = (border(settings), levels(settings));
    let mut written = outputs.iter().map(|output| output_recipe(&output.writing));
    let recipe = Recipe::new(RecipeFacts {
        pipeline: PIPELINE_VERSION,
        precision: settings.precision.to_string(),
        portrait: scene_recipe(&portrait, &settings.portrait),
        architecture: scene_recipe(&architecture, &settings.architecture),
        other: scene_recipe(&other, &settings.other),
        // One switch and one bound for all scenes.
        enlarge: settings.other.extent.enlarge,
        max_area: settings.other.extent.max_area,
        preprocessing: settings.preprocessing.to_string(),
        border: border.to_string(),
        levels: levels.to_string(),
        router: router.clone(),
        scene_override: settings.rules.scene_override.map(|scene| scene.to_string()),
        routing: settings.rules.thresholds(),
        denoise_apply_to: scope_word(settings.denoise.apply_to).to_owned(),
        denoise_threshold: settings.denoise.threshold,
        denoiser: denoise.model.clone(),
        output: written.next().expect("a collection has an output"),
        further_outputs: written.collect(),
        saturation: settings.saturation,
        strip_gps: settings.metadata.strip_gps,
        digital_source_type: settings.metadata.source_type.to_string(),
    });
    let mut profile = Profile {
        collection: collection.to_owned(),
        ingest_root: PathBuf::from(ingest),
        outputs: outputs.iter().map(output).collect(),
        recipe,
        limits: settings.limits,
        max_file_bytes: settings.max_file_bytes,
        rules: settings.rules.clone(),
        portrait,
        architecture,
        other,
        router,
        denoise,
        preprocessing: settings.preprocessing,
        border,
        levels,
        precision: settings.precision,
        saturation: settings.saturation,
        metadata: settings.metadata,
        min_free_bytes: settings.min_free_bytes,
        models: BTreeMap::new(),
    };
    let facts = used(&profile).map(|(id, kind)| Ok((id.to_owned(), facts(catalogue.find(id, kind)?))));
    let facts = facts.collect::<Result<_, CatalogueError>>()?;
    profile.models = facts;
    Ok(profile)
}

/// Whether borders are looked for: the authors' pipeline knows none.
const fn border(settings: &ProfileSettings) -> Border {
    match settings.preprocessing {
        Preprocessing::Fit => settings.border,
        Preprocessing::Parity => Border::Off,
    }
}

/// Whether the colour network's copy may get levels: the authors' pipeline shows it the scan's own tones.
const fn levels(settings: &ProfileSettings) -> Levels {
    match settings.preprocessing {
        Preprocessing::Fit => settings.levels,
        Preprocessing::Parity => Levels::Off,
    }
}

fn denoise(catalogue: &Catalogue, settings: &ProfileSettings) -> Result<DenoiseProfile, CatalogueError> {
    let apply_to = match settings.denoise.apply_to {
        DenoiseScope::Off => ApplyTo::Off,
        DenoiseScope::Network => ApplyTo::Network,
        DenoiseScope::Output => ApplyTo::Output,
    };
    let model = match apply_to {
        ApplyTo::Off => None,
        ApplyTo::Network | ApplyTo::Output => Some(weights(catalogue.only(ModelKind::Denoise)?)),
    };
    Ok(DenoiseProfile { apply_to, threshold: settings.denoise.threshold, model })
}

/// A size that the network fixes follows from its digest, so the recipe has it already.
fn scene_recipe(scene: &SceneProfile, settings: &SceneSettings) -> SceneRecipe {
    let ExtentRules { min_height, max_height, .. } = settings.extent;
    SceneRecipe { model: scene.model.clone(), min_height, max_height }
}

/// The scene's bounds, or the one size that the network takes.
fn sizing(entry: &Entry, scene: &SceneSettings) -> Sizing {
    match entry.size {
        None => Sizing::Bounded(scene.extent),
        Some(FixedSize { width, height }) => Sizing::Fixed { size: Size::new(width, height), unused: scene.extent },
    }
}

fn weights(entry: &Entry) -> WeightsRef {
    WeightsRef { id: entry.id.clone(), sha256: entry.sha256 }
}

fn facts(entry: &Entry) -> ModelFacts {
    ModelFacts {
        architecture: entry.architecture.clone(),
        licence: entry.licence.clone(),
        source: entry.source.clone(),
        imported_sha256: entry.imported_sha256,
    }
}

const fn scope_word(scope: DenoiseScope) -> &'static str {
    match scope {
        DenoiseScope::Off => "off",
        DenoiseScope::Network => "network",
        DenoiseScope::Output => "output",
    }
}

fn output(settings: &OutputSettings) -> Output {
    let OutputSettings { path, writing } = settings;
    let format = match writing.format {
        OutputChoice::Source => OutputFormat::Source,
        OutputChoice::Fixed(format) => OutputFormat::Fixed(format),
    };
    Output { root: path.clone(), format, encode: writing.encode, max_side: writing.max_side, label: writing.label }
}

/// Where an output goes decides no pixel.
fn output_recipe(writing: &WritingSettings) -> OutputRecipe {
    OutputRecipe {
        format: format_word(writing.format),
        jpeg_quality: writing.encode.jpeg_quality,
        tiff_compression: writing.encode.tiff_compression.to_string(),
        colour_space: writing.encode.colour_space.to_string(),
        max_side: writing.max_side,
        label: writing.label.map_or("auto", Label::word).to_owned(),
    }
}

fn format_word(choice: OutputChoice) -> String {
    match choice {
        OutputChoice::Source => "source".to_owned(),
        OutputChoice::Fixed(format) => format.to_string(),
    }
}
