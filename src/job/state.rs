//! The states of a job and the moves between them.
//!
//! The same picture is drawn in `ARCHITECTURE.md`; a test holds the two against each other.

use std::fmt;
use std::str::FromStr;

/// Where a job stands. The lower-case words are the same in SQL, logs, JSON and on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Waiting to be claimed, perhaps not before a certain moment.
    Pending,
    /// Claimed by this process; found at start, it means that the process died over it.
    Running,
    /// Final: the derivative and its record are in the output tree.
    Completed,
    /// Final: nothing to colour, with a reason a registrar can read.
    Skipped,
    /// Final: the same bytes would fail again; the reason says why.
    Rejected,
    /// Final: given up after the configured number of failed attempts.
    Exhausted,
    /// Final: an operator, or a changed configuration, took it out of the queue.
    Cancelled,
}

impl JobState {
    /// Every state, in the order in which `status` lists them.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Running, Self::Completed, Self::Skipped, Self::Rejected, Self::Exhausted, Self::Cancelled];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to the job by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not a job state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a job state; states are pending, running, completed, skipped, rejected, exhausted, cancelled")]
pub struct ParseStateError(String);

impl FromStr for JobState {
    type Err = ParseStateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| ParseStateError(text.to_owned()))
    }
}

/// What moves a job from one state to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A rested, hashed scan met a recipe for the first time.
    Record,
    /// A worker took the job.
    Claim,
    /// The derivative was published, or one already in place was adopted.
    Complete,
    /// The scan needs no colour.
    Skip,
    /// A permanent failure.
    Reject,
    /// A transient failure, or the process died over it; charged.
    Retry,
    /// Too many charged failures.
    Exhaust,
    /// Handed back uncharged: shutdown, or no job can be done right now.
    Release,
    /// An operator's `retry`.
    OperatorRetry,
    /// An operator's `cancel`, or a recipe that is no longer configured.
    Cancel,
    /// A cancelled job whose recipe is configured again, or a scan given up because its bytes were not to be had, seen again.
    Reinstate,
}

impl Trigger {
    /// The word for it, as in the drawing and the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Claim => "claim",
            Self::Complete => "complete",
            Self::Skip => "skip",
            Self::Reject => "reject",
            Self::Retry => "retry",
            Self::Exhaust => "exhaust",
            Self::Release => "release",
            Self::OperatorRetry => "operator-retry",
            Self::Cancel => "cancel",
            Self::Reinstate => "reinstate",
        }
    }
}

/// Every allowed move: from (`None`: the job does not exist yet), by, to.
pub const TRANSITIONS: &[(Option<JobState>, Trigger, JobState)] = &[
    (None, Trigger::Record, JobState::Pending),
    (Some(JobState::Pending), Trigger::Claim, JobState::Running),
    (Some(JobState::Running), Trigger::Complete, JobState::Completed),
    (Some(JobState::Running), Trigger::Skip, JobState::Skipped),
    (Some(JobState::Running), Trigger::Reject, JobState::Rejected),
    (Some(JobState::Running), Trigger::Exhaust, JobState::Exhausted),
    (Some(JobState::Running), Trigger::Retry, JobState::Pending),
    (Some(JobState::Running), Trigger::Release, JobState::Pending),
    (Some(JobState::Pending), Trigger::Cancel, JobState::Cancelled),
    (Some(JobState::Skipped), Trigger::OperatorRetry, JobState::Pending),
    (Some(JobState::Rejected), Trigger::OperatorRetry, JobState::Pending),
    (Some(JobState::Exhausted), Trigger::OperatorRetry, JobState::Pending),
    (Some(JobState::Cancelled), Trigger::OperatorRetry, JobState::Pending),
    (Some(JobState::Rejected), Trigger::Reinstate, JobState::Pending),
    (Some(JobState::Exhausted), Trigger::Reinstate, JobState::Pending),
    (Some(JobState::Cancelled), Trigger::Reinstate, JobState::Pending),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Transitions in a Mermaid state diagram, as `(from, trigger, to)`; `[*]` is "does not exist yet".
    fn drawn(document: &str) -> Vec<(String, String, String)> {
        let mut lines: Vec<_> = document
            .lines()
            .skip_while(|line| !line.trim_start().starts_with("stateDiagram"))
            .take_while(|line| line.trim() != "```")
            .filter_map(|line| {
                let (from, rest) = line.trim().split_once(" --> ")?;
                let (to, trigger) = rest.split_once(": ")?;
                Some((from.to_owned(), trigger.to_owned(), to.to_owned()))
            })
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn the_drawing_in_the_architecture_is_the_code() {
        let mut coded: Vec<_> = TRANSITIONS
            .iter()
            .map(|(from, trigger, to)| {
                let from = from.map_or("[*]", JobState::as_str);
                (from.to_owned(), trigger.as_str().to_owned(), to.as_str().to_owned())
            })
            .collect();
        coded.sort();
        assert_eq!(drawn(include_str!("../../ARCHITECTURE.md")), coded);
    }

    #[test]
    fn a_final_state_is_left_only_by_an_operator_or_a_configuration() {
        for (from, trigger, _) in TRANSITIONS {
            if from.is_some_and(JobState::is_final) {
                assert!(matches!(trigger, Trigger::OperatorRetry | Trigger::Reinstate), "{from:?} {trigger:?}");
            }
        }
    }

    #[test]
    fn every_state_reads_back_from_its_word() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("done".parse::<JobState>().is_err());
    }
}
