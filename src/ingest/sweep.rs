//! One root under observation: what is there, what of it rests, what its bytes are. When to look is the caller's to say.

mod sidecars;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::fixity::{self, Hashed};
use super::hints::Hints;
use super::mount::{self, Delivery};
use super::stability::{StabilityTracker, Verdict};
use super::walk::{self, Visitor};
use super::{
    FileSignature, Known, Ready, Report, RootIdentity, RootSettings, RootState, StableFile, WaitReason, WaitingFile, ignore,
    root, sidecar,
};

/// Time between two lists of waiting files: a list may be long, and people do not read faster.
const WAITING_PAUSE: Duration = Duration::from_secs(1);

/// A root under observation.
pub(super) struct Sweeper<'a> {
    /// With an absolute path, as events name them.
    settings: RootSettings,
    known: Known,
    tracker: StabilityTracker,
    /// Rested when last seen; looked at once more before they are hashed.
    rested: VecDeque<PathBuf>,
    /// Watches folders as they are entered.
    hints: Option<Hints>,
    wants_events: bool,
    /// Whether folders are watched, or are going to be when the root is there.
    is_watched: bool,
    /// Mounts below the root whose changes nobody tells of, their paths below it.
    polled: Vec<PathBuf>,
    has_events: bool,
    told: Option<(Option<RootIdentity>, RootState, &'static str)>,
    told_waiting: Option<(u64, Duration)>,
    owes_waiting: bool,
    /// Sidecars that this look has seen.
    sidecars: HashSet<PathBuf>,
    /// What could not be looked at and was warned of.
    warned: HashSet<PathBuf>,
    /// Folders that could not be looked at since the last full look began, with the system's answer.
    unseen: BTreeMap<PathBuf, String>,
    counts: Counts,
    stable: u64,
    epoch: Instant,
    stop: &'a AtomicBool,
    sink: &'a mut dyn FnMut(Report),
}

#[derive(Debug, Default)]
struct Counts {
    seen: u64,
    ignored: u64,
}

/// Whether a root is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// As at the last look.
    Online,
    /// It was not there, or not looked for yet: watches have to be set again.
    Appeared,
    Offline,
}

impl<'a> Sweeper<'a> {
    /// `root.path` is absolute. `wants_events`: the caller is going to set hints.
    pub(super) fn new(
        settings: RootSettings,
        known: Known,
        wants_events: bool,
        stop: &'a AtomicBool,
        sink: &'a mut dyn FnMut(Report),
    ) -> Self {
        Self {
            tracker: StabilityTracker::new(settings.rest),
            settings,
            known,
            rested: VecDeque::new(),
            hints: None,
            wants_events,
            is_watched: wants_events,
            polled: Vec::new(),
            has_events: false,
            told: None,
            told_waiting: None,
            owes_waiting: false,
            sidecars: HashSet::new(),
            warned: HashSet::new(),
            unseen: BTreeMap::new(),
            counts: Counts::default(),
            stable: 0,
            epoch: Instant::now(),
            stop,
            sink,
        }
    }

    /// Time since this root came under observation, on the monotonic clock.
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    pub(super) fn settings(&self) -> &RootSettings {
        &self.settings
    }

    /// How many files were reported as stable since the end of the look before.
    pub(super) const fn stable(&self) -> u64 {
        self.stable
    }

    /// Mounts below the root that have to be asked; the root itself is the empty path.
    pub(super) fn polled(&self) -> &[PathBuf] {
        &self.polled
    }

    /// Whether folders are watched where the file system has events.
    pub(super) const fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Sets what watches folders from the next look on.
    pub(super) fn set_hints(&mut self, hints: Option<Hints>) {
        self.is_watched = hints.is_some();
        self.hints = hints;
    }

    /// Looks whether the root is there, and tells when that changed.
    pub(super) fn check_root(&mut self) -> Presence {
        let was_online = matches!(&self.told, Some((_, RootState::Online, _)));
        match root::identify(&self.settings.path, self.settings.expected, &mut self.known) {
            Ok(identity) => {
                self.settings.expected = Some(identity);
                if was_online {
                    return Presence::Online;
                }
                self.has_events = mount::delivery(&self.settings.path) == Delivery::Events;
                self.polled = if self.has_events { Vec::new() } else { vec![PathBuf::new()] };
                self.tell_root(Some(identity), RootState::Online);
                Presence::Appeared
            }
            Err(reason) => {
                // Watches on what was there tell nothing of what comes back.
                self.hints = None;
                self.is_watched = self.wants_events;
                self.tell_root(None, RootState::Offline { reason });
                Presence::Offline
            }
        }
    }

    fn tell_root(&mut self, identity: Option<RootIdentity>, state: RootState) {
        let now = (identity, state, self.mode());
        if self.told.as_ref() != Some(&now) {
            let (identity, state, mode) = now.clone();
            (self.sink)(Report::Root { collection: self.settings.collection.clone(), identity, state, mode });
            self.told = Some(now);
        }
    }

