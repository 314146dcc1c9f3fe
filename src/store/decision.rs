//! What people decided about single scans, and what follows for their jobs.
//!
//! A decision for a scene gives the scan another recipe (see [`Recipes`]), so it has another job and another derivative. What is
//! running is not disturbed and what was made stays: only waiting jobs go, and the one that is wanted comes.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{Sqlite, SqliteExecutor, Transaction};

use super::ledger::{append, bytes_of, digest_of, path_of, signed};
use super::{Store, StoreError};
use crate::digest::Digest;
use crate::ingest::{FileSignature, Known, sidecar_name};
use crate::job::{JobState, Recipe, Recipes, Trigger, UnixMillis};
use crate::routing::{Decision, Origin, Verdict};

/// A decision, or what is wrong with the sidecar that should hold one.
pub type Said = Result<Decision, String>;

/// One scan in one collection: what a decision is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    source_id: i64,
    /// Collection.
    pub collection: String,
    /// Path below its ingest root.
    pub relative: PathBuf,
    /// SHA-256 of its bytes.
    pub source: Digest,
}

/// What a decision came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The decision that holds now; another than was given where a command's stands before a sidecar's.
    pub holds: Option<Said>,
    /// The job that follows it.
    pub job: i64,
    /// The state of that job.
    pub state: JobState,
    /// Other jobs of the scan that waited and are cancelled.
    pub cancelled: Vec<i64>,
    /// Other jobs of the scan that are being worked on; they are not disturbed.
    pub running: Vec<i64>,
    /// Derivatives of the scan by earlier jobs, which stay, with those.
    pub kept: Vec<(i64, PathBuf)>,
}

/// A row of the view `decided`: scene, by, why, origin.
type Row = (String, String, String, String);

fn said_of((scene, by, why, origin): Row) -> Result<Said, StoreError> {
    let unexpected = || StoreError::Unexpected(format!("a decision for {scene:?} by {origin:?}"));
    if scene == BROKEN {
        return Ok(Err(why));
    }
    let verdict: Verdict = scene.parse().map_err(|_| unexpected())?;
    let origin = [Origin::Command, Origin::Sidecar].into_iter().find(|known| known.as_str() == origin);
    Ok(Ok(Decision { verdict, by, why, origin: origin.ok_or_else(unexpected)? }))
}

/// Word of a sidecar that cannot be understood.
const BROKEN: &str = "broken";

/// What holds for a scan of a collection.
pub(super) async fn said<'e>(
    from: impl SqliteExecutor<'e>,
    source_id: i64,
    collection: &str,
) -> Result<Option<Said>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT scene, decided_by, why, origin FROM decided WHERE source_id = ? AND collection = ? LIMIT 1")
            .bind(source_id)
            .bind(collection)
            .fetch_optional(from)
            .await
            .map_err(StoreError::doing("read a decision"))?;
    row.map(said_of).transpose()
}

/// The scene that fixes a recipe, if somebody decided one.
pub(super) fn scene_of(said: Option<&Said>) -> Option<crate::routing::Scene> {
    said.and_then(|said| said.as_ref().ok()).and_then(|decision| decision.verdict.scene())
}

/// Adds to the audit log what holds now.
pub(super) async fn append_decision(
    tx: &mut Transaction<'static, Sqlite>,
    job: i64,
    said: Option<&Said>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    append(tx, now, Some(job), None, "decision", &body(said)).await
}

fn body(said: Option<&Said>) -> Value {
    match said {
        Some(Ok(Decision { verdict, by, why, origin })) => {
            json!({ "as": verdict.as_str(), "by": by, "why": why, "origin": origin.as_str() })
        }
        Some(Err(reason)) => json!({ "as": BROKEN, "why": reason, "origin": Origin::Sidecar.as_str() }),
        None => json!({ "as": "auto" }),
    }
}

