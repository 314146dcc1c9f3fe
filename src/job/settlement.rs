//! Turns how an attempt ended into what happens to the job.

use std::time::Duration;

use super::{Disposition, JobState, Trigger, UnixMillis};

/// How an attempt ended, as far as the queue cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Derivative and record are in place.
    Published,
    /// The route was "leave it".
    Skipped,
    /// An error, sorted by what should happen next.
    Failed(Disposition),
    /// The attempt was given back by a shutdown before it did anything lasting.
    Interrupted,
    /// The scan's ingest root is not there; nothing is concluded from that.
    SourceOffline,
    /// The device had no memory for the scan, whatever was tried.
    NoMemory,
    /// Found `running` when the process started: an earlier process died over it.
    FoundRunning,
}

/// How often a job may fail, and how long it waits in between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Charged failures after which a job is given up; at least 1.
    pub attempts: u32,
    /// Upper bound of the first wait.
    pub base: Duration,
    /// Upper bound of every wait.
    pub cap: Duration,
}

impl RetryPolicy {
    /// Full-jitter backoff: a uniform wait in `0..=min(cap, base · 2^(failures − 1))`.
    ///
    /// `failures` counts the failure just charged, `jitter` is uniform in 0..=1. Spreading over the whole range keeps a
    /// batch that failed together from coming back together (Brooker, "Exponential Backoff and Jitter", 2015).
    pub fn backoff(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(32);
        let bound = self.base.as_secs_f64() * f64::from(doublings).exp2();
        Duration::from_secs_f64(bound.min(self.cap.as_secs_f64()) * jitter.clamp(0.0, 1.0))
    }
}

/// The one thing that happens to a job when an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// To `completed`.
    Complete,
    /// To `skipped`.
    Skip,
    /// To `rejected`; charged.
    Reject,
    /// Back to `pending`, charged, not before the given moment.
    Retry {
        /// Earliest moment of the next claim.
        not_before: UnixMillis,
    },
    /// To `exhausted`; charged.
    Exhaust,
    /// Back to `pending`, uncharged.
    Release {
        /// Earliest moment of the next claim.
        not_before: UnixMillis,
    },
}

/// How long a job whose root is offline waits before its root is looked for again.
const OFFLINE_WAIT: Duration = Duration::from_secs(30);

/// How long a job waits for which the device had no memory: finding that out again costs a decoding and a line in the log, and whoever
/// took the memory seldom gives it back at once. A start looks again at once.
const MEMORY_WAIT: Duration = Duration::from_secs(600);

impl Settlement {
    /// Decides what an outcome means.
    ///
    /// `failures` is what had been charged since the last operator retry, before this attempt; `jitter` is uniform in
    /// 0..=1.
    pub fn decide(outcome: Outcome, failures: u32, policy: &RetryPolicy, now: UnixMillis, jitter: f64) -> Self {
        match outcome {
            Outcome::Published => Self::Complete,
            Outcome::Skipped => Self::Skip,
            Outcome::Failed(Disposition::Permanent) => Self::Reject,
            Outcome::Failed(Disposition::Fatal) | Outcome::Interrupted => Self::Release { not_before: now },
            Outcome::SourceOffline => Self::Release { not_before: now.plus(OFFLINE_WAIT) },
            Outcome::NoMemory => Self::Release { not_before: now.plus(MEMORY_WAIT) },
            Outcome::Failed(Disposition::Transient) | Outcome::FoundRunning => {
                let charged = failures.saturating_add(1);
                if charged >= policy.attempts {
                    Self::Exhaust
                } else {
                    Self::Retry { not_before: now.plus(policy.backoff(charged, jitter)) }
                }
            }
        }
    }

    /// The state the job is in afterwards.
    pub const fn state(self) -> JobState {
        match self {
            Self::Complete => JobState::Completed,
            Self::Skip => JobState::Skipped,
            Self::Reject => JobState::Rejected,
            Self::Exhaust => JobState::Exhausted,
            Self::Retry { .. } | Self::Release { .. } => JobState::Pending,
        }
    }

