//! Reads for people: counts, lists, one job with its history.

use std::path::{Path, PathBuf};

use sqlx::FromRow;

use super::decision::{Said, said};
use super::ledger::{Derivative, Further, bytes_of, digest_of, path_of};
use super::{Store, StoreError};
use crate::digest::Digest;
use crate::job::{JobState, UnixMillis};

/// Jobs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; 7]);

impl Counts {
    /// How many jobs are in `state`.
    pub const fn of(&self, state: JobState) -> u64 {
        self.0[state as usize]
    }

    /// All jobs.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only this state.
    pub state: Option<JobState>,
    /// Only this collection.
    pub collection: Option<String>,
    /// At most so many, newest first; `None` is all of them.
    pub limit: Option<u32>,
    /// Only ids above this one.
    pub after: Option<i64>,
}

/// One job in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Job id.
    pub id: i64,
    /// Its state.
    pub state: JobState,
    /// Collection of its first sighting.
    pub collection: String,
    /// Path of its first sighting below the ingest root.
    pub relative: PathBuf,
    /// SHA-256 of the source.
    pub source: Digest,
    /// Bytes of the source.
    pub bytes: u64,
    /// SHA-256 of the recipe.
    pub recipe: Digest,
    /// How often it was claimed.
    pub claim_no: i64,
    /// Failures charged.
    pub failures: i64,
    /// Earliest next claim.
    pub not_before: UnixMillis,
    /// When it was recorded.
    pub recorded_at: UnixMillis,
    /// When it became final.
    pub finished_at: Option<UnixMillis>,
    /// In which stage it failed last.
    pub stage: Option<String>,
    /// Why it is where it is.
    pub reason: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Derivative below the output root.
    pub derivative: Option<PathBuf>,
    /// Its SHA-256.
    pub derivative_digest: Option<Digest>,
    /// The provenance record, JSON.
    pub record: Option<String>,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct EventRow {
    /// Its number.
    pub seq: i64,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Under which claim.
    pub claim_no: Option<i64>,
    /// What happened.
    pub kind: String,
    /// Details, JSON.
    pub body: String,
}

/// One place where a source was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SightingRow {
    /// Collection.
    pub collection: String,
    /// Path below the ingest root.
    pub relative: PathBuf,
    /// Whether these bytes still lie there.
    pub current: bool,
}

/// One job with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDetail {
    /// The job.
    pub job: JobRow,
    /// What happened, in order.
    pub events: Vec<EventRow>,
    /// Where its source was seen.
    pub sightings: Vec<SightingRow>,
    /// What a person decided about its scan.
    pub said: Option<Said>,
    /// Its derivatives beside the first.
    pub further: Vec<Further>,
}

#[derive(FromRow)]
struct RawJob {
    id: i64,
    state: String,
    collection: String,
    relative: Vec<u8>,
    source: Vec<u8>,
    bytes: i64,
    recipe: Vec<u8>,
    claim_no: i64,
    failures: i64,
    not_before: i64,
    recorded_at: i64,
    finished_at: Option<i64>,
    stage: Option<String>,
    reason: Option<String>,
    hint: Option<String>,
    derivative: Option<Vec<u8>>,
    derivative_digest: Option<Vec<u8>>,
    record: Option<String>,
}

impl TryFrom<RawJob> for JobRow {
    type Error = StoreError;

    fn try_from(raw: RawJob) -> Result<Self, StoreError> {
        Ok(Self {
            id: raw.id,
            state: raw.state.parse().map_err(|_| StoreError::Unexpected(format!("state {:?}", raw.state)))?,
            collection: raw.collection,
            relative: path_of(raw.relative),
            source: digest_of(&raw.source)?,
            bytes: raw.bytes.cast_unsigned(),
            recipe: digest_of(&raw.recipe)?,
            claim_no: raw.claim_no,
            failures: raw.failures,
            not_before: UnixMillis(raw.not_before),
            recorded_at: UnixMillis(raw.recorded_at),
            finished_at: raw.finished_at.map(UnixMillis),
            stage: raw.stage,
            reason: raw.reason,
            hint: raw.hint,
            derivative: raw.derivative.map(path_of),
            derivative_digest: raw.derivative_digest.as_deref().map(digest_of).transpose()?,
            record: raw.record,
        })
    }
}

/// `$where` may use the aliases j (job), s (source), r (recipe).
macro_rules! select_jobs {
    ($where:literal) => {
        concat!(
            "SELECT j.id, j.state, j.collection, j.relative, s.digest AS source, s.bytes, r.digest AS recipe, j.claim_no,
                 j.failures, j.not_before, j.recorded_at, j.finished_at, j.stage, j.reason, j.hint, j.derivative,
                 j.derivative_digest, j.record
             FROM job j JOIN source s ON s.id = j.source_id JOIN recipe r ON r.id = j.recipe_id WHERE ",
            $where
        )
    };
}

