//! A directory for measurements that is gone afterwards. Never inside an ingest root or an output tree.

use std::path::{Path, PathBuf};

use crate::config::Settings;

/// Removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A name beside the ledger, so that its disk is measured; where there is no ledger yet, in the system's directory for
    /// temporary files. Whoever writes first creates it.
    pub(super) fn beside_the_ledger(settings: &Settings) -> Self {
        let parent = if settings.state.is_dir() { settings.state.clone() } else { std::env::temp_dir() };
        Self { path: parent.join(format!("bench-{}", std::process::id())) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies under a name that says what it was; the measurement stands all the same.
        if let Err(error) = std::fs::remove_dir_all(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("Left {} behind: {error}", self.path.display());
        }
    }
}
