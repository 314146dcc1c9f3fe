//! Turns settings into the parts of the house.
use std::collections::BTreeMap;
use crate::config::{CollectionSettings, Settings};
use crate::failure::Failure;
use crate::inference::{Catalogue, EngineSettings};
use crate::ingest::RootSettings;
use crate::pipeline::{Profile, Workshop};
/// The catalogue, and a profile for every collection.
pub fn profiles(_settings: &Settings) -> Result<(Catalogue, BTreeMap<String, Profile>), Failure> { todo!() }
/// Engine settings.
pub fn engine_settings(_settings: &Settings) -> EngineSettings { todo!() }
/// The networks, and the device report as JSON.
pub(super) fn workshop(_settings: &Settings, _catalogue: Catalogue, _profiles: &BTreeMap<String, Profile>) -> Result<(Workshop, String), Failure> { todo!() }
/// Root settings.
pub(super) fn root_settings(_settings: &Settings, _one: &CollectionSettings) -> RootSettings { todo!() }