impl Store {
    /// Jobs by state.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT state, count(*) FROM job GROUP BY state")
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::doing("count jobs"))?;
        let mut counts = Counts::default();
        for (state, count) in rows {
            let state: JobState = state.parse().map_err(|_| StoreError::Unexpected(format!("state {state:?}")))?;
            counts.0[state as usize] = count.cast_unsigned();
        }
        Ok(counts)
    }

    /// Lists jobs, newest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRow>, StoreError> {
        let rows: Vec<RawJob> = sqlx::query_as(select_jobs!(
            "(?1 IS NULL OR j.state = ?1) AND (?2 IS NULL OR j.collection = ?2) AND j.id > coalesce(?3, 0)
             ORDER BY j.id DESC LIMIT coalesce(?4, -1)"
        ))
        .bind(filter.state.map(JobState::as_str))
        .bind(&filter.collection)
        .bind(filter.after)
        .bind(filter.limit)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::doing("list jobs"))?;
        rows.into_iter().map(JobRow::try_from).collect()
    }

    /// One job with its history.
    pub async fn job(&self, id: i64) -> Result<Option<JobDetail>, StoreError> {
        let raw: Option<RawJob> = sqlx::query_as(select_jobs!("j.id = ?"))
            .bind(id)
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::doing("read a job"))?;
        let Some(raw) = raw else { return Ok(None) };
        let job = JobRow::try_from(raw)?;
        let events = sqlx::query_as("SELECT seq, at, claim_no, kind, body FROM event WHERE job_id = ? ORDER BY seq")
            .bind(id)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::doing("read a job's history"))?;
        let sightings: Vec<(String, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT g.collection, g.relative, g.current FROM sighting g JOIN job j ON j.source_id = g.source_id
             WHERE j.id = ? ORDER BY g.collection, g.relative",
        )
        .bind(id)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::doing("read a job's sightings"))?;
        let sightings = sightings
            .into_iter()
            .map(|(collection, relative, current)| SightingRow { collection, relative: path_of(relative), current: current == 1 })
            .collect();
        // A ledger that an earlier version wrote last has no decisions.
        let said = match self.has_decisions().await? {
            true => self.said_of_job(id).await?,
            false => None,
        };
        let further = self.further(job.id).await?;
        Ok(Some(JobDetail { job, events, sightings, said, further }))
    }

    async fn said_of_job(&self, id: i64) -> Result<Option<Said>, StoreError> {
        let place: Option<(i64, String)> = sqlx::query_as("SELECT source_id, collection FROM job WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::doing("read a job"))?;
        match place {
            Some((source_id, collection)) => said(&self.reader, source_id, &collection).await,
            None => Ok(None),
        }
    }

    /// Jobs whose source lies, or lay, under this name.
    pub async fn jobs_of_sighting(&self, collection: &str, relative: &Path) -> Result<Vec<JobRow>, StoreError> {
        let rows: Vec<RawJob> = sqlx::query_as(select_jobs!(
            "j.source_id IN (SELECT source_id FROM sighting WHERE collection = ? AND relative = ?) ORDER BY j.id"
        ))
        .bind(collection)
        .bind(bytes_of(relative))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::doing("find jobs of a file"))?;
        rows.into_iter().map(JobRow::try_from).collect()
    }

    /// The derivatives of a job beside its first, in the order of the collection's outputs.
    pub async fn further(&self, job: i64) -> Result<Vec<Further>, StoreError> {
        type Row = (Vec<u8>, Vec<u8>, Vec<u8>, String);
        if !self.has_table("further").await? {
            return Ok(Vec::new());
        }
        let rows: Vec<Row> = sqlx::query_as("SELECT root, relative, digest, record FROM further WHERE job_id = ? ORDER BY place")
            .bind(job)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::doing("read derivatives"))?;
        let one = |(root, relative, digest, record): Row| {
            let derivative = Derivative { relative: path_of(relative), digest: digest_of(&digest)?, record };
            Ok(Further { root: path_of(root), derivative })
        };
        rows.into_iter().map(one).collect()
    }

    /// Jobs whose source, or one of whose derivatives, has this digest.
    pub async fn jobs_of_digest(&self, digest: Digest) -> Result<Vec<JobRow>, StoreError> {
        let query = match self.has_table("further").await? {
            true => select_jobs!(
                "s.digest = ?1 OR j.derivative_digest = ?1 OR j.id IN (SELECT job_id FROM further WHERE digest = ?1) ORDER BY j.id"
            ),
            false => select_jobs!("s.digest = ?1 OR j.derivative_digest = ?1 ORDER BY j.id"),
        };
        let rows: Vec<RawJob> = sqlx::query_as(query)
            .bind(digest.as_bytes().as_slice())
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::doing("find jobs of a digest"))?;
        rows.into_iter().map(JobRow::try_from).collect()
    }
}
