//! Judges what a colour network put out, and decides about a second run. Pure: no session, no device.

use super::ddcolor::STRIPS;
use super::{Fallback, InferenceError, Precision};
use crate::imaging::{ChromaPlanes, Plane};

/// What of a network's output is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuardBounds {
    /// Chroma (Lab units) that some pixels must reach, their mean and three spreads; what is less is as good as grey. Vanishing
    /// chroma is how an overflow in FP16 shows when later layers absorb it.
    pub chroma_min: f32,
    /// Largest |a*| or |b*|. What lies outside sRGB is brought into it later; far beyond, it is no colour.
    pub ab_max: f32,
}

impl Default for GuardBounds {
    /// 0.5 is below any visible difference (one just noticeable is about 1 to 2.3). The sRGB gamut ends at 108, and the official
    /// weights have been seen to reach 180 on sound pictures.
    fn default() -> Self {
        Self { chroma_min: 0.5, ab_max: 300.0 }
    }
}

/// Deviation of the input (in 0..=1) under which a flat result is what a flat picture deserves: 2.5 code values of 255.
const BLANK_BELOW: f64 = 0.01;

/// What is judged of a network's output: what our own network counts on the device, or what was counted here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// Values of a* and b* that are not finite. The rest means nothing unless there are none.
    pub non_finite: u64,
    /// Smallest value of either plane, Lab units.
    pub ab_min: f32,
    /// Largest value of either plane, Lab units.
    pub ab_max: f32,
    /// Mean chroma √(a*² + b*²).
    pub chroma_mean: f32,
    /// Standard deviation of chroma.
    pub chroma_spread: f32,
}

impl Said {
    /// From what our own network says of its strips: of the picture number `index` of `pictures`, which has `values` numbers.
    pub(super) fn from_strips(said: &[f32], index: usize, pictures: usize, values: usize) -> Self {
        let [finite, low, high, mean, square] =
            std::array::from_fn(|kind: usize| &said[(kind * pictures + index) * STRIPS..][..STRIPS]);
        let sum = |strips: &[f32]| strips.iter().map(|&value| f64::from(value)).sum::<f64>();
        // A count that is no number counts nothing.
        let non_finite = (values as u64).saturating_sub(sum(finite) as u64);
        if non_finite > 0 {
            return Self { non_finite, ab_min: 0.0, ab_max: 0.0, chroma_mean: 0.0, chroma_spread: 0.0 };
        }
        let [mean, square] = [mean, square].map(|strips| sum(strips) / STRIPS as f64);
        Self {
            non_finite,
            ab_min: low.iter().copied().fold(f32::INFINITY, f32::min),
            ab_max: high.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            chroma_mean: mean as f32,
            chroma_spread: (square - mean * mean).max(0.0).sqrt() as f32,
        }
    }

    /// Counted from the values of both planes, any number of them each.
    pub(super) fn of(a: &[f32], b: &[f32]) -> Self {
        let all = || a.iter().chain(b);
        let non_finite = all().filter(|value| !value.is_finite()).count() as u64;
        if non_finite > 0 || a.is_empty() {
            return Self { non_finite, ab_min: 0.0, ab_max: 0.0, chroma_mean: 0.0, chroma_spread: 0.0 };
        }
        let (low, high) = all().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
        let chroma = || a.iter().zip(b).map(|(a, b)| f64::from(a.hypot(*b)));
        let count = a.len() as f64;
        let mean = chroma().sum::<f64>() / count;
        let variance = chroma().map(|chroma| (chroma - mean).powi(2)).sum::<f64>() / count;
        Self { non_finite, ab_min: low, ab_max: high, chroma_mean: mean as f32, chroma_spread: variance.sqrt() as f32 }
    }
}

/// 99th percentile of chroma (nearest rank below), of values that are all finite.
pub fn chroma_p99(chroma: &ChromaPlanes) -> f32 {
    let mut sizes: Vec<f32> = chroma.a.data().iter().zip(chroma.b.data()).map(|(a, b)| a.hypot(*b)).collect();
    if sizes.is_empty() {
        return 0.0;
    }
    let rank = (sizes.len() - 1) * 99 / 100;
    *sizes.select_nth_unstable_by(rank, f32::total_cmp).1
}

/// Whether an output can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Sound,
    NonFinite,
    Collapsed,
    Implausible,
}

/// Judges what was said; `input_deviation` is the standard deviation of the network's input in 0..=1, asked for only where it
/// matters: the card waits meanwhile.
pub(super) fn judge(found: &Said, input_deviation: impl FnOnce() -> f64, bounds: &GuardBounds) -> Verdict {
    if found.non_finite > 0 {
        Verdict::NonFinite
    } else if found.ab_max.max(-found.ab_min) > bounds.ab_max {
        Verdict::Implausible
    } else if upper_chroma(found) < bounds.chroma_min && input_deviation() >= BLANK_BELOW {
        Verdict::Collapsed
    } else {
        Verdict::Sound
    }
}

