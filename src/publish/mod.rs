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
use folder::{Commit, Folder, Found, Part};

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
    publish_all(std::slice::from_ref(publication))
}

/// Commits several derivatives of one scan, all or none: what can fail for want of room or because of another file is tried before
/// anything gets its name, and what got it is taken back when another does not, as far as the volumes let it. A crash in the middle leaves
/// some, each with its record; whoever makes the rest anew finds those in place.
pub fn publish_all(publications: &[Publication<'_>]) -> Result<(), PublishError> {
    let mut places = Vec::with_capacity(publications.len());
    for publication in publications {
        let (folders, name) = split(publication.relative)?;
        let bytes = publications.iter().filter(|other| other.output_root == publication.output_root);
        let bytes: usize = bytes.map(|other| other.image.len() + other.record.len()).sum();
        volume::require_room(publication.output_root, publication.min_free_bytes, bytes as u64)?;
        let folder = Folder::create(publication.output_root)?.descend_creating(&folders)?;
        let found = folder.compare(name, publication.image)?;
        if found == Found::Other {
            return Err(publication.conflict());
        }
        places.push((folder, name, record_name(name), found));
    }
    let mut parts = Vec::with_capacity(publications.len());
    for ((folder, name, record_name, found), publication) in places.iter().zip(publications) {
        let Publication { image, record, fence, .. } = *publication;
        let is_recorded = *found == Found::Same && folder.compare(record_name, record)? == Found::Same;
        let record = if is_recorded { None } else { Some(folder.write_part(record_name, fence, record)?) };
        let image = if *found == Found::Same { None } else { Some(folder.write_part(name, fence, image)?) };
        parts.push((record, image));
    }
    let mut named = 0;
    let committed = parts.into_iter().enumerate().try_for_each(|(index, (record, image))| {
        if index > 0 {
            crate::faults::point("publish.next");
        }
        named = index + 1;
        record.map_or(Ok(()), Part::replace)?;
        let Some(image) = image else { return Ok(()) };
        crate::faults::point("publish.between");
        let ((folder, name, ..), publication) = (&places[index], &publications[index]);
        match image.commit_new()? {
            Commit::Done => Ok(()),
            Commit::Taken if folder.compare(name, publication.image)? == Found::Same => Ok(()),
            // Somebody's picture came between.
            Commit::Taken => Err(publication.conflict()),
        }
    });
    if committed.is_err() {
        // A record without its picture would tell lies, and a picture that its fellows lack is half a job. What cannot be removed is a
        // volume's fault, which the first error names; another attempt finds what is left.
        for ((folder, name, record_name, found), publication) in places[..named].iter().zip(publications) {
            if *found == Found::Nothing && folder.remove_if_same(name, publication.image).is_ok() {
                let _ = folder.remove_if_same(record_name, publication.record);
            }
        }
    }
    committed
}

impl Publication<'_> {
    fn conflict(&self) -> PublishError {
        PublishError::Conflict { path: self.output_root.join(self.relative) }
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