impl Store {
    /// The scan of a job: where its bytes lie now, the job's own place first; where they lay, when they lie nowhere.
    pub async fn subject_of_job(&self, job: i64) -> Result<Option<Subject>, StoreError> {
        let row: Option<SubjectRow> = sqlx::query_as(
            "SELECT j.source_id, j.collection, j.relative, s.digest FROM job j JOIN source s ON s.id = j.source_id WHERE j.id = ?",
        )
        .bind(job)
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::doing("read a job"))?;
        let Some((source_id, collection, relative, digest)) = row else { return Ok(None) };
        let place: Option<(Vec<u8>,)> = sqlx::query_as(
            "SELECT relative FROM sighting WHERE source_id = ?1 AND collection = ?2 AND current = 1
             ORDER BY (relative = ?3) DESC, relative LIMIT 1",
        )
        .bind(source_id)
        .bind(&collection)
        .bind(&relative)
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::doing("find a scan"))?;
        let relative = place.map_or(relative, |(place,)| place);
        subject((source_id, collection, relative, digest)).map(Some)
    }

    /// The scan that lies under this name, as it was seen last.
    pub async fn subject_of_file(&self, collection: &str, relative: &Path) -> Result<Option<Subject>, StoreError> {
        let row = subject_at(&self.reader, collection, relative).await?;
        row.map(subject).transpose()
    }

    /// Whether the ledger's tables for decisions are there: they come with the first start of this version.
    pub async fn has_decisions(&self) -> Result<bool, StoreError> {
        self.has_table("decided").await
    }

    /// Whether the ledger has this table or view: one that is only read may have been written by an earlier version.
    pub(super) async fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        let row: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM sqlite_master WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::doing("be read"))?;
        Ok(row.is_some())
    }

    /// Records a person's decision about one scan, or, without a verdict, that it is taken back, and lets its jobs follow, all in
    /// one transaction. `by` and `why` are lines that a [`Decision`] may have.
    ///
    /// # Errors
    /// [`StoreError::OtherRecipe`]: the ledger has never seen the collection's recipe, so no daemon would know the job.
    pub async fn decide(
        &self,
        subject: &Subject,
        verdict: Option<Verdict>,
        by: &str,
        why: &str,
        recipes: &Recipes,
        now: UnixMillis,
    ) -> Result<Decided, StoreError> {
        let mut tx = self.begin().await?;
        let known: Option<(i64,)> = sqlx::query_as("SELECT id FROM recipe WHERE digest = ?")
            .bind(recipes.wanted(None).digest().as_bytes().as_slice())
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::doing("find a recipe"))?;
        if known.is_none() {
            return Err(StoreError::OtherRecipe { collection: subject.collection.clone() });
        }
        let statement = match verdict {
            Some(_) => {
                "INSERT INTO decision (source_id, collection, scene, decided_by, why, decided_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (source_id, collection) DO UPDATE SET scene = ?3, decided_by = ?4, why = ?5, decided_at = ?6"
            }
            None => "DELETE FROM decision WHERE source_id = ?1 AND collection = ?2",
        };
        let mut query = sqlx::query(statement).bind(subject.source_id).bind(&subject.collection);
        if let Some(verdict) = verdict {
            query = query.bind(verdict.as_str()).bind(by).bind(why).bind(now.0);
        }
        query.execute(&mut *tx).await.map_err(StoreError::doing("record a decision"))?;
        let word = verdict.map_or("auto", Verdict::as_str);
        let event = json!({ "as": word, "by": by, "why": why, "origin": Origin::Command.as_str() });
        let decided = follow(&mut tx, subject, recipes, &event, now).await?;
        tx.commit().await.map_err(StoreError::doing("record a decision"))?;
        Ok(decided)
    }

    /// Remembers what the sidecar beside a scan says, or that none lies there, and lets jobs follow where that changes what holds.
    pub async fn note_sidecar(
        &self,
        collection: &str,
        relative: &Path,
        found: Option<(&FileSignature, &Said)>,
        recipes: &Recipes,
        now: UnixMillis,
    ) -> Result<Option<Decided>, StoreError> {
        let mut tx = self.begin().await?;
        let at = subject_at(&mut *tx, collection, relative).await?.map(subject).transpose()?;
        let before = match &at {
            Some(subject) => said(&mut *tx, subject.source_id, collection).await?,
            None => None,
        };
        write_sidecar(&mut tx, collection, relative, found, now).await?;
        let mut decided = None;
        if let Some(subject) = at {
            let holds = said(&mut *tx, subject.source_id, collection).await?;
            if holds != before {
                decided = Some(follow(&mut tx, &subject, recipes, &body(holds.as_ref()), now).await?);
            }
        }
        tx.commit().await.map_err(StoreError::doing("note a sidecar"))?;
        Ok(decided)
    }

    /// The sidecars that the ledger knows, by their own paths.
    pub(super) async fn known_sidecars(&self, collection: &str) -> Result<Known, StoreError> {
        type Row = (Vec<u8>, i64, i64, i64, i64, i64);
        let rows: Vec<Row> =
            sqlx::query_as("SELECT relative, device, inode, size, mtime_ns, ctime_ns FROM sidecar WHERE collection = ?")
                .bind(collection)
                .fetch_all(&self.reader)
                .await
                .map_err(StoreError::doing("list sidecars"))?;
        let known = |(relative, device, inode, size, mtime_ns, ctime_ns): Row| {
            let [device, inode, size] = [device, inode, size].map(i64::cast_unsigned);
            (sidecar_name(&relative), FileSignature { device, inode, size, mtime_ns, ctime_ns })
        };
        Ok(rows.into_iter().map(known).collect())
    }
}

