//! What an ingest thread says to the rest of the house.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{FileSignature, RootIdentity};
use crate::digest::Digest;
use crate::routing::Decision;

/// A rested, hashed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StableFile {
    /// Collection name.
    pub collection: String,
    /// Path below the root.
    pub relative: PathBuf,
    /// Its state before and after it was hashed.
    pub signature: FileSignature,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// State of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootState {
    /// The directory is there and is the one that is expected.
    Online,
    /// It is not; nothing is concluded about its files.
    Offline {
        /// One line, why.
        reason: String,
    },
}

/// Why a file is not believed yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WaitReason {
    /// It changed, or was first seen, less than the rest period ago.
    Resting {
        /// The rest period.
        rest: Duration,
    },
    /// It has no bytes; scanners and copies begin so.
    Empty,
    /// The sidecar beside it has not been read as it is now.
    Sidecar,
    /// The marker beside it is missing.
    NoMarker,
    /// It is larger than what is taken.
    TooLarge {
        /// Its size, MiB.
        mib: u64,
        /// The limit, MiB.
        limit_mib: u64,
    },
    /// The system does not let us read it.
    Unreadable {
        /// The system's answer.
        answer: String,
    },
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resting { rest } => write!(f, "it has not been unchanged for {rest:?} yet"),
            Self::Empty => f.write_str("the file is empty"),
            Self::Sidecar => f.write_str("the sidecar beside it does not rest yet, or cannot be read"),
            Self::NoMarker => f.write_str("there is no file of its name with .done appended beside it"),
            Self::TooLarge { mib, limit_mib } => write!(f, "the file has {mib} MiB, more than the limit of {limit_mib} MiB"),
            Self::Unreadable { answer } => write!(f, "it cannot be read: {answer}"),
        }
    }
}

/// A file that is not believed yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WaitingFile {
    /// Path below the root.
    pub relative: PathBuf,
    /// Why.
    pub reason: WaitReason,
}

/// What an ingest thread says.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A file that can be recorded.
    Stable(StableFile),
    /// A root's state: at the start, and when state or mode changed.
    Root {
        /// Collection name.
        collection: String,
        /// Identity when online.
        identity: Option<RootIdentity>,
        /// State.
        state: RootState,
        /// `watch`, `poll`, or `watch+poll` when some mounts below the root have no events.
        mode: &'static str,
    },
    /// What the sidecar beside a scan says: before the scan is reported, and when it changed.
    Sidecar {
        /// Collection name.
        collection: String,
        /// Path of the scan below the root; it need not be there.
        relative: PathBuf,
        /// In which state it was read, and the decision, or in one line what is wrong with it; `None`: it is gone.
        found: Option<(FileSignature, Result<Decision, String>)>,
    },
    /// All files that wait, sorted by path, when that changed.
    Waiting {
        /// Collection name.
        collection: String,
        /// The files.
        files: Vec<WaitingFile>,
    },
    /// A full look at an online root is over.
    SweepDone {
        /// Collection name.
        collection: String,
        /// Scans seen, known ones included.
        seen: u64,
        /// Reported as stable since the end of the look before.
        stable: u64,
        /// Waiting at its end.
        waiting: u64,
        /// Other files passed over because of their names.
        ignored: u64,
        /// How long it took.
        duration: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_to_wait_is_one_line_for_an_operator() {
        let reasons = [
            WaitReason::Resting { rest: Duration::from_secs(10) },
            WaitReason::Empty,
            WaitReason::NoMarker,
            WaitReason::Sidecar,
            WaitReason::TooLarge { mib: 3, limit_mib: 2 },
            WaitReason::Unreadable { answer: "Permission denied".to_owned() },
        ];
        for reason in &reasons {
            let text = reason.to_string();
            assert!(!text.is_empty() && !text.contains('\n') && !text.ends_with('.'), "{text}");
        }
        assert!(reasons[0].to_string().contains("10s"));
    }
}
