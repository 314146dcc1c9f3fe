//! `models remove`: a model that nothing uses goes.

use super::{Exit, Failure};
use crate::config::Settings;

pub(super) fn remove(_settings: &Settings, _id: &str) -> Result<(), Failure> {
    Err(Failure::text(Exit::Failed, "not built yet", None))
}
