//! `models check`.

use super::{Exit, Failure};
use crate::cli::Check;
use crate::config::Settings;

pub(super) fn check(_settings: &Settings, _request: &Check) -> Result<(), Failure> {
    Err(Failure::text(Exit::Failed, "not built yet", None))
}
