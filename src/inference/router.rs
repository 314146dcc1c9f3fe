//! The scene network: what kind of picture is it.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::InferenceError;
use super::options::Treatment;
use super::pool::Pool;
use super::session::{Input, Network, Place};
use crate::imaging::Plane;
use crate::routing::SceneScores;

/// Side of the square that the network looks at, as it was trained.
const SIDE: u32 = 224;
const PIXELS: usize = (SIDE * SIDE) as usize;
/// Name of the network's output: portrait, architecture, other and, of networks that know pages, document.
const SCORES: &str = "scores";

/// The scene network and its session.
#[derive(Debug)]
pub(super) struct Router {
    id: String,
    model: Vec<u8>,
    pool: Pool<(), Network>,
    /// How many scores the network gives: 3, or 4 when it knows pages.
    count: usize,
}

impl Router {
    /// Loads the network, so that a model which cannot be used is found before a scan is.
    pub(super) fn open(place: &Place, id: String, model: Vec<u8>) -> Result<Self, InferenceError> {
        let mut pool = Pool::new(1);
        let open = || Network::open(place, &id, &model, Treatment::Fixed(&[]));
        let found = pool.run(&(), open, |network| Ok(network.last_dimension(SCORES)))?;
        let count = match found {
            Some(count @ 3..=4) => count,
            found => {
                let found = found.map_or_else(|| "an unknown number of scores".to_owned(), |count| format!("{count} scores"));
                return Err(InferenceError::Contract { network: id, found, expected: "3 or 4 scores".to_owned() });
            }
        };
        Ok(Self { id, model, pool, count })
    }

    /// Scores of a grey picture in 0..=1 of any size.
    pub(super) fn scores(&mut self, place: &Place, grey: &Plane) -> Result<SceneScores, InferenceError> {
        let square = squeeze(grey);
        let side = SIDE as usize;
        let Self { id, model, pool, count } = self;
        let open = || Network::open(place, id, model, Treatment::Fixed(&[]));
        let scores = pool.run(&(), open, |network| {
            let input = Input { name: "grey", shape: &[1, 1, side, side], data: &square };
            network.run(&[input], SCORES, *count)
        })?;
        if scores.iter().any(|score| !score.is_finite()) {
            return Err(InferenceError::NonFinite { network: id.clone(), detail: format!("scores {scores:?}") });
        }
        let document = scores.get(3).copied().unwrap_or(0.0);
        Ok(SceneScores { portrait: scores[0], architecture: scores[1], other: scores[2], document })
    }

    /// Lets the session go; whether there was one.
    pub(super) fn clear(&mut self) -> bool {
        self.pool.clear()
    }
}

/// The picture squeezed to the network's square, as in training: a triangle filter as wide as the reduction asks (no
/// aliasing), aspect ignored.
fn squeeze(grey: &Plane) -> Vec<f32> {
    let size = grey.size();
    let pixels: Vec<F32> = grey.data().iter().map(|&value| F32::new(value)).collect();
    let source = TypedImageRef::new(size.width, size.height, &pixels).expect("a plane holds width × height values");
    let mut square = TypedImage::new(SIDE, SIDE);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    match Resizer::new().resize_typed(&source, &mut square, &options) {
        Ok(()) => square.pixels().iter().map(|pixel| pixel.0).collect(),
        // Only a picture without pixels cannot be resized; it has nothing to show.
        Err(_) => vec![0.0; PIXELS],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Size;

    #[test]
    fn squeezing_keeps_flat_grey_and_averages_what_is_finer() {
        let flat = squeeze(&Plane::filled(Size::new(500, 333), 0.25));
        assert_eq!(flat.len(), PIXELS);
        assert!(flat.iter().all(|value| (value - 0.25).abs() < 1e-5));
        // Columns of black and white, finer than the square can show: without antialiasing some would survive.
        let size = Size::new(1120, 224);
        let stripes = (0..size.pixels()).map(|index| f32::from(u8::from(index % 2 == 0))).collect();
        let square = squeeze(&Plane::new(size, stripes).unwrap());
        assert!(square.iter().all(|value| (value - 0.5).abs() < 0.1), "{:?}", &square[..8]);
    }
}
