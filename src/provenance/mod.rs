//! The record every derivative carries: what made it, from what, and how.
//!
//! [`Record`] is the boundary type from which the JSON sidecar is made, and later every other export. Keys may be
//! added, never renamed (schema `autochrome-provenance/1`).

mod border;
mod record;

pub use border::BorderRecord;
pub use record::{
    ColourRecord, DenoiseRecord, DerivativeRecord, DeviceRecord, ExtentRecord, FallbackRecord, JobRecord, MetadataRecord,
    ModelRecord, NumericsRecord, PathRecord, PrecisionRecord, RecipeRecord, Record, RouteRecord, SCHEMA, ScoresRecord,
    SetbackRecord, SoftwareRecord, SourceRecord, WeightsRecord,
};

/// The saturation of records made before there was a choice.
const fn as_the_network_gave_it() -> f32 {
    1.0
}
