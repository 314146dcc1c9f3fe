//! `models import`.

use super::{Exit, Failure};
use crate::cli::Import;
use crate::config::Settings;

pub(super) fn import(_settings: &Settings, _request: &Import) -> Result<(), Failure> {
    Err(Failure::text(Exit::Failed, "not built yet", None))
}
