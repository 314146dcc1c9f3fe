//! Which sessions of colour networks are kept, and what is tried when one finds no memory.
//!
//! Weights and sessions lie on one shelf; whatever is used longest ago goes when the next one needs the room, of this machine or
//! of the card.

use std::fmt;
use std::time::{Duration, Instant};

use super::card::{Grant, Need, Room};
use super::colour_model::{Batch, Grey, Model, Ran, Session, session_size};
use super::options::MemoryUse;
use super::session::Place;
use super::shelf::Shelf;
use super::{Catalogue, Entry, InferenceError, Precision, Provider, device};
use crate::imaging::Size;

/// A try that found no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// What was tried.
    pub tried: String,
    /// What was found, with numbers where the runtime gives some.
    pub found: String,
}

/// How long a session that found no memory is not tried again: making one takes seconds, and whoever took the memory seldom
/// gives it back at once.
const TIGHT_FOR: Duration = Duration::from_secs(60);

/// Sessions that found no memory on the card: when, what was found, and whether that will stay so.
#[derive(Debug, Default)]
struct Tight(Vec<(Key, Instant, String, bool)>);

impl Tight {
    /// What was found the last time, if that is not long ago.
    fn found(&mut self, key: &Key) -> Option<String> {
        self.0.retain(|(_, since, _, stays)| *stays || since.elapsed() < TIGHT_FOR);
        let (_, since, found, _) = self.0.iter().find(|(tight, ..)| tight == key)?;
        Some(format!("{found} ({} s ago)", since.elapsed().as_secs()))
    }

    fn note(&mut self, key: Key, found: String, stays: bool) {
        self.0.push((key, Instant::now(), found, stays));
    }
}

/// What the pictures of a run gave.
pub(super) struct Runs {
    pub(super) ran: Vec<Ran>,
    /// What a file of others is stored in.
    pub(super) stored: Option<Precision>,
    pub(super) setbacks: Vec<Setback>,
}

/// Bounds on what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    /// Sessions.
    pub(super) sessions: usize,
    /// Bytes that weights and sessions may take of this machine's memory.
    pub(super) memory: u64,
    /// Bytes that they may take of the card's, if there is a bound but its own.
    pub(super) card: Option<u64>,
}

/// What is kept on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Model(String),
    /// `None` where one session serves every size, and where the file has the one precision it has.
    Session {
        model: String,
        size: Option<Size>,
        pictures: usize,
        precision: Option<Precision>,
        provider: Provider,
    },
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(model) => write!(f, "the weights of {model}"),
            Self::Session { model, size, pictures, precision, provider: _ } => {
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

    const fn is_on_card(&self) -> bool {
        matches!(self, Self::Session { provider: Provider::Cuda, .. })
    }
}

#[derive(Debug)]
pub(super) enum Loaded {
    Model(Model),
    Session(Session),
}

/// Weights and sessions, loaded when a picture needs them and kept while there is room.
#[derive(Debug)]
pub(super) struct ColourSessions {
    catalogue: Catalogue,
    keep: Keep,
    shelf: Shelf<Key, Loaded>,
    tight: Tight,
    /// Whether the session made last had all that there is, in the form that needs least: another try would be the same.
    spent: bool,
}

impl ColourSessions {
    /// Loads nothing yet.
    pub(super) fn new(catalogue: Catalogue, keep: Keep) -> Self {
        Self { catalogue, keep, shelf: Shelf::new(keep.memory), tight: Tight::default(), spent: false }
    }

    #[cfg(test)]
    pub(super) const fn shelf(&self) -> &Shelf<Key, Loaded> {
        &self.shelf
    }

    /// Whether a session of this kind is kept.
    pub(super) fn has(&self, place: &Place, entry: &Entry, batch: Batch, precision: Precision) -> bool {
        let key = Self::key(place, entry, batch, precision);
        self.shelf.count(|kept| *kept == key) > 0
    }

