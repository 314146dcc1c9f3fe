//! An error with the stage it happened in, sorted by what should happen next.

use crate::codec::{DecodeError, EncodeError};
use crate::inference::InferenceError;
use crate::ingest::FixityError;
use crate::job::{Disposition, Outcome};
use crate::publish::PublishError;

/// Stage word of jobs that wait for their root; `once` does not wait for them.
pub(crate) const OFFLINE: &str = "offline";

/// Stage word of jobs for which the device had no memory; `once` does not wait for them either.
pub(crate) const NO_MEMORY: &str = "memory";

/// Stage words of all jobs that wait for something that comes from outside.
pub(crate) const WAITING: [&str; 2] = [OFFLINE, NO_MEMORY];

/// What makes a fatal condition go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It may pass by itself or by an operator's hand (a full volume): claiming pauses and tries again.
    Wait,
    /// This process cannot go on (a lost device): it drains and ends.
    Restart,
}

/// A failed attempt, ready for settlement.
#[derive(Debug)]
pub struct StageError {
    /// `read`, `sidecar`, `decode`, `denoise`, `route`, `network`, `recombine`, `encode`, `publish` or `panic`; `offline` and `memory` for jobs
    /// that wait.
    pub stage: &'static str,
    /// What should happen next.
    pub disposition: Disposition,
    /// For fatal errors, what it takes to go on.
    pub recovery: Recovery,
    /// One line: what happened, with its causes.
    pub reason: String,
    /// One line: what to do.
    pub hint: Option<String>,
}

/// The message and its causes in one line, as `anyhow`'s alternate form writes them.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors repeat their cause in their own text.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace(['\n', '\r'], " ")
}

impl StageError {
    /// A panic inside an attempt; `message` is what it said.
    pub fn panicked(message: &str) -> Self {
        Self {
            stage: "panic",
            disposition: Disposition::Transient,
            recovery: Recovery::Restart,
            reason: format!("the program hit a defect in itself while working on this scan: {message}"),
            hint: Some("please report it with the scan; `autochrome show` has the history".to_owned()),
        }
    }

    /// A scan that is not worked on, and nobody's fault but the caller's.
    pub fn refused(stage: &'static str, reason: String, hint: String) -> Self {
        let disposition = Disposition::Permanent;
        Self { stage, disposition, recovery: Recovery::Restart, reason, hint: Some(hint) }
    }

    /// A scan whose sidecar cannot be understood: coloured in spite of it, it would be coloured behind somebody's back.
    pub fn sidecar(reason: String) -> Self {
        Self::refused(
            "sidecar",
            reason,
            "mend the sidecar or take it away; a daemon then takes the scan up again by itself".to_owned(),
        )
    }

    /// Too little room on the output volume to begin.
    pub fn no_room(volume: &std::path::Path, free_mib: u64, floor_mib: u64) -> Self {
        Self {
            stage: "publish",
            disposition: Disposition::Fatal,
            recovery: Recovery::Wait,
            reason: format!(
                "output volume of {} has {free_mib} MiB free, less than the floor of {floor_mib} MiB",
                volume.display()
            ),
            hint: Some(
                "make room, or lower `output.min_free_mib`; `run` goes on by itself, `once` when it is started again".to_owned(),
            ),
        }
    }

    /// The scan's root is not there: nothing is concluded from it, and nothing is charged.
    pub fn offline(root: &std::path::Path) -> Self {
        Self {
            stage: OFFLINE,
            disposition: Disposition::Transient,
            recovery: Recovery::Wait,
            reason: format!("ingest root {} is offline", root.display()),
            hint: Some("bring the directory or its mount back; the job waits and is not charged".to_owned()),
        }
    }

    /// The job's collection, or its recipe, is not in the configuration at work.
    pub fn not_configured(collection: &str) -> Self {
        Self {
            stage: "read",
            disposition: Disposition::Transient,
            recovery: Recovery::Wait,
            reason: format!("collection {collection} or its recipe is not configured"),
            hint: Some("restart autochrome with the configuration that is meant".to_owned()),
        }
    }

    /// No memory on the device, whatever was tried: nothing is charged.
    pub fn no_memory(tried: &str) -> Self {
        Self {
            stage: NO_MEMORY,
            disposition: Disposition::Transient,
            recovery: Recovery::Wait,
            reason: format!("the device has no memory for this scan: {tried}"),
            hint: Some(
                "free memory on it, raise device.memory_mib, lower the heights of the scenes, or set device.provider to \"auto\" so that \
                 the processor may take over; the job waits and is not charged"
                    .to_owned(),
            ),
        }
    }

    /// What it means for the queue.
    pub fn outcome(&self) -> Outcome {
        match self.stage {
            OFFLINE => Outcome::SourceOffline,
            NO_MEMORY => Outcome::NoMemory,
            _ => Outcome::Failed(self.disposition),
        }
    }

    fn new(stage: &'static str, error: &dyn std::error::Error, disposition: Disposition, hint: Option<String>) -> Self {
        Self { stage, disposition, recovery: Recovery::Restart, reason: one_line(error), hint }
    }

    /// An error of the inference room in `stage`.
    pub fn inference(stage: &'static str) -> impl FnOnce(InferenceError) -> Self {
        move |error| match &error {
            InferenceError::OutOfMemory { .. } => Self::no_memory(&one_line(&error)),
            _ => Self::new(stage, &error, error.disposition(), error.hint().map(Into::into)),
        }
    }
}

impl From<FixityError> for StageError {
    fn from(error: FixityError) -> Self {
        Self::new("read", &error, error.disposition(), error.hint().map(Into::into))
    }
}

impl From<DecodeError> for StageError {
    fn from(error: DecodeError) -> Self {
        Self::new("decode", &error, error.disposition(), error.hint().map(Into::into))
    }
}

impl From<EncodeError> for StageError {
    fn from(error: EncodeError) -> Self {
        Self::new("encode", &error, error.disposition(), error.hint().map(Into::into))
    }
}

impl From<PublishError> for StageError {
    fn from(error: PublishError) -> Self {
        let hint = error.hint().map(Into::into);
        // A full or read-only volume is the operator's to mend while we wait.
        Self { recovery: Recovery::Wait, ..Self::new("publish", &error, error.disposition(), hint) }
    }
}
