//! A thread that keeps a root under observation until it is told to end.
//!
//! One named OS thread a root: a share that hangs in the kernel takes only its own thread with it.

use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{error, warn};

use super::hints::{Hints, Inbox, Message};
use super::sweep::{Presence, Sweeper};
use super::{Known, Report, RootSettings};

/// Events in flight. A burst beyond it costs one full look, so it only has to be rare.
const CAPACITY: usize = 4096;
/// A burst of events gathers this long, so that a file written in a thousand pieces is looked at a few times.
const GATHER: Duration = Duration::from_millis(20);
/// Hashing goes on this long before events are looked at again.
const SETTLE: Duration = Duration::from_millis(250);
/// Longest time between two looks at what has no events.
const POLL: Duration = Duration::from_secs(60);
/// Time between two looks for a root that is offline.
const OFFLINE: Duration = Duration::from_secs(3);
/// Time before a thread begins anew after a defect, so that one that repeats does not fill the log.
const ANEW: Duration = Duration::from_secs(1);
/// Looking takes at most a tenth of the time: a look that took a minute is not repeated for ten.
const SHARE: u32 = 10;
/// Shortest time between two full looks, however small the tree and however many events were lost.
const SHORTEST: Duration = Duration::from_millis(100);
/// How long an ending thread is waited for: beyond it, it hangs in the kernel and ends with the process.
const PATIENCE: Duration = Duration::from_secs(5);

/// A thread that watches a root. Dropping it tells the thread to end; [`Watcher::stop`] also waits for it.
#[derive(Debug)]
pub struct Watcher {
    collection: String,
    stop: Arc<AtomicBool>,
    inbox: Inbox,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts. `sink` may wait for room in a queue; it is called on the thread.
    pub fn spawn(mut root: RootSettings, known: Known, mut sink: impl FnMut(Report) + Send + 'static) -> io::Result<Self> {
        root.path = std::path::absolute(&root.path)?;
        let (sender, messages) = sync_channel(CAPACITY);
        let rescan = Arc::new(AtomicBool::new(false));
        let inbox = Inbox::new(sender, Arc::clone(&rescan));
        let stop = Arc::new(AtomicBool::new(false));
        let (alive, ended) = sync_channel::<()>(0);
        let collection = root.collection.clone();
        let thread = std::thread::Builder::new().name(format!("ingest-{collection}"));
        let (stop_thread, events) = (Arc::clone(&stop), inbox.clone());
        let thread = thread.spawn(move || {
            // Dropped at the end of the thread, which is what `ended` waits for.
            let _alive = alive;
            let wants_events = !root.poll;
            let sweeper = Sweeper::new(root, known, wants_events, &stop_thread, &mut sink);
            Observation::new(sweeper, &stop_thread, messages, events, rescan).run();
        })?;
        Ok(Self { collection, stop, inbox, ended, thread: Some(thread) })
    }

    /// Ends the thread and waits for it.
    pub fn stop(mut self) {
        self.tell_to_end();
        let Some(thread) = self.thread.take() else { return };
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let collection = &self.collection;
            warn!(collection = %collection, "The ingest thread of {collection} hangs, probably on a share that does not answer; it is left behind");
            return;
        }
        if thread.join().is_err() {
            error!("The ingest thread of {} ended by a panic", self.collection);
        }
    }

    /// Tells the thread to end, without waiting for it.
    pub fn tell_to_end(&self) {
        self.stop.store(true, Ordering::Release);
        self.inbox.wake();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tell_to_end();
    }
}

/// The thread's own: when to look at what.
struct Observation<'a> {
    sweeper: Sweeper<'a>,
    stop: &'a AtomicBool,
    messages: Receiver<Message>,
    inbox: Inbox,
    rescan: Arc<AtomicBool>,
    online: bool,
    /// Whether [`Report::SweepDone`] is owed, and for a look of what duration.
    swept: Option<Duration>,
    next_sweep: Duration,
    earliest_sweep: Duration,
    next_poll: Option<Duration>,
}

