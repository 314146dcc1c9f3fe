//! The denoiser: a grey plane without its noise.

use super::options::Treatment;
use super::pool::Pool;
use super::session::{Input, Network, Place};
use super::{InferenceError, Provider};
use crate::imaging::{Plane, Size};

/// Sessions kept on the card, where each serves one size: a full-size picture comes in tiles of at most three sizes a row.
const SESSIONS: usize = 3;

/// Size of the trial session that shows at the start that the model can be used.
const TRIAL: Size = Size::new(64, 64);

/// The denoising network and its sessions.
#[derive(Debug)]
pub(super) struct Denoiser {
    id: String,
    model: Vec<u8>,
    /// By size on the card; under `None` on the processor, where one session serves all sizes.
    pool: Pool<Option<Size>, Network>,
}

impl Denoiser {
    /// Loads the network, so that a model which cannot be used is found before a scan is.
    pub(super) fn open(place: &Place, id: String, model: Vec<u8>) -> Result<Self, InferenceError> {
        let mut denoiser = Self { id, model, pool: Pool::new(SESSIONS) };
        let Self { id, model, pool } = &mut denoiser;
        let key = key(place.provider, TRIAL);
        pool.run(&key, || open(place, id, model, key), |_| Ok(()))?;
        Ok(denoiser)
    }

    /// Cleans a plane in 0..=1 whose noise has deviation `sigma`, in code values of 255.
    pub(super) fn clean(&mut self, place: &Place, grey: &Plane, sigma: f32) -> Result<Plane, InferenceError> {
        let (padded, size) = (padded(grey), even(grey.size()));
        let sigma = [sigma / 255.0];
        let key = key(place.provider, size);
        let Self { id, model, pool } = self;
        let (width, height) = (size.width as usize, size.height as usize);
        let clean = pool.run(
            &key,
            || open(place, id, model, key),
            |network| {
                let picture = Input { name: "grey", shape: &[1, 1, height, width], data: &padded };
                network.run(&[picture, Input { name: "sigma", shape: &[1], data: &sigma }], "clean", width * height)
            },
        )?;
        let broken = clean.iter().filter(|value| !value.is_finite()).count();
        if broken > 0 {
            return Err(InferenceError::NonFinite { network: id.clone(), detail: format!("{broken} pixels") });
        }
        Ok(cut(&clean, width, grey.size()))
    }

    /// Lets the sessions go; whether there was one.
    pub(super) fn clear(&mut self) -> bool {
        self.pool.clear()
    }
}

/// On the card a session is bound to one size: its arithmetic on shapes is done when it is loaded instead of on the
/// processor, and cuDNN plans its convolutions once.
fn key(provider: Provider, size: Size) -> Option<Size> {
    match provider {
        Provider::Cuda => Some(size),
        Provider::Cpu => None,
    }
}

fn open(place: &Place, id: &str, model: &[u8], size: Option<Size>) -> Result<Network, InferenceError> {
    match size {
        Some(size) => Network::open(place, id, model, Treatment::Fixed(&[("height", size.height), ("width", size.width)])),
        None => Network::open(place, id, model, Treatment::Free),
    }
}

/// The network works at half resolution and wants even sides.
const fn even(size: Size) -> Size {
    Size::new(size.width.next_multiple_of(2), size.height.next_multiple_of(2))
}

/// The plane with its last column and row repeated where a side is odd.
fn padded(grey: &Plane) -> Vec<f32> {
    let (from, to) = (grey.size(), even(grey.size()));
    let mut data = Vec::with_capacity(grey.data().len() + (to.width + to.height) as usize);
    for y in 0..to.height {
        let row = grey.row(y.min(from.height - 1));
        data.extend_from_slice(row);
        data.extend(row.last().filter(|_| to.width > from.width));
    }
    data
}

/// Cuts the padding away again.
fn cut(data: &[f32], stride: usize, size: Size) -> Plane {
    let rows = data.chunks_exact(stride).take(size.height as usize);
    let kept = rows.flat_map(|row| &row[..size.width as usize]).copied().collect();
    Plane::new(size, kept).expect("cutting rows of the padded size gives the size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sides_are_filled_by_repetition_and_cut_again() {
        let grey = Plane::new(Size::new(3, 1), vec![1.0, 2.0, 3.0]).unwrap();
        let filled = padded(&grey);
        assert_eq!(filled, [1.0, 2.0, 3.0, 3.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(cut(&filled, 4, grey.size()), grey);
    }

    #[test]
    fn even_sides_stay_as_they_are() {
        let grey = Plane::new(Size::new(2, 2), vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(padded(&grey), grey.data());
    }
}
