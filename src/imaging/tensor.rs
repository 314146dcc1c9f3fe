//! stub
use super::{ChromaPlanes, ModelExtent, Plane};
/// Pads the grey copy to the extent by reflection.
pub fn network_input(_grey: &Plane, _extent: &ModelExtent) -> Plane { todo!() }
/// Cuts the padding away.
pub fn crop_chroma(_chroma: ChromaPlanes, _extent: &ModelExtent) -> ChromaPlanes { todo!() }
