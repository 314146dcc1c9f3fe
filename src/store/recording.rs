//! How jobs come to be: rested files meet recipes.
//!
//! A job is unique on the digests of its source and its recipe, so recording is idempotent: the same bytes under another
//! name are a further sighting, and a changed configuration finds its older jobs again.

use serde_json::json;
use sqlx::{Sqlite, Transaction};

use super::ledger::{append, bytes_of, signed};
use super::{Store, StoreError};
use crate::digest::Digest;
use crate::ingest::StableFile;
use crate::job::{Recipe, Trigger, UnixMillis};

/// What recording one rested file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The job of these bytes and this recipe.
    pub job: i64,
    /// Whether it is new.
    pub new_job: bool,
}

impl Store {
    /// Records rested files, all in one transaction: their bytes, where they were seen, and the job that `recipe_for`
    /// their collection asks for. Bytes already known under another name give a second sighting and no second job.
    ///
    /// Files of collections for which `recipe_for` knows no recipe are left out.
    pub async fn record(
        &self,
        files: &[StableFile],
        recipe_for: impl Fn(&str) -> Option<Digest>,
        now: UnixMillis,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut tx = self.begin().await?;
        let mut recorded = Vec::with_capacity(files.len());
        for file in files {
            let Some(recipe) = recipe_for(&file.collection) else { continue };
            let source_id = record_source(&mut tx, file, now).await?;
            record_sighting(&mut tx, file, source_id, now).await?;
            let relative = bytes_of(&file.relative);
            recorded.push(record_job(&mut tx, source_id, recipe, &file.collection, relative, now).await?);
        }
        tx.commit().await.map_err(StoreError::doing("record files"))?;
        Ok(recorded)
    }

    /// Makes `recipes` (collection, recipe) the ones in force: every source now in a collection gets a job for its
    /// recipe, jobs cancelled only because their recipe was gone come back, and waiting jobs of other recipes are
    /// cancelled. Returns how many jobs were new, reinstated and cancelled.
    pub async fn put_in_force(&self, recipes: &[(String, &Recipe)], now: UnixMillis) -> Result<[u64; 3], StoreError> {
        let mut tx = self.begin().await?;
        let mut counts = [0; 3];
        sqlx::query("CREATE TEMP TABLE IF NOT EXISTS in_force (collection TEXT PRIMARY KEY, recipe_id INTEGER NOT NULL)")
            .execute(&mut *tx)
            .await
            .map_err(StoreError::doing("list recipes"))?;
        sqlx::query("DELETE FROM in_force").execute(&mut *tx).await.map_err(StoreError::doing("list recipes"))?;
        for (collection, recipe) in recipes {
            sqlx::query("INSERT INTO recipe (digest, body, first_used) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING")
                .bind(recipe.digest().as_bytes().as_slice())
                .bind(recipe.canonical())
                .bind(now.0)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::doing("record a recipe"))?;
            sqlx::query("INSERT INTO in_force SELECT ?, id FROM recipe WHERE digest = ?")
                .bind(collection)
                .bind(recipe.digest().as_bytes().as_slice())
                .execute(&mut *tx)
                .await
                .map_err(StoreError::doing("list recipes"))?;
        }
        // Bytes that also lie in a collection in force do not go with the one that is no longer.
        let moved = sqlx::query(
            "UPDATE job SET (collection, relative) = (
                 SELECT s.collection, s.relative FROM sighting s JOIN in_force f USING (collection)
                 WHERE s.source_id = job.source_id AND s.current = 1 AND f.recipe_id = job.recipe_id
                 ORDER BY s.collection, s.relative LIMIT 1)
             WHERE (state = 'pending' OR superseded = 1)
                 AND (collection, recipe_id) NOT IN (SELECT collection, recipe_id FROM in_force)
                 AND EXISTS (SELECT 1 FROM sighting s JOIN in_force f USING (collection)
                             WHERE s.source_id = job.source_id AND s.current = 1 AND f.recipe_id = job.recipe_id)",
        );
        moved.execute(&mut *tx).await.map_err(StoreError::doing("put recipes in force"))?;
        let statements = [
            // The first name in byte order gives its place to the job when bytes lie under several.
            "INSERT INTO job (source_id, recipe_id, collection, relative, state, not_before, recorded_at)
             SELECT s.source_id, f.recipe_id, s.collection, s.relative, 'pending', ?1, ?1
             FROM sighting s JOIN in_force f USING (collection) WHERE s.current = 1
             ORDER BY s.collection, s.relative
             ON CONFLICT (source_id, recipe_id) DO NOTHING",
            "UPDATE job SET state = 'pending', superseded = 0, finished_at = NULL, reason = NULL, hint = NULL, not_before = ?1
             WHERE superseded = 1 AND (collection, recipe_id) IN (SELECT collection, recipe_id FROM in_force)",
            "UPDATE job SET state = 'cancelled', superseded = 1, finished_at = ?1,
                 reason = 'its collection or recipe is no longer configured'
             WHERE state = 'pending' AND (collection, recipe_id) NOT IN (SELECT collection, recipe_id FROM in_force)",
        ];
        for (count, statement) in counts.iter_mut().zip(statements) {
            let done = sqlx::query(statement).bind(now.0).execute(&mut *tx).await;
            *count = done.map_err(StoreError::doing("put recipes in force"))?.rows_affected();
        }
        if counts != [0; 3] {
            let body = json!({ "new": counts[0], Trigger::Reinstate.as_str(): counts[1], Trigger::Cancel.as_str(): counts[2] });
            append(&mut tx, now, None, None, "recipes", &body).await?;
        }
        tx.commit().await.map_err(StoreError::doing("put recipes in force"))?;
        Ok(counts)
    }
}