    /// Makes the session for pictures like these and runs it, if there is room for it beside what is kept; whether there was.
    pub(super) fn make_ready(
        &mut self,
        place: &Place,
        entry: &Entry,
        pictures: &[Grey<'_>],
        precision: Precision,
    ) -> Result<bool, InferenceError> {
        let batch = Batch::of(pictures);
        let key = Self::key(place, entry, batch, precision);
        if place.provider == Provider::Cuda {
            let need = self.model(entry)?.need(batch, precision);
            let is_full = self.shelf.count(Key::is_session) >= self.keep.sessions;
            if is_full || !self.room().fits(need.of(MemoryUse::Fast)) {
                return Ok(false);
            }
        }
        match self.try_run(place, entry, &key, pictures, precision, false) {
            Err(InferenceError::OutOfMemory { .. }) => Ok(false),
            other => other.map(|_| true),
        }
    }

    /// Runs a session, which is made if it is not kept.
    ///
    /// A session whose run failed is not used again. When the device had no room, everything goes, and one fresh try is made in the
    /// form that needs least: the runtime never returns what a session has taken (onnxruntime issue 11740).
    pub(super) fn run(
        &mut self,
        place: &Place,
        entry: &Entry,
        pictures: &[Grey<'_>],
        precision: Precision,
    ) -> Result<Runs, InferenceError> {
        let batch = Batch::of(pictures);
        let key = Self::key(place, entry, batch, precision);
        if let Some(detail) = self.tight.found(&key) {
            return Err(InferenceError::OutOfMemory { network: entry.id.clone(), detail });
        }
        self.spent = false;
        let found = match self.try_run(place, entry, &key, pictures, precision, false) {
            Err(InferenceError::OutOfMemory { detail, .. }) => detail,
            other => return other,
        };
        let detail = if self.spent {
            found
        } else {
            tracing::warn!(found, "{key} found no memory: what is loaded goes, and one fresh try is made");
            self.shelf.clear();
            let setback = Setback { tried: format!("{} on {}, {precision}", batch.size, place.provider), found };
            match self.try_run(place, entry, &key, pictures, precision, true) {
                Err(InferenceError::OutOfMemory { detail, .. }) => {
                    format!("{}; alone and in its small form: {detail}", setback.found)
                }
                other => return other.map(|runs| Runs { setbacks: vec![setback], ..runs }),
            }
        };
        if place.provider == Provider::Cuda {
            // Where the budget was the bound, and not others on the card, it is so for as long as the process lives.
            let is_budget = self.keep.card.is_some_and(|budget| self.room().free.is_none_or(|free| free >= budget));
            self.tight.note(key, detail.clone(), is_budget);
        }
        Err(InferenceError::OutOfMemory { network: entry.id.clone(), detail })
    }

    /// Forgets which sessions found no memory, but for those that the budget forbids: somebody has given some back.
    pub(super) fn forgive(&mut self) {
        self.tight.0.retain(|(.., stays)| *stays);
    }

    fn key(place: &Place, entry: &Entry, Batch { pictures, size }: Batch, precision: Precision) -> Key {
        let (model, provider) = (entry.id.clone(), place.provider);
        let precision = (!entry.is_onnx()).then_some(precision);
        Key::Session { model, size: session_size(entry, provider, size), pictures, precision, provider }
    }

    /// `last`: everything else has gone, and this is the last try.
    fn try_run(
        &mut self,
        place: &Place,
        entry: &Entry,
        key: &Key,
        pictures: &[Grey<'_>],
        precision: Precision,
        last: bool,
    ) -> Result<Runs, InferenceError> {
        let (provider, batch) = (place.provider, Batch::of(pictures));
        let size = batch.size;
        if let Some(bound) = crate::faults::bound("memory").filter(|&bound| size.pixels() > bound) {
            let detail = format!("fault injected: no memory above {bound} pixels");
            return Err(InferenceError::OutOfMemory { network: entry.id.clone(), detail });
        }
        let mut session = match self.shelf.take(key) {
            Some(Loaded::Session(session)) => session,
            _ => self.open(place, entry, key, batch, precision, last)?,
        };
        let resting = session.resting_bytes(provider);
        self.shelf.make_room(resting.saturating_add(session.running_bytes(provider, size)), key);
        let ran = session.run(&entry.id, pictures)?;
        let stored = session.stored();
        self.shelf.put(key.clone(), Loaded::Session(session), resting);
        Ok(Runs { ran, stored, setbacks: Vec::new() })
    }

    /// Makes a session. Its model stays on the shelf for the next one where both have room.
    fn open(
        &mut self,
        place: &Place,
        entry: &Entry,
        key: &Key,
        batch: Batch,
        precision: Precision,
        last: bool,
    ) -> Result<Session, InferenceError> {
        self.model(entry)?;
        let model_key = Key::Model(entry.id.clone());
        let Some(Loaded::Model(model)) = self.shelf.take(&model_key) else { unreachable!("the model was put there just now") };
        let (bytes, resting) = (model.bytes(), model.resting_bytes(place.provider));
        let making = model.graph_bytes(precision).saturating_add(resting);
        let both = making.saturating_add(bytes);
        let keep = both <= self.shelf.bound();
        // Room is made before a session is, not after: both would have to fit.
        self.shelf.keep_fewer_than(self.keep.sessions, Key::is_session);
        let place = match place.provider {
            Provider::Cpu => place.clone(),
            Provider::Cuda => {
                let Grant { memory, limit } = self.make_room_on_card(&model.need(batch, precision), key, last);
                Place { memory, limit, ..place.clone() }
            }
        };
        self.shelf.make_room(if keep { both } else { making }, key);
        let (session, model) = model.open(&place, &entry.id, batch, precision, keep)?;
        if let Some(model) = model {
            self.shelf.put(model_key, Loaded::Model(model), bytes);
        }
        Ok(session)
    }

    /// The model of an entry, which is read if it is not on the shelf.
    fn model(&mut self, entry: &Entry) -> Result<&Model, InferenceError> {
        let key = Key::Model(entry.id.clone());
        let model = match self.shelf.take(&key) {
            Some(Loaded::Model(model)) => model,
            _ => {
                self.shelf.make_room(Model::reading_bytes(entry), &key);
                Model::read(&self.catalogue, entry)?
            }
        };
        let bytes = model.bytes();
        match self.shelf.put(key, Loaded::Model(model), bytes) {
            Loaded::Model(model) => Ok(model),
            Loaded::Session(_) => unreachable!("a model was put there"),
        }
    }

    /// What the card has.
    fn room(&self) -> Room {
        let card = |thing: &Loaded| if let Loaded::Session(session) = thing { session.card_bytes() } else { 0 };
        Room { budget: self.keep.card, kept: self.shelf.things().map(card).sum(), free: device::free_memory() }
    }

    /// Lets sessions go until what is needed fits on the card, as far as it says and if that can be at all, and decides how it is
    /// made.
    fn make_room_on_card(&mut self, need: &Need, key: &Key, last: bool) -> Grant {
        // Each look asks the driver.
        let mut room = self.room();
        let memory = if last { MemoryUse::Small } else { room.form(need) };
        if need.of(memory) <= room.most() {
            while !room.fits(need.of(memory)) && self.shelf.let_oldest_go(Key::is_on_card) {
                room = self.room();
            }
        }
        let grant = room.grant(need, memory, last);
        self.spent = room.kept == 0 && grant == room.grant(need, MemoryUse::Small, true);
        if memory == MemoryUse::Small {
            tracing::info!("{key} is made in its small form: the fast one needs {} MiB", need.of(MemoryUse::Fast) >> 20);
        }
        grant
    }

    /// Lets everything go.
    pub(super) fn clear(&mut self) {
        self.shelf.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pictures: usize) -> Key {
        let (model, size, precision) = ("m".to_owned(), Some(Size::new(64, 32)), Some(Precision::Fp16));
        Key::Session { model, size, pictures, precision, provider: Provider::Cuda }
    }

    #[test]
    fn a_session_that_found_no_memory_is_remembered_and_no_other() {
        let mut tight = Tight::default();
        assert_eq!(tight.found(&key(1)), None);
        tight.note(key(1), "no room".to_owned(), false);
        assert_eq!(tight.found(&key(1)).as_deref(), Some("no room (0 s ago)"));
        assert_eq!(tight.found(&key(4)), None);
    }

    #[test]
    fn what_the_budget_forbids_stays_and_what_others_took_comes_back() {
        let long_ago = Instant::now().checked_sub(2 * TIGHT_FOR).unwrap();
        let mut tight = Tight(vec![(key(1), long_ago, "others".into(), false), (key(4), long_ago, "budget".into(), true)]);
        assert_eq!(tight.found(&key(1)), None);
        assert!(tight.found(&key(4)).is_some());
    }
}
