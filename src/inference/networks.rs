//! The networks of an engine, all on one device: what the inference thread works with.

use super::colorizer::Colorizer;
use super::colour_model::Model;
use super::colour_sessions::Keep;
use super::denoiser::Denoiser;
use super::engine::{Answer, Kind, Work};
use super::router::Router;
use super::session::Place;
use super::{
    Catalogue, ColorizeRequest, DeviceReport, EngineSettings, Entry, InferenceError, ModelKind, Provider, Target, device, runtime,
};
use crate::imaging::Plane;
use crate::routing::SceneScores;

/// Sessions of colour networks kept on the processor unless settings say otherwise: making one takes about as long as a run.
const KEPT_ON_PROCESSOR: usize = 4;

/// Everything that was loaded.
#[derive(Debug)]
pub(super) struct Networks {
    place: Place,
    may_use_processor: bool,
    router: Option<Router>,
    denoiser: Option<Denoiser>,
    colorizer: Colorizer,
}

impl Networks {
    /// Checks every model, loads the runtime, decides on a device, loads the small networks that every scan needs.
    pub(super) fn open(
        settings: &EngineSettings,
        catalogue: &Catalogue,
        models: &[Entry],
    ) -> Result<(Self, DeviceReport), InferenceError> {
        // Every file is held to its pin before anything of it is interpreted, and all of them before a scan is claimed. A
        // colour network is loaded when the first picture needs it; that one can be made of its file is found out now, one at
        // a time.
        models.iter().try_for_each(|entry| match entry.kind {
            ModelKind::Colour => Model::read(catalogue, entry).map(drop),
            ModelKind::Scene | ModelKind::Denoise => Ok(catalogue.check(entry)?),
        })?;
        let loaded = runtime::load(&runtime::locate_for(settings.provider)?)?;
        let (place, report) = device::choose(&loaded, settings)?;
        let (mut router, mut denoiser, mut colour) = (None, None, Vec::new());
        for entry in models {
            let id = entry.id.clone();
            match entry.kind {
                ModelKind::Scene => router = Some(Router::open(&place, id, catalogue.read(entry)?)?),
                ModelKind::Denoise => denoiser = Some(Denoiser::open(&place, id, catalogue.read(entry)?)?),
                ModelKind::Colour => colour.push(entry.clone()),
            }
        }
        let memory = settings.model_memory_mib.saturating_mul(1 << 20);
        let sessions = match (settings.sessions, place.provider) {
            (0, Provider::Cpu) => KEPT_ON_PROCESSOR,
            (0, Provider::Cuda) => usize::MAX,
            (count, _) => count,
        };
        let keep = Keep { sessions, memory, card: settings.card_budget() };
        let colorizer = Colorizer::new(catalogue.clone(), colour, keep, settings.guard);
        let may_use_processor = settings.may_use_processor();
        Ok((Self { place, may_use_processor, router, denoiser, colorizer }, report))
    }
}

impl Networks {
    /// Where a picture runs.
    fn place_of(&self, target: Target) -> Place {
        match target {
            Target::Device => self.place.clone(),
            Target::Processor => on_processor(&self.place),
        }
    }

    /// Lets what the denoiser keeps go when a colour network found no memory; whether that gave some back.
    fn give_back(&mut self) -> bool {
        let gave = self.denoiser.as_mut().is_some_and(Denoiser::clear);
        if gave {
            self.colorizer.forgive();
        }
        gave
    }
}

fn on_processor(place: &Place) -> Place {
    Place { provider: Provider::Cpu, ..place.clone() }
}

/// Runs one of the small networks, which every scan needs. Where the card has no room for it, colour networks make some, and where that is
/// not enough and the processor is allowed, it takes over.
fn with_room<T>(
    colorizer: &mut Colorizer,
    place: &Place,
    may_use_processor: bool,
    mut run: impl FnMut(&Place) -> Result<T, InferenceError>,
) -> Result<T, InferenceError> {
    let full = |result: &Result<T, InferenceError>| matches!(result, Err(InferenceError::OutOfMemory { .. }));
    let mut result = run(place);
    if full(&result) {
        colorizer.clear();
        result = run(place);
    }
    if full(&result) && may_use_processor && place.provider == Provider::Cuda {
        tracing::warn!("The card has no memory for a small network: it runs on the processor");
        result = run(&on_processor(place));
    }
    result
}

impl Work for Networks {
    fn scene_scores(&mut self, grey: &Plane) -> Result<SceneScores, InferenceError> {
        let router = self.router.as_mut().ok_or_else(|| InferenceError::NotLoaded { model: ModelKind::Scene.to_string() })?;
        with_room(&mut self.colorizer, &self.place, self.may_use_processor, |place| router.scores(place, grey))
    }

    fn denoise(&mut self, grey: &Plane, sigma: f32) -> Result<Plane, InferenceError> {
        let not_loaded = || InferenceError::NotLoaded { model: ModelKind::Denoise.to_string() };
        let denoiser = self.denoiser.as_mut().ok_or_else(not_loaded)?;
        with_room(&mut self.colorizer, &self.place, self.may_use_processor, |place| denoiser.clean(place, grey, sigma))
    }

    fn batch(&self, kind: &Kind, waiting: usize) -> usize {
        self.colorizer.batch(&self.place_of(kind.on), &kind.model, kind.size, kind.precision, waiting)
    }

    fn colorize(&mut self, request: &ColorizeRequest) -> Answer {
        let place = self.place_of(request.on);
        match self.colorizer.colorize(&place, request) {
            Err(InferenceError::OutOfMemory { .. }) if self.give_back() => self.colorizer.colorize(&place, request),
            other => other,
        }
    }

    fn colorize_together(&mut self, requests: &[ColorizeRequest]) -> Result<Vec<Answer>, InferenceError> {
        self.colorizer.colorize_together(&self.place_of(requests[0].on), requests)
    }

    fn warm_up(&mut self, kind: &Kind) -> Result<bool, InferenceError> {
        self.colorizer.warm_up(&self.place, &kind.model, kind.size, kind.precision)
    }

    fn forget_sessions(&mut self) {
        self.colorizer.clear();
        self.denoiser.as_mut().map(Denoiser::clear);
        self.router.as_mut().map(Router::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::GuardBounds;
    use crate::inference::foreign::tests::processor;

    /// Where a small network ends up on a card that is full for `tries` runs, and how often it was tried.
    fn end_of(tries: usize, may_use_processor: bool) -> (Option<Provider>, usize) {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let keep = Keep { sessions: 1, memory: 1 << 20, card: None };
        let mut colorizer = Colorizer::new(Catalogue::open(&models).unwrap(), Vec::new(), keep, GuardBounds::default());
        let card = Place { provider: Provider::Cuda, ..processor() };
        let mut tried = 0;
        let ended = with_room(&mut colorizer, &card, may_use_processor, |place| {
            tried += 1;
            let full = InferenceError::OutOfMemory { network: "n".into(), detail: "full".into() };
            if tried <= tries && place.provider == Provider::Cuda { Err(full) } else { Ok(place.provider) }
        });
        (ended.ok(), tried)
    }

    #[test]
    fn a_small_network_makes_room_first_and_takes_the_processor_only_where_that_is_allowed() {
        assert_eq!(end_of(0, true), (Some(Provider::Cuda), 1));
        assert_eq!(end_of(1, true), (Some(Provider::Cuda), 2), "colour networks made room");
        assert_eq!(end_of(9, true), (Some(Provider::Cpu), 3));
        assert_eq!(end_of(9, false), (None, 2));
    }
}