async fn record_source(tx: &mut Transaction<'static, Sqlite>, file: &StableFile, now: UnixMillis) -> Result<i64, StoreError> {
    let digest = file.digest.as_bytes().as_slice();
    sqlx::query("INSERT INTO source (digest, bytes, first_seen) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING")
        .bind(digest)
        .bind(signed(file.signature.size))
        .bind(now.0)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::doing("record a source"))?;
    let (id,) = sqlx::query_as("SELECT id FROM source WHERE digest = ?")
        .bind(digest)
        .fetch_one(&mut **tx)
        .await
        .map_err(StoreError::doing("record a source"))?;
    Ok(id)
}

async fn record_sighting(
    tx: &mut Transaction<'static, Sqlite>,
    file: &StableFile,
    source_id: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let relative = bytes_of(&file.relative);
    sqlx::query("UPDATE sighting SET current = 0 WHERE collection = ? AND relative = ? AND current = 1 AND source_id <> ?")
        .bind(&file.collection)
        .bind(relative)
        .bind(source_id)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::doing("record a sighting"))?;
    sqlx::query(
        "INSERT INTO sighting (collection, relative, source_id, device, inode, size, mtime_ns, ctime_ns, first_seen, last_seen, current)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 1)
         ON CONFLICT (collection, relative, source_id) DO UPDATE SET device = excluded.device, inode = excluded.inode,
             size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
             last_seen = excluded.last_seen, current = 1",
    )
    .bind(&file.collection)
    .bind(relative)
    .bind(source_id)
    .bind(signed(file.signature.device))
    .bind(signed(file.signature.inode))
    .bind(signed(file.signature.size))
    .bind(file.signature.mtime_ns)
    .bind(file.signature.ctime_ns)
    .bind(now.0)
    .execute(&mut **tx)
    .await
    .map_err(StoreError::doing("record a sighting"))?;
    Ok(())
}

async fn record_job(
    tx: &mut Transaction<'static, Sqlite>,
    source_id: i64,
    recipe: Digest,
    collection: &str,
    relative: &[u8],
    now: UnixMillis,
) -> Result<Recorded, StoreError> {
    let inserted: Option<(i64,)> = sqlx::query_as(
        "INSERT INTO job (source_id, recipe_id, collection, relative, state, not_before, recorded_at)
         SELECT ?1, id, ?3, ?4, 'pending', ?5, ?5 FROM recipe WHERE digest = ?2
         ON CONFLICT (source_id, recipe_id) DO NOTHING RETURNING id",
    )
    .bind(source_id)
    .bind(recipe.as_bytes().as_slice())
    .bind(collection)
    .bind(relative)
    .bind(now.0)
    .fetch_optional(&mut **tx)
    .await
    .map_err(StoreError::doing("record a job"))?;
    if let Some((job,)) = inserted {
        let place = json!({ "collection": collection, "path": String::from_utf8_lossy(relative) });
        append(tx, now, Some(job), None, Trigger::Record.as_str(), &place).await?;
        return Ok(Recorded { job, new_job: true });
    }
    let (job,) = sqlx::query_as(
        "SELECT job.id FROM job JOIN recipe ON recipe.id = job.recipe_id WHERE job.source_id = ? AND recipe.digest = ?",
    )
    .bind(source_id)
    .bind(recipe.as_bytes().as_slice())
    .fetch_one(&mut **tx)
    .await
    .map_err(StoreError::doing("find a job"))?;
    // Given up because the bytes were not to be had, or with the collection where they lay: now they lie here.
    let reinstated = sqlx::query(
        "UPDATE job SET state = 'pending', superseded = 0, finished_at = NULL, not_before = ?2, forgiven = failures,
             collection = CASE superseded WHEN 1 THEN ?3 ELSE collection END,
             relative = CASE superseded WHEN 1 THEN ?4 ELSE relative END, stage = NULL, reason = NULL, hint = NULL
         WHERE id = ?1 AND (superseded = 1 OR (state IN ('rejected', 'exhausted') AND stage = 'read'))",
    )
    .bind(job)
    .bind(now.0)
    .bind(collection)
    .bind(relative)
    .execute(&mut **tx)
    .await
    .map_err(StoreError::doing("reinstate a job"))?;
    if reinstated.rows_affected() == 1 {
        let place = json!({ "collection": collection, "path": String::from_utf8_lossy(relative) });
        append(tx, now, Some(job), None, Trigger::Reinstate.as_str(), &place).await?;
    }
    Ok(Recorded { job, new_job: false })
}
