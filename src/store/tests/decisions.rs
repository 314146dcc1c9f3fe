//! What people decide about single scans, and what becomes of their jobs.

use std::path::Path;

use super::*;
use crate::routing::{Decision, Origin, Scene, Verdict};

const PORTRAIT: Verdict = Verdict::Scene(Scene::Portrait);

impl Bench {
    async fn decide(&self, job: i64, verdict: Option<Verdict>, now: i64) -> Decided {
        let subject = self.store.subject_of_job(job).await.unwrap().unwrap();
        let recipes = Recipes::of(&self.recipe);
        self.store.decide(&subject, verdict, "A. Weber", "a face", &recipes, UnixMillis(now)).await.unwrap()
    }

    async fn sidecar(&self, name: &str, said: Option<&Said>, now: i64) -> Option<Decided> {
        let signature = stable(name, b"sidecar", now).signature;
        let (found, recipes) = (said.map(|said| (&signature, said)), Recipes::of(&self.recipe));
        self.store.note_sidecar("plates", Path::new(name), found, &recipes, UnixMillis(now)).await.unwrap()
    }

    async fn see(&self, name: &str, bytes: &[u8], now: i64) -> Recorded {
        let recipes = Recipes::of(&self.recipe);
        let files = [stable(name, bytes, now)];
        let recipe_for = |_: &str, scene| Some(recipes.wanted(scene).digest());
        self.store.record(&files, recipe_for, UnixMillis(now)).await.unwrap()[0]
    }
}

fn by_sidecar(verdict: Verdict) -> Said {
    Ok(Decision::new(verdict, "B. Klein", "written beside it", Origin::Sidecar).unwrap())
}