    /// When the job may be claimed again, if it may.
    pub const fn not_before(self) -> Option<UnixMillis> {
        match self {
            Self::Retry { not_before } | Self::Release { not_before } => Some(not_before),
            Self::Complete | Self::Skip | Self::Reject | Self::Exhaust => None,
        }
    }

    /// Whether the attempt counts against the job.
    pub const fn is_charged(self) -> bool {
        matches!(self, Self::Reject | Self::Exhaust | Self::Retry { .. })
    }

    /// The move it makes in the state machine.
    pub const fn trigger(self) -> Trigger {
        match self {
            Self::Complete => Trigger::Complete,
            Self::Skip => Trigger::Skip,
            Self::Reject => Trigger::Reject,
            Self::Exhaust => Trigger::Exhaust,
            Self::Retry { .. } => Trigger::Retry,
            Self::Release { .. } => Trigger::Release,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::TRANSITIONS;

    const NOW: UnixMillis = UnixMillis(1_000_000);
    const POLICY: RetryPolicy = RetryPolicy { attempts: 3, base: Duration::from_secs(5), cap: Duration::from_secs(60) };

    fn decide(outcome: Outcome, failures: u32) -> Settlement {
        Settlement::decide(outcome, failures, &POLICY, NOW, 1.0)
    }

    #[test]
    fn every_outcome_has_its_settlement() {
        let retry = |millis| Settlement::Retry { not_before: UnixMillis(NOW.0 + millis) };
        let table = [
            (Outcome::Published, 0, Settlement::Complete),
            (Outcome::Published, 2, Settlement::Complete),
            (Outcome::Skipped, 0, Settlement::Skip),
            (Outcome::Failed(Disposition::Permanent), 0, Settlement::Reject),
            (Outcome::Failed(Disposition::Transient), 0, retry(5_000)),
            (Outcome::Failed(Disposition::Transient), 1, retry(10_000)),
            (Outcome::Failed(Disposition::Transient), 2, Settlement::Exhaust),
            (Outcome::Failed(Disposition::Transient), 9, Settlement::Exhaust),
            (Outcome::Failed(Disposition::Fatal), 0, Settlement::Release { not_before: NOW }),
            (Outcome::Failed(Disposition::Fatal), 9, Settlement::Release { not_before: NOW }),
            (Outcome::Interrupted, 2, Settlement::Release { not_before: NOW }),
            (Outcome::SourceOffline, 2, Settlement::Release { not_before: UnixMillis(NOW.0 + 30_000) }),
            (Outcome::NoMemory, 2, Settlement::Release { not_before: UnixMillis(NOW.0 + 600_000) }),
            (Outcome::FoundRunning, 0, retry(5_000)),
            (Outcome::FoundRunning, 2, Settlement::Exhaust),
        ];
        for (outcome, failures, expected) in table {
            assert_eq!(decide(outcome, failures), expected, "{outcome:?} after {failures} failures");
        }
    }

    #[test]
    fn every_settlement_is_a_drawn_transition_out_of_running() {
        let settlements = [
            Settlement::Complete,
            Settlement::Skip,
            Settlement::Reject,
            Settlement::Exhaust,
            Settlement::Release { not_before: NOW },
            Settlement::Retry { not_before: NOW },
        ];
        for settlement in settlements {
            let drawn = (Some(JobState::Running), settlement.trigger(), settlement.state());
            assert!(TRANSITIONS.contains(&drawn), "{settlement:?}");
        }
    }

    #[test]
    fn backoff_doubles_to_the_cap_and_is_spread_over_the_whole_range() {
        let seconds = |failures, jitter| POLICY.backoff(failures, jitter).as_secs_f64();
        assert_eq!([1, 2, 3, 4, 5, 40].map(|failures| seconds(failures, 1.0)), [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]);
        assert_eq!(seconds(3, 0.0), 0.0);
        assert_eq!(seconds(3, 0.5), 10.0);
    }

    #[test]
    fn only_failures_are_charged() {
        assert!(decide(Outcome::Failed(Disposition::Permanent), 0).is_charged());
        assert!(decide(Outcome::FoundRunning, 0).is_charged());
        assert!(!decide(Outcome::Failed(Disposition::Fatal), 0).is_charged());
        assert!(!decide(Outcome::Published, 0).is_charged());
    }
}
