//! `workflow import`: node graphs of ComfyUI as settings of this program.
//!
//! What is printed is a configuration: what the nodes mean stands in it as comments. Where some node cannot be had here, there are no
//! settings that do the same, and none are printed.

mod graph;
mod meaning;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use self::graph::Graph;
use self::meaning::{Meaning, Setup, clipped, model_id};
use super::{Exit, Failure, plain, print};
use crate::config::Settings;
use crate::inference::{Catalogue, ModelKind};

/// Largest file that is read: workflows with their pictures' prompts have some hundred KiB.
const MOST_BYTES: u64 = 8 << 20;

/// Objections that are told; the rest is counted.
const MOST_TOLD: usize = 20;

/// Side of the square beyond which `extent.max_megapixels` has to be raised, as a number of pixels.
const USUAL_AREA: u64 = 2_500_000;

pub(super) fn import(settings: &Settings, file: &Path) -> Result<(), Failure> {
    let graph = Graph::read(&read(file)?).map_err(|error| {
        let hint = "save it in ComfyUI with \"Save\" or \"Export (API)\"".to_owned();
        Failure::text(Exit::Usage, format!("{}: {error}", plain(file.display())), hint)
    })?;
    let meaning = meaning::understand(&graph);
    if !meaning.objections.is_empty() {
        let lines: String = meaning.told.iter().map(|told| format!("# {}\n", plain(told))).collect();
        print(&lines)?;
        return Err(not_equal(file, &meaning.objections));
    }
    let catalogue = Catalogue::open(&settings.models)?;
    let is_there = |id: &str| catalogue.find(id, ModelKind::Colour).is_ok();
    print(&toml_of(&meaning, &plain(file.display()), is_there))
}

fn not_equal(file: &Path, objections: &[String]) -> Failure {
    let mut told: Vec<_> = objections.iter().take(MOST_TOLD).map(plain).collect();
    if objections.len() > MOST_TOLD {
        told.push(format!("and {} more", objections.len() - MOST_TOLD));
    }
    let message = format!("{}: no settings here do the same: {}", plain(file.display()), told.join("; "));
    let hint =
        "take these nodes out and import it again; what they do has to be done before scans arrive or after derivatives are made";
    Failure::text(Exit::Failed, message, hint.to_owned())
}

/// Reads the file, within the bound.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let name = plain(file.display());
    let failed = |error: std::io::Error| Failure::text(Exit::Failed, format!("{name} cannot be read: {error}"), None);
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        let message = format!("{name} is larger than {} MiB, so it is no workflow", MOST_BYTES >> 20);
        return Err(Failure::text(Exit::Usage, message, "name the workflow's .json file".to_owned()));
    }
    Ok(bytes)
}

/// The configuration that does the same.
fn toml_of(meaning: &Meaning, file: &str, is_there: impl Fn(&str) -> bool) -> String {
    let mut text = format!("# {file}, as settings of autochrome.\n");
    for told in &meaning.told {
        text.push_str(&format!("# {}\n", plain(told)));
    }
    text.push_str(
        "# Left alone here and coloured there: scans already in colour, tinted by hand, blank or smaller than 64 pixels a side.\n",
    );
    for checkpoint in meaning.setups.iter().filter_map(|setup| setup.checkpoint.as_ref()) {
        if let Some(id) = model_id(checkpoint).filter(|id| !is_there(id)) {
            let checkpoint = plain(clipped(checkpoint));
            text.push_str(&format!(
                "# Not in the catalogue yet: `autochrome models import {checkpoint} --id {id}` brings it in.\n"
            ));
        }
    }
    let one = meaning.setups.len() == 1;
    for (number, setup) in (1..).zip(&meaning.setups) {
        let name = if one { "workflow".to_owned() } else { format!("workflow-{number}") };
        text.push_str(&format!(
            "\n[[collection]]\nname = \"{name}\"\ningest = \"ingest/{name}\"\noutput = \"derivatives/{name}\"\n\
             scene = \"other\"                        # the workflow treats all pictures alike, pages included\n"
        ));
        if !one {
            text.push_str(&own_keys(setup));
        }
    }
    if let [setup] = meaning.setups.as_slice() {
        text.push_str(&format!("\n{}", sections(setup)));
    }
    text
}

/// The settings in sections of their own: there is one way through the workflow.
fn sections(setup: &Setup) -> String {
    let mut text = String::new();
    let scene = scene_lines(setup);
    if !scene.is_empty() {
        text.push_str(&format!("[scene.other]\n{scene}\n"));
    }
    if let Some(megapixels) = megapixels(setup) {
        text.push_str(&format!("[extent]\nmax_megapixels = {megapixels}\n\n"));
    }
    if let Some(precision) = setup.precision {
        text.push_str(&format!("[device]\nprecision = \"{precision}\"\n\n"));
    }
    text.push_str("[network]\npreprocessing = \"parity\"\n\n[denoise]\napply_to = \"off\"\n\n[output]\nformat = \"png\"\n");
    text
}

/// The settings as a collection's own: there are several ways.
fn own_keys(setup: &Setup) -> String {
    let mut text: String = scene_lines(setup).lines().map(|line| format!("other.{line}\n")).collect();
    if let Some(megapixels) = megapixels(setup) {
        text.push_str(&format!("extent.max_megapixels = {megapixels}\n"));
    }
    if let Some(precision) = setup.precision {
        text.push_str(&format!("precision = \"{precision}\"\n"));
    }
    text.push_str("preprocessing = \"parity\"\ndenoise.apply_to = \"off\"\nformat = \"png\"\n");
    text
}

fn scene_lines(setup: &Setup) -> String {
    let model = setup.checkpoint.as_ref().and_then(|checkpoint| model_id(checkpoint));
    let model = model.map(|id| format!("model = \"{id}\"\n")).unwrap_or_default();
    let height = setup.side.map(|side| format!("height = {{ min = {side}, max = {side} }}\n")).unwrap_or_default();
    model + &height
}

/// What the bound on the network's copy has to be, where the usual one is too small.
fn megapixels(setup: &Setup) -> Option<f64> {
    let area = u64::from(setup.side?).pow(2);
    // Rounded up to tenths: a bound may be larger than what it bounds.
    #[expect(clippy::cast_precision_loss, reason = "at most 4096 squared")]
    (area > USUAL_AREA).then(|| (area as f64 / 1e5).ceil() / 10.0)
}

#[cfg(test)]
mod tests;
