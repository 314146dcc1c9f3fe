//! `retry` and `cancel`: an operator's decisions.

use super::{Exit, Failure, print};
use crate::cli::Which;
use crate::config::Settings;
use crate::job::JobState;
use crate::pipeline::now;
use crate::store::{Store, StoreError};

pub(super) async fn retry(settings: &Settings, which: Which) -> Result<(), Failure> {
    decide(settings, which, Verb::Retry).await
}

pub(super) async fn cancel(settings: &Settings, which: Which) -> Result<(), Failure> {
    decide(settings, which, Verb::Cancel).await
}

#[derive(Clone, Copy)]
enum Verb {
    Retry,
    Cancel,
}

impl Verb {
    const fn past(self) -> &'static str {
        match self {
            Self::Retry => "back in the queue",
            Self::Cancel => "cancelled",
        }
    }

    const fn allows(self, state: JobState) -> bool {
        match self {
            Self::Retry => matches!(state, JobState::Rejected | JobState::Exhausted | JobState::Cancelled | JobState::Skipped),
            Self::Cancel => matches!(state, JobState::Pending),
        }
    }
}

async fn decide(settings: &Settings, which: Which, verb: Verb) -> Result<(), Failure> {
    let store = Store::open_beside_daemon(&settings.state).await?;
    let ids = match which.state {
        Some(state) if !verb.allows(state) => {
            let hint = "`autochrome jobs` lists the states".to_owned();
            return Err(Failure::text(Exit::Usage, format!("{state} jobs cannot be {}", verb.past()), hint));
        }
        Some(state) => store.ids_in(state).await?,
        None => which.ids,
    };
    let mut refused = Vec::new();
    let mut text = String::new();
    for id in ids {
        let done = match verb {
            Verb::Retry => store.retry(id, now()).await,
            Verb::Cancel => store.cancel(id, now()).await,
        };
        match done {
            Ok(()) => text.push_str(&format!("job {id}: {}\n", verb.past())),
            // One wrong number must not keep the others from being done.
            Err(error @ (StoreError::NoSuchJob(_) | StoreError::WrongState { .. })) => refused.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    if text.is_empty() && refused.is_empty() {
        text.push_str("no such jobs\n");
    }
    store.close().await;
    print(&text)?;
    if refused.is_empty() {
        return Ok(());
    }
    let hint = "`autochrome show ID` tells what happened to a job".to_owned();
    Err(Failure::text(Exit::Failed, refused.join("; "), hint))
}
