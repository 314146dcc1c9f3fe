//! What the ledger remembers of ingest roots, and of the daemon at work.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ledger::{bytes_of, path_of, signed};
use super::{Store, StoreError};
use crate::ingest::{FileSignature, Known, RootIdentity};
use crate::job::UnixMillis;

/// One waiting file, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSample {
    /// Path below the root, lossily as text.
    pub path: String,
    /// Why it waits.
    pub reason: String,
}

/// An ingest root as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootRow {
    /// Collection name.
    pub collection: String,
    /// The root's path.
    pub path: PathBuf,
    /// `unseen`, `online` or `offline`.
    pub state: String,
    /// Why it is offline.
    pub reason: Option<String>,
    /// `watch` or `poll`.
    pub mode: Option<String>,
    /// Files seen that are not believed yet.
    pub waiting: u64,
    /// Some of them.
    pub sample: Vec<WaitingSample>,
}

/// The process at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonRow {
    /// Process id.
    pub pid: u32,
    /// Start.
    pub since: UnixMillis,
    /// `run` or `once`.
    pub command: String,
    /// Device report and models, JSON.
    pub device: Option<String>,
    /// Why claiming has stopped.
    pub paused: Option<String>,
}

impl Store {
    /// Names the configured roots and forgets those that are configured no more; identities stay while the path does.
    pub async fn configure_roots(&self, roots: &[(String, PathBuf)], now: UnixMillis) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let kept: Vec<&str> = roots.iter().map(|(collection, _)| collection.as_str()).collect();
        let kept = serde_json::to_string(&kept).expect("strings always serialise");
        sqlx::query("DELETE FROM root WHERE collection NOT IN (SELECT value FROM json_each(?))")
            .bind(kept)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::doing("configure roots"))?;
        for (collection, path) in roots {
            sqlx::query(
                "INSERT INTO root (collection, path, state, seen_at) VALUES (?1, ?2, 'unseen', ?3)
                 ON CONFLICT (collection) DO UPDATE SET path = excluded.path, device = NULL, inode = NULL, state = 'unseen',
                     reason = NULL, mode = NULL, waiting = 0, waiting_sample = '[]' WHERE path <> excluded.path",
            )
            .bind(collection)
            .bind(bytes_of(path))
            .bind(now.0)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::doing("configure roots"))?;
        }
        tx.commit().await.map_err(StoreError::doing("configure roots"))
    }

    /// The identity a root had when it was last online.
    pub async fn root_identity(&self, collection: &str) -> Result<Option<RootIdentity>, StoreError> {
        let row: Option<(Option<i64>, Option<i64>)> = sqlx::query_as("SELECT device, inode FROM root WHERE collection = ?")
            .bind(collection)
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::doing("read a root"))?;
        Ok(row.and_then(|(device, inode)| Some(RootIdentity { device: device?.cast_unsigned(), inode: inode?.cast_unsigned() })))
    }

    /// Notes a root's state; an identity is remembered the first time it is given.
    pub async fn note_root(
        &self,
        collection: &str,
        identity: Option<RootIdentity>,
        offline: Option<&str>,
        mode: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE root SET device = coalesce(device, ?2), inode = coalesce(inode, ?3), state = ?4, reason = ?5, mode = ?6, seen_at = ?7
             WHERE collection = ?1",
        )
        .bind(collection)
        .bind(identity.map(|identity| signed(identity.device)))
        .bind(identity.map(|identity| signed(identity.inode)))
        .bind(if offline.is_some() { "offline" } else { "online" })
        .bind(offline)
        .bind(mode)
        .bind(now.0)
        .execute(&self.writer)
        .await
        .map_err(StoreError::doing("note a root's state"))?;
        Ok(())
    }

    /// Notes how many files of a root wait, and some of them by name.
    pub async fn note_waiting(&self, collection: &str, count: u64, sample: &[WaitingSample]) -> Result<(), StoreError> {
        let sample = serde_json::to_string(sample).expect("strings always serialise");
        sqlx::query("UPDATE root SET waiting = ?2, waiting_sample = ?3 WHERE collection = ?1")
            .bind(collection)
            .bind(signed(count))
            .bind(sample)
            .execute(&self.writer)
            .await
            .map_err(StoreError::doing("note waiting files"))?;
        Ok(())
    }

    /// Every configured root.
    pub async fn roots(&self) -> Result<Vec<RootRow>, StoreError> {
        type Row = (String, Vec<u8>, String, Option<String>, Option<String>, i64, String);
        let rows: Vec<Row> =
            sqlx::query_as("SELECT collection, path, state, reason, mode, waiting, waiting_sample FROM root ORDER BY collection")
                .fetch_all(&self.reader)
                .await
                .map_err(StoreError::doing("list roots"))?;
        rows.into_iter()
            .map(|(collection, path, state, reason, mode, waiting, sample)| {
                let sample = serde_json::from_str(&sample).map_err(|error| StoreError::Unexpected(error.to_string()))?;
                Ok(RootRow { collection, path: path_of(path), state, reason, mode, waiting: waiting.cast_unsigned(), sample })
            })
            .collect()
    }

    /// The files of a collection whose bytes the ledger knows, by name and signature: they need no second reading.
    pub async fn known(&self, collection: &str) -> Result<Known, StoreError> {
        let rows: Vec<(Vec<u8>, i64, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT relative, device, inode, size, mtime_ns, ctime_ns FROM sighting WHERE collection = ? AND current = 1",
        )
        .bind(collection)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::doing("list sightings"))?;
        let signature = |(relative, device, inode, size, mtime_ns, ctime_ns): (Vec<u8>, i64, i64, i64, i64, i64)| {
            let [device, inode, size] = [device, inode, size].map(i64::cast_unsigned);
            (relative, FileSignature { device, inode, size, mtime_ns, ctime_ns })
        };
        let mut known: Known = rows.into_iter().map(signature).collect();
        known.extend(self.known_sidecars(collection).await?);
        Ok(known)
    }

    /// Says which process is at work.
    pub async fn announce(&self, command: &str, now: UnixMillis) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO daemon (id, pid, since, command) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET pid = ?1, since = ?2, command = ?3, device = NULL, paused = NULL",
        )
        .bind(i64::from(std::process::id()))
        .bind(now.0)
        .bind(command)
        .execute(&self.writer)
        .await
        .map_err(StoreError::doing("announce the daemon"))?;
        Ok(())
    }

    /// Notes the device and models at work, as JSON.
    pub async fn note_device(&self, device: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE daemon SET device = ?")
            .bind(device)
            .execute(&self.writer)
            .await
            .map_err(StoreError::doing("note the device"))?;
        Ok(())
    }

    /// Notes why claiming has stopped, or that it goes on.
    pub async fn note_pause(&self, reason: Option<&str>) -> Result<(), StoreError> {
        sqlx::query("UPDATE daemon SET paused = ?")
            .bind(reason)
            .execute(&self.writer)
            .await
            .map_err(StoreError::doing("note a pause"))?;
        Ok(())
    }

    /// The process that announced itself last; whether it still lives is the lock's to say.
    pub async fn daemon(&self) -> Result<Option<DaemonRow>, StoreError> {
        type Row = (i64, i64, String, Option<String>, Option<String>);
        let row: Option<Row> = sqlx::query_as("SELECT pid, since, command, device, paused FROM daemon")
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::doing("read the daemon's line"))?;
        row.map(|(pid, since, command, device, paused)| {
            let pid = u32::try_from(pid).map_err(|_| StoreError::Unexpected(format!("process id {pid}")))?;
            Ok(DaemonRow { pid, since: UnixMillis(since), command, device, paused })
        })
        .transpose()
    }

    /// Where a root lies, for a path that a person typed: the collection and the path below its root.
    pub async fn locate(&self, file: &Path) -> Result<Option<(String, PathBuf)>, StoreError> {
        let roots = self.roots().await?;
        Ok(roots.into_iter().find_map(|root| {
            let path = std::fs::canonicalize(&root.path).unwrap_or(root.path);
            file.strip_prefix(&path).ok().map(|relative| (root.collection, relative.to_owned()))
        }))
    }
}
