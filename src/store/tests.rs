//! The ledger's promises, on real SQLite files.

mod decisions;

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::ingest::{FileSignature, RootIdentity, StableFile};
use crate::job::{Disposition, JobState, Outcome, Recipe, RecipeFacts, Recipes, RetryPolicy, Settlement, UnixMillis};

const POLICY: RetryPolicy = RetryPolicy { attempts: 3, base: Duration::from_secs(5), cap: Duration::from_secs(60) };

struct Bench {
    dir: TempDir,
    _lock: StoreLock,
    store: Store,
    recipe: Recipe,
}

fn recipe(precision: &str) -> Recipe {
    Recipe::new(RecipeFacts { precision: precision.to_owned(), ..crate::job::test_facts() })
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lock = StoreLock::acquire(dir.path(), UnixMillis(0)).unwrap();
        let store = Store::open(dir.path(), &lock).await.unwrap();
        let recipe = recipe("fp16");
        store.put_in_force(&[("plates".to_owned(), Recipes::of(&recipe))], UnixMillis(0)).await.unwrap();
        Self { dir, _lock: lock, store, recipe }
    }

    async fn record(&self, name: &str, bytes: &[u8], now: i64) -> Recorded {
        let files = [stable(name, bytes, now)];
        let recorded = self.store.record(&files, |_, _| Some(self.recipe.digest()), UnixMillis(now)).await.unwrap();
        recorded[0]
    }

    async fn claim(&self, now: i64) -> ClaimedJob {
        self.store.claim(UnixMillis(now)).await.unwrap().expect("a job can be claimed")
    }

    async fn fail(&self, claim: &ClaimedJob, disposition: Disposition, now: i64) -> JobState {
        let outcome = Outcome::Failed(disposition);
        let settlement = Settlement::decide(outcome, claim.charged, &POLICY, UnixMillis(now), 1.0);
        let ending = Ending::failed(settlement, "decode", "it broke".to_owned(), None);
        self.store.settle(claim, &ending, UnixMillis(now)).await.unwrap()
    }

    async fn row(&self, id: i64) -> JobRow {
        self.store.job(id).await.unwrap().unwrap().job
    }
}

fn stable(name: &str, bytes: &[u8], now: i64) -> StableFile {
    StableFile {
        collection: "plates".to_owned(),
        relative: PathBuf::from(name),
        signature: FileSignature { device: u64::MAX, inode: 7, size: bytes.len() as u64, mtime_ns: now, ctime_ns: now },
        digest: Digest::of(bytes),
    }
}

fn completed() -> Ending {
    let digest = Digest::of(b"derivative");
    let relative = PathBuf::from("a--0--0.jpg");
    Ending::completed(Derivative { relative, digest, record: "{}".to_owned() }, Vec::new(), false, 12)
}

#[tokio::test]
async fn the_same_bytes_under_two_names_are_one_job_and_two_sightings() {
    let bench = Bench::new().await;
    let first = bench.record("a.jpg", b"same", 1).await;
    let second = bench.record("b.jpg", b"same", 2).await;
    assert!(first.new_job && !second.new_job);
    assert_eq!(first.job, second.job);
    let detail = bench.store.job(first.job).await.unwrap().unwrap();
    assert_eq!(detail.sightings.len(), 2);
    assert_eq!(bench.store.counts().await.unwrap().of(JobState::Pending), 1);
}

#[tokio::test]
async fn changed_bytes_under_an_old_name_are_a_new_job() {
    let bench = Bench::new().await;
    let old = bench.record("a.jpg", b"first", 1).await;
    let new = bench.record("a.jpg", b"second", 2).await;
    assert!(new.new_job);
    let detail = bench.store.job(old.job).await.unwrap().unwrap();
    assert!(!detail.sightings[0].current);
    assert_eq!(bench.store.known("plates").await.unwrap().len(), 1);
}

#[tokio::test]
async fn signatures_come_back_bit_for_bit() {
    let bench = Bench::new().await;
    bench.record("a.jpg", b"x", 5).await;
    let known = bench.store.known("plates").await.unwrap();
    assert_eq!(known[b"a.jpg".as_slice()], stable("a.jpg", b"x", 5).signature);
}

