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
    /// Sessions that found no memory on the card: when, and what was found.
    tight: Vec<(Key, Instant, String)>,
}

impl ColourSessions {
    /// Loads nothing yet.
    pub(super) const fn new(catalogue: Catalogue, keep: Keep) -> Self {
        Self { catalogue, keep, shelf: Shelf::new(keep.memory), tight: Vec::new() }
    }

    #[cfg(test)]
    pub(super) const fn shelf(&self) -> &Shelf<Key, Loaded> {
        &self.shelf
    }

    /// Whether the card has room for one picture of this kind beside what is kept.
    pub(super) fn has_room(&mut self, entry: &Entry, size: Size, precision: Precision) -> Result<bool, InferenceError> {
        let need = self.model(entry)?.need(Batch { pictures: 1, size }, precision);
        Ok(self.room().fits(need.of(MemoryUse::Fast)))
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
        let batch = Batch { pictures: pictures.len(), size: pictures[0].plane.size() };
        let key = Self::key(place, entry, batch, precision);
        self.tight.retain(|(_, since, _)| since.elapsed() < TIGHT_FOR);
        if let Some((_, _, found)) = self.tight.iter().find(|(tight, ..)| *tight == key) {
            let detail = format!("{found}, less than {} s ago", TIGHT_FOR.as_secs());
            return Err(InferenceError::OutOfMemory { network: entry.id.clone(), detail });
        }
        let found = match self.try_run(place, entry, &key, pictures, precision, false) {
            Err(InferenceError::OutOfMemory { detail, .. }) => detail,
            other => return other,
        };
        tracing::warn!(found, "{key} found no memory: what is loaded goes, and one fresh try is made");
        self.shelf.clear();
        let setback = Setback { tried: format!("{} on {}, {precision}", batch.size, place.provider), found };
        match self.try_run(place, entry, &key, pictures, precision, true) {
            Err(InferenceError::OutOfMemory { network, detail }) => {
                let detail = format!("{}; alone and in its small form: {detail}", setback.found);
                if place.provider == Provider::Cuda {
                    self.tight.push((key, Instant::now(), detail.clone()));
                }
                Err(InferenceError::OutOfMemory { network, detail })
            }
            other => other.map(|runs| Runs { setbacks: vec![setback], ..runs }),
        }
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
        let (provider, size) = (place.provider, pictures[0].plane.size());
        if let Some(bound) = crate::faults::bound("memory").filter(|&bound| size.pixels() > bound) {
            let detail = format!("fault injected: no memory above {bound} pixels");
            return Err(InferenceError::OutOfMemory { network: entry.id.clone(), detail });
        }
        let mut session = match self.shelf.take(key) {
            Some(Loaded::Session(session)) => session,
            _ => self.open(place, entry, key, Batch { pictures: pictures.len(), size }, precision, last)?,
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
                let Grant { memory, arena } = self.make_room_on_card(&model.need(batch, precision), last);
                Place { memory, arena, ..place.clone() }
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

    /// Lets sessions go until what is needed fits on the card, as far as it says, and decides how it is made.
    fn make_room_on_card(&mut self, need: &Need, last: bool) -> Grant {
        let memory = if last { MemoryUse::Small } else { self.room().form(need) };
        while !self.room().fits(need.of(memory)) && self.shelf.let_oldest_go(Key::is_session) {}
        self.room().grant(need, memory, last)
    }

    /// Lets everything go.
    pub(super) fn clear(&mut self) {
        self.shelf.clear();
    }
}
