//! Runs a colour network on an array that somebody else has run theirs on, and says how far apart the results are.
//!
//! No guard and no second run: what the network gives in the precision that was asked for is what is compared. On the card an
//! FP32 check forbids TF32, which alone makes a difference of 0.002.

use super::colorizer::{attainable, facts};
use super::colour_model::Model;
use super::ddcolor::{GraphSpec, Outputs, TRACED};
use super::options::Treatment;
use super::session::{Input, Network, Place};
use super::{Array, Catalogue, EngineSettings, Entry, InferenceError, ModelKind, Precision, PrecisionFacts, device, runtime};
use crate::imaging::Size;

/// What a network is run on.
#[derive(Debug)]
pub struct CheckRequest<'a> {
    /// Catalogue id of a colour network.
    pub model: &'a str,
    /// [1, 3, height, width], sRGB-encoded, 0..=1; sides are multiples of 32.
    pub rgb: &'a Array,
    /// Precision asked for.
    pub precision: Precision,
    /// Whether the tensors inside are wanted as well: of our own graph, a file of others gives `ab` alone.
    pub outputs: Outputs,
}

/// What it gave.
#[derive(Debug)]
pub struct Checked {
    /// The model.
    pub entry: Entry,
    /// The tensors that were wanted, by name, in the order of the network; the last one is `ab`.
    pub tensors: Vec<(&'static str, Array)>,
    /// Precision and provider, read back from the session.
    pub precision: PrecisionFacts,
}

/// Runs one model on one array, on the configured device.
///
/// # Errors
/// The model is not in the catalogue or not what is pinned, the runtime or the device cannot be used, or the run fails.
pub fn check(settings: &EngineSettings, catalogue: &Catalogue, request: &CheckRequest<'_>) -> Result<Checked, InferenceError> {
    let entry = catalogue.find(request.model, ModelKind::Colour)?.clone();
    let model = Model::read(catalogue, &entry)?;
    let loaded = runtime::load(&runtime::locate_for(settings.provider)?)?;
    let (place, _) = device::choose(&loaded, settings)?;
    let (precision, unmet) = attainable(request.precision, place.provider);
    let place = Place { tf32: precision == Precision::Fp16, ..place };
    let shape = &request.rgb.shape;
    let [height, width] = [2, 3].map(|axis| u32::try_from(shape[axis]).expect("a picture that fits in memory has 32-bit sides"));
    let size = Size::new(width, height);
    let (network, tensors, stored) = match model {
        Model::Weights(weights) => {
            let spec = GraphSpec { outputs: request.outputs, ..GraphSpec::new(size, precision, place.provider) };
            let graph = weights.graph_of(spec);
            drop(weights);
            let mut network = Network::open(&place, &entry.id, &graph, Treatment::ONCE)?;
            drop(graph);
            let names = if request.outputs == Outputs::Traced { &TRACED[..] } else { &TRACED[TRACED.len() - 1..] };
            let input = Input { name: "rgb", shape, data: &request.rgb.values };
            let found = network.run_for(&[input], names)?;
            (network, names.iter().copied().zip(found).collect(), None)
        }
        Model::Foreign { file, examined } => {
            let mut network = examined.open(&place, &entry.id, &file, Some(size))?;
            let values = examined.run(&mut network, &request.rgb.values, size)?;
            let ab = Array { shape: vec![1, 2, shape[2], shape[3]], values };
            (network, vec![(TRACED[TRACED.len() - 1], ab)], Some(examined.precision()))
        }
    };
    let observed = network.observed().ok_or_else(|| InferenceError::unprofiled(&entry.id))?;
    Ok(Checked { precision: facts(request.precision, unmet, stored, observed, None), tensors, entry })
}

/// How far two tensors are apart, value by value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Largest absolute difference; infinite where a value is no number.
    pub max: f32,
    /// Mean absolute difference.
    pub mean: f64,
    /// 99.9th percentile of the absolute differences (nearest rank).
    pub p999: f32,
    /// Values of the first tensor that are not finite.
    pub non_finite: usize,
}

impl Difference {
    /// Between tensors of the same, non-zero, number of values.
    ///
    /// # Panics
    /// When they have not.
    pub fn between(got: &[f32], want: &[f32]) -> Self {
        assert!(got.len() == want.len() && !got.is_empty(), "tensors of one shape are compared");
        let apart = |(got, want): (&f32, &f32)| if got.is_finite() { (got - want).abs() } else { f32::INFINITY };
        let mut apart: Vec<f32> = got.iter().zip(want).map(apart).collect();
        let mean = apart.iter().map(|&value| f64::from(value)).sum::<f64>() / apart.len() as f64;
        let max = apart.iter().copied().fold(0.0, f32::max);
        // Of n values in order, the one below or at which 99.9 % lie.
        let rank = (apart.len() * 999).div_ceil(1000) - 1;
        let (_, &mut p999, _) = apart.select_nth_unstable_by(rank, f32::total_cmp);
        Self { max, mean, p999, non_finite: got.iter().filter(|value| !value.is_finite()).count() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_their_size_and_their_spread() {
        let want = vec![1.0; 2000];
        let mut got = want.clone();
        (got[7], got[8], got[9]) = (1.5, 0.75, 1.125);
        let found = Difference::between(&got, &want);
        assert_eq!(found, Difference { max: 0.5, mean: 0.875 / 2000.0, p999: 0.125, non_finite: 0 });
        assert_eq!(Difference::between(&want, &want), Difference { max: 0.0, mean: 0.0, p999: 0.0, non_finite: 0 });
    }

    #[test]
    fn what_is_no_number_is_infinitely_far() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let found = Difference::between(&[0.0, value], &[0.0, 0.0]);
            assert_eq!((found.max, found.non_finite), (f32::INFINITY, 1));
        }
    }
}