type SubjectRow = (i64, String, Vec<u8>, Vec<u8>);

async fn subject_at<'e>(
    from: impl SqliteExecutor<'e>,
    collection: &str,
    relative: &Path,
) -> Result<Option<SubjectRow>, StoreError> {
    sqlx::query_as(
        "SELECT g.source_id, g.collection, g.relative, s.digest FROM sighting g JOIN source s ON s.id = g.source_id
         WHERE g.collection = ? AND g.relative = ? AND g.current = 1",
    )
    .bind(collection)
    .bind(bytes_of(relative))
    .fetch_optional(from)
    .await
    .map_err(StoreError::doing("find a scan"))
}

fn subject((source_id, collection, relative, digest): SubjectRow) -> Result<Subject, StoreError> {
    Ok(Subject { source_id, collection, relative: path_of(relative), source: digest_of(&digest)? })
}

async fn write_sidecar(
    tx: &mut Transaction<'static, Sqlite>,
    collection: &str,
    relative: &Path,
    found: Option<(&FileSignature, &Said)>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let statement = match found {
        Some(_) => {
            "INSERT OR REPLACE INTO sidecar
                 (collection, relative, scene, decided_by, why, decided_at, device, inode, size, mtime_ns, ctime_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
        }
        None => "DELETE FROM sidecar WHERE collection = ?1 AND relative = ?2",
    };
    let mut query = sqlx::query(statement).bind(collection).bind(bytes_of(relative));
    if let Some((signature, said)) = found {
        let (scene, by, why) = match said {
            Ok(Decision { verdict, by, why, .. }) => (verdict.as_str(), by.as_str(), why),
            Err(reason) => (BROKEN, "", reason),
        };
        query = query.bind(scene).bind(by).bind(why).bind(now.0);
        query = query.bind(signed(signature.device)).bind(signed(signature.inode)).bind(signed(signature.size));
        query = query.bind(signature.mtime_ns).bind(signature.ctime_ns);
    }
    query.execute(&mut **tx).await.map_err(StoreError::doing("note a sidecar"))?;
    Ok(())
}

/// Lets the jobs of a scan follow what holds for it now.
async fn follow(
    tx: &mut Transaction<'static, Sqlite>,
    subject: &Subject,
    recipes: &Recipes,
    event: &Value,
    now: UnixMillis,
) -> Result<Decided, StoreError> {
    let Subject { source_id, collection, .. } = subject;
    let holds = said(&mut **tx, *source_id, collection).await?;
    let recipe_id = recipe_id(tx, recipes.wanted(scene_of(holds.as_ref())), now).await?;
    let cancelled: Vec<(i64,)> = sqlx::query_as(
        "UPDATE job SET state = 'cancelled', superseded = 1, finished_at = ?4, hint = NULL,
             reason = 'a person decided about this scan, and another job follows that'
         WHERE source_id = ?1 AND collection = ?2 AND recipe_id <> ?3 AND state = 'pending' RETURNING id",
    )
    .bind(source_id)
    .bind(collection)
    .bind(recipe_id)
    .bind(now.0)
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::doing("cancel jobs"))?;
    for (job,) in &cancelled {
        append(tx, now, Some(*job), None, Trigger::Cancel.as_str(), event).await?;
    }
    let (job, state) = wanted_job(tx, subject, recipe_id, now).await?;
    append(tx, now, Some(job), None, "decision", event).await?;
    let others: Vec<(i64, String, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT id, state, derivative FROM job
         WHERE source_id = ? AND collection = ? AND state IN ('running', 'completed') ORDER BY id",
    )
    .bind(source_id)
    .bind(collection)
    .fetch_all(&mut **tx)
    .await
    .map_err(StoreError::doing("find jobs of a scan"))?;
    let running = others.iter().filter(|(id, state, _)| *id != job && state == JobState::Running.as_str());
    let running = running.map(|(id, ..)| *id).collect();
    let kept = others.into_iter().filter_map(|(id, _, derivative)| Some((id, path_of(derivative?)))).collect();
    Ok(Decided { holds, job, state, cancelled: cancelled.into_iter().map(|(id,)| id).collect(), running, kept })
}

