//! Tries a new model before it is entered: its file read back, a session made of it, one small picture coloured.

use std::fs;
use std::path::Path;

use super::super::ddcolor::Weights;
use super::super::foreign;
use super::super::options::Treatment;
use super::super::session::{Input, Network, Place};
use super::super::{CatalogueError, EngineSettings, Entry, InferenceError, Precision, device, numerics, runtime};
use super::ImportError;
use super::part::Part;
use crate::digest::Digest;
use crate::imaging::{Plane, Size};

/// The picture: small, and every network of the family takes it.
const SIZE: Size = Size::new(64, 64);

/// The device a model will be tried on.
pub(super) struct Trial {
    place: Place,
}

impl Trial {
    /// Loads the runtime and decides on a device, as the daemon would.
    pub(super) fn prepare(settings: &EngineSettings) -> Result<Self, InferenceError> {
        let loaded = runtime::load(&runtime::locate_for(settings.provider)?)?;
        let (place, _) = device::choose(&loaded, settings)?;
        Ok(Self { place })
    }

    /// Colours a picture with a model's file, which must be the bytes that `entry` pins; with weights in FP32. Their graph is
    /// written into a file beside it for the while: with the runtime's own copy there would be three of Large's gigabyte.
    pub(super) fn run(&self, entry: &Entry, file: &Path) -> Result<(), ImportError> {
        let failed = |source| ImportError::Trial { id: entry.id.clone(), source: Box::new(source) };
        if entry.is_onnx() {
            return self.colour_with_theirs(entry, file).map_err(failed);
        }
        let mut graph = Part::create(file.parent().unwrap_or(Path::new(".")), &format!("{}.trial.onnx", entry.id))?;
        graph.write(&self.graph_of(entry, file).map_err(failed)?)?;
        graph.flush()?;
        self.colour(entry, graph.path()).map_err(failed)
    }

    fn colour_with_theirs(&self, entry: &Entry, file: &Path) -> Result<(), InferenceError> {
        let bytes = pinned(entry, file)?;
        let examined = foreign::examine(&bytes).map_err(|source| InferenceError::Foreign { model: entry.id.clone(), source })?;
        foreign::self_check(&self.place, &entry.id, &bytes, &examined)
    }

    fn colour(&self, entry: &Entry, graph: &Path) -> Result<(), InferenceError> {
        let mut network = Network::open_file(&self.place, &entry.id, graph, Treatment::ONCE)?;
        let picture = gradient();
        let (width, height) = (SIZE.width as usize, SIZE.height as usize);
        let rgb = picture.data().repeat(3);
        let input = Input { name: "rgb", shape: &[1, 3, height, width], data: &rgb };
        let ab = network.run(&[input], "ab", 2 * width * height)?;
        let (a, b) = ab.split_at(width * height);
        let found = numerics::Said::of(a, b);
        numerics::believed(&entry.id, &found, || numerics::deviation(&picture))
    }

    /// The file goes before the graph is made, the weights before the session is: never more than two copies of them.
    fn graph_of(&self, entry: &Entry, file: &Path) -> Result<Vec<u8>, InferenceError> {
        let bytes = pinned(entry, file)?;
        let weights = Weights::read(&bytes).map_err(|source| InferenceError::Checkpoint { model: entry.id.clone(), source })?;
        drop(bytes);
        Ok(weights.graph(SIZE, Precision::Fp32, self.place.provider))
    }
}

/// The bytes of a file, if they are what `entry` pins.
fn pinned(entry: &Entry, file: &Path) -> Result<Vec<u8>, InferenceError> {
    let unreadable = |source| CatalogueError::File { id: entry.id.clone(), path: file.to_owned(), source };
    let bytes = fs::read(file).map_err(unreadable)?;
    let found = Digest::of(&bytes);
    if found != entry.sha256 {
        let (id, path) = (entry.id.clone(), file.to_owned());
        return Err(CatalogueError::Mismatch { id, path, found, expected: entry.sha256 }.into());
    }
    Ok(bytes)
}

/// From black to white along the diagonal.
fn gradient() -> Plane {
    let (width, height) = (SIZE.width as usize, SIZE.height as usize);
    let steps = (width + height - 2) as f32;
    let data = (0..width * height).map(|i| (i % width + i / width) as f32 / steps).collect();
    Plane::new(SIZE, data).expect("width × height values")
}
