//! From typed text to validated meaning: which file, which values, where each came from, and every problem at once.
//!
//! Layers, the later over the earlier: defaults ([`keys`](self) lists them), the file, `AUTOCHROME__SECTION__KEY`
//! variables; for one collection its own keys over all of those. Rooms do not import this one: it builds their settings
//! structs. Whether directories exist, models match and the device is there is found out by those who use them.

mod build;
mod duration;
mod flatten;
mod keys;
mod layers;
mod machine;
mod problems;
#[cfg(test)]
mod reference;
mod settings;
mod values;
mod vocabulary;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use layers::{Effective, Origin};
pub use problems::{ConfigError, Problem};
pub use settings::{
    CollectionSettings, DenoiseScope, DenoiseSettings, Loaded, OutputChoice, OutputSettings, ProfileSettings, SceneSettings,
    Settings, WorkerSettings, WritingSettings,
};

impl Settings {
    /// Finds the file (`file`, else `$AUTOCHROME_CONFIG`, `./autochrome.toml`, `/etc/autochrome/autochrome.toml`), lays the
    /// environment over it and validates the whole. Without any file the defaults hold.
    ///
    /// # Errors
    /// The file cannot be read, or anything in it or in the environment is wrong: all problems are in the error.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Loaded, ConfigError> {
        let layers = layers::Layers::gather(file, environment)?;
        build::build(layers, &machine::Machine::this())
    }

    /// Ingest root and output trees of every collection: they must not lie in each other's way.
    pub fn trees(&self) -> Vec<(PathBuf, Vec<PathBuf>)> {
        let outputs = |one: &CollectionSettings| one.outputs.iter().map(|output| output.path.clone()).collect();
        self.collections.iter().map(|one| (one.ingest.clone(), outputs(one))).collect()
    }

    /// At least one collection: what `run` and `once` cannot do without.
    ///
    /// # Errors
    /// There is none; says which file was looked into.
    pub fn require_collections(&self) -> Result<(), ConfigError> {
        match self.collections.is_empty() {
            true => Err(ConfigError::NoCollection { file: self.file.clone() }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
