//! stub
use super::Failure;
use crate::cli::Form;
use crate::config::Settings;
pub(super) async fn bench(_settings: &Settings, _runs: u32, _form: Form) -> Result<(), Failure> { todo!() }
