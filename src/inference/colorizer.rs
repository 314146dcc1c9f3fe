//! The colour network: a session for every model, size and precision, and a guard over what comes out.

use std::collections::BTreeMap;
use std::fmt;

use super::colour_model::{Batch, Model, Ran, Session, session_size};
use super::numerics::{self, Accepted, Refused, Said};
use super::profile::Observed;
use super::session::Place;
use super::shelf::Shelf;
use super::{Catalogue, Entry, Fallback, GuardBounds, InferenceError, Precision, PrecisionFacts, Provider, ddcolor, device};
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
}

/// What came out, padding included.
#[derive(Debug)]
pub struct Coloured {
    /// Chroma at the input's size, Lab units, every value finite.
    pub chroma: ChromaPlanes,
    /// What the network, or the program in its place, says of it.
    pub said: Said,
    /// Precision and provider.
    pub precision: PrecisionFacts,
}

/// Pictures of a run that several share.
const TOGETHER: usize = 4;
/// Pixels up to which a run is shared.
const SMALL: u64 = 640 * 640;

/// What the pictures of a run gave, and what a file of others is stored in.
type Runs = (Vec<Ran>, Option<Precision>);

/// What is kept on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Model(String),
    /// `None` where one session serves every size, and where the file has the one precision it has.
    Session {
        model: String,
        size: Option<Size>,
        pictures: usize,
        precision: Option<Precision>,
    },
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(model) => write!(f, "the weights of {model}"),
            Self::Session { model, size, pictures, precision } => {
                write!(f, "the session of {model}")?;
                size.iter().try_for_each(|size| write!(f, ", {size}"))?;
                if *pictures > 1 {
                    write!(f, ", {pictures} pictures")?;
                }
                precision.iter().try_for_each(|precision| write!(f, ", {precision}"))
            }
        }
    }
}

impl Key {
    const fn is_session(&self) -> bool {
        matches!(self, Self::Session { .. })
    }
}

#[derive(Debug)]
enum Loaded {
    Model(Model),
    Session(Session),
}

/// The colour networks: weights and sessions are loaded when a picture needs them, and kept while there is room.
#[derive(Debug)]
pub(super) struct Colorizer {
    catalogue: Catalogue,
    entries: BTreeMap<String, Entry>,
    /// Sessions kept at once.
    sessions: usize,
    guard: GuardBounds,
    shelf: Shelf<Key, Loaded>,
}

impl Colorizer {
    /// Loads nothing yet. `sessions` is how many are kept, `memory` how many bytes weights and sessions may take together.
    pub(super) fn new(catalogue: Catalogue, entries: Vec<Entry>, sessions: usize, memory: u64, guard: GuardBounds) -> Self {
        let entries = entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        Self { catalogue, entries, sessions, guard, shelf: Shelf::new(memory) }
    }

    /// How many of `waiting` pictures of one kind are best coloured in one run.
    ///
    /// Small pictures leave most of a card idle: four of 512×512 take a little more than two of them one after the other
    /// (`ARCHITECTURE.md` has the figures). Larger ones fill it, and the processor gains nothing.
    pub(super) fn batch(&self, place: &Place, model: &str, size: Size, waiting: usize) -> usize {
        let is_ours = self.entries.get(model).is_some_and(|entry| !entry.is_onnx());
        let pays = place.provider == Provider::Cuda && is_ours && size.pixels() <= SMALL;
        if pays && waiting >= TOGETHER { TOGETHER } else { 1 }
    }

    /// Colours a picture, in FP32 where FP16 gives nothing that can be believed.
    pub(super) fn colorize(&mut self, place: &Place, request: &ColorizeRequest) -> Result<Coloured, InferenceError> {
        let entry = self.entry(&request.model)?;
        self.accepted(place, &entry, request, None)
    }

    /// Colours pictures of one model, size and precision in one run; what cannot be believed of it is run again by itself.
    pub(super) fn colorize_together(
        &mut self,
        place: &Place,
        requests: &[ColorizeRequest],
    ) -> Result<Vec<Result<Coloured, InferenceError>>, InferenceError> {
        let entry = self.entry(&requests[0].model)?;
        let (precision, _) = attainable(requests[0].precision, place.provider);
        let pictures: Vec<&Plane> = requests.iter().map(|request| &request.input).collect();
        let (ran, _) = self.run(place, &entry, &pictures, precision)?;
        Ok(requests.iter().zip(ran).map(|(request, ran)| self.accepted(place, &entry, request, Some(ran))).collect())
    }

