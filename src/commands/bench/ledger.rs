//! The ledger under load: a large collection arrives, jobs are claimed and settled, somebody asks for the status.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use super::{median, rounded};
use crate::digest::Digest;
use crate::failure::Failure;
use crate::ingest::{FileSignature, StableFile};
use crate::job::{Recipe, Recipes, UnixMillis};
use crate::pipeline::now;
use crate::store::{Derivative, Ending, Store, StoreLock};

const JOBS: usize = 100_000;
/// As many as intake writes at once.
const BATCH: usize = 256;
/// Jobs in the ledger at the first measurement of a claim; the second has all of them.
const FEW: usize = 100;
/// Claims measured each time.
const CLAIMED: usize = 50;
const LOOKS: usize = 50;
const COLLECTION: &str = "bench";

/// What the ledger took.
pub(super) struct LedgerFigures {
    record_ms: f64,
    /// Median of one claim among [`FEW`] jobs, and among all.
    claim_ms: [f64; 2],
    /// Median of settling one job.
    settle_ms: f64,
    status_median_ms: f64,
    status_max_ms: f64,
}

pub(super) async fn measure(state: &Path, recipe: &Recipe) -> Result<LedgerFigures, Failure> {
    let now = now();
    let lock = StoreLock::acquire(state, now)?;
    let store = Store::open(state, &lock).await?;
    store.put_in_force(&[(COLLECTION.to_owned(), Recipes::of(recipe))], now).await?;
    // Made beforehand: hashing names is not the ledger's work.
    let files: Vec<_> = (0..JOBS).map(file).collect();
    let (few, rest) = files.split_at(FEW);
    let first = record(&store, few, recipe, now).await?;
    let (claim_few, _) = claim_and_settle(&store, now).await?;
    let record_ms = first + record(&store, rest, recipe, now).await?;
    let (claim_all, settle_ms) = claim_and_settle(&store, now).await?;
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        // What `status` asks.
        let start = Instant::now();
        store.counts().await?;
        store.roots().await?;
        store.daemon().await?;
        looks.push(start.elapsed().as_secs_f64() * 1e3);
    }
    store.close().await;
    let status_max_ms = looks.iter().copied().fold(0.0, f64::max);
    Ok(LedgerFigures { record_ms, claim_ms: [claim_few, claim_all], settle_ms, status_median_ms: median(looks), status_max_ms })
}

async fn record(store: &Store, files: &[StableFile], recipe: &Recipe, now: UnixMillis) -> Result<f64, Failure> {
    let start = Instant::now();
    for batch in files.chunks(BATCH) {
        store.record(batch, |_, _| Some(recipe.digest()), now).await?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Medians of one claim and of one settlement; each is a commit that has reached the disk.
async fn claim_and_settle(store: &Store, now: UnixMillis) -> Result<(f64, f64), Failure> {
    let (mut claims, mut settlements) = (Vec::new(), Vec::new());
    for _ in 0..CLAIMED {
        let start = Instant::now();
        let claim = store.claim(now).await?.expect("more jobs were recorded than are claimed");
        claims.push(start.elapsed().as_secs_f64() * 1e3);
        let derivative = Derivative { relative: claim.relative.clone(), digest: claim.source, record: "{}".to_owned() };
        let start = Instant::now();
        store.settle(&claim, &Ending::completed(derivative, Vec::new(), false, 1), now).await?;
        settlements.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok((median(claims), median(settlements)))
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
            "claim_ms": { "jobs_100": rounded(self.claim_ms[0]), "all_jobs": rounded(self.claim_ms[1]) },
            "settle_ms": rounded(self.settle_ms),
            "status_median_ms": rounded(self.status_median_ms),
            "status_max_ms": rounded(self.status_max_ms),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let recorded = Self::a_second(JOBS, self.record_ms);
        let ([few, all], settle) = (self.claim_ms, self.settle_ms);
        let (median, max) = (self.status_median_ms, self.status_max_ms);
        format!(
            "ledger of {JOBS} jobs\n  recorded   {recorded:>9.0} a second, in batches of {BATCH}\n  claim      {all:>9.1} ms, among {FEW} jobs {few:.1} ms\n  \
             settle     {settle:>9.1} ms\n  \
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
        let figures = LedgerFigures {
            record_ms: 10_000.0,
            claim_ms: [1.0, 1.5],
            settle_ms: 2.0,
            status_median_ms: 2.0,
            status_max_ms: 3.0,
        };
        assert_eq!(figures.to_json()["recorded_per_second"], 10_000.0);
        assert_eq!(figures.to_json()["claim_ms"]["all_jobs"], 1.5);
    }
}
