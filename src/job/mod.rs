//! Pure: the life of a job, and what an outcome means for it.
//!
//! Knows no files, no database and no clock: `now` and randomness come in as arguments. The ledger in `store/` carries
//! out what is decided here.

mod disposition;
mod recipe;
mod recipes;
mod settlement;
mod state;
mod time;

pub use disposition::Disposition;
pub use recipe::{OutputRecipe, PIPELINE_VERSION, Recipe, RecipeFacts, SceneRecipe, WeightsRef};
pub use recipes::Recipes;
pub use settlement::{Outcome, RetryPolicy, Settlement};
pub use state::{JobState, ParseStateError, TRANSITIONS, Trigger};
pub use time::UnixMillis;

#[cfg(test)]
pub(crate) use recipe::tests::facts as test_facts;