#[tokio::test]
async fn a_stale_claim_cannot_settle() {
    let bench = Bench::new().await;
    bench.record("a.jpg", b"x", 1).await;
    let stale = bench.claim(1).await;
    bench.store.recover(&POLICY, UnixMillis(2), || 0.0).await.unwrap();
    let fresh = bench.claim(3).await;
    assert_eq!((fresh.id, fresh.claim_no), (stale.id, stale.claim_no + 1));
    let refused = bench.store.settle(&stale, &completed(), UnixMillis(4)).await;
    assert!(matches!(refused, Err(StoreError::StaleClaim { .. })), "{refused:?}");
    assert_eq!(bench.store.settle(&fresh, &completed(), UnixMillis(5)).await.unwrap(), JobState::Completed);
    assert!(bench.store.settle(&fresh, &completed(), UnixMillis(6)).await.is_err());
}

#[tokio::test]
async fn a_scan_that_kills_the_process_is_given_up_after_three() {
    let bench = Bench::new().await;
    let job = bench.record("a.jpg", b"x", 1).await.job;
    for (round, expected) in [JobState::Pending, JobState::Pending, JobState::Exhausted].into_iter().enumerate() {
        bench.claim(1_000_000).await;
        let recovered = bench.store.recover(&POLICY, UnixMillis(2), || 1.0).await.unwrap();
        let states: Vec<_> = recovered.iter().map(|one| (one.job, one.ending.settlement().state())).collect();
        assert_eq!(states, [(job, expected)], "round {round}");
    }
    assert_eq!(bench.row(job).await.failures, 3);
}

#[tokio::test]
async fn a_transient_failure_waits_and_a_fatal_one_is_not_charged() {
    let bench = Bench::new().await;
    let job = bench.record("a.jpg", b"x", 1).await.job;
    let claim = bench.claim(1).await;
    assert_eq!(bench.fail(&claim, Disposition::Transient, 10).await, JobState::Pending);
    assert!(bench.store.claim(UnixMillis(5_009)).await.unwrap().is_none());
    assert_eq!(bench.row(job).await.not_before, UnixMillis(5_010));
    let claim = bench.claim(5_010).await;
    assert_eq!(claim.charged, 1);
    bench.fail(&claim, Disposition::Fatal, 5_020).await;
    let row = bench.row(job).await;
    assert_eq!((row.failures, row.claim_no, row.state), (1, 2, JobState::Pending));
}

#[tokio::test]
async fn an_operators_retry_forgives_but_the_counter_stays() {
    let bench = Bench::new().await;
    let job = bench.record("a.jpg", b"x", 1).await.job;
    let claim = bench.claim(1).await;
    assert_eq!(bench.fail(&claim, Disposition::Permanent, 2).await, JobState::Rejected);
    bench.store.retry(job, UnixMillis(3)).await.unwrap();
    let claim = bench.claim(3).await;
    assert_eq!((claim.failures, claim.charged), (1, 0));
    let refused = bench.store.retry(job, UnixMillis(4)).await;
    assert!(matches!(refused, Err(StoreError::WrongState { state: JobState::Running, .. })), "{refused:?}");
    let kinds: Vec<_> = bench.store.job(job).await.unwrap().unwrap().events.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["record", "claimed", "reject", "operator-retry", "claimed"]);
}

#[tokio::test]
async fn a_new_recipe_makes_new_jobs_and_retires_waiting_old_ones() {
    let bench = Bench::new().await;
    let done = bench.record("a.jpg", b"done", 1).await.job;
    let claim = bench.claim(1).await;
    bench.store.settle(&claim, &completed(), UnixMillis(2)).await.unwrap();
    let waiting = bench.record("b.jpg", b"waiting", 3).await.job;
    let other = recipe("fp32");
    let changed = bench.store.put_in_force(&[("plates".to_owned(), Recipes::of(&other))], UnixMillis(4)).await.unwrap();
    assert_eq!(changed, [2, 0, 1]);
    assert_eq!(bench.row(done).await.state, JobState::Completed);
    assert_eq!(bench.row(waiting).await.state, JobState::Cancelled);
    let back = bench.store.put_in_force(&[("plates".to_owned(), Recipes::of(&bench.recipe))], UnixMillis(5)).await.unwrap();
    assert_eq!(back, [0, 1, 2]);
    assert_eq!(bench.row(waiting).await.state, JobState::Pending);
}

