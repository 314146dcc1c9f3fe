//! How jobs come to be: rested files meet recipes.
//!
//! A job is unique on the digests of its source and its recipe, so recording is idempotent: the same bytes under another
//! name are a further sighting, and a changed configuration finds its older jobs again.

use serde_json::json;
use sqlx::{Sqlite, Transaction};

use super::decision::{append_decision, recipe_id, said, scene_of};
use super::ledger::{append, bytes_of, signed};
use super::{Store, StoreError};
use crate::digest::Digest;
use crate::ingest::StableFile;
use crate::job::{Recipes, Trigger, UnixMillis};
use crate::routing::Scene;

/// SQL: the recipe in force that the scan of this row (of `job` or `sighting`) wants in the row's collection: the one of the scene
/// that a person chose for it, else the collection's own; NULL where the collection is not configured.
macro_rules! wanted {
    ($row:literal) => {
        concat!(
            "(SELECT f.recipe_id FROM in_force f WHERE f.collection = ",
            $row,
            ".collection AND f.scene = coalesce((SELECT c.scene FROM chosen c WHERE c.source_id = ",
            $row,
            ".source_id AND c.collection = ",
            $row,
            ".collection), ''))"
        )
    };
}

/// What recording one rested file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The job of these bytes and this recipe.
    pub job: i64,
    /// Whether it is new.
    pub new_job: bool,
}

impl Store {
    /// Records rested files, all in one transaction: their bytes, where they were seen, and the job that `recipe_for` their
    /// collection, and the scene that a person chose for them, asks for. Bytes already known under another name give a second sighting and no second job.
    ///
    /// Files of collections for which `recipe_for` knows no recipe are left out.
    pub async fn record(
        &self,
        files: &[StableFile],
        recipe_for: impl Fn(&str, Option<Scene>) -> Option<Digest>,
        now: UnixMillis,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut tx = self.begin().await?;
        let mut recorded = Vec::with_capacity(files.len());
        for file in files {
            if recipe_for(&file.collection, None).is_none() {
                continue;
            }
            let source_id = record_source(&mut tx, file, now).await?;
            record_sighting(&mut tx, file, source_id, now).await?;
            let said = said(&mut *tx, source_id, &file.collection).await?;
            let Some(recipe) = recipe_for(&file.collection, scene_of(said.as_ref())) else { continue };
            let one = record_job(&mut tx, source_id, recipe, &file.collection, bytes_of(&file.relative), now).await?;
            if one.new_job && said.is_some() {
                append_decision(&mut tx, one.job, said.as_ref(), now).await?;
            }
            recorded.push(one);
        }
        tx.commit().await.map_err(StoreError::doing("record files"))?;
        Ok(recorded)
    }

    /// Makes `recipes` (collection, its recipes) the ones in force: every source now in a collection gets a job for the recipe that
    /// it wants there, jobs cancelled only because their recipe was gone come back, and waiting jobs of other recipes are
    /// cancelled. Returns how many jobs were new, reinstated and cancelled.
    pub async fn put_in_force(&self, recipes: &[(String, Recipes)], now: UnixMillis) -> Result<[u64; 3], StoreError> {
        let mut tx = self.begin().await?;
        let mut counts = [0; 3];
        list_in_force(&mut tx, recipes, now).await?;
        // Bytes that also lie in a collection in force do not go with the one that is no longer.
        let moved = sqlx::query(concat!(
            "UPDATE job SET (collection, relative) = (
                 SELECT s.collection, s.relative FROM sighting s
                 WHERE s.source_id = job.source_id AND s.current = 1 AND job.recipe_id = ",
            wanted!("s"),
            " ORDER BY s.collection, s.relative LIMIT 1)
             WHERE (state = 'pending' OR superseded = 1) AND recipe_id IS NOT ",
            wanted!("job"),
            " AND EXISTS (SELECT 1 FROM sighting s
                          WHERE s.source_id = job.source_id AND s.current = 1 AND job.recipe_id = ",
            wanted!("s"),
            ")"
        ));
        moved.execute(&mut *tx).await.map_err(StoreError::doing("put recipes in force"))?;
        let statements = [
            // The first name in byte order gives its place to the job when bytes lie under several.
            concat!(
                "INSERT INTO job (source_id, recipe_id, collection, relative, state, not_before, recorded_at)
                 SELECT s.source_id, ",
                wanted!("s"),
                " AS wanted, s.collection, s.relative, 'pending', ?1, ?1 FROM sighting s
                 WHERE s.current = 1 AND wanted IS NOT NULL ORDER BY s.collection, s.relative
                 ON CONFLICT (source_id, recipe_id) DO NOTHING"
            ),
            concat!(
                "UPDATE job SET state = 'pending', superseded = 0, finished_at = NULL, reason = NULL, hint = NULL, not_before = ?1
                 WHERE superseded = 1 AND recipe_id = ",
                wanted!("job")
            ),
            concat!(
                "UPDATE job SET state = 'cancelled', superseded = 1, finished_at = ?1,
                     reason = 'its collection or recipe is no longer configured'
                 WHERE state = 'pending' AND recipe_id IS NOT ",
                wanted!("job")
            ),
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

/// Fills the tables that `wanted!` looks into.
async fn list_in_force(
    tx: &mut Transaction<'static, Sqlite>,
    recipes: &[(String, Recipes)],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let statements = [
        "CREATE TEMP TABLE IF NOT EXISTS in_force
             (collection TEXT, scene TEXT, recipe_id INTEGER NOT NULL, PRIMARY KEY (collection, scene))",
        "CREATE TEMP TABLE IF NOT EXISTS chosen
             (source_id INTEGER, collection TEXT, scene TEXT NOT NULL, PRIMARY KEY (source_id, collection))",
        "DELETE FROM in_force",
        "DELETE FROM chosen",
        "INSERT INTO chosen SELECT source_id, collection, scene FROM decided
         WHERE scene IN ('portrait', 'architecture', 'other')",
    ];
    for statement in statements {
        sqlx::query(statement).execute(&mut **tx).await.map_err(StoreError::doing("list recipes"))?;
    }
    for (collection, recipes) in recipes {
        for (scene, recipe) in recipes.all() {
            let recipe_id = recipe_id(tx, recipe, now).await?;
            sqlx::query("INSERT INTO in_force (collection, scene, recipe_id) VALUES (?, ?, ?)")
                .bind(collection)
                .bind(scene.map_or("", Scene::as_str))
                .bind(recipe_id)
                .execute(&mut **tx)
                .await
                .map_err(StoreError::doing("list recipes"))?;
        }
    }
    Ok(())
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
