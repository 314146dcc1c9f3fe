//! The colour networks: what is recorded of a run, and what is kept between runs.

use std::fs;

use super::*;
use crate::digest::Digest;
use crate::inference::foreign::tests::onnx::{FLOAT, FLOAT16, Small};
use crate::inference::foreign::tests::processor;
use crate::inference::numerics::Verdict;
use crate::inference::{CatalogueError, Fallback, ModelKind, foreign};
use crate::job::Disposition;

const FP16: Observed = Observed { provider: Provider::Cuda, heavy: 10, heavy_fp16: 9, work: 1000, work_fp16: 995 };
const FP32: Observed = Observed { heavy_fp16: 0, work_fp16: 0, ..FP16 };

fn facts(requested: Precision, unmet: Option<&str>, observed: Observed, fallback: Option<Fallback>) -> PrecisionFacts {
    facts_of(requested, unmet, None, observed, fallback)
}

fn facts_of(
    requested: Precision,
    unmet: Option<&str>,
    stored: Option<Precision>,
    observed: Observed,
    fallback: Option<Fallback>,
) -> PrecisionFacts {
    let size = Size::new(1, 1);
    let chroma = ChromaPlanes { a: Plane::filled(size, 3.0), b: Plane::filled(size, 4.0) };
    let said = Said::of(chroma.a.data(), chroma.b.data());
    let chroma = Chroma::Planes(chroma);
    coloured(requested, unmet, stored, Accepted { chroma, said, observed, fallback }, Vec::new()).precision
}

#[test]
fn what_the_session_shows_is_recorded_not_what_was_asked() {
    let kept = facts(Precision::Fp16, None, FP16, None);
    assert_eq!((kept.observed, kept.reason, kept.provider), (Precision::Fp16, None, Provider::Cuda));
    assert_eq!(kept.fp32_islands, ddcolor::FP32_ISLANDS.iter().map(|(name, _)| *name).collect::<Vec<_>>());

    let slipped = facts(Precision::Fp16, None, FP32, None);
    assert_eq!(slipped.observed, Precision::Fp32);
    assert_eq!(slipped.reason.as_deref(), Some("0 % of the multiplications were of fp16 numbers"));
    assert!(slipped.fp32_islands.is_empty());
}

#[test]
fn fp16_on_the_processor_is_fp32_with_a_reason() {
    let (first, unmet) = attainable(Precision::Fp16, Provider::Cpu);
    assert_eq!(first, Precision::Fp32);
    let kept = facts(Precision::Fp16, unmet, Observed { provider: Provider::Cpu, ..FP32 }, None);
    assert_eq!((kept.requested, kept.observed, kept.provider), (Precision::Fp16, Precision::Fp32, Provider::Cpu));
    assert_eq!(kept.reason.as_deref(), Some("the CPU provider computes in fp32"));
    assert_eq!(attainable(Precision::Fp16, Provider::Cuda), (Precision::Fp16, None));
}

#[test]
fn a_second_run_is_told_with_what_was_wrong_with_the_first() {
    let fallback = Fallback { from: Precision::Fp16, to: Precision::Fp32, reason: "7 values were not finite".into() };
    let kept = facts(Precision::Fp16, None, FP32, Some(fallback.clone()));
    assert_eq!(kept.reason.as_deref(), Some("run again in fp32: 7 values were not finite"));
    assert_eq!(kept.fallback, Some(fallback));
}

