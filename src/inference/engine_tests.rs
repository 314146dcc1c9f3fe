//! The inference thread with networks that only pretend.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::imaging::{ChromaPlanes, Size};
use crate::inference::{Precision, PrecisionFacts, Provider, Said};

/// Counts what happens to it. A brightness of 13 is a defect.
#[derive(Default, Clone)]
struct Counts {
    forgotten: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    /// Pictures that shared a run.
    together: Arc<AtomicUsize>,
}

struct Pretended(Counts);

impl Drop for Pretended {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Work for Pretended {
    fn scene_scores(&mut self, grey: &Plane) -> Result<SceneScores, InferenceError> {
        assert_ne!(grey.data()[0], 13.0, "an unlucky picture");
        assert_eq!(thread::current().name(), Some("inference"));
        Ok(SceneScores { portrait: grey.data()[0], architecture: 0.0, other: 0.0, document: 0.0 })
    }

    fn denoise(&mut self, grey: &Plane, sigma: f32) -> Result<Plane, InferenceError> {
        Ok(Plane::filled(grey.size(), sigma))
    }

    fn batch(&self, _: &Kind, waiting: usize) -> usize {
        waiting.min(4)
    }

    fn colorize_together(&mut self, requests: &[ColorizeRequest]) -> Result<Vec<Answer>, InferenceError> {
        assert!(requests.iter().all(|request| request.input.data()[0] != 13.0), "an unlucky picture among others");
        self.0.together.fetch_add(requests.len(), Ordering::SeqCst);
        Ok(requests.iter().map(|request| self.colorize(request)).collect())
    }

    fn colorize(&mut self, request: &ColorizeRequest) -> Answer {
        assert_ne!(request.input.data()[0], 13.0, "an unlucky picture");
        let chroma = Chroma::Planes(ChromaPlanes { a: request.input.clone(), b: request.input.clone() });
        let said = Said { non_finite: 0, ab_min: 0.0, ab_max: 0.0, chroma_mean: 0.0, chroma_spread: 0.0 };
        let precision = PrecisionFacts {
            requested: request.precision,
            observed: Precision::Fp32,
            reason: None,
            fp32_islands: Vec::new(),
            fallback: None,
            provider: Provider::Cpu,
        };
        Ok(Coloured { chroma, said, precision, setbacks: Vec::new() })
    }

    fn warm_up(&mut self, _: &Kind) -> Result<bool, InferenceError> {
        Ok(true)
    }

    fn forget_sessions(&mut self) {
        self.0.forgotten.fetch_add(1, Ordering::SeqCst);
    }
}

fn report() -> DeviceReport {
    DeviceReport {
        provider: Provider::Cpu,
        reason: None,
        name: Some("pretended".into()),
        driver: None,
        runtime_version: None,
        cuda: None,
        cudnn: None,
    }
}

fn engine() -> (Engine, Counts) {
    let counts = Counts::default();
    let pretended = Pretended(counts.clone());
    (Engine::start_with(move || Ok((pretended, report()))).unwrap(), counts)
}

fn grey(value: f32) -> Plane {
    Plane::filled(Size::new(4, 2), value)
}

#[test]
fn many_callers_get_their_own_answers_from_the_one_thread() {
    let (engine, _) = engine();
    assert_eq!(engine.device().name.as_deref(), Some("pretended"));
    thread::scope(|scope| {
        for caller in 0..16_u8 {
            let engine = engine.clone();
            scope.spawn(move || {
                let own = f32::from(caller) + 100.0;
                assert_eq!(engine.scene_scores(grey(own)).unwrap().portrait, own);
                assert_eq!(engine.denoise(grey(0.0), own).unwrap(), grey(own));
                let request = ColorizeRequest::new("m".into(), grey(own), Precision::Fp16);
                assert_eq!(engine.colorize(request).unwrap().chroma.a, grey(own));
            });
        }
    });
}

#[test]
fn the_thread_ends_with_the_last_handle_and_not_before() {
    let (engine, counts) = engine();
    let twin = engine.clone();
    drop(engine);
    assert_eq!(counts.dropped.load(Ordering::SeqCst), 0);
    assert!(twin.scene_scores(grey(1.0)).is_ok());
    drop(twin);
    assert_eq!(counts.dropped.load(Ordering::SeqCst), 1, "dropping the last handle waits for the thread");
}

#[test]
fn a_picture_that_hits_a_defect_fails_alone_and_sessions_are_made_afresh() {
    let (engine, counts) = engine();
    let error = engine.scene_scores(grey(13.0)).unwrap_err();
    assert!(matches!(&error, InferenceError::Panicked { message } if message.contains("an unlucky picture")), "{error}");
    assert_eq!(counts.forgotten.load(Ordering::SeqCst), 1);
    assert!(engine.scene_scores(grey(1.0)).is_ok());
}

#[test]
fn pictures_that_wait_share_a_run_and_one_that_cannot_be_coloured_fails_alone() {
    let counts = Counts::default();
    let (requests, queue) = sync_channel(QUEUE);
    let ask = |value: f32| {
        let (reply, answer) = sync_channel(1);
        let request = ColorizeRequest::new("m".into(), grey(value), Precision::Fp16);
        requests.send(Request::Colorize { request, reply }).unwrap();
        answer
    };
    let answers = [1.0, 2.0, 3.0, 4.0, 5.0, 13.0, 7.0].map(ask);
    drop(requests);
    let pretended = Pretended(counts.clone());
    let thread =
        thread::Builder::new().name("inference".into()).spawn(move || serve(pretended, &queue, &AtomicU64::new(0))).unwrap();
    let answers = answers.map(|answer| answer.recv().unwrap());
    thread.join().unwrap();
    assert_eq!(counts.together.load(Ordering::SeqCst), 4, "of seven, four share a run; the next three have a guilty one");
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    for (index, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(coloured) => assert_eq!(coloured.chroma.into_planes().a, grey((index + 1) as f32)),
            Err(error) => assert!(index == 5 && error.to_string().contains("an unlucky picture"), "{index}: {error}"),
        }
    }
}

#[test]
fn a_start_that_fails_says_why_and_leaves_no_thread() {
    let failed = Engine::start_with(|| Err::<(Pretended, _), _>(InferenceError::Cuda { detail: "no card".into() }));
    assert!(matches!(failed, Err(InferenceError::Cuda { .. })));
    let panicked = Engine::start_with(|| -> Result<(Pretended, DeviceReport), _> { panic!("while loading") });
    assert!(matches!(panicked, Err(InferenceError::Panicked { message }) if message == "while loading"));
}

#[test]
fn a_request_after_the_thread_has_died_is_an_error_and_no_wait() {
    let (requests, queue) = sync_channel(QUEUE);
    let handle = thread::spawn(move || drop(queue));
    let thread = InferenceThread { device: report(), requests: Some(requests), handle: Some(handle), busy: Arc::default() };
    let engine = Engine { thread: Arc::new(thread), may_use_processor: false };
    assert!(matches!(engine.scene_scores(grey(1.0)), Err(InferenceError::Ended)));

    // Dying with the request in hand is noticed as well.
    let (requests, queue) = sync_channel::<Request>(QUEUE);
    let handle = thread::spawn(move || drop(queue.recv()));
    let thread = InferenceThread { device: report(), requests: Some(requests), handle: Some(handle), busy: Arc::default() };
    let engine = Engine { thread: Arc::new(thread), may_use_processor: false };
    assert!(matches!(engine.denoise(grey(1.0), 5.0), Err(InferenceError::Ended)));
}
