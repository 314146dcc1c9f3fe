//! The loop around attempts: claim, attempt, decide, settle.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::attempt::{Attempt, Workplace, attempt, caught};
use super::{Gate, Recovery, StageError, WAITING};
use crate::job::{Disposition, JobState, RetryPolicy, Settlement, UnixMillis};
use crate::store::{ClaimedJob, Ending, Recovered, Store, StoreError};

/// How long a worker sleeps at most before it looks again: an operator's `retry` in another process sends no signal.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Settings of the crew.
#[derive(Debug, Clone, Copy)]
pub struct CrewSettings {
    /// Scans worked on at once.
    pub workers: usize,
    /// When to give up.
    pub policy: RetryPolicy,
    /// Whether a full volume ends the work (`once`) or pauses it (`run`).
    pub stop_when_blocked: bool,
}

/// A settled attempt, for whoever shows progress.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Job id.
    pub job: i64,
    /// Path of the scan below its root.
    pub relative: PathBuf,
    /// The job's state now.
    pub state: JobState,
    /// When it is tried again at the earliest, if it is.
    pub again: Option<UnixMillis>,
    /// Why, unless completed.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Path of the derivative, absolute or relative as configured.
    pub derivative: Option<PathBuf>,
}

impl From<Recovered> for Settled {
    fn from(recovered: Recovered) -> Self {
        let Recovered { job, relative, ending } = recovered;
        let (reason, hint) = ending.told();
        let settlement = ending.settlement();
        Self { job, relative, state: settlement.state(), again: settlement.not_before(), reason, hint, derivative: None }
    }
}

struct Shared {
    place: Arc<Workplace>,
    store: Store,
    settings: CrewSettings,
    gate: Gate,
    wake: Arc<Notify>,
    /// Cancelled: no further claim.
    intake: CancellationToken,
    settled: mpsc::UnboundedSender<Settled>,
    /// The first condition that ended the work; what follows is aftershock.
    blocked: Mutex<Option<StageError>>,
}

/// Workers at work.
pub struct Crew {
    shared: Arc<Shared>,
    workers: JoinSet<Result<(), StoreError>>,
}

impl Crew {
    /// Starts the workers. `wake` is notified when a job was recorded; cancelling `intake` ends claiming, and the workers
    /// end when what they hold is settled.
    pub fn start(
        place: Arc<Workplace>,
        store: Store,
        settings: CrewSettings,
        wake: Arc<Notify>,
        intake: CancellationToken,
        settled: mpsc::UnboundedSender<Settled>,
    ) -> Self {
        let gate = Gate::default();
        let blocked = Mutex::new(None);
        let shared = Arc::new(Shared { place, store, settings, gate, wake, intake, settled, blocked });
        let mut workers = JoinSet::new();
        for _ in 0..settings.workers.max(1) {
            workers.spawn(work(Arc::clone(&shared)));
        }
        Self { shared, workers }
    }

