//! The colour network: a session for every model, size and precision, and a guard over what comes out.

use std::collections::BTreeMap;

use super::ddcolor::{self, Weights};
use super::numerics::{self, Accepted, Refused, Verdict};
use super::pool::Pool;
use super::profile::Observed;
use super::session::{Input, Network, Place, Sizes};
use super::{Fallback, InferenceError, Numerics, Precision, PrecisionFacts, Provider};
use crate::imaging::{ChromaPlanes, Plane, Size};

/// One picture for the colour network.
#[derive(Debug)]
pub struct ColorizeRequest {
    /// Catalogue id.
    pub model: String,
    /// Padded grey copy, sRGB-encoded, 0..=1; sides are multiples of 32.
    pub input: Plane,
    /// Precision asked for.
    pub precision: Precision,
}

/// What came out, padding included.
#[derive(Debug)]
pub struct Coloured {
    /// Chroma at the input's size, Lab units, every value finite.
    pub chroma: ChromaPlanes,
    /// Statistics.
    pub numerics: Numerics,
    /// Precision and provider.
    pub precision: PrecisionFacts,
}

/// What a session is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    model: String,
    size: Size,
    precision: Precision,
}

/// The colour networks and their sessions.
#[derive(Debug)]
pub(super) struct Colorizer {
    /// Parsed once: a session of another size is another graph over the same weights.
    weights: BTreeMap<String, Weights>,
    pool: Pool<Key, Network>,
}

impl Colorizer {
    /// `weights` by the model's id; `sessions` is how many are kept.
    pub(super) const fn new(weights: BTreeMap<String, Weights>, sessions: usize) -> Self {
        Self { weights, pool: Pool::new(sessions) }
    }

    /// Colours a picture, in FP32 where FP16 gives nothing that can be believed.
    pub(super) fn colorize(&mut self, place: &Place, request: &ColorizeRequest) -> Result<Coloured, InferenceError> {
        let ColorizeRequest { model, input, precision: requested } = request;
        let Self { weights, pool } = self;
        let weights = weights.get(model).ok_or_else(|| InferenceError::NotLoaded { model: model.clone() })?;
        let size = input.size();
        let rgb = input.data().repeat(3);
        let (first, unmet) = attainable(*requested, place.provider);
        let accepted = numerics::run_guarded(first, numerics::deviation(input), |precision| {
            let key = Key { model: model.clone(), size, precision };
            let open = || Network::open(place, model, &weights.graph(size, precision), Sizes::Fixed(&[]));
            pool.run(&key, open, |network| run(network, model, &rgb, size))
        });
        let accepted = accepted.map_err(|refused| refuse(model, refused))?;
        Ok(coloured(*requested, unmet, accepted))
    }

    /// Lets the sessions go.
    pub(super) fn clear(&mut self) {
        self.pool.clear();
    }
}

/// The precision to begin with, and why it is not the one asked for.
pub(super) fn attainable(requested: Precision, provider: Provider) -> (Precision, Option<&'static str>) {
    match (provider, requested) {
        (Provider::Cpu, Precision::Fp16) => (Precision::Fp32, Some("the CPU provider computes in fp32")),
        (Provider::Cpu, Precision::Fp32) | (Provider::Cuda, _) => (requested, None),
    }
}

fn run(network: &mut Network, model: &str, rgb: &[f32], size: Size) -> Result<(ChromaPlanes, Observed), InferenceError> {
    let (width, height) = (size.width as usize, size.height as usize);
    let input = Input { name: "rgb", shape: &[1, 3, height, width], data: rgb };
    let mut a = network.run(&[input], "ab", 2 * width * height)?;
    let b = a.split_off(width * height);
    let plane = |data| Plane::new(size, data).expect("half of 2 × width × height values");
    let observed = network
        .observed()
        .ok_or_else(|| InferenceError::Profile { network: model.to_owned(), detail: "the run left no profile".to_owned() })?;
    Ok((ChromaPlanes { a: plane(a), b: plane(b) }, observed))
}

fn refuse(model: &str, refused: Refused<InferenceError>) -> InferenceError {
    let network = model.to_owned();
    match refused {
        Refused::Run(error) => error,
        Refused::Numerics(verdict, found) => {
            let detail = numerics::complaint(verdict, &found);
            match verdict {
                Verdict::NonFinite => InferenceError::NonFinite { network, detail },
                Verdict::Implausible => InferenceError::Implausible { network, detail },
                Verdict::Collapsed | Verdict::Sound => InferenceError::Collapsed { network, detail },
            }
        }
    }
}

fn coloured(requested: Precision, unmet: Option<&str>, accepted: Accepted<Observed>) -> Coloured {
    let Accepted { chroma, numerics, observed, fallback } = accepted;
    Coloured { chroma, numerics, precision: facts(requested, unmet, observed, fallback) }
}

/// What was asked for, why it cannot be had, and what the session showed, as it is told to others.
pub(super) fn facts(requested: Precision, unmet: Option<&str>, seen: Observed, fallback: Option<Fallback>) -> PrecisionFacts {
    let observed = seen.precision();
    let reason = (observed != requested).then(|| match (&fallback, unmet) {
        (Some(fallback), _) => format!("run again in {}: {}", fallback.to, fallback.reason),
        (None, Some(unmet)) => unmet.to_owned(),
        (None, None) => format!("{} of {} heavy operators read fp16", seen.heavy_fp16, seen.heavy),
    });
    let islands = if observed == Precision::Fp16 { ddcolor::FP32_ISLANDS } else { &[] };
    PrecisionFacts {
        requested,
        observed,
        reason,
        fp32_islands: islands.iter().map(|&island| island.to_owned()).collect(),
        fallback,
        provider: seen.provider,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FP16: Observed = Observed { provider: Provider::Cuda, heavy: 10, heavy_fp16: 9 };
    const FP32: Observed = Observed { provider: Provider::Cuda, heavy: 10, heavy_fp16: 0 };

    fn facts(requested: Precision, unmet: Option<&str>, observed: Observed, fallback: Option<Fallback>) -> PrecisionFacts {
        let size = Size::new(1, 1);
        let chroma = ChromaPlanes { a: Plane::filled(size, 3.0), b: Plane::filled(size, 4.0) };
        let numerics = numerics::look(chroma.a.data(), chroma.b.data());
        coloured(requested, unmet, Accepted { chroma, numerics, observed, fallback }).precision
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
        let error = refuse("m", Refused::Numerics(Verdict::NonFinite, found));
        assert_eq!(error.to_string(), "network m gave no usable numbers in fp32: 3 values were not finite");
        assert_eq!(error.disposition(), crate::job::Disposition::Permanent);
    }
}
