//! `models import`: a file of others becomes a model.

use std::time::Instant;

use serde_json::json;

use super::{Failure, print, print_json};
use crate::cli::Import;
use crate::commands::plain;
use crate::config::Settings;
use crate::inference::{self, ImportOutcome, ImportRequest, Imported, ModelKind, NO_LICENCE};

pub(super) fn import(settings: &Settings, request: &Import) -> Result<(), Failure> {
    let Import { file, id, licence, source, form } = request;
    let start = Instant::now();
    let wanted = ImportRequest { file, id, licence: licence.as_deref(), source: source.as_deref() };
    let imported = inference::import(&settings.models, &settings.engine, &wanted)?;
    let seconds = start.elapsed().as_secs_f64();
    if form.json {
        return print_json(&to_json(&imported, seconds));
    }
    let ignored = |asked: &Option<String>, stored: &str| asked.as_ref().is_some_and(|asked| asked != stored);
    let mut text = to_text(&imported, seconds);
    if ignored(licence, &imported.entry.licence) || ignored(source, &imported.entry.source) {
        text.push_str("licence and source stay as they were entered: remove the model and import it again to change them\n");
    }
    print(&text)
}

const fn word(outcome: ImportOutcome) -> &'static str {
    match outcome {
        ImportOutcome::Added => "imported",
        ImportOutcome::AlreadyThere => "already there",
        ImportOutcome::Restored => "restored",
    }
}

fn to_json(imported: &Imported, seconds: f64) -> serde_json::Value {
    let Imported { entry, path, outcome, variant } = imported;
    json!({
        "outcome": word(*outcome), "id": entry.id, "kind": entry.kind.to_string(), "architecture": entry.architecture,
        "variant": variant, "file": path, "bytes": entry.bytes, "parameters": entry.parameters, "sha256": entry.sha256,
        "imported_sha256": entry.imported_sha256, "licence": entry.licence, "source": entry.source,
        "seconds": (seconds * 1000.0).round() / 1000.0,
    })
}

fn to_text(imported: &Imported, seconds: f64) -> String {
    let Imported { entry, path, outcome, variant } = imported;
    let size = variant.filter(|&variant| variant != "other").map(|variant| format!(" (DDColor {variant})")).unwrap_or_default();
    let parameters = entry.parameters.map(|count| format!("{:.2} M parameters, ", count as f64 / 1e6)).unwrap_or_default();
    let checked = match outcome {
        ImportOutcome::Added => "; one picture was coloured with it and looks plausible",
        ImportOutcome::AlreadyThere => "; the file matches its pin",
        ImportOutcome::Restored => "; the file was missing or damaged, and matches its pin again",
    };
    let licence = match entry.licence == NO_LICENCE {
        true => format!("{NO_LICENCE}: nobody stated one; the authors' own weights are under Apache-2.0 (--licence)"),
        false => plain(&entry.licence),
    };
    format!(
        "{id}: {word} in {seconds:.1} s{checked}\n  {architecture}{size}\n  {parameters}{bytes} bytes\n  sha256 {sha256}\n  \
         file {file}\n  licence {licence}\n  source {source}\n  {note}\n{advice}",
        id = entry.id,
        word = word(*outcome),
        architecture = plain(&entry.architecture),
        bytes = entry.bytes,
        sha256 = entry.sha256,
        file = plain(path.display()),
        source = plain(&entry.source),
        note = plain(entry.note.as_deref().unwrap_or_default()),
        advice = match entry.kind {
            ModelKind::Colour =>
                format!("to colour with it, write into the configuration:\n  [scene.portrait]\n  model = \"{}\"\n", entry.id),
            ModelKind::Scene | ModelKind::Denoise => String::new(),
        },
    )
}
