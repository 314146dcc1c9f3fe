//! The record's fields, one after the other.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::{ApplyTo, Finished, Output, Prepared, Profile};
use super::ScanFile;
use crate::colour::Meaning;
use crate::imaging::{PictureArea, Rect, Tones};
use crate::inference::{DeviceReport, PrecisionFacts, Said, Setback};
use crate::job::{UnixMillis, WeightsRef};
use crate::metadata::Account;
use crate::provenance::{
    BorderRecord, ColourRecord, DenoiseRecord, DerivativeRecord, DeviceRecord, ExtentRecord, FallbackRecord, LevelsRecord,
    MetadataRecord, ModelRecord, NumericsRecord, PathRecord, PrecisionRecord, RecipeRecord, Record, RouteRecord, SCHEMA,
    ScoresRecord, SetbackRecord, SoftwareRecord, SourceRecord, WeightsRecord,
};

/// What the stages know.
pub(in crate::pipeline) struct Facts<'a> {
    pub(in crate::pipeline) scan: &'a ScanFile<'a>,
    pub(in crate::pipeline) profile: &'a Profile,
    pub(in crate::pipeline) output: &'a Output,
    pub(in crate::pipeline) prepared: &'a Prepared,
    pub(in crate::pipeline) said: &'a Said,
    pub(in crate::pipeline) chroma_p99: f32,
    pub(in crate::pipeline) precision: &'a PrecisionFacts,
    pub(in crate::pipeline) setbacks: &'a [Setback],
    pub(in crate::pipeline) device: &'a DeviceReport,
    pub(in crate::pipeline) relative: &'a Path,
    pub(in crate::pipeline) made_at: UnixMillis,
}

/// The record of one derivative.
pub(in crate::pipeline) fn record(facts: &Facts<'_>, finished: &Finished, timings_ms: BTreeMap<String, f64>) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        digital_source_type: facts.profile.metadata.source_type.uri().to_owned(),
        made_at: facts.made_at.to_string(),
        job: facts.scan.job.clone(),
        source: source(facts),
        derivative: derivative(facts, finished),
        route: route(facts),
        denoise: denoise(facts),
        border: Some(border(facts)),
        levels: Some(levels(facts)),
        extent: extent(facts),
        model: model(facts),
        precision: precision(facts.precision),
        device: device(facts),
        metadata: Some(metadata(&finished.metadata)),
        numerics: numerics(facts, finished.out_of_gamut_share),
        recipe: recipe(facts.profile),
        software: SoftwareRecord::this(),
        timings_ms,
        absent: BTreeMap::new(),
    }
    .explain_absent(why_absent)
}

fn source(facts: &Facts<'_>) -> SourceRecord {
    let header = &facts.prepared.scan.header;
    SourceRecord {
        root: facts.scan.root.map(|root| root.to_string_lossy().into_owned()),
        path: PathRecord::from(facts.scan.relative),
        bytes: facts.scan.length,
        sha256: facts.scan.digest,
        format: header.format.to_string(),
        width: header.size.width,
        height: header.size.height,
        bit_depth: header.bit_depth,
        channels: if header.is_separation { "cmyk" } else { header.channels.word() }.to_owned(),
        orientation: facts.prepared.scan.orientation,
        other_pages: facts.prepared.scan.other_pages.clone(),
        colour: Some(colour(&facts.prepared.meaning)),
    }
}

fn colour(meaning: &Meaning) -> ColourRecord {
    let Meaning { basis, name, icc_sha256, oddities } = meaning;
    ColourRecord { basis: basis.to_string(), name: name.clone(), icc_sha256: *icc_sha256, oddities: oddities.clone() }
}

fn metadata(account: &Account) -> MetadataRecord {
    let Account { exif_fields, iptc_bytes, xmp_bytes, dropped } = account;
    MetadataRecord { exif_fields: *exif_fields, iptc_bytes: *iptc_bytes, xmp_bytes: *xmp_bytes, dropped: dropped.clone() }
}

fn derivative(facts: &Facts<'_>, finished: &Finished) -> DerivativeRecord {
    DerivativeRecord {
        path: PathRecord::from(facts.relative),
        bytes: finished.bytes.len() as u64,
        sha256: finished.digest,
        format: finished.format.to_string(),
        width: finished.size.width,
        height: finished.size.height,
        bit_depth: finished.bit_depth,
        colour_space: facts.output.encode.colour_space.to_string(),
        saturation: facts.profile.saturation,
        max_side: facts.output.max_side,
        label: finished.label.word().to_owned(),
        lightness_max_difference: finished.verified.max,
        lightness_mean_difference: finished.verified.mean,
    }
}

fn weights(model: &WeightsRef) -> WeightsRecord {
    WeightsRecord { id: model.id.clone(), sha256: model.sha256 }
}

fn route(facts: &Facts<'_>) -> RouteRecord {
    let Facts { prepared, profile, .. } = facts;
    let scores = &prepared.scores;
    let decision = profile.rules.decision.as_ref();
    RouteRecord {
        scene: prepared.route.scene.to_string(),
        scores: ScoresRecord {
            portrait: scores.portrait,
            architecture: scores.architecture,
            other: scores.other,
            document: scores.document,
        },
        reason: prepared.route.reason.clone(),
        scene_override: prepared.route.overridden.then(|| prepared.route.scene.to_string()),
        decided_by: decision.map(|decision| decision.by.clone()),
        why: decision.map(|decision| decision.why.clone()),
        router: weights(&profile.router),
    }
}

