//! Gathers what the stages found into the provenance record.

use std::path::Path;

use super::Finished;
use crate::digest::Digest;
use crate::provenance::{JobRecord, Record};

pub(super) mod assemble;

/// A derivative and the record of its making, not published yet.
#[derive(Debug)]
pub struct Made {
    /// The file.
    pub finished: Finished,
    /// Its record.
    pub record: Record,
}

/// A scan's file, as records tell of it.
#[derive(Debug)]
pub struct ScanFile<'a> {
    /// The ingest root, where there is one.
    pub root: Option<&'a Path>,
    /// Path below it.
    pub relative: &'a Path,
    /// Bytes of it.
    pub length: u64,
    /// Their SHA-256.
    pub digest: Digest,
    /// Which job.
    pub job: JobRecord,
}
