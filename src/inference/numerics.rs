//! Judges what a colour network put out, and decides about a second run. Pure: no session, no device.

use super::InferenceError;
use super::{Fallback, Precision};
use crate::imaging::{ChromaPlanes, Plane};

/// Chroma (Lab units) that at least one pixel in a hundred must exceed, else the result is as good as grey: 0.5 is below any
/// visible difference (one just noticeable is about 1 to 2.3). Vanishing chroma is how an overflow in FP16 shows when later
/// layers absorb it.
const GREY_BELOW: f32 = 0.5;

/// Largest |a*| or |b*| believed. The sRGB gamut ends at 108; the official weights have been seen to reach 180 on valid
/// pictures, and what lies outside the gamut is clipped later. Far beyond that it is no colour.
const PLAUSIBLE_BELOW: f32 = 300.0;

/// Deviation of the input (in 0..=1) under which a flat result is what a flat picture deserves: 2.5 code values of 255.
const BLANK_BELOW: f64 = 0.01;

/// What the network's output looked like. Values that are not finite are counted and left out of the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Numerics {
    /// Values of a* and b* that are not finite.
    pub non_finite: u64,
    /// Smallest value of either plane, Lab units.
    pub ab_min: f32,
    /// Largest value of either plane, Lab units.
    pub ab_max: f32,
    /// Mean chroma √(a*² + b*²).
    pub chroma_mean: f32,
    /// 99th percentile of chroma.
    pub chroma_p99: f32,
}

/// Whether an output can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Sound,
    NonFinite,
    Collapsed,
    Implausible,
}

/// Looks at a* and b*, any number of values each.
pub(super) fn look(a: &[f32], b: &[f32]) -> Numerics {
    let finite = |value: &&f32| value.is_finite();
    let non_finite = a.iter().chain(b).filter(|value| !value.is_finite()).count() as u64;
    let (low, high) = a
        .iter()
        .chain(b)
        .filter(finite)
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let mut chroma: Vec<f32> = a.iter().zip(b).map(|(a, b)| a.hypot(*b)).filter(|chroma| chroma.is_finite()).collect();
    if chroma.is_empty() {
        return Numerics { non_finite, ab_min: low.min(0.0), ab_max: high.max(0.0), chroma_mean: 0.0, chroma_p99: 0.0 };
    }
    let mean = chroma.iter().map(|&chroma| f64::from(chroma)).sum::<f64>() / chroma.len() as f64;
    let rank = (chroma.len() - 1) * 99 / 100;
    let (_, p99, _) = chroma.select_nth_unstable_by(rank, f32::total_cmp);
    #[expect(clippy::cast_possible_truncation, reason = "a mean of f32 values fits f32")]
    Numerics { non_finite, ab_min: low, ab_max: high, chroma_mean: mean as f32, chroma_p99: *p99 }
}

/// Judges a look; `input_deviation` is the standard deviation of the network's input in 0..=1.
pub(super) fn judge(found: &Numerics, input_deviation: f64) -> Verdict {
    if found.non_finite > 0 {
        Verdict::NonFinite
    } else if found.ab_max.max(-found.ab_min) > PLAUSIBLE_BELOW {
        Verdict::Implausible
    } else if found.chroma_p99 < GREY_BELOW && input_deviation >= BLANK_BELOW {
        Verdict::Collapsed
    } else {
        Verdict::Sound
    }
}

/// An error unless an output can be believed; for a network that is run once, without another precision to go on to.
pub(super) fn believed(network: &str, found: &Numerics, input_deviation: f64) -> Result<(), InferenceError> {
    match judge(found, input_deviation) {
        Verdict::Sound => Ok(()),
        verdict => Err(disbelief(network, verdict, found)),
    }
}

