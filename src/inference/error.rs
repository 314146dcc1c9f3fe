//! stub
use super::{CatalogueError, RuntimeError};
use crate::job::Disposition;
/// Inference errors.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// Catalogue.
    #[error(transparent)] Catalogue(#[from] CatalogueError),
    /// Runtime.
    #[error(transparent)] Runtime(#[from] RuntimeError),
}
impl InferenceError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition { Disposition::Fatal }
    /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None }
}