fn denoise(facts: &Facts<'_>) -> DenoiseRecord {
    let Facts { prepared, profile, .. } = facts;
    let applied_to = match prepared.copy.denoised {
        ApplyTo::Off => "none",
        ApplyTo::Network => "network",
        ApplyTo::Output => "output",
    };
    let ran = prepared.copy.denoised != ApplyTo::Off;
    DenoiseRecord {
        noise_sigma: prepared.copy.noise_sigma,
        lightness_sigma: prepared.lightness_sigma,
        threshold: profile.denoise.threshold,
        applied_to: applied_to.to_owned(),
        model: profile.denoise.model.as_ref().filter(|_| ran).map(weights),
    }
}

fn border(facts: &Facts<'_>) -> BorderRecord {
    let PictureArea { rect: Rect { left, top, width, height }, confidence } = facts.prepared.area;
    BorderRecord { mode: facts.profile.border.to_string(), left, top, width, height, confidence }
}

fn levels(facts: &Facts<'_>) -> LevelsRecord {
    let tones = facts.prepared.copy.tones;
    LevelsRecord {
        mode: facts.profile.levels.to_string(),
        darkest: tones.map(|tones| tones.darkest),
        black: tones.map(|tones| tones.black),
        white: tones.map(|tones| tones.white),
        lightest: tones.map(|tones| tones.lightest),
        applied: tones.is_some_and(Tones::are_few),
    }
}

fn extent(facts: &Facts<'_>) -> ExtentRecord {
    let Facts { prepared, profile, .. } = facts;
    let (size, content) = (prepared.copy.extent.size(), prepared.copy.extent.content());
    ExtentRecord {
        width: size.width,
        height: size.height,
        content_width: content.width,
        content_height: content.height,
        rule: prepared.copy.extent.rule().to_string(),
        preprocessing: profile.preprocessing.to_string(),
    }
}

fn model(facts: &Facts<'_>) -> ModelRecord {
    let model = &facts.profile.scene(facts.prepared.route.scene).model;
    let known = facts.profile.models.get(&model.id);
    let known = known.expect("a profile names the facts of every model it uses");
    ModelRecord {
        id: model.id.clone(),
        sha256: model.sha256,
        architecture: known.architecture.clone(),
        licence: known.licence.clone(),
        source: known.source.clone(),
        imported_sha256: known.imported_sha256,
    }
}

fn precision(facts: &PrecisionFacts) -> PrecisionRecord {
    let fallback = |fallback: &crate::inference::Fallback| FallbackRecord {
        from: fallback.from.to_string(),
        to: fallback.to.to_string(),
        reason: fallback.reason.clone(),
    };
    PrecisionRecord {
        requested: facts.requested.to_string(),
        observed: facts.observed.to_string(),
        reason: facts.reason.clone(),
        fp32_islands: facts.fp32_islands.clone(),
        fallback: facts.fallback.as_ref().map(fallback),
    }
}

fn device(facts: &Facts<'_>) -> DeviceRecord {
    // What ran elsewhere than on the device at work ran on the processor.
    let device =
        if facts.precision.provider == facts.device.provider { facts.device.clone() } else { facts.device.of_processor() };
    let setback = |Setback { tried, found }: &Setback| SetbackRecord { tried: tried.clone(), found: found.clone() };
    DeviceRecord {
        // What the colour network's own session reports, not what the engine was asked for.
        provider: facts.precision.provider.to_string(),
        reason: device.reason,
        name: device.name,
        driver: device.driver,
        runtime_version: device.runtime_version,
        cuda: device.cuda,
        cudnn: device.cudnn,
        setbacks: facts.setbacks.iter().map(setback).collect(),
    }
}

fn numerics(facts: &Facts<'_>, out_of_gamut_share: f64) -> NumericsRecord {
    let found = facts.said;
    NumericsRecord {
        non_finite: found.non_finite,
        ab_min: found.ab_min,
        ab_max: found.ab_max,
        chroma_mean: found.chroma_mean,
        chroma_p99: facts.chroma_p99,
        out_of_gamut_share,
    }
}

fn recipe(profile: &Profile) -> RecipeRecord {
    let facts = serde_json::from_str(profile.recipe.canonical()).expect("the canonical text is a JSON object");
    RecipeRecord { sha256: profile.recipe.digest(), facts }
}

/// Why a field of the record has no value.
fn why_absent(path: &str) -> &'static str {
    match path {
        "job.id" | "job.claim" | "job.collection" | "source.root" => "made without a ledger",
        "source.colour.name" => "the file names none",
        "source.colour.icc_sha256" => "the file has no ICC profile",
        "derivative.max_side" => "it has the scan's own size",
        "route.override" => "no scene was fixed by the collection or a person",
        "denoise.lightness_sigma" => "the published lightness was not to be denoised",
        "levels.darkest" | "levels.black" | "levels.white" | "levels.lightest" => "levels were off, so no tones were measured",
        "denoise.model" => "no denoising was applied",
        "precision.reason" => "observed as requested",
        "precision.fallback" => "the first run was accepted",
        "device.reason" => "the provider was named in the configuration",
        "device.driver" | "device.cuda" | "device.cudnn" => "the CPU provider uses none, or the library does not say",
        "device.name" | "device.runtime_version" => "the machine does not say",
        "software.commit" => "built outside a checkout",
        _ => "not known",
    }
}
