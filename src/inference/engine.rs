//! The handle of the inference thread: one named thread owns every session, and everybody else waits for its answers.
//!
//! Sessions are not thread-safe, creating two at once has broken cards, and a device gains nothing from being asked by many.
//! What the thread works with is behind [`Work`], so that what happens around it can be tested without a device.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::warn;

use super::chroma::Chroma;
use super::networks::Networks;
use super::queue::Waiting;
use super::{
    Catalogue, ColorizeRequest, Coloured, DeviceReport, Entry, GuardBounds, InferenceError, Precision, Provider, ProviderChoice,
    Target,
};
use crate::imaging::{Plane, Size};
use crate::routing::SceneScores;

/// Requests that may lie in the channel. Every caller waits for its answer, so there are never more than workers; what lies there
/// while a network runs is what can share the next run.
const QUEUE: usize = 32;

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Where sessions may run.
    pub provider: ProviderChoice,
    /// Memory that all colour networks together may take on the card, weights and sessions, MiB; 0: what the card has. CUDA's own
    /// context and libraries (about 0.6 to 1 GiB) come on top.
    pub memory_mib: u64,
    /// Memory of this machine that colour networks may take, weights and sessions together, MiB: what was used longest ago
    /// makes room, and a network that needs more runs alone.
    pub model_memory_mib: u64,
    /// Threads of one network run on the processor.
    pub threads: usize,
    /// Sessions of the colour network kept at once; 0: a few on the processor, on the card as many as its memory holds.
    pub sessions: usize,
    /// What of a colour network's output is believed.
    pub guard: GuardBounds,
}

impl EngineSettings {
    /// Whether the processor may take over what has no room on the card.
    pub(super) fn may_use_processor(&self) -> bool {
        self.provider == ProviderChoice::Auto
    }

    /// The bound on the card's memory in bytes, if there is one.
    pub(super) const fn card_budget(&self) -> Option<u64> {
        if self.memory_mib == 0 { None } else { Some(self.memory_mib.saturating_mul(1 << 20)) }
    }
}

/// What the inference thread can do.
pub(super) trait Work {
    fn scene_scores(&mut self, grey: &Plane) -> Result<SceneScores, InferenceError>;
    fn denoise(&mut self, grey: &Plane, sigma: f32) -> Result<Plane, InferenceError>;
    /// How many pictures of this kind are best coloured in one run when `waiting` of them wait, 1 or more.
    fn batch(&self, kind: &Kind, waiting: usize) -> usize;
    fn colorize(&mut self, request: &ColorizeRequest) -> Answer;
    /// Colours several pictures of one kind in one run; as many answers, in their order. An error is the run's.
    fn colorize_together(&mut self, requests: &[ColorizeRequest]) -> Result<Vec<Answer>, InferenceError>;
    /// Runs a session of this kind once, if there is room for it beside those that are kept; whether there was.
    fn warm_up(&mut self, kind: &Kind) -> Result<bool, InferenceError>;
    /// Lets every session go: after a panic none of them is trusted.
    fn forget_sessions(&mut self);
}

/// Where an answer goes. Holds one, so that the thread never waits for a caller.
type Reply<T> = SyncSender<Result<T, InferenceError>>;

/// The answer for one picture.
pub(super) type Answer = Result<Coloured<Chroma>, InferenceError>;

/// What pictures must have in common to share a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// Catalogue id.
    pub(super) model: String,
    /// Of the padded copy.
    pub(super) size: Size,
    /// Asked for.
    pub(super) precision: Precision,
    pub(super) on: Target,
}

impl Kind {
    /// Of a picture.
    pub(super) fn of(request: &ColorizeRequest) -> Self {
        Self { model: request.model.clone(), size: request.input.size(), precision: request.precision, on: request.on }
    }
}

enum Request {
    Scene { grey: Plane, reply: Reply<SceneScores> },
    Denoise { grey: Plane, sigma: f32, reply: Reply<Plane> },
    Colorize { request: ColorizeRequest, reply: Reply<Coloured<Chroma>> },
    WarmUp { kind: Kind, reply: Reply<bool> },
}