#[test]
fn fp32_that_cannot_be_believed_rejects_the_scan_with_its_numbers() {
    let found = Said { non_finite: 3, ab_min: 0.0, ab_max: 0.0, chroma_mean: 0.0, chroma_spread: 0.0 };
    let error = refuse("m", None, Refused::Numerics(Verdict::NonFinite, found));
    assert_eq!(error.to_string(), "network m gave no usable numbers in fp32: 3 values were not finite");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

/// A models directory of small networks, which differ by their gains.
struct Models {
    dir: tempfile::TempDir,
    entries: Vec<Entry>,
}

impl Models {
    fn new(files: &[(&str, Vec<u8>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let entries = files.iter().map(|(id, bytes)| entry(id, bytes)).collect();
        files.iter().for_each(|(id, bytes)| fs::write(dir.path().join(format!("{id}.onnx")), bytes).unwrap());
        fs::write(dir.path().join("models.toml"), "").unwrap();
        Self { dir, entries }
    }

    /// `count` networks of one kind: a, b, c, …
    fn several(small: &Small, count: u8) -> Self {
        let one = |index: u8| Small { gain: 0.5 + f32::from(index) / 4.0, ..small.clone() }.encode();
        let names = ["a", "b", "c", "d"];
        Self::new(&(0..count).map(|index| (names[usize::from(index)], one(index))).collect::<Vec<_>>())
    }

    fn colorizer(&self, memory: u64) -> Colorizer {
        let keep = Keep { sessions: 8, memory, card: None };
        Colorizer::new(Catalogue::open(self.dir.path()).unwrap(), self.entries.clone(), keep, GuardBounds::default())
    }
}

fn entry(id: &str, bytes: &[u8]) -> Entry {
    Entry {
        id: id.to_owned(),
        kind: ModelKind::Colour,
        architecture: "ddcolor".to_owned(),
        file: format!("{id}.onnx"),
        bytes: bytes.len() as u64,
        parameters: None,
        sha256: Digest::of(bytes),
        licence: "CC0-1.0".to_owned(),
        source: "a test".to_owned(),
        measured: None,
        note: None,
        imported_sha256: None,
        size: foreign::examine(bytes).ok().and_then(|examined| examined.size()),
    }
}

fn request(model: &str, precision: Precision) -> ColorizeRequest {
    let size = Size::new(64, 32);
    let input = Plane::new(size, (0..size.pixels()).map(|index| (index % 64) as f32 / 63.0).collect()).unwrap();
    ColorizeRequest::new(model.to_owned(), input, precision)
}

fn small() -> Small {
    Small::fixed(64, 32)
}

/// Keys of what is kept, the one used longest ago first.
fn kept(colorizer: &Colorizer) -> Vec<String> {
    colorizer.sessions.shelf().contents().into_iter().map(|(key, _)| key).collect()
}

#[test]
fn nothing_is_loaded_before_a_picture_needs_it_and_everything_is_accounted() {
    let models = Models::several(&small(), 2);
    let mut colorizer = models.colorizer(u64::MAX);
    assert!(kept(&colorizer).is_empty());
    let coloured = colorizer.colorize(&processor(), &request("a", Precision::Fp32)).unwrap();
    assert_eq!(coloured.precision.provider, Provider::Cpu);
    let file = models.entries[0].bytes;
    let expected = [("the weights of a".to_owned(), file), ("the session of a, 64×32".to_owned(), 8 * 8)];
    assert_eq!(colorizer.sessions.shelf().contents(), expected);
    assert_eq!(colorizer.sessions.shelf().bytes(), file + 64);
}

#[test]
fn what_was_used_longest_ago_goes_first_and_comes_back_the_same() {
    let models = Models::several(&small(), 3);
    let place = processor();
    // A run of one, and two more at rest: 64 bytes a session, and a run's own.
    let run = 64 * 32 * 6144;
    let mut colorizer = models.colorizer(run + 64 + 2 * (64 + models.entries[0].bytes));
    let mut colour = |model: &str| colorizer.colorize(&place, &request(model, Precision::Fp32)).unwrap().chroma.into_planes();
    let first = colour("a");
    assert_ne!(colour("b"), first, "networks that differ colour differently");
    colour("c");
    colour("b");
    assert_eq!(kept(&colorizer).last().unwrap(), "the session of b, 64×32");
    // Of `a` the weights were used before its session was.
    assert!(!kept(&colorizer).contains(&"the weights of a".to_owned()), "{:?}", kept(&colorizer));
    let mut colour = |model: &str| colorizer.colorize(&place, &request(model, Precision::Fp32)).unwrap().chroma.into_planes();
    assert_eq!(colour("a"), first, "what was let go comes back the same");
    let mut tight = models.colorizer(run + 64);
    for model in ["a", "b", "a", "c"] {
        let chroma = tight.colorize(&place, &request(model, Precision::Fp32)).unwrap().chroma.into_planes();
        assert_eq!(chroma == first, model == "a");
        assert!(tight.sessions.shelf().bytes() <= run + 64);
        let session = format!("the session of {model}, 64×32");
        assert_eq!(kept(&tight), [session], "a run needs the room of all others");
    }
}

#[test]
fn a_network_larger_than_the_memory_for_networks_still_runs() {
    let models = Models::several(&small(), 2);
    let mut colorizer = models.colorizer(1);
    for model in ["a", "b", "a"] {
        colorizer.colorize(&processor(), &request(model, Precision::Fp32)).unwrap();
        assert_eq!(kept(&colorizer), [format!("the session of {model}, 64×32")]);
    }
}

#[test]
fn a_file_that_changed_since_the_start_is_refused_and_no_scan_is_blamed() {
    let models = Models::several(&small(), 1);
    let mut colorizer = models.colorizer(u64::MAX);
    let other = Small { gain: 0.75, ..small() }.encode();
    fs::write(models.dir.path().join("a.onnx"), other).unwrap();
    let error = colorizer.colorize(&processor(), &request("a", Precision::Fp32)).unwrap_err();
    assert!(matches!(&error, InferenceError::Catalogue(CatalogueError::Mismatch { id, .. }) if id == "a"), "{error}");
    assert_eq!(error.disposition(), Disposition::Fatal);
}

#[test]
fn a_graph_of_every_size_has_one_session_for_all_on_the_processor() {
    let models = Models::several(&Small::new(), 1);
    let mut colorizer = models.colorizer(u64::MAX);
    for size in [Size::new(64, 32), Size::new(96, 64), Size::new(64, 32)] {
        let input = Plane::new(size, (0..size.pixels()).map(|index| (index % 32) as f32 / 31.0).collect()).unwrap();
        let request = ColorizeRequest::new("a".to_owned(), input, Precision::Fp32);
        assert_eq!(colorizer.colorize(&processor(), &request).unwrap().chroma.into_planes().a.size(), size);
    }
    assert_eq!(kept(&colorizer), ["the weights of a", "the session of a"]);
}

#[test]
fn an_entry_that_misstates_the_size_is_refused() {
    let mut models = Models::several(&small(), 1);
    models.entries[0].size = None;
    let error = models.colorizer(u64::MAX).colorize(&processor(), &request("a", Precision::Fp32)).unwrap_err();
    assert_eq!(error.to_string(), "model a takes pictures of 64×32, and its catalogue entry says pictures of any size");
}

#[test]
fn a_file_of_others_gives_the_numbers_that_its_convolution_says() {
    for (io, inside) in [(FLOAT, FLOAT), (FLOAT, FLOAT16), (FLOAT16, FLOAT16)] {
        let models = Models::new(&[("a", Small { io, inside, ..small() }.encode())]);
        let request = request("a", Precision::Fp16);
        let coloured = models.colorizer(u64::MAX).colorize(&processor(), &request).unwrap();
        let chroma = coloured.chroma.into_planes();
        let pairs = request.input.data().iter().zip(chroma.a.data().iter().zip(chroma.b.data()));
        // FP16 has eleven bits: 45 is rounded by at most 1/64, and the input on the way in.
        let off = pairs.map(|(&grey, (a, b))| (a - (40.0 * grey + 5.0)).abs().max((b + 30.0 * grey + 5.0).abs()));
        assert!(off.fold(0.0, f32::max) < 0.05, "{io} {inside}");
        let PrecisionFacts { requested, observed, reason, .. } = coloured.precision;
        assert_eq!((requested, observed), (Precision::Fp16, Precision::Fp32));
        let expected = if inside == FLOAT { "the file computes in fp32 inside" } else { "the CPU provider computes in fp32" };
        assert_eq!(reason.as_deref(), Some(expected));
    }
}

#[test]
fn a_file_that_is_fp16_inside_has_no_twin_to_fall_back_to() {
    let hot = Small { io: FLOAT16, inside: FLOAT16, gain: 1e4, ..small() };
    let models = Models::new(&[("hot", hot.encode())]);
    let error = models.colorizer(u64::MAX).colorize(&processor(), &request("hot", Precision::Fp16)).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("network hot is fp16 inside and has no fp32 twin to run instead: "), "{text}");
    assert!(text.ends_with("values were not finite"), "{text}");
    assert_eq!(error.disposition(), Disposition::Permanent);
}

#[test]
fn the_precision_of_a_file_of_others_is_its_own_and_the_record_says_so() {
    let own = facts_of(Precision::Fp32, None, Some(Precision::Fp16), FP16, None);
    assert_eq!((own.requested, own.observed), (Precision::Fp32, Precision::Fp16));
    assert_eq!(own.reason.as_deref(), Some("the file computes in fp16 inside"));
    assert_eq!(own.fp32_islands, ["1 of 10 heavy operators"]);
    let as_asked = facts_of(Precision::Fp16, None, Some(Precision::Fp16), FP16, None);
    assert_eq!(as_asked.reason, None);
}
