//! What can go wrong with the ledger.

use std::path::PathBuf;

use crate::job::{Disposition, JobState};

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the state directory.
    #[error("autochrome is already running on {} (pid {pid}, since {since})", state.display())]
    AlreadyRunning {
        /// The state directory.
        state: PathBuf,
        /// Who holds it.
        pid: String,
        /// Since when, as text.
        since: String,
    },
    /// The state directory cannot be used.
    #[error("state directory {} cannot be used", path.display())]
    StateDirectory {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// SQLite's write-ahead log needs shared memory of one host.
    #[error("state directory {} lies on a network file system ({kind})", path.display())]
    NetworkFileSystem {
        /// Which one.
        path: PathBuf,
        /// Its type.
        kind: &'static str,
    },
    /// The database was written by a newer program.
    #[error("the ledger {} has schema {found}, this program knows up to {known}", path.display())]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The database fails its own check.
    #[error("the ledger {} is damaged: {finding}", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// SQLite's first finding.
        finding: String,
    },
    /// There is no ledger yet.
    #[error("there is no ledger in {} yet", state.display())]
    Absent {
        /// The state directory.
        state: PathBuf,
    },
    /// The claim was settled by somebody else, or the job was taken back.
    #[error("claim {claim_no} of job {job} is no longer in force")]
    StaleClaim {
        /// Job id.
        job: i64,
        /// The claim's number.
        claim_no: i64,
    },
    /// No job has this id.
    #[error("there is no job {0}")]
    NoSuchJob(i64),
    /// The job is not in a state from which this is possible.
    #[error("job {job} is {state} and cannot be {verb}")]
    WrongState {
        /// Job id.
        job: i64,
        /// Its state.
        state: JobState,
        /// What was asked for.
        verb: &'static str,
    },
    /// No daemon was ever started with these settings of the collection.
    #[error("the settings of collection {collection} are not those that autochrome was started with")]
    OtherRecipe {
        /// Its name.
        collection: String,
    },
    /// A row holds what this program never writes.
    #[error("the ledger holds an unexpected value: {0}")]
    Unexpected(String),
    /// SQLite says no.
    #[error("the ledger cannot {doing}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// SQLite's own words.
        #[source]
        source: sqlx::Error,
    },
}

impl StoreError {
    /// What the error means for the job at hand.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::AlreadyRunning { .. }
            | Self::StateDirectory { .. }
            | Self::NetworkFileSystem { .. }
            | Self::NewerSchema { .. }
            | Self::Damaged { .. }
            | Self::Absent { .. }
            | Self::Unexpected(_)
            | Self::Database { .. } => Disposition::Fatal,
            Self::StaleClaim { .. } | Self::NoSuchJob(_) | Self::WrongState { .. } | Self::OtherRecipe { .. } => {
                Disposition::Permanent
            }
        }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::AlreadyRunning { .. } => Some("`autochrome status` works while it runs".to_owned()),
            Self::StateDirectory { .. } => Some("check that `state` names a directory this user may write to".to_owned()),
            Self::NetworkFileSystem { .. } => Some("set `state` to a directory on a local disk".to_owned()),
            Self::NewerSchema { .. } => Some("use the newer autochrome that wrote it, or restore a backup".to_owned()),
            Self::Damaged { .. } => Some("stop, keep the file, and restore the latest backup; nothing was changed".to_owned()),
            Self::Absent { .. } => Some("`autochrome once` or `autochrome run` creates it".to_owned()),
            Self::OtherRecipe { .. } => Some(
                "start `autochrome run` or `once` with this configuration first, or name the one in use with --config".to_owned(),
            ),
            Self::WrongState { .. } => Some("`autochrome show ID` tells what happened to it".to_owned()),
            // SQLITE_CORRUPT and SQLITE_NOTADB: <https://www.sqlite.org/rescode.html>.
            Self::Database { source: sqlx::Error::Database(error), .. }
                if matches!(error.code().as_deref(), Some("11" | "26")) =>
            {
                Some("the database file is damaged: stop, keep the file, and restore the latest backup".to_owned())
            }
            Self::Database { .. } => Some("check free space and rights of the state directory".to_owned()),
            Self::StaleClaim { .. } | Self::NoSuchJob(_) | Self::Unexpected(_) => None,
        }
    }

    /// For `map_err`: names what was being done.
    pub(super) fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }
}