    fn mode(&self) -> &'static str {
        match (self.is_watched && self.has_events, self.polled.is_empty()) {
            (true, true) => "watch",
            (true, false) => "watch+poll",
            (false, _) => "poll",
        }
    }

    /// A full look at the tree of an online root; returns how long it took.
    pub(super) fn sweep(&mut self) -> Duration {
        crate::faults::point("ingest");
        let begun = self.now();
        self.counts = Counts::default();
        self.polled.clear();
        self.unseen.clear();
        self.sidecars.clear();
        self.has_events = false;
        self.tracker.begin_look();
        let walked = walk::walk(&self.settings.path.clone(), Path::new(""), self);
        if walked.is_continue() {
            self.tracker.end_look();
            self.tell_gone_sidecars();
            // The mounts below it may have changed the mode.
            if let Some((identity, RootState::Online, _)) = self.told.clone() {
                self.tell_root(identity, RootState::Online);
            }
        }
        self.now() - begun
    }

    /// Tells that a full look is over, and all that was found ready by it is settled.
    pub(super) fn tell_sweep(&mut self, duration: Duration) {
        let waiting = (self.tracker.len() + self.unseen.len()) as u64;
        let Counts { seen, ignored } = self.counts;
        let stable = std::mem::take(&mut self.stable);
        let collection = self.settings.collection.clone();
        (self.sink)(Report::SweepDone { collection, seen, stable, waiting, ignored, duration });
    }

    /// Looks at one place that an event named, a path below the root: a file, or a folder with all that is in it.
    pub(super) fn look_at(&mut self, relative: &Path) {
        let Ok(metadata) = fs::symlink_metadata(self.settings.path.join(relative)) else {
            match sidecars::scan_beside(relative) {
                Some(scan) => self.sidecar_is_gone(relative, &scan),
                None => self.tracker.forget(relative),
            }
            return;
        };
        let mut folders = relative.components().map(|component| component.as_os_str());
        let name = if metadata.is_dir() { None } else { folders.next_back() };
        if !folders.all(ignore::is_collection_folder) {
            return;
        }
        match name {
            None => {
                // Ends early only when the thread is told to end.
                let _ = walk::walk(&self.settings.path.clone(), relative, self);
            }
            Some(name) if metadata.is_file() && ignore::is_scan(name) => self.observe(relative, &metadata),
            Some(name) if sidecar::scan_of(name).is_some() => self.observe_sidecar(relative, &metadata),
            Some(name) if self.settings.ready == Ready::Marker => {
                if let Some(scan) = name.as_bytes().strip_suffix(ignore::MARKER.as_bytes()) {
                    self.look_at(&relative.with_file_name(std::ffi::OsStr::from_bytes(scan)));
                }
            }
            Some(_) => {}
        }
    }

    fn observe(&mut self, relative: &Path, metadata: &Metadata) {
        if self.verdict(relative, metadata) == Some(Verdict::Rested) {
            self.rested.push_back(relative.to_owned());
        }
    }

    /// `None` for a file that the ledger knows in this state.
    fn verdict(&mut self, relative: &Path, metadata: &Metadata) -> Option<Verdict> {
        let signature = FileSignature::of(metadata);
        if self.known.get(relative.as_os_str().as_bytes()) == Some(&signature) {
            self.tracker.forget(relative);
            return None;
        }
        let hold = self.hold(relative, &signature);
        Some(self.tracker.observe(relative, signature, hold, self.now()))
    }

    /// A reason to wait that time does not cure.
    fn hold(&self, relative: &Path, signature: &FileSignature) -> Option<WaitReason> {
        let limit = self.settings.max_file_bytes;
        if signature.size == 0 {
            return Some(WaitReason::Empty);
        }
        if signature.size > limit {
            return Some(WaitReason::TooLarge { mib: signature.size.div_ceil(1 << 20), limit_mib: limit >> 20 });
        }
        let marker = || {
            let mut name = self.settings.path.join(relative).into_os_string();
            name.push(ignore::MARKER);
            fs::symlink_metadata(name).is_ok_and(|found| found.is_file())
        };
        (self.settings.ready == Ready::Marker && !marker()).then_some(WaitReason::NoMarker)
    }

    /// Looks again at files whose rest is over, and hashes and reports those that rested, for about `budget`.
    pub(super) fn settle(&mut self, budget: Duration) {
        let end = self.now() + budget;
        while !self.stop.load(Ordering::Relaxed) {
            let now = self.now();
            let due = self.rested.pop_front().or_else(|| self.tracker.due(now, 1).pop().map(|path| path.to_path_buf()));
            let Some(relative) = due else { return };
            self.settle_one(&relative);
            if self.now() > end {
                return;
            }
        }
    }

    /// When [`Self::settle`] has something to do again.
    pub(super) fn next_due(&mut self) -> Option<Duration> {
        if self.rested.is_empty() { self.tracker.next_due() } else { Some(self.now()) }
    }

    fn settle_one(&mut self, relative: &Path) {
        if let Some(scan) = sidecars::scan_beside(relative) {
            return self.settle_sidecar(relative, &scan);
        }
        let metadata = match fs::symlink_metadata(self.settings.path.join(relative)) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return self.tracker.forget(relative),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.tracker.forget(relative),
            Err(error) => return self.hold_unreadable(relative, &error),
        };
        if self.verdict(relative, &metadata) != Some(Verdict::Rested) || self.awaits_sidecar(relative) {
            return;
        }
        let signature = FileSignature::of(&metadata);
        match fixity::hash(&self.settings.path, relative, &signature, self.stop) {
            Ok(Hashed::Rested(digest)) => {
                let collection = self.settings.collection.clone();
                (self.sink)(Report::Stable(StableFile { collection, relative: relative.to_owned(), signature, digest }));
                self.tracker.forget(relative);
                self.known.insert(relative.as_os_str().as_bytes().to_vec(), signature);
                self.stable += 1;
            }
            // Its next observation shows another state, and the rest begins anew.
            Ok(Hashed::Changed) => self.look_at(relative),
            Ok(Hashed::Gone) => self.tracker.forget(relative),
            Ok(Hashed::Stopped) => {}
            Err(error) => self.hold_unreadable(relative, &error),
        }
    }

    fn hold_unreadable(&mut self, relative: &Path, error: &io::Error) {
        self.warn_once(relative, error);
        self.tracker.hold(relative, WaitReason::Unreadable { answer: error.to_string() });
    }

    fn warn_once(&mut self, relative: &Path, error: &io::Error) {
        let path = self.settings.path.join(relative);
        if self.warned.insert(relative.to_owned()) {
            warn!(path = %path.display(), "{} cannot be looked at: {error}", path.display());
        } else {
            debug!(path = %path.display(), "{} still cannot be looked at: {error}", path.display());
        }
    }

    /// Tells which files wait, if that changed and was not told just now.
    pub(super) fn tell_waiting(&mut self) {
        self.owes_waiting = self.told_waiting.is_some_and(|(_, at)| self.now() < at + WAITING_PAUSE);
        if !self.owes_waiting {
            self.tell_waiting_now();
        }
    }

    /// Tells which files wait, if that changed.
    pub(super) fn tell_waiting_now(&mut self) {
        let mut files = self.tracker.waiting();
        // A folder that is closed to us hides scans: it is named like a file that cannot be read.
        let folder = |(path, answer): (&PathBuf, &String)| WaitingFile {
            relative: path.clone(),
            reason: WaitReason::Unreadable { answer: answer.clone() },
        };
        files.extend(self.unseen.iter().map(folder));
        files.sort_by(|one, other| one.relative.cmp(&other.relative));
        // A digest of the list told last, instead of a second copy of it.
        let mut hasher = DefaultHasher::new();
        files.hash(&mut hasher);
        let list = hasher.finish();
        if self.told_waiting.is_none_or(|(told, _)| told != list) {
            (self.sink)(Report::Waiting { collection: self.settings.collection.clone(), files });
        }
        self.told_waiting = Some((list, self.now()));
        self.owes_waiting = false;
    }

    /// When [`Self::tell_waiting`] should be asked again, because it came too early to tell.
    pub(super) fn next_waiting(&self) -> Option<Duration> {
        self.told_waiting.filter(|_| self.owes_waiting).map(|(_, at)| at + WAITING_PAUSE)
    }

    /// Forgets every observation, after a defect left them in doubt.
    pub(super) fn begin_anew(&mut self) {
        self.tracker = StabilityTracker::new(self.settings.rest);
        self.rested.clear();
    }
}

