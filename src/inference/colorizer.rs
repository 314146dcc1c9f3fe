//! The colour network: from a picture to colours that can be believed.

use std::collections::BTreeMap;

use half::f16;

use super::chroma::Chroma;
use super::colour_model::{Batch, Grey, Ran, rounded};
use super::colour_sessions::{ColourSessions, Keep, Runs, Setback};
use super::numerics::{self, Accepted, Refused, Said};
use super::profile::Observed;
use super::session::Place;
use super::{Catalogue, Entry, Fallback, GuardBounds, InferenceError, Precision, PrecisionFacts, Provider, ddcolor};
use crate::imaging::{ChromaPlanes, Plane, Size};

/// One picture for the colour network.
#[derive(Debug)]
pub struct ColorizeRequest {
    /// Catalogue id.
    pub model: String,
    /// Padded grey copy, sRGB-encoded, 0..=1; sides are multiples of 32.
    pub input: Plane,
    /// Precision asked for.
    pub precision: Precision,
    /// Where it is to run.
    pub on: Target,
    /// The input in FP16, where somebody had the time to round it.
    rounded: Option<Vec<f16>>,
}

/// Where a picture is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The device at work.
    Device,
    /// The processor, whatever the device is: for what has no room on it.
    Processor,
}

impl ColorizeRequest {
    /// A picture for the device at work.
    pub const fn new(model: String, input: Plane, precision: Precision) -> Self {
        Self { model, input, precision, on: Target::Device, rounded: None }
    }

    /// The same for the processor.
    #[must_use]
    pub fn on_processor(self) -> Self {
        Self { on: Target::Processor, rounded: None, ..self }
    }

    /// Rounds the input if the device takes it so: done by the thread that wants the picture.
    pub(super) fn round_for(&mut self, provider: Provider) {
        if self.on == Target::Device {
            self.rounded = rounded(provider, self.precision, &self.input);
        }
    }

    fn grey(&self) -> Grey<'_> {
        Grey { plane: &self.input, rounded: self.rounded.as_deref() }
    }
}

/// What came out, padding included.
#[derive(Debug)]
pub struct Coloured<C = ChromaPlanes> {
    /// Chroma at the input's size, Lab units, every value finite.
    pub chroma: C,
    /// What the network, or the program in its place, says of it.
    pub said: Said,
    /// Precision and provider.
    pub precision: PrecisionFacts,
    /// What was tried before and found no memory.
    pub setbacks: Vec<Setback>,
}

/// Pictures of a run that several share.
const TOGETHER: usize = 4;
/// Pixels up to which a run is shared.
const SMALL: u64 = 640 * 640;

/// The colour networks, and a guard over what comes out of them.
#[derive(Debug)]
pub(super) struct Colorizer {
    entries: BTreeMap<String, Entry>,
    guard: GuardBounds,
    sessions: ColourSessions,
}

impl Colorizer {
    /// Loads nothing yet.
    pub(super) fn new(catalogue: Catalogue, entries: Vec<Entry>, keep: Keep, guard: GuardBounds) -> Self {
        let entries = entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        Self { entries, guard, sessions: ColourSessions::new(catalogue, keep) }
    }

    /// How many of `waiting` pictures of one kind are best coloured in one run.
    ///
    /// Small pictures leave most of a card idle: four of 512×512 take a little more than two of them one after the other
    /// (`ARCHITECTURE.md` has the figures). Larger ones fill it, and the processor gains nothing. A session for several takes seconds to
    /// make, as much as a thousand shared runs save, so only one that was made ready is used.
    pub(super) fn batch(&self, place: &Place, model: &str, size: Size, precision: Precision, waiting: usize) -> usize {
        let (precision, _) = attainable(precision, place.provider);
        let batch = Batch { pictures: TOGETHER, size };
        let entry = self.entries.get(model).filter(|entry| waiting >= TOGETHER && shares_runs(entry, place.provider, size));
        if entry.is_some_and(|entry| self.sessions.has(place, entry, batch, precision)) { TOGETHER } else { 1 }
    }

    /// Colours a picture, in FP32 where FP16 gives nothing that can be believed.
    pub(super) fn colorize(&mut self, place: &Place, request: &ColorizeRequest) -> Result<Coloured<Chroma>, InferenceError> {
        let entry = self.entry(&request.model)?;
        self.accepted(place, &entry, request, None)
    }

    /// Colours pictures of one model, size and precision in one run; what cannot be believed of it is run again by itself.
    pub(super) fn colorize_together(
        &mut self,
        place: &Place,
        requests: &[ColorizeRequest],
    ) -> Result<Vec<Result<Coloured<Chroma>, InferenceError>>, InferenceError> {
        let entry = self.entry(&requests[0].model)?;
        let (precision, _) = attainable(requests[0].precision, place.provider);
        let pictures: Vec<Grey<'_>> = requests.iter().map(ColorizeRequest::grey).collect();
        let Runs { ran, setbacks, .. } = self.sessions.run(place, &entry, &pictures, precision)?;
        let one = |(request, ran)| self.accepted(place, &entry, request, Some((ran, setbacks.clone())));
        Ok(requests.iter().zip(ran).map(one).collect())
    }

    /// Makes the sessions for pictures of this size, for one and where runs are shared for several, and runs each once on pictures of
    /// which nothing is believed. Says whether there was room for the first beside what is kept: nothing is gained by readiness that
    /// takes another's.
    pub(super) fn warm_up(
        &mut self,
        place: &Place,
        model: &str,
        size: Size,
        precision: Precision,
    ) -> Result<bool, InferenceError> {
        let entry = self.entry(model)?;
        let (precision, _) = attainable(precision, place.provider);
        let grey = Plane::filled(size, 0.5);
        let pictures = [Grey { plane: &grey, rounded: None }; TOGETHER];
        let ready = self.sessions.make_ready(place, &entry, &pictures[..1], precision)?;
        if ready && shares_runs(&entry, place.provider, size) {
            self.sessions.make_ready(place, &entry, &pictures, precision)?;
        }
        Ok(ready)
    }

