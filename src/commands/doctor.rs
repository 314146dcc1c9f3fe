//! stub
use super::Failure;
use crate::cli::Form;
use crate::config::Loaded;
pub(super) async fn doctor(_loaded: Result<Loaded, Failure>, _form: Form) -> Result<(), Failure> { todo!() }
