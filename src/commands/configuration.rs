//! `config check` and `config show`. A configuration that is not sound never gets here: loading it told every problem.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Exit, Failure, plain, print, print_json};
use crate::cli::Form;
use crate::config::{Effective, Loaded, Settings};
use crate::inference::{Catalogue, ModelKind};
use crate::{daemon, ingest};

pub(super) fn check(loaded: &Loaded) -> Result<(), Failure> {
    let settings = &loaded.settings;
    let subject = settings.file.as_ref().map(|file| plain(file.display()));
    let subject = subject.unwrap_or_else(|| "no file was found; what holds by default".to_owned());
    // What the daemon refuses at start as well: trees in each other's way, models that are not there.
    let trees = ingest::check_trees(&settings.trees()).err().map(Failure::from);
    let refusals: Vec<_> = trees.into_iter().chain(models(settings)).map(|failure| failure.to_string()).collect();
    if !refusals.is_empty() {
        return Err(Failure::text(Exit::Configuration, format!("{subject} is not sound:\n{}", refusals.join("\n")), None));
    }
    let mut text = format!("{subject}: configuration is sound\n");
    if settings.collections.is_empty() {
        text.push_str("warning: it names no collection, so `run` and `once` have nothing to work on\n");
    }
    for one in settings.collections.iter().filter(|one| !one.ingest.is_dir()) {
        let root = plain(one.ingest.display());
        text.push_str(&format!("warning: the ingest root of {}, {root}, is not there now\n", one.name));
    }
    print(&text)
}

/// Every model that is named and cannot be used: not in the catalogue, for something else, or not the file that is pinned.
fn models(settings: &Settings) -> Vec<Failure> {
    let catalogue = match Catalogue::open(&settings.models) {
        Ok(catalogue) => catalogue,
        Err(error) => return vec![error.into()],
    };
    // Collections inherit what they do not set; the common settings count by themselves only where there is none.
    let common = settings.collections.is_empty().then_some(&settings.profile);
    let profiles = settings.collections.iter().map(|one| &one.profile).chain(common);
    let named: BTreeSet<&str> =
        profiles.flat_map(|one| [&one.portrait, &one.architecture, &one.other]).map(|scene| scene.model.as_str()).collect();
    let unknown: Vec<Failure> =
        named.iter().filter_map(|id| catalogue.find(id, ModelKind::Colour).err()).map(Failure::from).collect();
    if !unknown.is_empty() {
        return unknown;
    }
    let used = daemon::profiles(settings).and_then(|(catalogue, profiles)| {
        let common = profiles.is_empty().then(|| daemon::common_profile(settings, &catalogue)).transpose()?;
        Ok(daemon::used_models(&catalogue, profiles.values().chain(&common))?)
    });
    match used {
        Ok(used) => used.iter().filter_map(|entry| catalogue.check(entry).err()).map(Failure::from).collect(),
        Err(failure) => vec![failure],
    }
}

pub(super) fn show(loaded: &Loaded, form: Form) -> Result<(), Failure> {
    if form.json {
        let keys: serde_json::Map<_, _> = loaded.effective.iter().map(|one| (one.key.clone(), value_json(one))).collect();
        return print_json(&keys.into());
    }
    let lines: Vec<_> = loaded.effective.iter().map(|one| (format!("{} = {}", one.key, one.value), one)).collect();
    // Comments stand in one column as long as that keeps them on the screen.
    let widest = lines.iter().map(|(line, _)| line.chars().count()).filter(|&width| width <= 48).max().unwrap_or(0);
    let text: String = lines.iter().map(|(line, one)| format!("{:<widest$}   # {}\n", plain(line), origin(one))).collect();
    print(&text)
}

/// Who said so, and what was written where that is not the value.
fn origin(one: &Effective) -> String {
    match one.note {
        Some(note) => format!("{}; {note}", plain(&one.origin)),
        None => plain(&one.origin),
    }
}

fn value_json(one: &Effective) -> serde_json::Value {
    let value = serde_json::to_value(&one.value).expect("texts, numbers and switches are JSON");
    let mut entry = json!({ "value": value, "origin": one.origin.to_string(), "meaning": one.meaning });
    if let Some(note) = one.note {
        entry["note"] = note.into();
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn a_shown_value_carries_its_origin_and_what_was_written() {
        let one = Effective {
            key: "workers.count".to_owned(),
            value: 4.into(),
            origin: Origin::Variable("AUTOCHROME__WORKERS__COUNT".to_owned()),
            note: Some("0: from the machine"),
            meaning: "scans worked on at once",
        };
        assert_eq!(origin(&one), "environment AUTOCHROME__WORKERS__COUNT; 0: from the machine");
        let value = value_json(&one);
        assert_eq!((&value["value"], &value["note"]), (&4.into(), &"0: from the machine".into()));
    }
}
