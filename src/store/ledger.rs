//! The life of jobs in SQL: claim, settle, recover.
//!
//! `settle` is the one statement that ends a claim, and it names the claim's number: a late writer changes nothing.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{Sqlite, Transaction};

use super::decision::{Said, said};
use super::{Store, StoreError};
use crate::digest::Digest;
use crate::job::{JobState, Outcome, RetryPolicy, Settlement, UnixMillis};

/// A job in hand. Only the holder of the newest `claim_no` may settle it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// Job id.
    pub id: i64,
    /// The fence.
    pub claim_no: i64,
    /// Failures charged, ever.
    pub failures: u32,
    /// Failures charged since the last operator retry.
    pub charged: u32,
    /// Collection of the first sighting.
    pub collection: String,
    /// Path of the first sighting below its ingest root.
    pub relative: PathBuf,
    /// Where the bytes lie now, the first sighting's place first when it still holds them.
    pub places: Vec<(String, PathBuf)>,
    /// SHA-256 of the bytes to process.
    pub source: Digest,
    /// Their number.
    pub bytes: u64,
    /// Which recipe.
    pub recipe: Digest,
    /// What a person decided about the scan, as of the claim.
    pub said: Option<Said>,
}

/// A published derivative, as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivative {
    /// Path below the collection's output root.
    pub relative: PathBuf,
    /// SHA-256 of the image file.
    pub digest: Digest,
    /// The provenance record, JSON.
    pub record: String,
}

/// A derivative in another output of the collection than the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Further {
    /// Root of that output.
    pub root: PathBuf,
    /// The derivative, its path below that root.
    pub derivative: Derivative,
}

/// The end of an attempt, ready to be written.
#[derive(Debug, Clone)]
pub struct Ending {
    settlement: Settlement,
    stage: Option<String>,
    reason: Option<String>,
    hint: Option<String>,
    derivative: Option<Derivative>,
    further: Vec<Further>,
    details: Value,
}

impl Ending {
    /// Published, or adopted because it was already in place.
    pub fn completed(derivative: Derivative, further: Vec<Further>, adopted: bool, duration_ms: u64) -> Self {
        let mut details = json!({
            "derivative": derivative.relative.to_string_lossy(), "sha256": derivative.digest,
            "adopted": adopted, "duration_ms": duration_ms,
        });
        if !further.is_empty() {
            let one = |Further { root, derivative }: &Further| json!({ "derivative": root.join(&derivative.relative).to_string_lossy(), "sha256": derivative.digest });
            details["further"] = further.iter().map(one).collect();
        }
        Self { derivative: Some(derivative), further, ..Self::without(Settlement::Complete, None, None, None, details) }
    }

    fn without(
        settlement: Settlement,
        stage: Option<String>,
        reason: Option<String>,
        hint: Option<String>,
        details: Value,
    ) -> Self {
        Self { settlement, stage, reason, hint, derivative: None, further: Vec::new(), details }
    }

    /// Left alone, and why.
    pub fn skipped(reason: String) -> Self {
        let details = json!({ "reason": reason });
        Self::without(Settlement::Skip, None, Some(reason), None, details)
    }

    /// Failed, given back or given up; `settlement` says which.
    pub fn failed(settlement: Settlement, stage: &str, reason: String, hint: Option<String>) -> Self {
        let details = json!({ "stage": stage, "reason": reason, "hint": hint });
        Self::without(settlement, Some(stage.to_owned()), Some(reason), hint, details)
    }

    /// What was decided.
    pub const fn settlement(&self) -> Settlement {
        self.settlement
    }

    /// Why, unless completed, and what to do about it.
    pub fn told(&self) -> (Option<String>, Option<String>) {
        (self.reason.clone(), self.hint.clone())
    }
}

/// A job found running at start and what became of it.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Job id.
    pub job: i64,
    /// Path of its first sighting below the ingest root.
    pub relative: PathBuf,
    /// What became of it, and why.
    pub ending: Ending,
}

pub(super) fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

pub(super) fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

pub(super) fn digest_of(bytes: &[u8]) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Unexpected(format!("a digest of {} bytes", bytes.len())))?;
    Ok(Digest::from_bytes(bytes))
}

/// SQL: as far as is known, the scan of `job` lies in a root that is there. Claiming others would only give them back.
macro_rules! in_reach {
    () => {
        "(job.collection NOT IN (SELECT collection FROM root WHERE state = 'offline')
          OR EXISTS (SELECT 1 FROM sighting JOIN root USING (collection)
                     WHERE sighting.source_id = job.source_id AND sighting.current = 1 AND root.state <> 'offline'))"
    };
}

