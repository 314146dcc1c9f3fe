//! stub
use super::Failure;
use crate::cli::Form;
use crate::config::Loaded;
pub(super) fn check(_loaded: &Loaded) -> Result<(), Failure> { todo!() }
pub(super) fn show(_loaded: &Loaded, _form: Form) -> Result<(), Failure> { todo!() }
