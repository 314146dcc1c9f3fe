//! One scan from claim to settlement, and the workers that do it.
//!
//! ```text
//!             ┌ a worker (one of `workers.count`), a scan at a time ───────────────────────────┐
//!  claim ───▶ │ read, header ▸ budget ▸ prepare ──▶ colorize ──▶ finish ──▶ publish │ ───▶ settle
//!             └────────────────────────│────────────────▲──────────────────────────────────────┘
//!                          Prepared    ▼                │ Coloured
//!                                 the inference thread: one owner of every session
//! ```
//!
//! Stage functions take values and return values: they see neither the queue nor the store nor the budget. Workers
//! overlap: while one waits for the inference thread, the others decode, recombine and encode.

mod attempt;
mod budget;
mod cost;
mod failure;
mod finish;
mod gate;
mod ladder;
mod prepare;
mod profile;
mod record;
mod stopwatch;
mod worker;

pub use attempt::{Attempt, Outcome, Workplace, Workshop, adopt, caught, make};
pub use budget::MemoryBudget;
pub use cost::cost_mib;
pub(crate) use failure::{NO_MEMORY, OFFLINE, WAITING};
pub use failure::{Recovery, StageError};
pub use finish::{Finished, VerifiedFile, depth_of, unaltered};
pub use gate::Gate;
pub use prepare::{NetworkCopy, Preparation, Prepared};
pub use profile::{ApplyTo, DenoiseProfile, ModelFacts, Output, OutputFormat, Profile, SceneProfile};
pub use record::{Made, ScanFile};
pub use stopwatch::Stopwatch;
pub(crate) use worker::now;
pub use worker::{Crew, CrewSettings, Settled};
