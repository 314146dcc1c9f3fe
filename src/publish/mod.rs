//! Puts derivatives into the output tree so that a crash, a full disk or a second process cannot leave half of one.
//!
//! The record goes first and the image last, each written beside its place, flushed and renamed: a picture that can be
//! seen has its record. Nothing that already lies in the tree is ever overwritten, except a record whose picture never
//! came. This is the only room that creates files in an output tree; what is in them is for others to decide.

mod error;
mod folder;
mod names;
mod parts;
mod volume;

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::{Component, Path};

pub use error::PublishError;
pub use names::derivative_path;
pub use parts::{replace_file, sweep_parts};
pub use volume::free_bytes;

use crate::digest::Digest;
use folder::{Commit, Folder, Found};

/// A derivative on its way out.
#[derive(Debug)]
pub struct Publication<'a> {
    /// Output root; created when it is missing.
    pub output_root: &'a Path,
    /// Where the image goes below it, as [`derivative_path`] names it; the record goes beside it with `.json` appended.
    pub relative: &'a Path,
    /// The image file's bytes.
    pub image: &'a [u8],
    /// The record's bytes.
    pub record: &'a [u8],
    /// Names unfinished files: `JOB-CLAIM`, two decimal numbers.
    pub fence: &'a str,
    /// Room that stays free on the volume after publishing, bytes.
    pub min_free_bytes: u64,
}

/// What lies at a derivative's place.
#[derive(Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Nothing,
    /// A record whose image never came.
    RecordOnly,
    /// An image without a record.
    ImageOnly {
        /// SHA-256 of the image file.
        image_digest: Digest,
    },
    /// Both.
    Both {
        /// SHA-256 of the image file.
        image_digest: Digest,
        /// The record's bytes.
        record: Vec<u8>,
    },
}

/// A record is a few KiB; a file beyond this is none, and is not read into memory.
const MAX_RECORD_BYTES: u64 = 16 << 20;

/// Looks at a derivative's place without changing anything. A missing tree holds nothing.
pub fn existing(output_root: &Path, relative: &Path) -> Result<Existing, PublishError> {
    let (folders, name) = split(relative)?;
    let Some(root) = Folder::open(output_root)? else { return Ok(Existing::Nothing) };
    let Some(folder) = root.descend(&folders)? else { return Ok(Existing::Nothing) };
    let image = folder.open_file(name)?;
    let record = folder.open_file(&record_name(name))?;
    let Some(image) = image else {
        return Ok(if record.is_some() { Existing::RecordOnly } else { Existing::Nothing });
    };
    let (image_digest, _) = Digest::of_reader(image).map_err(|source| folder.failed("reading", name, source))?;
    let Some(record) = record else { return Ok(Existing::ImageOnly { image_digest }) };
    let mut bytes = Vec::new();
    let read = record.take(MAX_RECORD_BYTES).read_to_end(&mut bytes);
    read.map_err(|source| folder.failed("reading", &record_name(name), source))?;
    Ok(Existing::Both { image_digest, record: bytes })
}

/// Commits the record, then the image.
///
/// An image that is already there with the same bytes is kept and gets this record; with other bytes it is a conflict,
/// and neither it nor its record is touched.
pub fn publish(publication: &Publication<'_>) -> Result<(), PublishError> {
    let Publication { output_root, relative, image, record, fence, min_free_bytes } = *publication;
    let (folders, name) = split(relative)?;
    volume::require_room(output_root, min_free_bytes, (image.len() + record.len()) as u64)?;
    let folder = Folder::create(output_root)?.descend_creating(&folders)?;
    let record_name = record_name(name);
    let conflict = || PublishError::Conflict { path: output_root.join(relative) };
    match folder.compare(name, image)? {
        Found::Other => return Err(conflict()),
        Found::Same if folder.compare(&record_name, record)? == Found::Same => return Ok(()),
        Found::Same => return folder.write_part(&record_name, fence, record)?.replace(),
        Found::Nothing => {}
    }
    folder.write_part(&record_name, fence, record)?.replace()?;
    crate::faults::point("publish.between");
    match folder.write_part(name, fence, image)?.commit_new()? {
        Commit::Done => Ok(()),
        Commit::Taken if folder.compare(name, image)? == Found::Same => Ok(()),
        Commit::Taken => {
            // Somebody's picture came between: our record would tell lies about it.
            folder.remove_if_same(&record_name, record)?;
            Err(conflict())
        }
    }
}

fn record_name(name: &OsStr) -> OsString {
    let mut record = name.to_owned();
    record.push(".json");
    record
}

/// Sub-folders and file name of a relative path that goes nowhere but down.
fn split(relative: &Path) -> Result<(Vec<&OsStr>, &OsStr), PublishError> {
    let outside = || PublishError::NotBelow { path: relative.to_owned() };
    let plain = |component| match component {
        Component::Normal(name) => Ok(name),
        _ => Err(outside()),
    };
    let mut names = relative.components().map(plain).collect::<Result<Vec<_>, _>>()?;
    let name = names.pop().ok_or_else(outside)?;
    Ok((names, name))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests;
