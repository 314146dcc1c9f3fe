//! The three things an error can mean for the job it happened to.

/// Every module's error enum maps exhaustively to one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// The same bytes in the same program give the same result: the scan is rejected.
    Permanent,
    /// It may work later: retried with backoff, then given up.
    Transient,
    /// No job can be done right now: released uncharged, claiming stops.
    Fatal,
}