pub(super) async fn recipe_id(
    tx: &mut Transaction<'static, Sqlite>,
    recipe: &Recipe,
    now: UnixMillis,
) -> Result<i64, StoreError> {
    let digest = recipe.digest();
    sqlx::query("INSERT INTO recipe (digest, body, first_used) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING")
        .bind(digest.as_bytes().as_slice())
        .bind(recipe.canonical())
        .bind(now.0)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::doing("record a recipe"))?;
    let (id,) = sqlx::query_as("SELECT id FROM recipe WHERE digest = ?")
        .bind(digest.as_bytes().as_slice())
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::doing("record a recipe"))?;
    Ok(id)
}

/// The job of a scan and a recipe: made, or put back into the queue where it had ended without a derivative.
async fn wanted_job(
    tx: &mut Transaction<'static, Sqlite>,
    subject: &Subject,
    recipe_id: i64,
    now: UnixMillis,
) -> Result<(i64, JobState), StoreError> {
    let Subject { source_id, collection, relative, .. } = subject;
    let made: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO job (source_id, recipe_id, collection, relative, state, not_before, recorded_at)
         VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?5) ON CONFLICT (source_id, recipe_id) DO NOTHING RETURNING id",
    )
    .bind(source_id)
    .bind(recipe_id)
    .bind(collection)
    .bind(bytes_of(relative))
    .bind(now.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::doing("record a job"))?;
    if let Some((job,)) = made {
        let place = json!({ "collection": collection, "path": relative.to_string_lossy() });
        append(tx, now, Some(job), None, Trigger::Record.as_str(), &place).await?;
        return Ok((job, JobState::Pending));
    }
    let (job, state, superseded): (i64, String, i64) =
        sqlx::query_as("SELECT id, state, superseded FROM job WHERE source_id = ? AND recipe_id = ?")
            .bind(source_id)
            .bind(recipe_id)
            .fetch_one(&mut **tx)
            .await
            .map_err(StoreError::doing("find a job"))?;
    // A job of the same bytes in another collection is that collection's, unless it was given up with its recipe.
    let again = sqlx::query(
        "UPDATE job SET state = 'pending', finished_at = NULL, not_before = ?2, forgiven = failures, stage = NULL, reason = NULL,
             hint = NULL, collection = ?3, relative = CASE superseded WHEN 1 THEN ?4 ELSE relative END, superseded = 0
         WHERE id = ?1 AND state IN ('rejected', 'exhausted', 'cancelled', 'skipped') AND (collection = ?3 OR superseded = 1)",
    )
    .bind(job)
    .bind(now.0)
    .bind(collection)
    .bind(bytes_of(relative))
    .execute(&mut **tx)
    .await
    .map_err(StoreError::doing("change a job"))?;
    if again.rows_affected() == 1 {
        let trigger = if superseded == 1 { Trigger::Reinstate } else { Trigger::OperatorRetry };
        append(tx, now, Some(job), None, trigger.as_str(), &json!({})).await?;
        return Ok((job, JobState::Pending));
    }
    let state = state.parse().map_err(|_| StoreError::Unexpected(format!("state {state:?}")))?;
    Ok((job, state))
}
