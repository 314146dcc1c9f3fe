//! One life of the daemon, from lock to close.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::intake::{self, CAPACITY, IntakeSummary};
use super::{parts, warm_up};
use crate::config::Settings;
use crate::failure::{Exit, Failure};
use crate::ingest::{self, Known, Report, RootSettings, Watcher};
use crate::job::{JobState, Recipes};
use crate::pipeline::{Crew, CrewSettings, NO_MEMORY, Settled, StageError, WAITING, Workplace, now};
use crate::publish;
use crate::store::{Store, StoreLock};

/// How long the daemon lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until told to stop.
    Run,
    /// One full look, until nothing can be claimed.
    Once,
}

impl Mode {
    const fn command(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Once => "once",
        }
    }
}

/// How the daemon ended.
#[derive(Debug)]
pub struct Ended {
    /// How long it was meant to live.
    pub mode: Mode,
    /// The condition that stopped the work, if one did.
    pub blocked: Option<StageError>,
    /// What intake came to.
    pub intake: IntakeSummary,
    /// Whether a signal ended it.
    pub stopped: bool,
    /// Jobs that are not final.
    pub left: u64,
}

/// The ingest side: threads that report, each known by what ends it.
enum Feed {
    Watchers(Vec<Watcher>),
    Sweeps(Vec<JoinHandle<std::io::Result<()>>>),
}

/// Lives once. `watch` sees every settled attempt.
pub async fn run(settings: Settings, mode: Mode, mut watch: impl FnMut(&Settled)) -> Result<Ended, Failure> {
    settings.require_collections()?;
    let mut signals = Signals::install()?;
    ingest::check_trees(&settings.trees())?;
    let lock = StoreLock::acquire(&settings.state, now())?;
    let (catalogue, profiles) = parts::profiles(&settings)?;
    let (shop, device) = parts::workshop(&settings, &catalogue, profiles.values())?;
    let interrupted = mode == Mode::Run && warm_up::warm_up(&shop.engine, profiles.values(), signals.next()).await;
    let store = Store::open(&settings.state, &lock).await?;
    store.announce(mode.command(), now()).await?;
    store.note_device(&device).await?;
    // Whoever held the device's memory may be gone.
    store.look_again(NO_MEMORY, now()).await?;
    let recovered = store.recover(&settings.retry, now(), fastrand::f64).await?;
    if !recovered.is_empty() {
        warn!(jobs = recovered.len(), "{} jobs were interrupted by the end of an earlier process", recovered.len());
        recovered.into_iter().map(Settled::from).for_each(|one| watch(&one));
    }
    let roots: Vec<_> = settings.collections.iter().map(|one| (one.name.clone(), one.ingest.clone())).collect();
    store.configure_roots(&roots, now()).await?;
    let recipes: Vec<_> = profiles.iter().map(|(name, profile)| (name.clone(), Recipes::of(&profile.recipe))).collect();
    store.put_in_force(&recipes, now()).await?;
    for one in &settings.collections {
        for output in &one.outputs {
            if let Ok(count @ 1..) = publish::sweep_parts(&output.path) {
                info!(files = count, "Removed {count} unfinished files from {}", output.path.display());
            }
        }
    }

    let place = Arc::new(Workplace::new(shop, profiles, settings.workers.memory_mib));
    let wake = Arc::new(Notify::new());
    let stop = CancellationToken::new();
    if interrupted {
        stop.cancel();
    }
    let stop_sweeps = Arc::new(AtomicBool::new(false));
    let (reports, inbox) = mpsc::channel(CAPACITY);
    let feed = start_feed(&settings, mode, &store, &place, reports, &stop_sweeps).await?;
    let feed_ended = CancellationToken::new();
    let record = intake::record(store.clone(), Arc::clone(&place), Arc::clone(&wake), inbox, feed_ended.clone());
    let recorder = tokio::spawn(ends_all_unless_well(record, stop.clone()));
    let crew_settings =
        CrewSettings { workers: settings.workers.count, policy: settings.retry, stop_when_blocked: mode == Mode::Once };
    let (settled, mut told) = mpsc::unbounded_channel();
    let crew = Crew::start(Arc::clone(&place), store.clone(), crew_settings, Arc::clone(&wake), stop.clone(), settled);
    info!(mode = mode.command(), workers = settings.workers.count, "Ready: {} collections", settings.collections.len());

    let stopped = CancellationToken::new();
    if interrupted {
        stopped.cancel();
    }
    let deadline = signals.watch(stopped.clone(), stop.clone(), settings.shutdown_deadline);
    // The feed ends by itself in `once`; otherwise when told to. Joining threads blocks, so not on this task.
    let ender = tokio::spawn(end_feed(feed, stop.clone(), stop_sweeps));
    let closer = tokio::spawn(close_when_done(mode, store.clone(), ender, feed_ended, recorder, stop.clone()));
    let mut crew = std::pin::pin!(crew.join());
    let blocked = loop {
        tokio::select! {
            Some(one) = told.recv() => watch(&one),
            ended = &mut crew => break ended?,
        }
    };
    stop.cancel();
    while let Ok(one) = told.try_recv() {
        watch(&one);
    }
    let intake = closer.await.map_err(|error| Failure::text(Exit::Failed, error, None))??;
    deadline.abort();
    let counts = store.counts().await?;
    let left = counts.of(JobState::Pending) + counts.of(JobState::Running);
    store.close().await;
    drop(lock);
    info!("Stopped");
    Ok(Ended { mode, blocked, intake, stopped: stopped.is_cancelled(), left })
}

