//! Whether jobs may be claimed at all: a full volume stops everybody, and everybody waits together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Waits after a fatal condition: 5 s, doubling to a minute. Long enough not to hammer a full volume, short enough that
/// work goes on while the operator who made room is still looking.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Pause {
    rounds: u32,
    until: Option<Instant>,
}

/// Open unless a fatal condition was met a short while ago.
#[derive(Debug, Default)]
pub struct Gate {
    pause: Mutex<Pause>,
}

impl Gate {
    /// Closes the gate for a while; each time in a row for longer.
    pub fn close(&self) {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if pause.until.is_some_and(|until| until > now) {
            return;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << pause.rounds.min(10)).min(LONGEST_WAIT);
        pause.rounds += 1;
        pause.until = Some(now + wait);
    }

    /// A job went through: the condition is over. Returns whether there had been one.
    pub fn open(&self) -> bool {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let was_closed = pause.rounds > 0;
        *pause = Pause::default();
        was_closed
    }

    /// Whether a condition was met and no job has gone through since.
    pub fn is_holding(&self) -> bool {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).rounds > 0
    }

    /// Until when claiming waits.
    pub fn closed_until(&self) -> Option<Instant> {
        let until = self.pause.lock().unwrap_or_else(PoisonError::into_inner).until?;
        (until > Instant::now()).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_up_to_a_minute_and_start_over_after_success() {
        let gate = Gate::default();
        for expected in [5, 10, 20, 40, 60, 60] {
            gate.close();
            gate.close();
            let wait = gate.closed_until().unwrap() - Instant::now();
            assert_eq!(wait, Duration::from_secs(expected));
            tokio::time::advance(wait).await;
            assert!(gate.closed_until().is_none());
        }
        assert!(gate.is_holding());
        assert!(gate.open() && !gate.is_holding());
        gate.close();
        assert_eq!(gate.closed_until().unwrap() - Instant::now(), FIRST_WAIT);
    }
}