impl Store {
    /// Hands out the job that has waited longest and whose root is not known to be offline; the claim number fences later
    /// writes.
    ///
    /// The index is named because SQLite would rather look all waiting jobs up by their state and sort them: 20 ms among
    /// 100,000 instead of none. A statement that cannot use it does not compile, so a test would notice.
    pub async fn claim(&self, now: UnixMillis) -> Result<Option<ClaimedJob>, StoreError> {
        type Row = (i64, i64, i64, i64, String, Vec<u8>, i64, i64);
        let mut tx = self.begin().await?;
        let row: Option<Row> = sqlx::query_as(concat!(
            "UPDATE job SET state = 'running', claim_no = claim_no + 1, claimed_at = ?1, stage = NULL, reason = NULL, hint = NULL
             WHERE id = (SELECT id FROM job INDEXED BY job_claimable WHERE state = 'pending' AND not_before <= ?1 AND ",
            in_reach!(),
            " ORDER BY not_before, id LIMIT 1)
             RETURNING id, claim_no, failures, failures - forgiven, collection, relative, source_id, recipe_id"
        ))
        .bind(now.0)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::doing("claim a job"))?;
        let Some((id, claim_no, failures, charged, collection, relative, source_id, recipe_id)) = row else {
            return Ok(None);
        };
        let (digest, bytes, recipe): (Vec<u8>, i64, Vec<u8>) =
            sqlx::query_as("SELECT s.digest, s.bytes, r.digest FROM source s, recipe r WHERE s.id = ? AND r.id = ?")
                .bind(source_id)
                .bind(recipe_id)
                .fetch_one(&mut *tx)
                .await
                .map_err(StoreError::doing("claim a job"))?;
        let places: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT collection, relative FROM sighting WHERE source_id = ?1 AND current = 1
             ORDER BY (collection = ?2 AND relative = ?3) DESC, collection, relative LIMIT 16",
        )
        .bind(source_id)
        .bind(&collection)
        .bind(&relative)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::doing("claim a job"))?;
        let said = said(&mut *tx, source_id, &collection).await?;
        append(&mut tx, now, Some(id), Some(claim_no), "claimed", &json!({})).await?;
        tx.commit().await.map_err(StoreError::doing("claim a job"))?;
        Ok(Some(ClaimedJob {
            id,
            claim_no,
            failures: counter(failures)?,
            charged: counter(charged)?,
            collection,
            relative: path_of(relative),
            places: places.into_iter().map(|(collection, relative)| (collection, path_of(relative))).collect(),
            source: digest_of(&digest)?,
            bytes: u64::try_from(bytes).map_err(|_| StoreError::Unexpected(format!("a source of {bytes} bytes")))?,
            recipe: digest_of(&recipe)?,
            said,
        }))
    }

    /// Ends a claim: the state change and its audit event in one transaction, guarded by the claim's number.
    pub async fn settle(&self, claim: &ClaimedJob, ending: &Ending, now: UnixMillis) -> Result<JobState, StoreError> {
        let mut tx = self.begin().await?;
        settle_in(&mut tx, claim.id, claim.claim_no, ending, now).await?;
        tx.commit().await.map_err(StoreError::doing("settle a job"))?;
        Ok(ending.settlement.state())
    }

    /// Settles every job found running: an earlier process died over it, so it is charged once.
    ///
    /// Call before the first claim, while holding the lock: then nothing can be running.
    pub async fn recover(
        &self,
        policy: &RetryPolicy,
        now: UnixMillis,
        mut jitter: impl FnMut() -> f64,
    ) -> Result<Vec<Recovered>, StoreError> {
        let mut tx = self.begin().await?;
        let running: Vec<(i64, i64, i64, Vec<u8>)> =
            sqlx::query_as("SELECT id, claim_no, failures - forgiven, relative FROM job WHERE state = 'running' ORDER BY id")
                .fetch_all(&mut *tx)
                .await
                .map_err(StoreError::doing("find interrupted jobs"))?;
        let mut recovered = Vec::with_capacity(running.len());
        for (job, claim_no, charged, relative) in running {
            let settlement = Settlement::decide(Outcome::FoundRunning, counter(charged)?, policy, now, jitter());
            let reason = "the program ended while it worked on this scan".to_owned();
            let hint = (settlement == Settlement::Exhaust)
                .then(|| "look at the scan before `autochrome retry`: it may be what ends the program".to_owned());
            let ending = Ending::failed(settlement, "interrupted", reason, hint);
            settle_in(&mut tx, job, claim_no, &ending, now).await?;
            recovered.push(Recovered { job, relative: path_of(relative), ending });
        }
        tx.commit().await.map_err(StoreError::doing("settle interrupted jobs"))?;
        Ok(recovered)
    }

    /// How many jobs are neither final, nor waiting in one of two stages, nor waiting for a root that is offline.
    pub async fn unfinished(&self, [one, other]: [&str; 2]) -> Result<u64, StoreError> {
        let (count,): (i64,) = sqlx::query_as(concat!(
            "SELECT (SELECT count(*) FROM job WHERE state = 'running')
                  + (SELECT count(*) FROM job WHERE state = 'pending' AND coalesce(stage, '') NOT IN (?, ?) AND ",
            in_reach!(),
            ")"
        ))
        .bind(one)
        .bind(other)
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::doing("count unfinished jobs"))?;
        Ok(count.cast_unsigned())
    }

    /// Makes the jobs that wait in `stage` claimable at once: what they waited for may be there again.
    pub async fn look_again(&self, stage: &str, now: UnixMillis) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE job SET not_before = min(not_before, ?1), stage = NULL, reason = NULL, hint = NULL
             WHERE state = 'pending' AND stage = ?2",
        )
        .bind(now.0)
        .bind(stage)
        .execute(&self.writer)
        .await
        .map_err(StoreError::doing("wake waiting jobs"))?;
        Ok(())
    }
}