/// Starts one ingest thread a root.
async fn start_feed(
    settings: &Settings,
    mode: Mode,
    store: &Store,
    place: &Workplace,
    reports: mpsc::Sender<Report>,
    stop: &Arc<AtomicBool>,
) -> Result<Feed, Failure> {
    let mut watchers = Vec::new();
    let mut sweeps = Vec::new();
    for one in &settings.collections {
        let expected = store.root_identity(&one.name).await?;
        if let Some(identity) = expected {
            // Workers must not wait for the first look to know an unmounted root from an empty one.
            place.identities.lock().unwrap_or_else(PoisonError::into_inner).insert(one.name.clone(), identity);
        }
        let root = RootSettings { expected, ..parts::root_settings(one) };
        let known: Known = store.known(&one.name).await?;
        let reports = reports.clone();
        // A closed channel means that the daemon is ending: what is not recorded now is seen again at the next start.
        let mut sink = move |report| drop(reports.blocking_send(report));
        match mode {
            Mode::Run => watchers.push(Watcher::spawn(root, known, sink)?),
            Mode::Once => {
                let stop = Arc::clone(stop);
                let thread = std::thread::Builder::new().name(format!("ingest-{}", one.name));
                sweeps.push(thread.spawn(move || ingest::sweep_until_settled(&root, known, &stop, &mut sink))?);
            }
        }
    }
    Ok(match mode {
        Mode::Run => Feed::Watchers(watchers),
        Mode::Once => Feed::Sweeps(sweeps),
    })
}

/// Waits until the ingest threads have ended: by themselves, or because they were told to.
async fn end_feed(feed: Feed, stop: CancellationToken, stop_sweeps: Arc<AtomicBool>) -> Result<(), Failure> {
    match feed {
        Feed::Watchers(watchers) => {
            stop.cancelled().await;
            // All are told before one is waited for.
            watchers.iter().for_each(Watcher::tell_to_end);
            let joined = tokio::task::spawn_blocking(move || watchers.into_iter().for_each(Watcher::stop)).await;
            joined.map_err(|error| Failure::text(Exit::Failed, error, None))
        }
        Feed::Sweeps(sweeps) => {
            let flag = tokio::spawn(async move {
                stop.cancelled().await;
                stop_sweeps.store(true, Ordering::Relaxed);
            });
            let joined = tokio::task::spawn_blocking(move || {
                let ended: Vec<_> = sweeps.into_iter().map(JoinHandle::join).collect();
                ended
                    .into_iter()
                    .try_for_each(|one| one.unwrap_or_else(|_| Err(std::io::Error::other("an ingest thread panicked"))))
            });
            let joined = joined.await.map_err(|error| Failure::text(Exit::Failed, error, None))?;
            flag.abort();
            joined.map_err(Failure::from)
        }
    }
}

/// Recording that fails, or panics, ends the daemon: files that nobody records would look as if there were none.
async fn ends_all_unless_well<T, E>(work: impl Future<Output = Result<T, E>>, stop: CancellationToken) -> Result<T, E> {
    let guard = stop.drop_guard();
    let well = work.await?;
    guard.disarm();
    Ok(well)
}

/// Joins feed and recorder; in `once`, ends intake when no job is left that this look could finish.
async fn close_when_done(
    mode: Mode,
    store: Store,
    feed: tokio::task::JoinHandle<Result<(), Failure>>,
    feed_ended: CancellationToken,
    recorder: tokio::task::JoinHandle<Result<IntakeSummary, crate::store::StoreError>>,
    stop: CancellationToken,
) -> Result<IntakeSummary, Failure> {
    // Whatever loop ends, for whatever reason, intake ends.
    let _guard = stop.clone().drop_guard();
    feed.await.map_err(|error| Failure::text(Exit::Failed, error, None))??;
    feed_ended.cancel();
    let summary = recorder.await.map_err(|error| Failure::text(Exit::Failed, error, None))??;
    if mode == Mode::Once {
        while !stop.is_cancelled() && store.unfinished(WAITING).await? > 0 {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }
    Ok(summary)
}

/// SIGTERM and SIGINT: the first ends intake, the second ends the process.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    fn watch(mut self, stopped: CancellationToken, stop: CancellationToken, deadline: Duration) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            let name = self.next().await;
            info!(signal = name, "{name}: finishing what runs, at most {} s; a second signal ends at once", deadline.as_secs());
            stopped.cancel();
            stop.cancel();
            tokio::select! {
                name = self.next() => warn!(signal = name, "{name} again: ending at once; interrupted jobs are taken up at the next start"),
                () = tokio::time::sleep(deadline) => warn!("The deadline passed: ending; interrupted jobs are taken up at the next start"),
            }
            // Not a tidy end: worker threads may hold a job. The ledger knows it as running and recovers it.
            std::process::exit(Exit::Failed as i32);
        })
    }
}