/// Why an output is not believed, with its numbers.
pub(super) fn disbelief(network: &str, verdict: Verdict, found: &Numerics) -> InferenceError {
    let (network, detail) = (network.to_owned(), complaint(verdict, found));
    match verdict {
        Verdict::NonFinite => InferenceError::NonFinite { network, detail },
        Verdict::Implausible => InferenceError::Implausible { network, detail },
        Verdict::Collapsed | Verdict::Sound => InferenceError::Collapsed { network, detail },
    }
}

/// One sentence with numbers: what is wrong with an output.
pub(super) fn complaint(verdict: Verdict, found: &Numerics) -> String {
    match verdict {
        Verdict::Sound => "nothing is wrong".to_owned(),
        Verdict::NonFinite => format!("{} values were not finite", found.non_finite),
        Verdict::Collapsed => format!("chroma vanished: 99th percentile {:.3}, below {GREY_BELOW}", found.chroma_p99),
        Verdict::Implausible => {
            format!("a*, b* from {:.0} to {:.0}, beyond ±{PLAUSIBLE_BELOW:.0}", found.ab_min, found.ab_max)
        }
    }
}

/// Standard deviation of a plane's values.
pub(super) fn deviation(plane: &Plane) -> f64 {
    let count = plane.data().len().max(1) as f64;
    let mean = plane.data().iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = plane.data().iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
    variance.sqrt()
}

/// One run that can be believed.
#[derive(Debug)]
pub(super) struct Accepted<T> {
    /// What the network put out.
    pub(super) chroma: ChromaPlanes,
    /// How it looked.
    pub(super) numerics: Numerics,
    /// What else the run said of itself.
    pub(super) observed: T,
    /// The run before it, if that one was refused.
    pub(super) fallback: Option<Fallback>,
}

/// Why no run could be believed, or could be made.
#[derive(Debug)]
pub(super) enum Refused<E> {
    /// The run itself went wrong.
    Run(E),
    /// Even 32 bits gave nothing that can be believed.
    Numerics(Verdict, Numerics),
}

