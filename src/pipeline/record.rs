//! Gathers what the stages found into the provenance record.

use super::Finished;
use crate::provenance::Record;

pub(super) mod assemble;

/// A derivative and the record of its making, not published yet.
#[derive(Debug)]
pub struct Made {
    /// The file.
    pub finished: Finished,
    /// Its record.
    pub record: Record,
}