#[tokio::test]
async fn a_decision_cancels_the_waiting_job_and_makes_one_of_its_own_recipe() {
    let bench = Bench::new().await;
    let old = bench.record("a.jpg", b"x", 1).await.job;
    let decided = bench.decide(old, Some(PORTRAIT), 2).await;
    assert_eq!((decided.cancelled.as_slice(), decided.state), (&[old][..], JobState::Pending));
    assert_ne!(decided.job, old);
    assert_eq!(bench.row(old).await.state, JobState::Cancelled);
    let claim = bench.claim(3).await;
    assert_eq!((claim.id, claim.recipe), (decided.job, bench.recipe.for_scene(Scene::Portrait).digest()));
    assert_eq!(claim.said.unwrap().unwrap().to_string(), "portrait by decision of A. Weber (command): a face");
    let events = bench.store.job(decided.job).await.unwrap().unwrap().events;
    let event = events.iter().find(|event| event.kind == "decision").unwrap();
    assert_eq!(event.body, r#"{"as":"portrait","by":"A. Weber","origin":"command","why":"a face"}"#);
}

#[tokio::test]
async fn a_decision_outlives_recipes_and_holds_for_the_same_bytes_seen_again() {
    let bench = Bench::new().await;
    let old = bench.record("a.jpg", b"x", 1).await.job;
    let decided = bench.decide(old, Some(PORTRAIT), 2).await.job;
    assert_eq!(bench.see("b.jpg", b"x", 3).await, Recorded { job: decided, new_job: false });
    let other = recipe("fp32");
    let changed = bench.store.put_in_force(&[("plates".to_owned(), Recipes::of(&other))], UnixMillis(4)).await.unwrap();
    assert_eq!(changed, [1, 0, 1]);
    assert_eq!(bench.claim(5).await.recipe, other.for_scene(Scene::Portrait).digest());
    let back = bench.store.put_in_force(&[("plates".to_owned(), Recipes::of(&bench.recipe))], UnixMillis(6)).await.unwrap();
    assert_eq!(back, [0, 1, 0], "the one of the scene, not the one of the collection");
    assert_eq!((bench.row(decided).await.state, bench.row(old).await.state), (JobState::Pending, JobState::Cancelled));
}

#[tokio::test]
async fn a_decision_taken_back_gives_the_scan_its_first_job_again() {
    let bench = Bench::new().await;
    let old = bench.record("a.jpg", b"x", 1).await.job;
    let variant = bench.decide(old, Some(PORTRAIT), 2).await.job;
    let back = bench.decide(old, None, 3).await;
    assert_eq!((back.job, back.state, back.cancelled.as_slice(), back.holds), (old, JobState::Pending, &[variant][..], None));
    let claim = bench.claim(4).await;
    assert_eq!((claim.id, claim.said), (old, None));
}

#[tokio::test]
async fn what_runs_is_not_disturbed_and_what_was_made_stays() {
    let bench = Bench::new().await;
    let made = bench.record("a.jpg", b"x", 1).await.job;
    let claim = bench.claim(1).await;
    let decided = bench.decide(made, Some(PORTRAIT), 2).await;
    assert_eq!((decided.running.as_slice(), decided.cancelled.len()), (&[made][..], 0));
    bench.store.settle(&claim, &completed(), UnixMillis(3)).await.unwrap();
    let left_alone = bench.decide(made, Some(Verdict::Skip), 4).await;
    assert_eq!((left_alone.job, left_alone.state), (made, JobState::Completed));
    assert_eq!(left_alone.kept, [(made, PathBuf::from("a--0--0.jpg"))]);
    assert_eq!(left_alone.cancelled, [decided.job]);
    assert!(bench.row(made).await.derivative.is_some());
}

#[tokio::test]
async fn a_scan_that_was_given_up_or_skipped_is_taken_up_when_somebody_decides() {
    let bench = Bench::new().await;
    let job = bench.record("a.jpg", b"x", 1).await.job;
    let claim = bench.claim(1).await;
    bench.store.settle(&claim, &Ending::skipped("blank".to_owned()), UnixMillis(2)).await.unwrap();
    let decided = bench.decide(job, Some(Verdict::Skip), 3).await;
    assert_eq!((decided.job, decided.state), (job, JobState::Pending), "to be skipped with who and why");
    assert_eq!(bench.claim(4).await.said.unwrap().unwrap().verdict, Verdict::Skip);
}

#[tokio::test]
async fn a_sidecar_decides_before_its_scan_is_there_and_a_command_goes_before_it() {
    let bench = Bench::new().await;
    assert_eq!(bench.sidecar("a.jpg", Some(&by_sidecar(PORTRAIT)), 1).await, None);
    let job = bench.see("a.jpg", b"x", 2).await.job;
    assert_eq!(bench.row(job).await.recipe, bench.recipe.for_scene(Scene::Portrait).digest());
    assert_eq!(bench.store.known("plates").await.unwrap().len(), 2, "the scan and its sidecar");
    let command = bench.decide(job, Some(Verdict::Scene(Scene::Architecture)), 3).await;
    assert_eq!(bench.sidecar("a.jpg", Some(&by_sidecar(Verdict::Skip)), 4).await, None, "it changes nothing");
    let back = bench.decide(command.job, None, 5).await;
    assert_eq!(back.holds, Some(by_sidecar(Verdict::Skip)));
    let gone = bench.sidecar("a.jpg", None, 6).await.unwrap();
    assert_eq!((gone.holds, gone.job, gone.state), (None, back.job, JobState::Pending));
}

#[tokio::test]
async fn a_sidecar_that_cannot_be_understood_reaches_the_claim_and_its_mending_too() {
    let bench = Bench::new().await;
    let broken = Err("the sidecar a.jpg.autochrome.toml has no key as".to_owned());
    bench.sidecar("a.jpg", Some(&broken), 1).await;
    let job = bench.see("a.jpg", b"x", 2).await.job;
    let claim = bench.claim(3).await;
    assert_eq!((claim.id, claim.said.as_ref()), (job, Some(&broken)));
    bench.fail(&claim, Disposition::Permanent, 4).await;
    let mended = bench.sidecar("a.jpg", Some(&by_sidecar(PORTRAIT)), 5).await.unwrap();
    assert_eq!(bench.claim(6).await.id, mended.job);
    let gone = bench.sidecar("a.jpg", None, 7).await.unwrap();
    assert_eq!((gone.job, gone.state), (job, JobState::Pending), "the rejected one is tried again");
}

#[tokio::test]
async fn settings_that_no_daemon_was_started_with_decide_nothing() {
    let bench = Bench::new().await;
    let job = bench.record("a.jpg", b"x", 1).await.job;
    let subject = bench.store.subject_of_job(job).await.unwrap().unwrap();
    let other = Recipes::of(&recipe("fp32"));
    let refused = bench.store.decide(&subject, Some(PORTRAIT), "A", "b", &other, UnixMillis(2)).await;
    assert!(matches!(refused, Err(StoreError::OtherRecipe { .. })), "{refused:?}");
    assert_eq!(bench.store.job(job).await.unwrap().unwrap().said, None);
    assert_eq!(bench.store.subject_of_job(99).await.unwrap(), None);
}
