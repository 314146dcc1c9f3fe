//! `models list`: the catalogue for people and machines.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Failure, plain, print, print_json};
use crate::cli::Form;
use crate::config::Settings;
use crate::inference::ddcolor::FP32_ISLANDS;
use crate::inference::{Catalogue, Entry, FileState, ModelKind};

pub(super) fn list(settings: &Settings, form: Form) -> Result<(), Failure> {
    let catalogue = Catalogue::open(&settings.models)?;
    let entries: Vec<_> = catalogue.entries().iter().map(|entry| (entry, catalogue.file_state(entry))).collect();
    match form.json {
        true => print_json(&entries.iter().map(|(entry, state)| to_json(entry, state)).collect()),
        false => print(&entries.iter().map(|(entry, state)| to_text(entry, state)).collect::<Vec<_>>().join("\n")),
    }
}

fn to_json(entry: &Entry, state: &FileState) -> Value {
    json!({
        "id": entry.id, "kind": entry.kind.to_string(), "architecture": entry.architecture, "file": entry.file,
        "bytes": entry.bytes, "parameters": entry.parameters, "sha256": entry.sha256, "licence": entry.licence,
        "source": entry.source, "measured": entry.measured, "note": entry.note, "imported_sha256": entry.imported_sha256,
        "size": entry.size, "state": state.to_string(), "matches": *state == FileState::Ok,
        "fp32_islands": is_ours(entry).then(|| FP32_ISLANDS.iter().copied().collect::<BTreeMap<_, _>>()),
    })
}

/// Whether its graph is made here: what it keeps in FP32 is known then.
fn is_ours(entry: &Entry) -> bool {
    entry.kind == ModelKind::Colour && !entry.is_onnx()
}

/// The id, and a line for every fact that is there.
fn to_text(entry: &Entry, state: &FileState) -> String {
    let pin = match state {
        FileState::Ok => "the file matches its pin".to_owned(),
        FileState::Mismatch { .. } | FileState::Missing | FileState::Unreadable(_) => format!("the file is wrong: {state}"),
    };
    let size = format!("{} bytes ({:.1} MiB)", entry.bytes, entry.bytes as f64 / 1_048_576.0);
    let parameters = entry.parameters.map(|count| format!("{:.2} M", count as f64 / 1e6));
    let facts = [
        ("architecture", Some(entry.architecture.clone())),
        ("parameters", parameters),
        ("file", Some(format!("{}, {size}", entry.file))),
        ("sha256", Some(entry.sha256.to_string())),
        ("pin", Some(pin)),
        ("licence", Some(entry.licence.clone())),
        ("source", Some(entry.source.clone())),
        ("imported", entry.imported_sha256.map(|digest| format!("from a file of SHA-256 {digest}"))),
        ("takes", entry.size.map(|size| format!("pictures of {}×{} pixels only", size.width, size.height))),
        ("measured", entry.measured.clone()),
        ("note", entry.note.clone()),
    ];
    let islands = is_ours(entry).then_some(FP32_ISLANDS).into_iter().flatten();
    let islands = islands.map(|(island, reason)| ("in fp32", Some(format!("{island}: {reason}"))));
    let lines = facts.into_iter().chain(islands).filter_map(|(name, fact)| Some(format!("  {name:<12} {}\n", plain(fact?))));
    format!("{}  {}\n{}", entry.id, entry.kind, lines.collect::<String>())
}