    fn entry(&self, model: &str) -> Result<Entry, InferenceError> {
        self.entries.get(model).cloned().ok_or_else(|| InferenceError::NotLoaded { model: model.to_owned() })
    }

    /// What can be believed of a picture: of what `ran` already in the first precision, or of runs of its own.
    fn accepted(
        &mut self,
        place: &Place,
        entry: &Entry,
        request: &ColorizeRequest,
        ran: Option<(Ran, Vec<Setback>)>,
    ) -> Result<Coloured<Chroma>, InferenceError> {
        let ColorizeRequest { model, input, precision: requested, .. } = request;
        let (mut ran, mut setbacks) = ran.map_or_else(Default::default, |(ran, setbacks)| (Some(ran), setbacks));
        let (first, unmet) = attainable(*requested, place.provider);
        // A file of others has one precision and no twin: it is run once.
        let first = if entry.is_onnx() { Precision::Fp32 } else { first };
        let mut stored = None;
        let guard = self.guard;
        let accepted = numerics::run_guarded(
            first,
            || numerics::deviation(input),
            &guard,
            |precision| {
                let Ran { chroma, said, observed } = match ran.take() {
                    Some(ran) => ran,
                    None => {
                        let mut alone = self.sessions.run(place, entry, &[request.grey()], precision)?;
                        stored = alone.stored;
                        setbacks.append(&mut alone.setbacks);
                        alone.ran.swap_remove(0)
                    }
                };
                Ok((chroma, said, observed))
            },
        );
        let accepted = accepted.map_err(|refused| refuse(model, stored, refused))?;
        Ok(coloured(*requested, unmet, stored, accepted, setbacks))
    }

    /// See [`ColourSessions::forgive`].
    pub(super) fn forgive(&mut self) {
        self.sessions.forgive();
    }

    /// Lets everything go.
    pub(super) fn clear(&mut self) {
        self.sessions.clear();
    }
}

/// Whether pictures of this size gain by sharing a run.
fn shares_runs(entry: &Entry, provider: Provider, size: Size) -> bool {
    provider == Provider::Cuda && !entry.is_onnx() && size.pixels() <= SMALL
}

/// The precision to begin with, and why it is not the one asked for.
pub(super) fn attainable(requested: Precision, provider: Provider) -> (Precision, Option<&'static str>) {
    match (provider, requested) {
        (Provider::Cpu, Precision::Fp16) => (Precision::Fp32, Some("the CPU provider computes in fp32")),
        (Provider::Cpu, Precision::Fp32) | (Provider::Cuda, _) => (requested, None),
    }
}

/// In percent.
fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn refuse(model: &str, stored: Option<Precision>, refused: Refused<InferenceError>) -> InferenceError {
    match refused {
        Refused::Run(error) => error,
        Refused::Numerics(verdict, found) if stored == Some(Precision::Fp16) => {
            InferenceError::NoTwin { network: model.to_owned(), detail: numerics::complaint(verdict, &found) }
        }
        Refused::Numerics(verdict, found) => numerics::disbelief(model, verdict, &found),
    }
}

fn coloured(
    requested: Precision,
    unmet: Option<&str>,
    stored: Option<Precision>,
    accepted: Accepted<Chroma, Observed>,
    setbacks: Vec<Setback>,
) -> Coloured<Chroma> {
    let Accepted { chroma, said, observed, fallback } = accepted;
    Coloured { chroma, said, precision: facts(requested, unmet, stored, observed, fallback), setbacks }
}

/// What was asked for, why it cannot be had, and what the session showed, as it is told to others. `stored`: what most of a
/// file of others is stored in; its precision cannot be chosen.
pub(super) fn facts(
    requested: Precision,
    unmet: Option<&str>,
    stored: Option<Precision>,
    seen: Observed,
    fallback: Option<Fallback>,
) -> PrecisionFacts {
    let observed = seen.precision();
    let reason = (observed != requested).then(|| match (&fallback, stored, unmet) {
        (Some(fallback), ..) => format!("run again in {}: {}", fallback.to, fallback.reason),
        (None, Some(stored), _) if stored == observed => format!("the file computes in {stored} inside"),
        (None, _, Some(unmet)) => unmet.to_owned(),
        (None, _, None) => format!("{:.0} % of the multiplications were of fp16 numbers", share(seen.work_fp16, seen.work)),
    });
    let wide = seen.heavy - seen.heavy_fp16;
    let islands = match (observed, stored) {
        (Precision::Fp32, _) => Vec::new(),
        (Precision::Fp16, None) => ddcolor::FP32_ISLANDS.iter().map(|(island, _)| (*island).to_owned()).collect(),
        // Where they lie in a graph of others nobody has said; how many they are the profile has.
        (Precision::Fp16, Some(_)) if wide == 0 => Vec::new(),
        (Precision::Fp16, Some(_)) => vec![format!("{wide} of {} heavy operators", seen.heavy)],
    };
    PrecisionFacts { requested, observed, reason, fp32_islands: islands, fallback, provider: seen.provider }
}

#[cfg(test)]
#[path = "colorizer_tests.rs"]
#[expect(clippy::disallowed_methods, reason = "tests make and change their own files")]
mod tests;
