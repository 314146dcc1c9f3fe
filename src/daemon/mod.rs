//! Builds the parts, owns the tokens, joins everything in flow order.
//!
//! Order at start: lock, trees, models and recipes, runtime, ledger, networks; only when all of that holds is a scan
//! claimed. Order at stop: intake ends, the ingest threads are joined, their last reports are written, the workers
//! settle what they hold, the ledger is closed.

mod intake;
mod parts;
mod run;
mod warm_up;

pub use intake::IntakeSummary;
pub use parts::{common_profile, profiles, used_models, workshop};
pub use run::{Ended, Mode, run};
