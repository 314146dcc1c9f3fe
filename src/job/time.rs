//! A moment as the ledger stores it.

use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z. A value, not a clock: pure code receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// This moment moved by `duration`; stops at the largest representable moment.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}
