//! The record every derivative carries: what made it, from what, and how.
//!
//! [`Record`] is the boundary type from which the JSON sidecar is made, and later every other export. Keys may be
//! added, never renamed (schema `autochrome-provenance/1`).

mod border;
mod levels;
mod parts;
mod record;

pub use border::BorderRecord;
pub use levels::LevelsRecord;
pub use parts::{
    ColourRecord, DenoiseRecord, DerivativeRecord, DeviceRecord, ExtentRecord, FallbackRecord, JobRecord, MetadataRecord,
    ModelRecord, NumericsRecord, PathRecord, PrecisionRecord, RecipeRecord, RouteRecord, ScoresRecord, SetbackRecord,
    SoftwareRecord, SourceRecord, WeightsRecord,
};
pub use record::{Record, SCHEMA};

/// The saturation of records made before there was a choice.
const fn as_the_network_gave_it() -> f32 {
    1.0
}
