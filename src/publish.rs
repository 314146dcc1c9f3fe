//! stub
use std::path::{Path, PathBuf};
use crate::digest::Digest;
use crate::job::Disposition;
/// A derivative on its way out.
#[derive(Debug)]
pub struct Publication<'a> {
    /// Output root.
    pub output_root: &'a Path,
    /// Where below it.
    pub relative: &'a Path,
    /// The file's bytes.
    pub image: &'a [u8],
    /// The record's bytes.
    pub record: &'a [u8],
    /// Names unfinished files: `JOB-CLAIM`.
    pub fence: &'a str,
    /// Room that stays free, bytes.
    pub min_free_bytes: u64,
}
/// What lies at a derivative's place.
#[derive(Debug)]
pub enum Existing {
    /// Nothing.
    Nothing,
    /// A record whose image never came.
    RecordOnly,
    /// An image without a record.
    ImageOnly { /// Digest of the image.
        image_digest: Digest },
    /// Both.
    Both { /// Digest of the image.
        image_digest: Digest, /// The record's bytes.
        record: Vec<u8> },
}
/// Publish errors.
#[derive(Debug, thiserror::Error)]
pub enum PublishError { /// stub
    #[error("stub")] Stub }
impl PublishError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition { Disposition::Fatal }
    /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None }
}
/// `<stem>--<12 hex of source>-<8 hex of recipe>.<extension>` in the same sub-folder, every component safe.
pub fn derivative_path(_source: &Path, _digest: &Digest, _recipe: &Digest, _extension: &str) -> PathBuf { todo!() }
/// What lies there.
pub fn existing(_output_root: &Path, _relative: &Path) -> Result<Existing, PublishError> { todo!() }
/// Commits record, then image.
pub fn publish(_publication: &Publication<'_>) -> Result<(), PublishError> { todo!() }
/// Free bytes of the volume of `path` (of its nearest existing parent).
pub fn free_bytes(_path: &Path) -> std::io::Result<u64> { todo!() }
/// Removes unfinished files of earlier processes; returns how many.
pub fn sweep_parts(_output_root: &Path) -> std::io::Result<usize> { todo!() }
/// Writes a report (not a derivative) anew, atomically.
pub fn replace_file(_path: &Path, _bytes: &[u8]) -> std::io::Result<()> { todo!() }
