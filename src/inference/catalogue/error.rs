//! What can be wrong with a catalogue.

use std::io;
use std::path::PathBuf;

use super::ModelKind;
use crate::digest::Digest;

/// What can be wrong with a catalogue or a model's file.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The catalogue is not there or cannot be read.
    #[error("model catalogue {} cannot be read", path.display())]
    Read {
        /// The catalogue.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The catalogue is not the TOML it should be.
    #[error("model catalogue {} line {line}: {message}", path.display())]
    Syntax {
        /// The catalogue.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// An entry is well-formed but wrong.
    #[error("model catalogue {}: model {id:?} {fault}", path.display())]
    Entry {
        /// The catalogue.
        path: PathBuf,
        /// The entry.
        id: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// No model has this id.
    #[error("no model {id:?} is in catalogue {}", path.display())]
    Unknown {
        /// The catalogue.
        path: PathBuf,
        /// The id asked for.
        id: String,
    },
    /// The model is for something else.
    #[error("model {id} is a {found} model, and a {wanted} model is asked for")]
    Kind {
        /// The model.
        id: String,
        /// What it is.
        found: ModelKind,
        /// What was asked for.
        wanted: ModelKind,
    },
    /// Exactly one model of a kind is needed.
    #[error("catalogue {} has {count} {kind} models, and exactly one is needed", path.display())]
    NotOne {
        /// The catalogue.
        path: PathBuf,
        /// The kind.
        kind: ModelKind,
        /// How many there are.
        count: usize,
    },
    /// The id is in use for another file.
    #[error("catalogue {} has a model {id:?} already, with other contents", path.display())]
    Taken {
        /// The catalogue.
        path: PathBuf,
        /// The id.
        id: String,
    },
    /// The catalogue or a model's file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A model's entry went, and its file could not.
    #[error("model {id} is out of the catalogue, and its file {} cannot be removed", path.display())]
    Remove {
        /// The model that was.
        id: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A model's file is not there or cannot be read.
    #[error("file {} of model {id} cannot be read", path.display())]
    File {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A model's file has another length than its pin says.
    #[error("file {} of model {id} has {found} bytes, and its pin says {expected}", path.display())]
    Length {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// Bytes of the file.
        found: u64,
        /// Bytes of the pin.
        expected: u64,
    },
    /// A model's file holds other bytes than the pinned ones.
    #[error("file {} of model {id} has SHA-256 {found}, and its pin says {expected}", path.display())]
    Mismatch {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// Digest of the file.
        found: Digest,
        /// Digest of the pin.
        expected: Digest,
    },
}

impl CatalogueError {
    /// Whether writing failed for another reason than that it is not allowed there: a full or failing disk.
    pub fn is_about_the_disk(&self) -> bool {
        let forbidden = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::NotFound];
        matches!(self, Self::Write { source, .. } | Self::Remove { source, .. } if !forbidden.contains(&source.kind()))
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("point `models` at the directory that holds models.toml, or restore it from the release"),
            Self::Syntax { .. } | Self::Entry { .. } => Some("correct models.toml, or restore it from the release"),
            Self::Unknown { .. } | Self::Kind { .. } | Self::NotOne { .. } => {
                Some("run `autochrome models list` to see the models there are")
            }
            Self::Taken { .. } => Some("choose another --id, or remove that model first"),
            Self::Write { .. } => Some("the models directory must be writable; `models` in the configuration says which it is"),
            Self::Remove { .. } => Some("remove the file by hand; nothing names it any more"),
            Self::File { .. } | Self::Length { .. } | Self::Mismatch { .. } => {
                Some("restore the file from where it came, or import it again; `autochrome models verify` looks at every file")
            }
        }
    }
}
