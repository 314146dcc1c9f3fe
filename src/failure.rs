//! How a command ends when it does not end well: one line, one hint, one exit code.

use std::fmt;

use crate::inference::{ArrayError, CatalogueError, ImportError, InferenceError, RuntimeError};
use crate::ingest::TreeError;
use crate::job::Disposition;
use crate::store::StoreError;

/// Exit codes, a contract with scripts and service managers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Failed at run time.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Another process is at work on the same state.
    AlreadyRunning = 69,
    /// Database or disk.
    Disk = 74,
    /// Configuration, runtime or models are wrong: starting again will not help.
    Configuration = 78,
}

/// A command's failure.
#[derive(Debug)]
pub struct Failure {
    /// The process ends with this.
    pub exit: Exit,
    /// What happened, with the cause chain.
    pub error: anyhow::Error,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a hint.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>, hint: impl Into<Option<String>>) -> Self {
        Self { exit, error: error.into(), hint: hint.into() }
    }

    /// A failure that is only a sentence.
    pub fn text(exit: Exit, message: impl fmt::Display, hint: impl Into<Option<String>>) -> Self {
        Self { exit, error: anyhow::anyhow!("{message}"), hint: hint.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::AlreadyRunning { .. } => Exit::AlreadyRunning,
            StoreError::NetworkFileSystem { .. } => Exit::Configuration,
            StoreError::StateDirectory { .. }
            | StoreError::NewerSchema { .. }
            | StoreError::Damaged { .. }
            | StoreError::Unexpected(_)
            | StoreError::Database { .. } => Exit::Disk,
            StoreError::Absent { .. }
            | StoreError::StaleClaim { .. }
            | StoreError::NoSuchJob(_)
            | StoreError::OtherRecipe { .. }
            | StoreError::WrongState { .. } => Exit::Failed,
        };
        let hint = error.hint();
        Self::new(exit, error, hint)
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Configuration, error, hint.map(Into::into))
    }
}

impl From<CatalogueError> for Failure {
    /// The catalogue is wrong (78), or the disk it lies on (74).
    fn from(error: CatalogueError) -> Self {
        let hint = error.hint();
        let exit = if error.is_about_the_disk() { Exit::Disk } else { Exit::Configuration };
        Self::new(exit, error, hint.map(Into::into))
    }
}

impl From<ArrayError> for Failure {
    /// A file named on the command line that is not what the command takes.
    fn from(error: ArrayError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Usage, error, hint.map(Into::into))
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Configuration, error, hint.map(Into::into))
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        let hint = error.hint();
        Self::new(Exit::Configuration, error, hint.map(Into::into))
    }
}

impl From<InferenceError> for Failure {
    /// Outside a job, an inference error that no job could survive is a matter of configuration.
    fn from(error: InferenceError) -> Self {
        let exit = match error.disposition() {
            Disposition::Fatal => Exit::Configuration,
            Disposition::Permanent | Disposition::Transient => Exit::Failed,
        };
        let hint = error.hint();
        Self::new(exit, error, hint.map(Into::into))
    }
}

impl From<ImportError> for Failure {
    /// The file is to blame (1), or the models directory (78), or the disk (74).
    fn from(error: ImportError) -> Self {
        let hint = error.hint().map(Into::into);
        let exit = match error {
            _ if error.is_about_the_directory() => Exit::Configuration,
            ImportError::Catalogue(error) => return error.into(),
            ImportError::Device(error) => return error.into(),
            ImportError::Write { .. } => Exit::Disk,
            ImportError::Id { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::new(exit, error, hint)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Disk, error, None)
    }
}