impl<'a> Observation<'a> {
    fn new(
        sweeper: Sweeper<'a>,
        stop: &'a AtomicBool,
        messages: Receiver<Message>,
        inbox: Inbox,
        rescan: Arc<AtomicBool>,
    ) -> Self {
        let [next_sweep, earliest_sweep] = [Duration::ZERO; 2];
        Self { sweeper, stop, messages, inbox, rescan, online: false, swept: None, next_sweep, earliest_sweep, next_poll: None }
    }

    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            // The thread outlives a defect in itself: a root that nobody watches would only look quiet.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| self.turn())) {
                error!("The ingest thread of {} hit a defect in itself and begins anew: {}", self.name(), text(&*payload));
                self.sweeper.begin_anew();
                self.next_sweep = self.sweeper.now() + ANEW;
                self.pause_until(self.next_sweep);
            }
        }
    }

    fn name(&self) -> &str {
        &self.sweeper.settings().collection
    }

    fn turn(&mut self) {
        if self.rescan.swap(false, Ordering::AcqRel) {
            self.next_sweep = self.next_sweep.min(self.earliest_sweep);
        }
        let now = self.sweeper.now();
        if now >= self.next_sweep {
            self.full_look();
        } else if self.next_poll.is_some_and(|at| now >= at) {
            self.poll();
        }
        if self.is_due() && self.is_there() {
            self.sweeper.settle(SETTLE);
        }
        if self.online {
            if !self.is_due()
                && let Some(duration) = self.swept.take()
            {
                self.sweeper.tell_waiting_now();
                self.sweeper.tell_sweep(duration);
            }
            self.sweeper.tell_waiting();
        }
        let hints = self.wait();
        if !hints.is_empty() && self.is_there() {
            self.follow(hints);
        }
    }

    /// Whether some file's rest is over.
    fn is_due(&mut self) -> bool {
        self.online && self.sweeper.next_due().is_some_and(|due| due <= self.sweeper.now())
    }

    /// Nothing is looked at or hashed in a directory that took the root's place.
    fn is_there(&mut self) -> bool {
        match self.sweeper.check_root() {
            Presence::Online => {}
            Presence::Appeared => {
                self.next_sweep = Duration::ZERO;
                self.online = false;
            }
            Presence::Offline => {
                self.next_sweep = self.sweeper.now() + self.offline_pause();
                self.online = false;
            }
        }
        self.online
    }

    fn full_look(&mut self) {
        let was_online = self.online;
        self.online = self.sweeper.check_root() != Presence::Offline;
        if !self.online {
            self.next_poll = None;
            self.next_sweep = self.sweeper.now() + self.offline_pause();
            return;
        }
        if !was_online && self.sweeper.is_watched() {
            self.set_hints();
        }
        let duration = self.sweeper.sweep();
        self.swept = Some(duration);
        let now = self.sweeper.now();
        let pause = (duration * SHARE).max(SHORTEST);
        let rescan = self.sweeper.settings().rescan;
        let polling = rescan.min(POLL).max(pause);
        self.earliest_sweep = now + pause;
        let polls_all = !self.sweeper.is_watched() || self.sweeper.polled().iter().any(|mount| mount.as_os_str().is_empty());
        self.next_sweep = now + if polls_all { polling } else { rescan.max(pause) };
        self.next_poll = (!polls_all && !self.sweeper.polled().is_empty()).then(|| now + polling);
    }

    fn set_hints(&mut self) {
        match Hints::new(self.inbox.clone()) {
            Ok(hints) => self.sweeper.set_hints(Some(hints)),
            Err(limit) => {
                self.sweeper.set_hints(None);
                let collection = self.name();
                warn!(collection = %collection, "{limit}: {collection} is polled; raise fs.inotify.max_user_instances");
            }
        }
    }

    fn offline_pause(&self) -> Duration {
        self.sweeper.settings().rescan.min(OFFLINE).max(SHORTEST)
    }

    /// Looks at the mounts that have no events.
    fn poll(&mut self) {
        if !self.is_there() {
            return;
        }
        let begun = self.sweeper.now();
        for mount in self.sweeper.polled().to_vec() {
            self.sweeper.look_at(&mount);
        }
        let now = self.sweeper.now();
        let pause = self.sweeper.settings().rescan.min(POLL).max((now - begun) * SHARE).max(SHORTEST);
        self.next_poll = Some(now + pause);
    }

    /// Waits for events or for the next thing to do; returns the places that events named.
    fn wait(&mut self) -> BTreeSet<PathBuf> {
        let now = self.sweeper.now();
        let due = if self.online { self.sweeper.next_due() } else { None };
        let told = if self.online { self.sweeper.next_waiting() } else { None };
        let next = [Some(self.next_sweep), self.next_poll, due, told].into_iter().flatten().min().unwrap_or(now);
        let mut hints = BTreeSet::new();
        let Ok(first) = self.messages.recv_timeout(next.saturating_sub(now)) else { return hints };
        if matches!(first, Message::Look(_)) {
            std::thread::sleep(GATHER);
        }
        // No more than the channel holds: a writer faster than this thread must not keep it here.
        for message in std::iter::once(first).chain(self.messages.try_iter()).take(CAPACITY) {
            match message {
                Message::Look(path) => drop(hints.insert(path)),
                Message::Wake => {}
            }
        }
        hints
    }

    fn follow(&mut self, hints: BTreeSet<PathBuf>) {
        for path in hints {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            match path.strip_prefix(&self.sweeper.settings().path) {
                Ok(relative) if !relative.as_os_str().is_empty() => self.sweeper.look_at(relative),
                // The root itself, or a path from before it was replaced.
                _ => self.rescan.store(true, Ordering::Release),
            }
        }
    }

    fn pause_until(&self, until: Duration) {
        while self.sweeper.now() < until && !self.stop.load(Ordering::Acquire) {
            std::thread::sleep(GATHER);
        }
    }
}

/// What a panic said.
fn text(payload: &(dyn Any + Send)) -> &str {
    let owned = || payload.downcast_ref::<String>().map(String::as_str);
    payload.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("no message")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests;
