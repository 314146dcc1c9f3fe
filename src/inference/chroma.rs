//! Chroma as a session gives it, and as everybody else wants it.

use std::sync::Arc;

use super::resident::Arrived;
use crate::imaging::{ChromaPlanes, Plane, Size};

/// a* and b* of one picture at the size of the network's input, finite or not.
#[derive(Debug)]
pub(super) enum Chroma {
    /// Planes.
    Planes(ChromaPlanes),
    /// Where they came from the card, in the number format they had there.
    Arrived {
        /// Of all pictures of the run.
        result: Arc<Arrived>,
        /// Which of them.
        picture: usize,
        /// Of each.
        size: Size,
    },
}

impl Chroma {
    /// Planes, if need be made here: it touches new memory for milliseconds, so it is for the thread that wants the picture and
    /// not for the one that keeps the card at work.
    pub(super) fn into_planes(self) -> ChromaPlanes {
        match self {
            Self::Planes(planes) => planes,
            Self::Arrived { result, picture, size } => {
                let pixels = size.width as usize * size.height as usize;
                let [a, b] = [2 * picture, 2 * picture + 1].map(|plane| {
                    Plane::new(size, result.values(plane * pixels, pixels)).expect("a picture has two planes of its size")
                });
                ChromaPlanes { a, b }
            }
        }
    }
}
