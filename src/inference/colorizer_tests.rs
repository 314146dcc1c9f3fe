//! The colour networks: what is recorded of a run, and what is kept between runs.

use super::*;
use crate::inference::Fallback;

const FP16: Observed = Observed { provider: Provider::Cuda, heavy: 10, heavy_fp16: 9 };
const FP32: Observed = Observed { provider: Provider::Cuda, heavy: 10, heavy_fp16: 0 };

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
    let numerics = numerics::look(chroma.a.data(), chroma.b.data());
    coloured(requested, unmet, stored, Accepted { chroma, numerics, observed, fallback }).precision
}

#[test]
fn what_the_session_shows_is_recorded_not_what_was_asked() {
    let kept = facts(Precision::Fp16, None, FP16, None);
    assert_eq!((kept.observed, kept.reason, kept.provider), (Precision::Fp16, None, Provider::Cuda));
    assert_eq!(kept.fp32_islands, ddcolor::FP32_ISLANDS);

    let slipped = facts(Precision::Fp16, None, FP32, None);
    assert_eq!(slipped.observed, Precision::Fp32);
    assert_eq!(slipped.reason.as_deref(), Some("0 of 10 heavy operators read fp16"));
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
    let found = Numerics { non_finite: 3, ab_min: 0.0, ab_max: 0.0, chroma_mean: 0.0, chroma_p99: 0.0 };
    let error = refuse("m", None, Refused::Numerics(Verdict::NonFinite, found));
    assert_eq!(error.to_string(), "network m gave no usable numbers in fp32: 3 values were not finite");
    assert_eq!(error.disposition(), crate::job::Disposition::Permanent);
}