    /// Makes the session for one picture of this size and runs it once, on a picture of which nothing is believed.
    pub(super) fn warm_up(&mut self, place: &Place, model: &str, size: Size, precision: Precision) -> Result<(), InferenceError> {
        let entry = self.entry(model)?;
        let (precision, _) = attainable(precision, place.provider);
        self.run(place, &entry, &[&Plane::filled(size, 0.5)], precision).map(drop)
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
        mut ran: Option<Ran>,
    ) -> Result<Coloured, InferenceError> {
        let ColorizeRequest { model, input, precision: requested } = request;
        let (first, unmet) = attainable(*requested, place.provider);
        // A file of others has one precision and no twin: it is run once.
        let first = if entry.is_onnx() { Precision::Fp32 } else { first };
        let mut stored = None;
        let guard = self.guard;
        let accepted = numerics::run_guarded(first, numerics::deviation(input), &guard, |precision| {
            let Ran { chroma, said, observed } = match ran.take() {
                Some(ran) => ran,
                None => {
                    let (mut alone, kind) = self.run(place, entry, &[input], precision)?;
                    stored = kind;
                    alone.swap_remove(0)
                }
            };
            Ok((chroma, said, observed))
        });
        let accepted = accepted.map_err(|refused| refuse(model, stored, refused))?;
        Ok(coloured(*requested, unmet, stored, accepted))
    }

    /// Runs a session, which is made if it is not kept, and says what a file of others is stored in.
    ///
    /// A session whose run failed is not used again. When the device had no room, everything goes, and one fresh try is made:
    /// the runtime never returns what a session has taken (onnxruntime issue 11740).
    fn run(&mut self, place: &Place, entry: &Entry, pictures: &[&Plane], precision: Precision) -> Result<Runs, InferenceError> {
        match self.try_run(place, entry, pictures, precision) {
            Err(error @ InferenceError::OutOfMemory { .. }) => {
                tracing::warn!(error = %error, "The device is full: what is loaded goes, and one fresh try is made");
                self.shelf.clear();
                self.try_run(place, entry, pictures, precision)
            }
            other => other,
        }
    }

    fn try_run(
        &mut self,
        place: &Place,
        entry: &Entry,
        pictures: &[&Plane],
        precision: Precision,
    ) -> Result<Runs, InferenceError> {
        let (provider, size) = (place.provider, pictures[0].size());
        let batch = Batch { pictures: pictures.len(), size };
        let own = (!entry.is_onnx()).then_some(precision);
        let size_bound = session_size(entry, provider, size);
        let key = Key::Session { model: entry.id.clone(), size: size_bound, pictures: pictures.len(), precision: own };
        let mut session = match self.shelf.take(&key) {
            Some(Loaded::Session(session)) => session,
            _ => self.open(place, entry, &key, batch, precision)?,
        };
        let resting = session.resting_bytes(provider);
        self.shelf.make_room(resting.saturating_add(session.running_bytes(provider, size)), &key);
        let ran = session.run(&entry.id, pictures)?;
        let stored = session.stored();
        self.shelf.put(key, Loaded::Session(session), resting);
        Ok((ran, stored))
    }

    /// Makes a session. Its model stays on the shelf for the next one where both have room.
    fn open(
        &mut self,
        place: &Place,
        entry: &Entry,
        key: &Key,
        batch: Batch,
        precision: Precision,
    ) -> Result<Session, InferenceError> {
        let model_key = Key::Model(entry.id.clone());
        let model = match self.shelf.take(&model_key) {
            Some(Loaded::Model(model)) => model,
            _ => {
                self.shelf.make_room(Model::reading_bytes(entry), &model_key);
                Model::read(&self.catalogue, entry)?
            }
        };
        let (bytes, resting) = (model.bytes(), model.resting_bytes(place.provider));
        let making = model.graph_bytes(precision).saturating_add(resting);
        let both = making.saturating_add(bytes);
        let keep = both <= self.shelf.bound();
        // Room is made before a session is, not after: both would have to fit.
        self.shelf.keep_fewer_than(self.sessions, Key::is_session);
        if place.provider == Provider::Cuda {
            self.make_room_on_card(model.card_bytes(batch, precision));
        }
        self.shelf.make_room(if keep { both } else { making }, key);
        let (session, model) = model.open(place, &entry.id, batch, precision, keep)?;
        if let Some(model) = model {
            self.shelf.put(model_key, Loaded::Model(model), bytes);
        }
        Ok(session)
    }

    /// Lets sessions go until the card has so much free memory, as far as it says: others may use it too.
    fn make_room_on_card(&mut self, wanted: u64) {
        while device::free_memory().is_some_and(|free| free < wanted) && self.shelf.let_oldest_go(Key::is_session) {}
    }

    /// Lets everything go.
    pub(super) fn clear(&mut self) {
        self.shelf.clear();
    }
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

fn coloured(requested: Precision, unmet: Option<&str>, stored: Option<Precision>, accepted: Accepted<Observed>) -> Coloured {
    let Accepted { chroma, said, observed, fallback } = accepted;
    Coloured { chroma, said, precision: facts(requested, unmet, stored, observed, fallback) }
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
