//! `models list`: the catalogue for people and machines.

use serde_json::json;

use super::{Failure, print, print_json};
use crate::cli::Form;
use crate::config::Settings;
use crate::inference::{Catalogue, FileState};

pub(super) fn list(settings: &Settings, form: Form) -> Result<(), Failure> {
    let catalogue = Catalogue::open(&settings.models)?;
    let entries: Vec<_> = catalogue.entries().iter().map(|entry| (entry, catalogue.file_state(entry))).collect();
    if form.json {
        let values = entries
            .iter()
            .map(|(entry, state)| {
                json!({
                    "id": entry.id, "kind": entry.kind.to_string(), "architecture": entry.architecture, "file": entry.file,
                    "bytes": entry.bytes, "parameters": entry.parameters, "sha256": entry.sha256, "licence": entry.licence,
                    "source": entry.source, "note": entry.note, "state": state.to_string(),
                })
            })
            .collect();
        return print_json(&values);
    }
    let mut text = String::new();
    for (entry, state) in &entries {
        let parameters = entry.parameters.map_or_else(|| "?".to_owned(), |count| format!("{:.2} M", count as f64 / 1e6));
        text.push_str(&format!(
            "{}  {}  {}  {parameters} parameters  {:.1} MiB  {}\n  {}\n  {}; {}\n",
            entry.id,
            entry.kind,
            entry.architecture,
            entry.bytes as f64 / 1_048_576.0,
            entry.licence,
            entry.sha256,
            entry.source,
            if *state == FileState::Ok { "matches its pin".to_owned() } else { state.to_string() },
        ));
        if let Some(note) = &entry.note {
            text.push_str(&format!("  {note}\n"));
        }
    }
    print(&text)
}