#[tokio::test]
async fn the_longest_waiting_job_is_claimed_first() {
    let bench = Bench::new().await;
    let late = bench.record("late.jpg", b"late", 20).await.job;
    let early = bench.record("early.jpg", b"early", 10).await.job;
    assert_eq!(bench.claim(30).await.id, early);
    assert_eq!(bench.claim(30).await.id, late);
}

#[tokio::test]
async fn the_database_itself_refuses_what_must_not_happen() {
    let bench = Bench::new().await;
    let job = bench.record("a.jpg", b"x", 1).await.job;
    let forbidden = [
        "UPDATE job SET failures = failures + 1, claim_no = claim_no - 1",
        "UPDATE job SET state = 'done'",
        "UPDATE job SET state = 'completed', finished_at = 1",
        "UPDATE job SET finished_at = 1",
        "DELETE FROM job",
        "UPDATE event SET kind = 'nothing'",
        "DELETE FROM event",
    ];
    for statement in forbidden {
        assert!(sqlx::query(statement).execute(&bench.store.writer).await.is_err(), "{statement}");
    }
    assert_eq!(bench.row(job).await.state, JobState::Pending);
}

#[tokio::test]
async fn a_second_process_is_told_who_is_at_work() {
    let bench = Bench::new().await;
    let refused = StoreLock::acquire(bench.dir.path(), UnixMillis(1)).unwrap_err();
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    assert!(refused.to_string().contains("1970-01-01T00:00:00Z"), "{refused}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let bench = Bench::new().await;
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1").execute(&bench.store.writer).await.unwrap();
    let refused = Store::open_read_only(bench.dir.path()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NewerSchema { found: 9999, .. }), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let lock = StoreLock::acquire(dir.path(), UnixMillis(0)).unwrap();
    let path = dir.path().join(super::open::DATABASE);
    let rubbish = b"this is not a database, and it must not be replaced by one ".repeat(100);
    std::io::Write::write_all(&mut std::fs::File::create_new(&path).unwrap(), &rubbish).unwrap();
    assert!(Store::open(dir.path(), &lock).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), rubbish);
}

#[tokio::test]
async fn the_bundled_sqlite_has_the_wal_reset_fix() {
    let bench = Bench::new().await;
    let (version,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(&bench.store.reader).await.unwrap();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts >= vec![3, 51, 3], "{version}");
}

#[tokio::test]
async fn an_identity_is_remembered_until_the_path_changes() {
    let bench = Bench::new().await;
    let root = |path: &str| [("plates".to_owned(), PathBuf::from(path))];
    bench.store.configure_roots(&root("/mnt/one"), UnixMillis(0)).await.unwrap();
    let identity = RootIdentity { device: 1, inode: 2 };
    bench.store.note_root("plates", Some(identity), None, "watch", UnixMillis(1)).await.unwrap();
    let other = RootIdentity { device: 9, inode: 9 };
    bench.store.note_root("plates", Some(other), Some("gone"), "watch", UnixMillis(2)).await.unwrap();
    assert_eq!(bench.store.root_identity("plates").await.unwrap(), Some(identity));
    bench.store.configure_roots(&root("/mnt/two"), UnixMillis(3)).await.unwrap();
    assert_eq!(bench.store.root_identity("plates").await.unwrap(), None);
}

#[tokio::test]
async fn a_look_at_the_lock_does_not_keep_a_daemon_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    drop(StoreLock::acquire(dir.path(), UnixMillis(0)).unwrap());
    let looking = std::fs::File::open(dir.path().join("autochrome.lock")).unwrap();
    looking.lock_shared().unwrap();
    let status = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        drop(looking);
    });
    StoreLock::acquire(dir.path(), UnixMillis(0)).unwrap();
    status.join().unwrap();
}