impl Visitor for Sweeper<'_> {
    fn enter(&mut self, relative: &Path, delivery: Delivery, is_mount: bool) -> ControlFlow<()> {
        match delivery {
            Delivery::Events => {
                self.has_events = true;
                if let Some(hints) = &mut self.hints
                    && let Err(limit) = hints.watch(&self.settings.path.join(relative))
                {
                    let collection = &self.settings.collection;
                    warn!(collection = %collection, "{limit}: {collection} is polled from now on; raise fs.inotify.max_user_watches");
                    self.set_hints(None);
                }
            }
            Delivery::Polling if is_mount && !self.polled.iter().any(|mount| relative.starts_with(mount)) => {
                self.polled.push(relative.to_owned());
            }
            Delivery::Polling => {}
        }
        self.warned.remove(relative);
        self.unseen.remove(relative);
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn scan(&mut self, relative: &Path, metadata: &Metadata) -> ControlFlow<()> {
        self.counts.seen += 1;
        self.observe(relative, metadata);
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn sidecar(&mut self, relative: &Path, metadata: &Metadata) {
        self.sidecars.insert(relative.to_owned());
        self.observe_sidecar(relative, metadata);
    }

    fn ignored(&mut self) {
        self.counts.ignored += 1;
    }

    fn failed(&mut self, relative: &Path, error: &io::Error) {
        self.unseen.insert(relative.to_owned(), error.to_string());
        self.warn_once(relative, error);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests;
