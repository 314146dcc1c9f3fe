//! What can go wrong on the way into the output tree, and whose concern it is.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::job::Disposition;

/// A derivative did not reach its place.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The volume refuses to be written: full, over quota, read-only, without permission, or broken.
    #[error("output volume of {} cannot be used while {doing} it", path.display())]
    Volume {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Publishing would leave less room than the operator wants to stay free.
    #[error("output volume of {} has {free_mib} MiB free: publishing would leave less than the floor of {floor_mib} MiB", path.display())]
    NoRoom {
        /// The output root.
        path: PathBuf,
        /// Free now, MiB.
        free_mib: u64,
        /// What shall stay free, MiB.
        floor_mib: u64,
    },
    /// Another picture has the derivative's name.
    #[error("{} already holds different bytes", path.display())]
    Conflict {
        /// The place.
        path: PathBuf,
    },
    /// A sub-folder's name belongs to something that is no folder; links are not followed.
    #[error("{} is not a folder", path.display())]
    Obstructed {
        /// The place.
        path: PathBuf,
    },
    /// The path would leave the output tree.
    #[error("{} is not a path below the output root", path.display())]
    NotBelow {
        /// The path.
        path: PathBuf,
    },
    /// Anything else the system answered.
    #[error("{doing} {} went wrong", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

impl PublishError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Volume { .. } | Self::NoRoom { .. } => Disposition::Fatal,
            Self::Conflict { .. } | Self::NotBelow { .. } => Disposition::Permanent,
            Self::Obstructed { .. } | Self::Io { .. } => Disposition::Transient,
        }
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Volume { .. } => Some(
                "check that the volume is mounted writable, has room, and belongs to this user; `run` goes on by itself, `once` when it is started again",
            ),
            Self::NoRoom { .. } => {
                Some("make room, or lower `output.min_free_mib`; `run` goes on by itself, `once` when it is started again")
            }
            Self::Conflict { .. } => Some("move the other file away and retry the job; nothing was overwritten"),
            Self::Obstructed { .. } => Some("move the file or link away, or configure the folder it points to as the output"),
            Self::NotBelow { .. } | Self::Io { .. } => None,
        }
    }

    /// Sorts the system's answer: a condition of the whole volume, or of this file only.
    pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::IO) => {
                Self::Volume { doing, path, source }
            }
            Some(Errno::NOTDIR | Errno::LOOP) => Self::Obstructed { path },
            _ => Self::Io { doing, path, source },
        }
    }
}