/// Handle of the inference thread. The thread ends, and is waited for, when the last handle goes.
#[derive(Debug, Clone)]
pub struct Engine {
    thread: Arc<InferenceThread>,
    may_use_processor: bool,
}

/// What became of making a session ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It is, after this time.
    After(Duration),
    /// The first picture would be no slower on this device.
    NothingGained,
    /// The card has no room for it beside the others.
    NoRoom,
}

#[derive(Debug)]
struct InferenceThread {
    device: DeviceReport,
    /// Taken when the thread is to end.
    requests: Option<SyncSender<Request>>,
    handle: Option<JoinHandle<()>>,
    /// Nanoseconds it has been at work.
    busy: Arc<AtomicU64>,
}

impl Engine {
    /// Checks the pin of every model of `models`, loads the runtime, starts the thread; weights of colour networks are read when
    /// the first picture needs them. A model that does not match its pin,
    /// and a device that was asked for and does not work, are errors here and not when the first scan comes.
    pub fn start(settings: &EngineSettings, catalogue: &Catalogue, models: &[Entry]) -> Result<Self, InferenceError> {
        let (settings, catalogue, models) = (settings.clone(), catalogue.clone(), models.to_vec());
        let may_use_processor = settings.may_use_processor();
        let engine = Self::start_with(move || Networks::open(&settings, &catalogue, &models))?;
        Ok(Self { may_use_processor, ..engine })
    }

    /// Starts the thread over whatever `open` makes on it.
    fn start_with<W: Work>(
        open: impl FnOnce() -> Result<(W, DeviceReport), InferenceError> + Send + 'static,
    ) -> Result<Self, InferenceError> {
        let (requests, queue) = sync_channel(QUEUE);
        let (opened, device) = sync_channel(1);
        let busy = Arc::new(AtomicU64::new(0));
        let counted = busy.clone();
        let body = move || match caught(open) {
            Ok((work, report)) => {
                // Nobody waits when the starter has gone; the queue is closed then, too.
                let _ = opened.send(Ok(report));
                serve(work, &queue, &counted);
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let handle = thread::Builder::new().name("inference".to_owned()).spawn(body);
        let handle = handle.map_err(|source| InferenceError::Thread { source })?;
        let device = match device.recv().unwrap_or(Err(InferenceError::Ended)) {
            Ok(device) => device,
            Err(error) => {
                // It has nothing left to do; what it held is released before the caller goes on.
                let _ = handle.join();
                return Err(error);
            }
        };
        let thread = InferenceThread { device, requests: Some(requests), handle: Some(handle), busy };
        Ok(Self { thread: Arc::new(thread), may_use_processor: false })
    }

    /// The device at work.
    pub fn device(&self) -> &DeviceReport {
        &self.thread.device
    }

    /// What kind of picture it is; `grey` in 0..=1, any size.
    pub fn scene_scores(&self, grey: Plane) -> Result<SceneScores, InferenceError> {
        self.ask(|reply| Request::Scene { grey, reply })
    }

    /// Cleans a grey plane in 0..=1; `sigma` is the deviation of its noise in code values of 255.
    pub fn denoise(&self, grey: Plane, sigma: f32) -> Result<Plane, InferenceError> {
        self.ask(|reply| Request::Denoise { grey, sigma, reply })
    }

    /// Makes a session ready for pictures of one size and runs it once, if the device needs that: on the card the first run of a
    /// size takes seconds.
    pub fn warm_up(&self, model: &str, size: Size, precision: Precision) -> Result<Readiness, InferenceError> {
        if self.device().provider == Provider::Cpu {
            return Ok(Readiness::NothingGained);
        }
        let begun = Instant::now();
        let kind = Kind { model: model.to_owned(), size, precision, on: Target::Device };
        let had_room = self.ask(|reply| Request::WarmUp { kind, reply })?;
        Ok(if had_room { Readiness::After(begun.elapsed()) } else { Readiness::NoRoom })
    }

    /// Colours a picture.
    pub fn colorize(&self, mut request: ColorizeRequest) -> Result<Coloured, InferenceError> {
        request.round_for(self.device().provider);
        let Coloured { chroma, said, precision, setbacks } = self.ask(|reply| Request::Colorize { request, reply })?;
        Ok(Coloured { chroma: chroma.into_planes(), said, precision, setbacks })
    }

    /// How long the thread has been at work since its start, waiting for the device included.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.thread.busy.load(Ordering::Relaxed))
    }

    /// Whether pictures that have no room on the card may be coloured on the processor: where the configuration leaves the choice of
    /// the device.
    pub const fn may_use_processor(&self) -> bool {
        self.may_use_processor
    }

    /// Sends a request and waits for its answer. A thread that is no more answers with an error: both channels are closed
    /// then.
    fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, InferenceError> {
        let (reply, answer) = sync_channel(1);
        let requests = self.thread.requests.as_ref().ok_or(InferenceError::Ended)?;
        requests.send(request(reply)).map_err(|_| InferenceError::Ended)?;
        answer.recv().map_err(|_| InferenceError::Ended)?
    }
}

impl Drop for InferenceThread {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(handle) = self.handle.take() {
            // Panics of its work are caught and told; one outside has been printed, and there is nobody to tell.
            let _ = handle.join();
        }
    }
}

