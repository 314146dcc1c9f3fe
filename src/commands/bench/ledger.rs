//! The ledger under load: a large collection arrives, jobs are claimed and settled, somebody asks for the status.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{median, rounded, timed};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::ingest::{FileSignature, StableFile};
use crate::job::{Recipe, UnixMillis};
use crate::store::{Derivative, Ending, Store, StoreLock};

const JOBS: usize = 100_000;
/// As many as intake writes at once.
const BATCH: usize = 256;
const SETTLED: usize = 500;
const LOOKS: usize = 50;
const COLLECTION: &str = "bench";

/// What the ledger took.
pub(super) struct LedgerFigures {
    record_ms: f64,
    claim_and_settle_ms: f64,
    status_median_ms: f64,
    status_max_ms: f64,
}

pub(super) async fn measure(state: &Path, recipe: &Recipe) -> Result<LedgerFigures, Failure> {
    let now = UnixMillis(jiff::Timestamp::now().as_millisecond());
    let lock = StoreLock::acquire(state, now)?;
    let store = Store::open(state, &lock).await?;
    store.put_in_force(&[(COLLECTION.to_owned(), recipe)], now).await?;
    let record_ms = record(&store, recipe, now).await?;
    let start = std::time::Instant::now();
    for _ in 0..SETTLED {
        let claim = store.claim(now).await?.expect("many more jobs were recorded than are claimed");
        let derivative = Derivative { relative: claim.relative.clone(), digest: claim.source, record: "{}".to_owned() };
        store.settle(&claim, &Ending::completed(derivative, false, 1), now).await?;
    }
    let claim_and_settle_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        // What `status` asks.
        let start = std::time::Instant::now();
        store.counts().await?;
        store.roots().await?;
        store.daemon().await?;
        looks.push(start.elapsed().as_secs_f64() * 1e3);
    }
    store.close().await;
    let status_max_ms = looks.iter().copied().fold(0.0, f64::max);
    Ok(LedgerFigures { record_ms, claim_and_settle_ms, status_median_ms: median(looks), status_max_ms })
}

async fn record(store: &Store, recipe: &Recipe, now: UnixMillis) -> Result<f64, Failure> {
    // Made beforehand: hashing names is not the ledger's work.
    let (files, _) = timed(|| (0..JOBS).map(file).collect::<Vec<_>>());
    let start = std::time::Instant::now();
    for batch in files.chunks(BATCH) {
        store.record(batch, |_| Some(recipe.digest()), now).await?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn file(number: usize) -> StableFile {
    let relative = PathBuf::from(format!("album {:03}/plate {number:06}.tif", number / 250));
    let digest = Digest::of(relative.as_os_str().as_encoded_bytes());
    let signature = FileSignature { device: 1, inode: number as u64, size: 1 << 20, mtime_ns: 0, ctime_ns: 0 };
    StableFile { collection: COLLECTION.to_owned(), relative, signature, digest }
}

impl LedgerFigures {
    #[expect(clippy::cast_precision_loss, reason = "a hundred thousand")]
    fn a_second(count: usize, millis: f64) -> f64 {
        count as f64 / (millis / 1e3)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "jobs": JOBS,
            "recorded_per_second": rounded(Self::a_second(JOBS, self.record_ms)),
            "claimed_and_settled_per_second": rounded(Self::a_second(SETTLED, self.claim_and_settle_ms)),
            "status_median_ms": rounded(self.status_median_ms),
            "status_max_ms": rounded(self.status_max_ms),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let recorded = Self::a_second(JOBS, self.record_ms);
        let settled = Self::a_second(SETTLED, self.claim_and_settle_ms);
        let (median, max) = (self.status_median_ms, self.status_max_ms);
        format!(
            "ledger of {JOBS} jobs\n  recorded   {recorded:>9.0} a second, in batches of {BATCH}\n  claimed and settled {settled:>6.0} a second\n  \
             status     {median:>9.1} ms, at most {max:.1} ms\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_load_is_another_scan() {
        let (one, other) = (file(1), file(2));
        assert!(one.digest != other.digest && one.relative != other.relative);
    }

    #[test]
    fn speeds_are_counts_over_seconds() {
        let figures =
            LedgerFigures { record_ms: 10_000.0, claim_and_settle_ms: 500.0, status_median_ms: 2.0, status_max_ms: 3.0 };
        assert_eq!(figures.to_json()["recorded_per_second"], 10_000.0);
        assert_eq!(figures.to_json()["claimed_and_settled_per_second"], 1_000.0);
    }
}
