//! `models verify`: every file of the catalogue hashed again.

use serde_json::json;

use super::{Exit, Failure, plain, print, print_json};
use crate::cli::Form;
use crate::config::Settings;
use crate::inference::{Catalogue, Entry, FileState};

pub(super) fn verify(settings: &Settings, form: Form) -> Result<(), Failure> {
    let catalogue = Catalogue::open(&settings.models)?;
    let found: Vec<_> = catalogue.entries().iter().map(|entry| (entry, catalogue.file_state(entry))).collect();
    if form.json {
        let value = |(entry, state): &(&Entry, FileState)| {
            let digest = match state {
                FileState::Ok => Some(entry.sha256),
                FileState::Mismatch { found } => Some(*found),
                FileState::Missing | FileState::Unreadable(_) => None,
            };
            json!({
                "id": entry.id, "file": entry.file, "sha256": entry.sha256, "found_sha256": digest, "state": state.to_string(),
                "matches": *state == FileState::Ok,
            })
        };
        print_json(&found.iter().map(value).collect())?;
    } else {
        let line = |(entry, state): &(&Entry, FileState)| format!("{}  {}  {}\n", entry.id, entry.file, plain(state));
        print(&found.iter().map(line).collect::<String>())?;
    }
    let wrong: Vec<_> = found.iter().filter(|(_, state)| *state != FileState::Ok).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = wrong.iter().map(|(entry, _)| entry.id.as_str()).collect();
    let message = format!("{} of {} models are not what the catalogue says: {}", wrong.len(), found.len(), names.join(", "));
    let hint = format!(
        "restore the file in {} from the release or import it again; `autochrome models remove ID` takes out a model that is not in use",
        plain(settings.models.display())
    );
    Err(Failure::text(Exit::Configuration, message, hint))
}