/// Runs the network in `first` precision, and in FP32 when the result of FP16 cannot be believed.
pub(super) fn run_guarded<T, E>(
    first: Precision,
    input_deviation: f64,
    mut run: impl FnMut(Precision) -> Result<(ChromaPlanes, T), E>,
) -> Result<Accepted<T>, Refused<E>> {
    let mut precision = first;
    let mut fallback = None;
    loop {
        let (chroma, observed) = run(precision).map_err(Refused::Run)?;
        let numerics = look(chroma.a.data(), chroma.b.data());
        match (judge(&numerics, input_deviation), precision) {
            (Verdict::Sound, _) => return Ok(Accepted { chroma, numerics, observed, fallback }),
            (verdict, Precision::Fp32) => return Err(Refused::Numerics(verdict, numerics)),
            (verdict, Precision::Fp16) => {
                precision = Precision::Fp32;
                fallback = Some(Fallback { from: Precision::Fp16, to: precision, reason: complaint(verdict, &numerics) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Size;

    const PHOTOGRAPH: f64 = 0.2;

    fn planes(a: &[f32], b: &[f32]) -> ChromaPlanes {
        let plane = |values: &[f32]| Plane::new(Size::new(u32::try_from(values.len()).unwrap(), 1), values.to_vec()).unwrap();
        ChromaPlanes { a: plane(a), b: plane(b) }
    }

    fn good() -> ChromaPlanes {
        planes(&[3.0, -4.0, 0.0], &[4.0, 3.0, 12.0])
    }

    #[test]
    fn statistics_are_those_of_the_finite_values() {
        let found = look(&[3.0, f32::NAN, 0.0], &[4.0, 3.0, -5.0]);
        assert_eq!(found, Numerics { non_finite: 1, ab_min: -5.0, ab_max: 4.0, chroma_mean: 5.0, chroma_p99: 5.0 });
        let nothing = look(&[f32::NAN], &[f32::INFINITY]);
        assert_eq!(nothing, Numerics { non_finite: 2, ab_min: 0.0, ab_max: 0.0, chroma_mean: 0.0, chroma_p99: 0.0 });
    }

    #[test]
    fn the_percentile_leaves_one_pixel_in_a_hundred_above() {
        let a: Vec<f32> = (1..=200_u16).map(f32::from).collect();
        assert_eq!(look(&a, &[0.0; 200]).chroma_p99, 198.0);
    }

    #[test]
    fn a_few_outliers_do_not_hide_a_collapse() {
        let mut a = vec![0.1; 1000];
        a[7] = 60.0;
        assert_eq!(judge(&look(&a, &[0.0; 1000]), PHOTOGRAPH), Verdict::Collapsed);
    }

    #[test]
    fn a_flat_picture_may_stay_grey() {
        let found = look(&[0.1; 4], &[0.0; 4]);
        assert_eq!(judge(&found, 0.0), Verdict::Sound);
        assert_eq!(judge(&found, PHOTOGRAPH), Verdict::Collapsed);
    }

    #[test]
    fn strong_colours_outside_the_gamut_are_believed_and_nonsense_is_not() {
        assert_eq!(judge(&look(&[-180.0, 5.0], &[0.0, 5.0]), PHOTOGRAPH), Verdict::Sound);
        assert_eq!(judge(&look(&[-65504.0, 5.0], &[0.0, 5.0]), PHOTOGRAPH), Verdict::Implausible);
        assert_eq!(judge(&look(&[f32::INFINITY, 5.0], &[0.0, 5.0]), PHOTOGRAPH), Verdict::NonFinite);
    }

    #[test]
    fn a_sound_first_run_is_the_only_one() {
        let mut runs = Vec::new();
        let accepted = run_guarded(Precision::Fp16, PHOTOGRAPH, |precision| {
            runs.push(precision);
            Ok::<_, ()>((good(), precision))
        })
        .unwrap();
        assert_eq!((runs, accepted.fallback, accepted.observed), (vec![Precision::Fp16], None, Precision::Fp16));
    }

    #[test]
    fn fp16_that_overflows_is_run_again_in_fp32_and_both_facts_are_kept() {
        let accepted = run_guarded(Precision::Fp16, PHOTOGRAPH, |precision| match precision {
            Precision::Fp16 => Ok::<_, ()>((planes(&[f32::NAN, f32::INFINITY], &[1.0, 1.0]), precision)),
            Precision::Fp32 => Ok((good(), precision)),
        })
        .unwrap();
        assert_eq!(accepted.observed, Precision::Fp32);
        assert_eq!(accepted.chroma, good());
        let fallback = accepted.fallback.unwrap();
        assert_eq!((fallback.from, fallback.to), (Precision::Fp16, Precision::Fp32));
        assert_eq!(fallback.reason, "2 values were not finite");
    }

    #[test]
    fn fp32_that_cannot_be_believed_ends_it() {
        let mut runs = 0;
        let refused = run_guarded(Precision::Fp16, PHOTOGRAPH, |_| {
            runs += 1;
            Ok::<_, ()>((planes(&[0.0, 0.01], &[0.0, 0.0]), ()))
        });
        assert!(matches!(refused, Err(Refused::Numerics(Verdict::Collapsed, _))));
        assert_eq!(runs, 2);
    }

    #[test]
    fn a_run_that_fails_is_not_repeated_in_another_precision() {
        let mut runs = 0;
        let refused = run_guarded(Precision::Fp16, PHOTOGRAPH, |_| {
            runs += 1;
            Err::<(ChromaPlanes, ()), _>("device lost")
        });
        assert!(matches!(refused, Err(Refused::Run("device lost"))));
        assert_eq!(runs, 1);
    }

    #[test]
    fn deviation_is_the_population_s() {
        assert_eq!(deviation(&planes(&[0.0, 1.0], &[0.0, 0.0]).a), 0.5);
        assert_eq!(deviation(&Plane::filled(Size::new(3, 3), 0.7)), 0.0);
    }
}
