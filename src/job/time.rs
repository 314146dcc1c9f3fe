//! A moment as the ledger stores it.

use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z. A value, not a clock: pure code receives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

/// For people and machines: RFC 3339, UTC, whole seconds. A moment beyond the calendar is shown as its number.
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.div_euclid(1_000)) {
            Ok(time) => time.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

impl UnixMillis {
    /// This moment moved by `duration`; stops at the largest representable moment.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_a_date_and_time_in_whole_seconds() {
        assert_eq!(UnixMillis(1_795_564_800_999).to_string(), "2026-11-25T00:00:00Z");
        assert_eq!(UnixMillis(-1).to_string(), "1969-12-31T23:59:59Z");
        assert_eq!(UnixMillis(i64::MAX).to_string(), i64::MAX.to_string());
    }
}
