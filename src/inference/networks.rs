//! The networks of an engine, all on one device: what the inference thread works with.

use std::collections::BTreeMap;

use super::colorizer::Colorizer;
use super::ddcolor::Weights;
use super::denoiser::Denoiser;
use super::engine::Work;
use super::router::Router;
use super::session::Place;
use super::{
    Catalogue, ColorizeRequest, Coloured, DeviceReport, EngineSettings, Entry, InferenceError, ModelKind, device, runtime,
};
use crate::imaging::Plane;
use crate::routing::SceneScores;

/// Everything that was loaded.
#[derive(Debug)]
pub(super) struct Networks {
    place: Place,
    router: Option<Router>,
    denoiser: Option<Denoiser>,
    colorizer: Colorizer,
}

impl Networks {
    /// Reads and checks every model, loads the runtime, decides on a device, loads what does not depend on a picture.
    pub(super) fn open(
        settings: &EngineSettings,
        catalogue: &Catalogue,
        models: &[Entry],
    ) -> Result<(Self, DeviceReport), InferenceError> {
        // The pins first: a wrong file is found in milliseconds, and before anything of it is interpreted.
        let files: Vec<(&Entry, Vec<u8>)> =
            models.iter().map(|entry| Ok((entry, catalogue.read(entry)?))).collect::<Result<_, InferenceError>>()?;
        let loaded = runtime::load(&runtime::locate_for(settings.provider)?)?;
        let (place, report) = device::choose(&loaded, settings)?;
        let (mut router, mut denoiser, mut weights) = (None, None, BTreeMap::new());
        for (entry, bytes) in files {
            let id = entry.id.clone();
            match entry.kind {
                ModelKind::Scene => router = Some(Router::open(&place, id, bytes)?),
                ModelKind::Denoise => denoiser = Some(Denoiser::open(&place, id, bytes)?),
                ModelKind::Colour => {
                    let read = Weights::read(&bytes);
                    let read = read.map_err(|source| InferenceError::Checkpoint { model: id.clone(), source })?;
                    weights.insert(id, read);
                }
            }
        }
        let colorizer = Colorizer::new(weights, settings.sessions);
        Ok((Self { place, router, denoiser, colorizer }, report))
    }
}

impl Work for Networks {
    fn scene_scores(&mut self, grey: &Plane) -> Result<SceneScores, InferenceError> {
        let router = self.router.as_mut().ok_or_else(|| InferenceError::NotLoaded { model: ModelKind::Scene.to_string() })?;
        router.scores(&self.place, grey)
    }

    fn denoise(&mut self, grey: &Plane, sigma: f32) -> Result<Plane, InferenceError> {
        let not_loaded = || InferenceError::NotLoaded { model: ModelKind::Denoise.to_string() };
        self.denoiser.as_mut().ok_or_else(not_loaded)?.clean(&self.place, grey, sigma)
    }

    fn colorize(&mut self, request: &ColorizeRequest) -> Result<Coloured, InferenceError> {
        self.colorizer.colorize(&self.place, request)
    }

    fn forget_sessions(&mut self) {
        self.colorizer.clear();
        self.denoiser.iter_mut().for_each(Denoiser::clear);
        self.router.iter_mut().for_each(Router::clear);
    }
}
