//! The ledger and the audit log: the only room that speaks SQL.
//!
//! One writer connection, every write in `BEGIN IMMEDIATE`; readers see a snapshot and never block it. A method is a
//! domain verb. What an outcome means is decided in `job/`; this room carries it out, guarded by the claim number.

mod decision;
mod error;
mod ledger;
mod open;
mod operator;
mod recording;
mod reports;
mod roots;

pub use decision::{Decided, Said, Subject};
pub use error::StoreError;
pub use ledger::{ClaimedJob, Derivative, Ending, Further, Recovered};
pub use open::{Store, StoreLock, refuse_network_file_system};
pub use recording::Recorded;
pub use reports::{Counts, EventRow, JobDetail, JobFilter, JobRow, SightingRow};
pub use roots::{DaemonRow, RootRow, WaitingSample};

#[cfg(test)]
mod tests;