#[tokio::test]
async fn bytes_that_were_gone_and_are_seen_again_come_back_into_the_queue() {
    let bench = Bench::new().await;
    let job = bench.record("a.jpg", b"x", 1).await.job;
    let claim = bench.claim(2).await;
    let gone = Ending::failed(Settlement::Exhaust, "read", "it is not there any more".to_owned(), None);
    bench.store.settle(&claim, &gone, UnixMillis(2)).await.unwrap();
    assert!(!bench.record("b.jpg", b"x", 3).await.new_job);
    let row = bench.row(job).await;
    assert_eq!((row.state, row.failures, row.relative), (JobState::Pending, 1, PathBuf::from("a.jpg")));
    let claim = bench.claim(4).await;
    assert_eq!((claim.charged, claim.places.len()), (0, 2));
    bench.fail(&claim, Disposition::Permanent, 4).await;
    bench.record("c.jpg", b"x", 5).await;
    assert_eq!(bench.row(job).await.state, JobState::Rejected, "bytes that cannot be decoded are no better under another name");
}

#[tokio::test]
async fn a_scan_of_two_collections_outlives_the_one_that_is_given_up() {
    let bench = Bench::new().await;
    let other = StableFile { collection: "prints".to_owned(), ..stable("b.jpg", b"x", 2) };
    let both = ["plates", "prints"].map(|name| (name.to_owned(), Recipes::of(&bench.recipe)));
    bench.store.put_in_force(&both, UnixMillis(0)).await.unwrap();
    let job = bench.record("a.jpg", b"x", 1).await.job;
    bench.store.record(&[other], |_, _| Some(bench.recipe.digest()), UnixMillis(2)).await.unwrap();
    bench.store.put_in_force(&both[1..], UnixMillis(3)).await.unwrap();
    let row = bench.row(job).await;
    assert_eq!((row.state, row.collection.as_str(), row.relative), (JobState::Pending, "prints", PathBuf::from("b.jpg")));
}

#[tokio::test]
async fn scans_of_an_offline_root_are_neither_claimed_nor_waited_for_until_it_is_back() {
    let bench = Bench::new().await;
    let roots = ["plates", "prints"].map(|name| (name.to_owned(), PathBuf::from(name)));
    bench.store.configure_roots(&roots, UnixMillis(0)).await.unwrap();
    let job = bench.record("a.jpg", b"x", 1).await.job;
    let claim = bench.claim(2).await;
    let settlement = Settlement::decide(Outcome::SourceOffline, 0, &POLICY, UnixMillis(2), 1.0);
    let ending = Ending::failed(settlement, "offline", "it is not there".to_owned(), None);
    bench.store.settle(&claim, &ending, UnixMillis(2)).await.unwrap();
    bench.store.note_root("plates", None, Some("not mounted"), "watch", UnixMillis(3)).await.unwrap();
    let later = 1_000_000;
    assert_eq!(bench.store.claim(UnixMillis(later)).await.unwrap(), None);
    assert_eq!(bench.store.unfinished([""; 2]).await.unwrap(), 0);
    bench.store.note_root("plates", None, None, "watch", UnixMillis(4)).await.unwrap();
    assert_eq!(bench.store.claim(UnixMillis(4)).await.unwrap(), None, "it waits for its time");
    bench.store.look_again("offline", UnixMillis(4)).await.unwrap();
    let claim = bench.claim(4).await;
    assert_eq!(claim.id, job, "and not when its root is back");
    bench.fail(&claim, Disposition::Fatal, 5).await;
    // The same bytes lie in a root that is there.
    bench.store.note_root("plates", None, Some("not mounted"), "watch", UnixMillis(6)).await.unwrap();
    let other = StableFile { collection: "prints".to_owned(), ..stable("b.jpg", b"x", 6) };
    bench.store.record(&[other], |_, _| Some(bench.recipe.digest()), UnixMillis(6)).await.unwrap();
    assert_eq!(bench.claim(7).await.id, job);
}
