//! stub
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use crate::job::RetryPolicy;
/// Config errors: every problem at once.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError { /// stub
    #[error("stub")] Stub }
impl ConfigError { /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None } }
/// One collection.
#[derive(Debug, Clone)]
pub struct CollectionSettings { /// Name.
    pub name: String, /// Ingest root.
    pub ingest: PathBuf, /// Output root.
    pub output: PathBuf }
/// Workers.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings { /// Scans at once.
    pub count: usize, /// Memory of all, MiB.
    pub memory_mib: u64 }
/// Validated meaning.
#[derive(Debug, Clone)]
pub struct Settings {
    /// State directory.
    pub state: PathBuf,
    /// Models directory.
    pub models: PathBuf,
    /// Collections.
    pub collections: Vec<CollectionSettings>,
    /// Workers.
    pub workers: WorkerSettings,
    /// Retry.
    pub retry: RetryPolicy,
    /// Deadline of a tidy stop.
    pub shutdown_deadline: Duration,
}
/// Settings and where each value came from.
#[derive(Debug)]
pub struct Loaded { /// Settings.
    pub settings: Settings }
impl Settings {
    /// Loads.
    pub fn load(_file: Option<&Path>, _environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Loaded, ConfigError> { todo!() }
    /// At least one collection.
    pub fn require_collections(&self) -> Result<(), ConfigError> { todo!() }
}