/// A picture and where its colours go.
type Picture = (ColorizeRequest, Reply<Coloured<Chroma>>);

/// Answers requests until nobody can send one: the small networks' at once, pictures to colour when everything that has arrived
/// is known, so that those of one kind can share a run. Nothing is waited for to fill one.
fn serve(mut work: impl Work, queue: &Receiver<Request>, busy: &AtomicU64) {
    let mut waiting: Waiting<Kind, Picture> = Waiting::new();
    loop {
        let next = if waiting.is_empty() { queue.recv().map_err(|_| TryRecvError::Disconnected) } else { queue.try_recv() };
        let begun = Instant::now();
        // A caller that no longer waits has dropped its end; its answer goes nowhere.
        match next {
            Ok(Request::Scene { grey, reply }) => drop(reply.send(answer(&mut work, |work| work.scene_scores(&grey)))),
            Ok(Request::Denoise { grey, sigma, reply }) => drop(reply.send(answer(&mut work, |work| work.denoise(&grey, sigma)))),
            Ok(Request::WarmUp { kind, reply }) => drop(reply.send(answer(&mut work, |work| work.warm_up(&kind)))),
            Ok(Request::Colorize { request, reply }) => waiting.push(begun, Kind::of(&request), (request, reply)),
            Err(TryRecvError::Disconnected) if waiting.is_empty() => return,
            Err(_) => {
                let next = waiting.take(begun, |kind, count| work.batch(kind, count));
                colour(&mut work, next);
            }
        }
        busy.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Colours pictures of one kind, in one run if there are several. When that fails each is tried alone: the one that cannot be
/// coloured fails, and the others do not.
fn colour<W: Work>(work: &mut W, pictures: Vec<Picture>) {
    let (requests, replies): (Vec<ColorizeRequest>, Vec<Reply<Coloured<Chroma>>>) = pictures.into_iter().unzip();
    if requests.len() > 1 {
        match answer(work, |work| work.colorize_together(&requests)) {
            Ok(answers) => return replies.iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(answer))),
            Err(error) => {
                let (model, count) = (requests[0].model.as_str(), requests.len());
                warn!(model, count, error = %error, "A run of {count} pictures failed: each is tried alone");
            }
        }
    }
    for (request, reply) in requests.iter().zip(replies) {
        drop(reply.send(answer(work, |work| work.colorize(request))));
    }
}

fn answer<W: Work, T>(work: &mut W, ask: impl FnOnce(&mut W) -> Result<T, InferenceError>) -> Result<T, InferenceError> {
    let answer = caught(|| ask(work));
    if let Err(InferenceError::Panicked { .. }) = &answer {
        work.forget_sessions();
    }
    answer
}

/// A panic is an answer like any other: one picture's defect must not end the work on all others.
fn caught<T>(run: impl FnOnce() -> Result<T, InferenceError>) -> Result<T, InferenceError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| Err(InferenceError::Panicked { message: message(&*payload) }))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
