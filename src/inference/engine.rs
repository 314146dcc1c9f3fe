//! The handle of the inference thread: one named thread owns every session, and everybody else waits for its answers.
//!
//! Sessions are not thread-safe, creating two at once has broken cards, and a device gains nothing from being asked by many.
//! What the thread works with is behind [`Work`], so that what happens around it can be tested without a device.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::networks::Networks;
use super::{Catalogue, ColorizeRequest, Coloured, DeviceReport, Entry, InferenceError, ProviderChoice};
use crate::imaging::Plane;
use crate::routing::SceneScores;

/// Requests that may wait. Every caller waits for its answer, so there are never more than workers; a few keep the device
/// busy between two of them, and each holds a picture of a few megabytes.
const QUEUE: usize = 4;

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Where sessions may run.
    pub provider: ProviderChoice,
    /// Bound on the memory a session may take on the card for its tensors, MiB; 0: none but the card's own. CUDA's own
    /// context and libraries (about 0.6 to 1 GiB) come on top.
    pub memory_mib: u64,
    /// Memory of this machine that colour networks may take, weights and sessions together, MiB: what was used longest ago
    /// makes room, and a network that needs more runs alone.
    pub model_memory_mib: u64,
    /// Threads of one network run on the processor.
    pub threads: usize,
    /// Sessions of the colour network kept at once.
    pub sessions: usize,
}

/// What the inference thread can do.
pub(super) trait Work {
    fn scene_scores(&mut self, grey: &Plane) -> Result<SceneScores, InferenceError>;
    fn denoise(&mut self, grey: &Plane, sigma: f32) -> Result<Plane, InferenceError>;
    fn colorize(&mut self, request: &ColorizeRequest) -> Result<Coloured, InferenceError>;
    /// Lets every session go: after a panic none of them is trusted.
    fn forget_sessions(&mut self);
}

/// Where an answer goes. Holds one, so that the thread never waits for a caller.
type Reply<T> = SyncSender<Result<T, InferenceError>>;

enum Request {
    Scene { grey: Plane, reply: Reply<SceneScores> },
    Denoise { grey: Plane, sigma: f32, reply: Reply<Plane> },
    Colorize { request: ColorizeRequest, reply: Reply<Coloured> },
}

/// Handle of the inference thread. The thread ends, and is waited for, when the last handle goes.
#[derive(Debug, Clone)]
pub struct Engine {
    thread: Arc<InferenceThread>,
}

#[derive(Debug)]
struct InferenceThread {
    device: DeviceReport,
    /// Taken when the thread is to end.
    requests: Option<SyncSender<Request>>,
    handle: Option<JoinHandle<()>>,
}

impl Engine {
    /// Checks the pin of every model of `models`, loads the runtime, starts the thread; weights of colour networks are read when
    /// the first picture needs them. A model that does not match its pin,
    /// and a device that was asked for and does not work, are errors here and not when the first scan comes.
    pub fn start(settings: &EngineSettings, catalogue: &Catalogue, models: &[Entry]) -> Result<Self, InferenceError> {
        let (settings, catalogue, models) = (settings.clone(), catalogue.clone(), models.to_vec());
        Self::start_with(move || Networks::open(&settings, &catalogue, &models))
    }

    /// Starts the thread over whatever `open` makes on it.
    fn start_with<W: Work>(
        open: impl FnOnce() -> Result<(W, DeviceReport), InferenceError> + Send + 'static,
    ) -> Result<Self, InferenceError> {
        let (requests, queue) = sync_channel(QUEUE);
        let (opened, device) = sync_channel(1);
        let body = move || match caught(open) {
            Ok((work, report)) => {
                // Nobody waits when the starter has gone; the queue is closed then, too.
                let _ = opened.send(Ok(report));
                serve(work, &queue);
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
        let thread = InferenceThread { device, requests: Some(requests), handle: Some(handle) };
        Ok(Self { thread: Arc::new(thread) })
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

    /// Colours a picture.
    pub fn colorize(&self, request: ColorizeRequest) -> Result<Coloured, InferenceError> {
        self.ask(|reply| Request::Colorize { request, reply })
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

/// Answers requests in the order in which they come, until nobody can send one.
fn serve(mut work: impl Work, queue: &Receiver<Request>) {
    while let Ok(request) = queue.recv() {
        // A caller that no longer waits has dropped its end; its answer goes nowhere.
        match request {
            Request::Scene { grey, reply } => drop(reply.send(answer(&mut work, |work| work.scene_scores(&grey)))),
            Request::Denoise { grey, sigma, reply } => drop(reply.send(answer(&mut work, |work| work.denoise(&grey, sigma)))),
            Request::Colorize { request, reply } => drop(reply.send(answer(&mut work, |work| work.colorize(&request)))),
        }
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