/// What few pixels' chroma exceeds, whatever its distribution: three spreads above the mean lie at most one in ten (Cantelli's
/// inequality), and one in a hundred or fewer of those that pictures have.
fn upper_chroma(found: &Said) -> f32 {
    found.chroma_mean + 3.0 * found.chroma_spread
}

/// An error unless an output can be believed; for a network that is run once, without another precision to go on to.
pub(super) fn believed(network: &str, found: &Said, input_deviation: impl FnOnce() -> f64) -> Result<(), InferenceError> {
    match judge(found, input_deviation, &GuardBounds::default()) {
        Verdict::Sound => Ok(()),
        verdict => Err(disbelief(network, verdict, found)),
    }
}

/// Why an output is not believed, with its numbers.
pub(super) fn disbelief(network: &str, verdict: Verdict, found: &Said) -> InferenceError {
    let (network, detail) = (network.to_owned(), complaint(verdict, found));
    match verdict {
        Verdict::NonFinite => InferenceError::NonFinite { network, detail },
        Verdict::Implausible => InferenceError::Implausible { network, detail },
        Verdict::Collapsed | Verdict::Sound => InferenceError::Collapsed { network, detail },
    }
}

/// One sentence with numbers: what is wrong with an output.
pub(super) fn complaint(verdict: Verdict, found: &Said) -> String {
    match verdict {
        Verdict::Sound => "nothing is wrong".to_owned(),
        Verdict::NonFinite => format!("{} values were not finite", found.non_finite),
        Verdict::Collapsed => format!("chroma vanished: mean {:.3} and spread {:.3}", found.chroma_mean, found.chroma_spread),
        Verdict::Implausible => {
            format!("a*, b* from {:.0} to {:.0}", found.ab_min, found.ab_max)
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
pub(super) struct Accepted<C, T> {
    /// What the network put out.
    pub(super) chroma: C,
    /// How it looked.
    pub(super) said: Said,
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
    Numerics(Verdict, Said),
}

/// Runs the network in `first` precision, and in FP32 when the result of FP16 cannot be believed.
pub(super) fn run_guarded<C, T, E>(
    first: Precision,
    input_deviation: impl Fn() -> f64,
    bounds: &GuardBounds,
    mut run: impl FnMut(Precision) -> Result<(C, Said, T), E>,
) -> Result<Accepted<C, T>, Refused<E>> {
    let mut precision = first;
    let mut fallback = None;
    loop {
        let (chroma, said, observed) = run(precision).map_err(Refused::Run)?;
        match (judge(&said, &input_deviation, bounds), precision) {
            (Verdict::Sound, _) => return Ok(Accepted { chroma, said, observed, fallback }),
            (verdict, Precision::Fp32) => return Err(Refused::Numerics(verdict, said)),
            (verdict, Precision::Fp16) => {
                precision = Precision::Fp32;
                fallback = Some(Fallback { from: Precision::Fp16, to: precision, reason: complaint(verdict, &said) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Size;

    fn photograph() -> f64 {
        0.2
    }
    const BOUNDS: GuardBounds = GuardBounds { chroma_min: 0.5, ab_max: 300.0 };

    fn planes(a: &[f32], b: &[f32]) -> ChromaPlanes {
        let plane = |values: &[f32]| Plane::new(Size::new(u32::try_from(values.len()).unwrap(), 1), values.to_vec()).unwrap();
        ChromaPlanes { a: plane(a), b: plane(b) }
    }

    fn good() -> ChromaPlanes {
        planes(&[3.0, -4.0, 0.0], &[4.0, 3.0, 12.0])
    }

    fn look(a: &[f32], b: &[f32]) -> Said {
        Said::of(a, b)
    }

    fn ran(chroma: ChromaPlanes) -> (ChromaPlanes, Said) {
        let said = look(chroma.a.data(), chroma.b.data());
        (chroma, said)
    }

    #[test]
    fn statistics_mean_something_only_where_every_value_is_finite() {
        let found = look(&[3.0, 0.0], &[4.0, -13.0]);
        assert_eq!(found, Said { non_finite: 0, ab_min: -13.0, ab_max: 4.0, chroma_mean: 9.0, chroma_spread: 4.0 });
        let broken = look(&[f32::NAN, 1.0], &[f32::INFINITY, 1.0]);
        assert_eq!((broken.non_finite, broken.chroma_mean), (2, 0.0));
    }

    #[test]
    fn what_the_network_says_of_itself_is_added_up() {
        // Two pictures; of the second, half of the strips have chroma 5 and half 13: mean 9, mean square 97.
        let halves = |first: f32, second: f32| [[first; STRIPS / 2], [second; STRIPS / 2]].concat();
        let other = vec![777.0; STRIPS];
        let kinds = [halves(4.0, 4.0), halves(-5.0, -13.0), halves(3.0, 4.0), halves(5.0, 13.0), halves(25.0, 169.0)];
        let mut said: Vec<f32> = kinds.iter().flat_map(|kind| other.iter().chain(kind).copied()).collect();
        let found = Said::from_strips(&said, 1, 2, 4 * STRIPS);
        assert_eq!(found, Said { non_finite: 0, ab_min: -13.0, ab_max: 4.0, chroma_mean: 9.0, chroma_spread: 4.0 });
        said[STRIPS + 7] = 1.0;
        let broken = Said::from_strips(&said, 1, 2, 4 * STRIPS);
        assert_eq!((broken.non_finite, judge(&broken, photograph, &BOUNDS)), (3, Verdict::NonFinite));
        said[STRIPS + 7] = f32::NAN;
        assert_eq!(Said::from_strips(&said, 1, 2, 4 * STRIPS).non_finite, 4 * STRIPS as u64);
    }

    #[test]
    fn the_percentile_leaves_one_pixel_in_a_hundred_above() {
        let a: Vec<f32> = (1..=200_u16).map(f32::from).collect();
        assert_eq!(chroma_p99(&planes(&a, &[0.0; 200])), 198.0);
    }

    #[test]
    fn chroma_that_vanished_is_noticed_and_a_little_of_it_is_colour() {
        assert_eq!(judge(&look(&[0.1; 1000], &[0.05; 1000]), photograph, &BOUNDS), Verdict::Collapsed);
        // A red lantern in a grey street: one pixel in five hundred.
        let mut a = vec![0.1; 1000];
        a[7..9].fill(60.0);
        assert_eq!(judge(&look(&a, &[0.0; 1000]), photograph, &BOUNDS), Verdict::Sound);
    }

    #[test]
    fn bounds_are_what_they_are_set_to() {
        let found = look(&[40.0, 3.0], &[0.0, 0.0]);
        let narrow = GuardBounds { ab_max: 30.0, ..BOUNDS };
        assert_eq!(judge(&found, photograph, &narrow), Verdict::Implausible);
        let demanding = GuardBounds { chroma_min: 90.0, ..BOUNDS };
        assert_eq!(judge(&found, photograph, &demanding), Verdict::Collapsed);
        assert_eq!(GuardBounds::default(), BOUNDS);
    }

    #[test]
    fn a_flat_picture_may_stay_grey() {
        let found = look(&[0.1; 4], &[0.0; 4]);
        assert_eq!(judge(&found, || 0.0, &BOUNDS), Verdict::Sound);
        assert_eq!(judge(&found, photograph, &BOUNDS), Verdict::Collapsed);
    }

    #[test]
    fn strong_colours_outside_the_gamut_are_believed_and_nonsense_is_not() {
        assert_eq!(judge(&look(&[-180.0, 5.0], &[0.0, 5.0]), photograph, &BOUNDS), Verdict::Sound);
        assert_eq!(judge(&look(&[-65504.0, 5.0], &[0.0, 5.0]), photograph, &BOUNDS), Verdict::Implausible);
        assert_eq!(judge(&look(&[f32::INFINITY, 5.0], &[0.0, 5.0]), photograph, &BOUNDS), Verdict::NonFinite);
    }

    #[test]
    fn a_sound_first_run_is_the_only_one() {
        let mut runs = Vec::new();
        let accepted = run_guarded(Precision::Fp16, photograph, &BOUNDS, |precision| {
            runs.push(precision);
            let (chroma, said) = ran(good());
            Ok::<_, ()>((chroma, said, precision))
        })
        .unwrap();
        assert_eq!((runs, accepted.fallback, accepted.observed), (vec![Precision::Fp16], None, Precision::Fp16));
    }

    #[test]
    fn fp16_that_overflows_is_run_again_in_fp32_and_both_facts_are_kept() {
        let accepted = run_guarded(Precision::Fp16, photograph, &BOUNDS, |precision| match precision {
            Precision::Fp16 => {
                let (chroma, said) = ran(planes(&[f32::NAN, f32::INFINITY], &[1.0, 1.0]));
                Ok::<_, ()>((chroma, said, precision))
            }
            Precision::Fp32 => {
                let (chroma, said) = ran(good());
                Ok((chroma, said, precision))
            }
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
        let refused = run_guarded(Precision::Fp16, photograph, &BOUNDS, |_| {
            runs += 1;
            let (chroma, said) = ran(planes(&[0.0, 0.01], &[0.0, 0.0]));
            Ok::<_, ()>((chroma, said, ()))
        });
        assert!(matches!(refused, Err(Refused::Numerics(Verdict::Collapsed, _))));
        assert_eq!(runs, 2);
    }

    #[test]
    fn a_run_that_fails_is_not_repeated_in_another_precision() {
        let mut runs = 0;
        let refused = run_guarded(Precision::Fp16, photograph, &BOUNDS, |_| {
            runs += 1;
            Err::<(ChromaPlanes, Said, ()), _>("device lost")
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
