//! Writes what the ingest threads report into the ledger, in batches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::digest::Digest;
use crate::ingest::{FileSignature, Report, RootState, StableFile};
use crate::job::Recipes;
use crate::pipeline::{OFFLINE, Workplace, now};
use crate::routing::Scene;
use crate::store::{Said, Store, StoreError, WaitingSample};

/// Reports in flight. Small, so that a sweep over a million files waits for the ledger instead of filling memory.
pub(super) const CAPACITY: usize = 256;

/// What intake came to, for the end of `once`.
#[derive(Debug, Default, Clone)]
pub struct IntakeSummary {
    /// Jobs that are new.
    pub new_jobs: u64,
    /// Files that hold bytes already known under another name or from an earlier look.
    pub known: u64,
    /// Files that are not believed yet, with a reason each, by collection.
    pub waiting: BTreeMap<String, Vec<(PathBuf, String)>>,
    /// Roots that are not there, with a reason each.
    pub offline: BTreeMap<String, String>,
}

/// Runs until every sender is gone, or until `feed_ended` and what had been sent by then is written: a thread that hangs in
/// the kernel never gives its sender back.
pub(super) async fn record(
    store: Store,
    place: Arc<Workplace>,
    wake: Arc<Notify>,
    mut reports: mpsc::Receiver<Report>,
    feed_ended: CancellationToken,
) -> Result<IntakeSummary, StoreError> {
    let mut summary = IntakeSummary::default();
    let recipes: BTreeMap<&str, Recipes> =
        place.profiles.iter().map(|(name, profile)| (name.as_str(), Recipes::of(&profile.recipe))).collect();
    let recipe_for = |collection: &str, scene: Option<Scene>| -> Option<Digest> {
        recipes.get(collection).map(|recipes| recipes.wanted(scene).digest())
    };
    let mut batch = Vec::with_capacity(CAPACITY);
    loop {
        tokio::select! {
            received = reports.recv_many(&mut batch, CAPACITY) => if received == 0 { break },
            () = feed_ended.cancelled(), if !reports.is_closed() => {
                reports.close();
                continue;
            }
        }
        let mut files: Vec<StableFile> = Vec::new();
        for report in batch.drain(..) {
            match report {
                Report::Stable(file) => files.push(file),
                Report::Sidecar { collection, relative, found } => {
                    if let Some(recipes) = recipes.get(collection.as_str())
                        && note_sidecar(&store, recipes, &collection, &relative, found).await?
                    {
                        wake.notify_waiters();
                    }
                }
                other => note(&store, &place, &mut summary, other).await?,
            }
        }
        if files.is_empty() {
            continue;
        }
        crate::faults::point("record");
        let recorded = store.record(&files, recipe_for, now()).await?;
        let fresh = recorded.iter().filter(|recorded| recorded.new_job).count() as u64;
        summary.new_jobs += fresh;
        summary.known += recorded.len() as u64 - fresh;
        debug!(files = files.len(), jobs.new = fresh, "Recorded {} rested files, {fresh} new jobs", files.len());
        wake.notify_waiters();
    }
    Ok(summary)
}

/// Records what a sidecar says; whether that changed what holds for a scan.
async fn note_sidecar(
    store: &Store,
    recipes: &Recipes,
    collection: &str,
    scan: &Path,
    found: Option<(FileSignature, Said)>,
) -> Result<bool, StoreError> {
    let name = scan.display();
    match &found {
        Some((_, Ok(decision))) => info!(collection, "The sidecar beside {name} says: {decision}"),
        Some((_, Err(reason))) => warn!(collection, reason, "{name} is not coloured: {reason}"),
        None => info!(collection, "The sidecar beside {name} is gone"),
    }
    let found = found.as_ref().map(|(signature, said)| (signature, said));
    Ok(store.note_sidecar(collection, scan, found, recipes, now()).await?.is_some())
}

async fn note(store: &Store, place: &Workplace, summary: &mut IntakeSummary, report: Report) -> Result<(), StoreError> {
    match report {
        // Sorted out by the caller, which writes scans in batches and knows what sidecars need.
        Report::Stable(_) | Report::Sidecar { .. } => {}
        Report::Root { collection, identity, state, mode } => {
            let offline = match &state {
                RootState::Online => None,
                RootState::Offline { reason } => Some(reason.as_str()),
            };
            store.note_root(&collection, identity, offline, mode, now()).await?;
            match (offline, identity) {
                (Some(reason), _) => {
                    warn!(collection = %collection, reason, "Ingest root of {collection} is offline: {reason}");
                    summary.offline.insert(collection, reason.to_owned());
                }
                (None, identity) => {
                    info!(collection = %collection, mode, "Ingest root of {collection} is online ({mode})");
                    summary.offline.remove(&collection);
                    if let Some(identity) = identity {
                        let mut identities = place.identities.lock().unwrap_or_else(PoisonError::into_inner);
                        identities.insert(collection, identity);
                    }
                    store.look_again(OFFLINE, now()).await?;
                }
            }
        }
        Report::Waiting { collection, files } => {
            // The ledger keeps a sample for `status`; the whole list would be rewritten at every sweep.
            const SAMPLE: usize = 20;
            let sample: Vec<_> = files
                .iter()
                .take(SAMPLE)
                .map(|file| WaitingSample { path: file.relative.to_string_lossy().into_owned(), reason: file.reason.to_string() })
                .collect();
            store.note_waiting(&collection, files.len() as u64, &sample).await?;
            let named = files.into_iter().map(|file| (file.relative, file.reason.to_string())).collect();
            summary.waiting.insert(collection, named);
        }
        Report::SweepDone { collection, seen, stable, waiting, .. } => {
            debug!(collection = %collection, seen, stable, waiting, "Looked through {collection}: {seen} files, {waiting} waiting");
        }
    }
    Ok(())
}
