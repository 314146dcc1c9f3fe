//! An operator's decisions, recorded as such.

use serde_json::json;

use super::ledger::append;
use super::{Store, StoreError};
use crate::job::{JobState, Trigger, UnixMillis};

impl Store {
    /// Puts a final, uncompleted job back into the queue and forgives what was charged so far.
    pub async fn retry(&self, job: i64, now: UnixMillis) -> Result<(), StoreError> {
        self.decide_by_hand(job, now, Trigger::OperatorRetry, "retried").await
    }

    /// Takes a waiting job out of the queue.
    pub async fn cancel(&self, job: i64, now: UnixMillis) -> Result<(), StoreError> {
        self.decide_by_hand(job, now, Trigger::Cancel, "cancelled").await
    }

    /// The ids of every job in `state`, oldest first.
    pub async fn ids_in(&self, state: JobState) -> Result<Vec<i64>, StoreError> {
        let rows: Vec<(i64,)> = sqlx::query_as("SELECT id FROM job WHERE state = ? ORDER BY id")
            .bind(state.as_str())
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::doing("list jobs"))?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    async fn decide_by_hand(&self, job: i64, now: UnixMillis, trigger: Trigger, verb: &'static str) -> Result<(), StoreError> {
        let statement = match trigger {
            Trigger::Cancel => {
                "UPDATE job SET state = 'cancelled', finished_at = ?2, reason = 'cancelled by the operator', hint = NULL
                 WHERE id = ?1 AND state = 'pending'"
            }
            _ => {
                "UPDATE job SET state = 'pending', finished_at = NULL, not_before = ?2, forgiven = failures, superseded = 0,
                     stage = NULL, reason = NULL, hint = NULL
                 WHERE id = ?1 AND state IN ('rejected', 'exhausted', 'cancelled', 'skipped')"
            }
        };
        let mut tx = self.begin().await?;
        let done = sqlx::query(statement).bind(job).bind(now.0).execute(&mut *tx).await;
        if done.map_err(StoreError::doing("change a job"))?.rows_affected() == 1 {
            append(&mut tx, now, Some(job), None, trigger.as_str(), &json!({})).await?;
            return tx.commit().await.map_err(StoreError::doing("change a job"));
        }
        let row: Option<(String,)> = sqlx::query_as("SELECT state FROM job WHERE id = ?")
            .bind(job)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::doing("read a job"))?;
        let (state,) = row.ok_or(StoreError::NoSuchJob(job))?;
        let state = state.parse().map_err(|_| StoreError::Unexpected(format!("state {state:?}")))?;
        Err(StoreError::WrongState { job, state, verb })
    }
}
