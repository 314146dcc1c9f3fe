//! What can go wrong with an import.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::inference::ddcolor::CheckpointError;
use crate::inference::{CatalogueError, ForeignError, InferenceError};

/// Where a models directory that can be changed comes from.
const COPY: &str =
    "copy the bundled models directory to a place that can be written, and point `models` in the configuration at it";

/// Why a file did not become a model. Nothing of it is in the models directory then.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The catalogue cannot be read or changed.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The id cannot be one.
    #[error("model {id:?} {fault}")]
    Id {
        /// The id asked for.
        id: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The id belongs to another model.
    #[error("the catalogue has a model {id:?} already, made from another file")]
    Taken {
        /// The id.
        id: String,
    },
    /// A file that no entry names has the name that is needed.
    #[error("{} is in the way: no entry of the catalogue names it, and it holds other bytes", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// The model's file is there, and whether it is sound cannot be found out.
    #[error("{} cannot be read: {detail}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The file made again is not the file that is pinned.
    #[error("model {id} made again has SHA-256 {found}, and its pin says {expected}")]
    Differs {
        /// The model.
        id: String,
        /// Digest of the new file.
        found: Digest,
        /// Digest of the pin.
        expected: Digest,
    },
    /// The file to import cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file to import changed under the import.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file is of no kind that can be imported.
    #[error("{} is not a PyTorch checkpoint, safetensors or ONNX", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// A pickle without the zip archive around it, or the tar archive before that.
    #[error("{} is in the old pickle format of PyTorch", path.display())]
    OldPickle {
        /// The file.
        path: PathBuf,
    },
    /// The graph of others is not one that can be used.
    #[error("{} cannot become a model", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ForeignError,
    },
    /// Not a sound archive of tensors.
    #[error("{} is no sound checkpoint: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, in one line.
        detail: String,
    },
    /// The pickle wants something executed that is not PyTorch's own putting together of tensors.
    #[error("{} wants to call {callee} when it is read, and weights have nothing to call", path.display())]
    Calls {
        /// The file.
        path: PathBuf,
        /// What it names.
        callee: String,
    },
    /// The tensors are not a DDColor network.
    #[error("{} cannot become a model", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// The new file cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing to try the model on.
    #[error(transparent)]
    Device(InferenceError),
    /// The model was made and does not work.
    #[error("model {id} failed its trial and was not kept")]
    Trial {
        /// The model.
        id: String,
        /// How it failed.
        #[source]
        source: Box<InferenceError>,
    },
}

impl ImportError {
    /// Whether the models directory is not there or cannot be changed.
    pub fn is_about_the_directory(&self) -> bool {
        let forbidden = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound)
        };
        match self {
            Self::Catalogue(CatalogueError::Read { .. }) => true,
            Self::Catalogue(CatalogueError::Write { source, .. }) | Self::Write { source, .. } => forbidden(source),
            _ => false,
        }
    }

    /// What an operator can do.
    pub fn hint(&self) -> Option<&'static str> {
        if self.is_about_the_directory() {
            return Some(COPY);
        }
        match self {
            Self::Catalogue(error) => error.hint(),
            Self::Id { .. } => Some("choose an --id of letters, digits, - _ and ."),
            Self::Taken { .. } => Some("choose another --id, or remove that model first"),
            Self::InTheWay { .. } => Some("move that file away, or choose another --id"),
            Self::Differs { .. } => Some(
                "import it with the version of autochrome that it was first imported with, or remove the model and import it anew",
            ),
            Self::Changed { .. } => Some("wait until the file is complete, then import it again"),
            Self::Kind { .. } => Some("the authors' .pth or .pt, a .safetensors, or a DDColor-shaped .onnx can be imported"),
            Self::OldPickle { .. } => Some(
                "in PyTorch, load it with weights_only=True and save it again with torch.save(..., \
                 _use_new_zipfile_serialization=True)",
            ),
            Self::Foreign { source, .. } => source.hint(),
            Self::Damaged { .. } => Some("fetch the file again and compare its SHA-256 with the published one"),
            Self::Calls { .. } => Some("do not load this file in PyTorch; if it is your own, save model.state_dict() alone"),
            Self::Checkpoint { source, .. } => source.hint(),
            Self::Device(error) => error.hint(),
            Self::Trial { .. } => Some("compare the file's SHA-256 with the published one; `autochrome doctor` tries the device"),
            Self::Write { .. } => Some("make room in the models directory; `models` in the configuration says which it is"),
            Self::Read { .. } | Self::Unreadable { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Exit, Failure};

    #[test]
    fn a_directory_that_cannot_be_written_is_told_from_a_full_disk_and_a_bad_file() {
        let write = |kind: io::ErrorKind| Failure::from(ImportError::Write { path: "m/a".into(), source: kind.into() });
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            let failure = write(kind);
            assert_eq!((failure.exit, failure.hint.as_deref()), (Exit::Configuration, Some(COPY)));
        }
        assert_eq!(write(io::ErrorKind::StorageFull).exit, Exit::Disk);
        assert_eq!(Failure::from(ImportError::Kind { path: "a".into() }).exit, Exit::Failed);
    }
}
