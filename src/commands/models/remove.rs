//! `models remove`: a model that nothing uses goes.

use super::{Exit, Failure, print};
use crate::config::{DenoiseScope, ProfileSettings, Settings};
use crate::inference::{Catalogue, CatalogueEdit, Entry, ModelKind};
use crate::routing::Scene;
use crate::store::StoreLock;

pub(super) fn remove(settings: &Settings, id: &str) -> Result<(), Failure> {
    // A daemon loads its networks when they are needed, and may be at work with another configuration than this one.
    if let Some((pid, since)) = StoreLock::holder(&settings.state) {
        let message = format!("autochrome is running (process {pid} since {since}) and may need the file");
        return Err(Failure::text(Exit::AlreadyRunning, message, "stop it first".to_owned()));
    }
    let edit = CatalogueEdit::begin(&settings.models)?;
    let entry = edit.catalogue().entries().iter().find(|entry| entry.id == id);
    let users = entry.map(|entry| users(settings, edit.catalogue(), entry)).unwrap_or_default();
    if !users.is_empty() {
        let hint = "name another model there first; `autochrome config show` says where each value comes from";
        return Err(Failure::text(Exit::Failed, format!("model {id} is in use: {}", users.join("; ")), hint.to_owned()));
    }
    let removed = edit.remove(id)?;
    let file = match &removed.file_kept_for {
        Some(other) => format!("its file {} stays, because model {other} has it too", removed.entry.file),
        None => format!("its file {} is deleted", removed.entry.file),
    };
    let digest = removed.entry.sha256;
    print(&format!("{id} is out of the catalogue; {file}\nrecords of derivatives made with it keep its digest, {digest}\n"))
}

/// Who names the model in what holds now, in words.
fn users(settings: &Settings, catalogue: &Catalogue, entry: &Entry) -> Vec<String> {
    // Of two scene networks or denoisers none is in use: nothing runs before one of them is gone.
    let is_only = catalogue.only(entry.kind).is_ok();
    let collections = settings.collections.iter().map(|one| (format!("collection {}", one.name), &one.profile));
    let profiles = [("the common settings".to_owned(), &settings.profile)].into_iter().chain(collections);
    let used = |profile: &ProfileSettings| -> Option<String> {
        match entry.kind {
            ModelKind::Colour => {
                let scenes = Scene::COLOURED.into_iter().filter(|&scene| model_of(profile, scene) == entry.id);
                let scenes: Vec<_> = scenes.map(Scene::as_str).collect();
                (!scenes.is_empty()).then(|| scenes.join(", "))
            }
            ModelKind::Scene => is_only.then(|| "routing".to_owned()),
            ModelKind::Denoise => (is_only && profile.denoise.apply_to != DenoiseScope::Off).then(|| "denoise".to_owned()),
        }
    };
    profiles.filter_map(|(name, profile)| Some(format!("{name} ({})", used(profile)?))).collect()
}

fn model_of(profile: &ProfileSettings, scene: Scene) -> &str {
    match scene {
        Scene::Portrait => &profile.portrait.model,
        Scene::Architecture => &profile.architecture.model,
        Scene::Other | Scene::Document => &profile.other.model,
    }
}