fn counter(value: i64) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| StoreError::Unexpected(format!("a counter of {value}")))
}

async fn settle_in(
    tx: &mut Transaction<'static, Sqlite>,
    job: i64,
    claim_no: i64,
    ending: &Ending,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let Ending { settlement, stage, reason, hint, derivative, further, details } = ending;
    let state = settlement.state();
    let not_before = settlement.not_before().unwrap_or(now).0;
    let done = sqlx::query(
        "UPDATE job SET state = ?1, failures = failures + ?2, not_before = ?3, finished_at = ?4, stage = ?5, reason = ?6,
             hint = ?7, derivative = ?8, derivative_digest = ?9, record = ?10
         WHERE id = ?11 AND claim_no = ?12 AND state = 'running'",
    )
    .bind(state.as_str())
    .bind(i64::from(settlement.is_charged()))
    .bind(not_before)
    .bind(state.is_final().then_some(now.0))
    .bind(stage)
    .bind(reason)
    .bind(hint)
    .bind(derivative.as_ref().map(|derivative| bytes_of(&derivative.relative)))
    .bind(derivative.as_ref().map(|derivative| derivative.digest.as_bytes().as_slice()))
    .bind(derivative.as_ref().map(|derivative| derivative.record.as_str()))
    .bind(job)
    .bind(claim_no)
    .execute(&mut **tx)
    .await
    .map_err(StoreError::doing("settle a job"))?;
    if done.rows_affected() != 1 {
        return Err(StoreError::StaleClaim { job, claim_no });
    }
    for (place, Further { root, derivative }) in (1_i64..).zip(further) {
        sqlx::query("INSERT INTO further (job_id, place, root, relative, digest, record) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(job)
            .bind(place)
            .bind(bytes_of(root))
            .bind(bytes_of(&derivative.relative))
            .bind(derivative.digest.as_bytes().as_slice())
            .bind(&derivative.record)
            .execute(&mut **tx)
            .await
            .map_err(StoreError::doing("record a derivative"))?;
    }
    append(tx, now, Some(job), Some(claim_no), settlement.trigger().as_str(), details).await
}

/// Device and inode numbers are unsigned 64-bit, SQLite's integers signed: the bits are kept.
pub(super) const fn signed(value: u64) -> i64 {
    value.cast_signed()
}

/// Adds one line to the audit log.
pub(super) async fn append(
    tx: &mut Transaction<'static, Sqlite>,
    now: UnixMillis,
    job: Option<i64>,
    claim_no: Option<i64>,
    kind: &str,
    body: &Value,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO event (at, job_id, claim_no, kind, body) VALUES (?, ?, ?, ?, ?)")
        .bind(now.0)
        .bind(job)
        .bind(claim_no)
        .bind(kind)
        .bind(body.to_string())
        .execute(&mut **tx)
        .await
        .map_err(StoreError::doing("append to the audit log"))?;
    Ok(())
}