    /// Waits for every worker. `Ok(Some)` is the condition because of which they stopped by themselves.
    pub async fn join(mut self) -> Result<Option<StageError>, StoreError> {
        let mut first = Ok(());
        while let Some(ended) = self.workers.join_next().await {
            // Whatever loop ends, for whatever reason, intake ends.
            self.shared.intake.cancel();
            let ended = ended.unwrap_or_else(|error| Err(StoreError::Unexpected(format!("a worker ended: {error}"))));
            first = first.and(ended);
        }
        first.map(|()| self.shared.blocked.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

/// The wall clock, for the ledger.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(jiff::Timestamp::now().as_millisecond())
}

async fn work(shared: Arc<Shared>) -> Result<(), StoreError> {
    let result = work_until_stopped(&shared).await;
    if result.is_err() {
        shared.intake.cancel();
    }
    result
}

async fn work_until_stopped(shared: &Arc<Shared>) -> Result<(), StoreError> {
    loop {
        // Registered before the ledger is asked, so that no wake-up falls in between.
        let woken = shared.wake.notified();
        if shared.intake.is_cancelled() {
            return Ok(());
        }
        let claim = match shared.gate.closed_until() {
            Some(_) => None,
            None => shared.store.claim(now()).await?,
        };
        if claim.is_none() && shared.gate.is_holding() && shared.store.unfinished(WAITING).await? == 0 {
            // Nothing is left that could show that the condition is over, and nothing that it could stop.
            shared.gate.open();
            shared.store.note_pause(None).await?;
        }
        let Some(claim) = claim else {
            tokio::select! {
                () = woken => {}
                () = shared.intake.cancelled() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            continue;
        };
        // One job may be the first of many: let the next worker look as well.
        shared.wake.notify_one();
        work_on(shared, claim).await?;
    }
}

async fn work_on(shared: &Arc<Shared>, claim: ClaimedJob) -> Result<(), StoreError> {
    let start = Instant::now();
    let place = Arc::clone(&shared.place);
    let (claim, result) = tokio::task::spawn_blocking(move || {
        let result = caught(|| attempt(&place, &claim));
        (claim, result)
    })
    .await
    .map_err(|error| StoreError::Unexpected(format!("an attempt ended: {error}")))?;
    let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let derivative = match &result {
        Ok(Attempt::Published { derivative, .. }) => {
            let root = shared.place.profiles.get(&claim.collection).map(|profile| profile.main().root.as_path());
            root.map(|root| root.join(&derivative.relative))
        }
        _ => None,
    };
    let (ending, told) = match result {
        Ok(Attempt::Published { derivative, further, adopted }) => {
            (Ending::completed(derivative, further, adopted, duration_ms), (None, None))
        }
        Ok(Attempt::Skipped(reason)) => (Ending::skipped(reason.clone()), (Some(reason), None)),
        Err(error) => {
            let told = (Some(error.reason.clone()), error.hint.clone());
            (fail(shared, &claim, error).await?, told)
        }
    };
    let state = match shared.store.settle(&claim, &ending, now()).await {
        Ok(state) => state,
        Err(error @ StoreError::StaleClaim { .. }) => {
            warn!(job.id = claim.id, error = %error, "Job {} was settled by somebody else", claim.id);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if state == JobState::Completed && shared.gate.open() {
        info!("Output can be written again: claiming goes on");
        shared.store.note_pause(None).await?;
    }
    let (reason, hint) = told;
    log(&claim, state, reason.as_deref(), hint.as_deref(), derivative.as_deref(), duration_ms);
    // Nobody may be listening any more; that is no reason to stop.
    let again = ending.settlement().not_before();
    let _ = shared.settled.send(Settled { job: claim.id, relative: claim.relative, state, again, reason, hint, derivative });
    Ok(())
}

/// Decides what a failure means, and stops or pauses claiming when no job could be done now.
async fn fail(shared: &Arc<Shared>, claim: &ClaimedJob, error: StageError) -> Result<Ending, StoreError> {
    let settlement = Settlement::decide(error.outcome(), claim.charged, &shared.settings.policy, now(), fastrand::f64());
    let ending = Ending::failed(settlement, error.stage, error.reason.clone(), error.hint.clone());
    if error.disposition == Disposition::Fatal {
        let waits = error.recovery == Recovery::Wait && !shared.settings.stop_when_blocked;
        if waits {
            shared.gate.close();
            shared.store.note_pause(Some(&error.reason)).await?;
        } else {
            shared.intake.cancel();
            shared.blocked.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
    Ok(ending)
}

fn log(
    claim: &ClaimedJob,
    state: JobState,
    reason: Option<&str>,
    hint: Option<&str>,
    derivative: Option<&std::path::Path>,
    duration_ms: u64,
) {
    let (id, name) = (claim.id, claim.relative.display());
    match (state, reason) {
        (JobState::Completed, _) => {
            let path = derivative.unwrap_or(&claim.relative).display();
            info!(job.id = id, job.claim = claim.claim_no, duration_ms, "Published {path} in {duration_ms} ms");
        }
        (JobState::Skipped, Some(reason)) => info!(job.id = id, duration_ms, "Skipped {name}: {reason}"),
        (JobState::Rejected | JobState::Exhausted, Some(reason)) => {
            let hint = hint.unwrap_or("none");
            error!(job.id = id, job.claim = claim.claim_no, hint, duration_ms, "Gave up {name} ({state}): {reason}");
        }
        (_, reason) => {
            let reason = reason.unwrap_or("handed back");
            warn!(job.id = id, job.claim = claim.claim_no, duration_ms, "Back in the queue {name}: {reason}");
        }
    }
}
