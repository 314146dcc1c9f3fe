//! The catalogue of models: which file does what, and the SHA-256 it must have.
//!
//! Reads `models.toml` and the files beside it. Says nothing about what is in a file: checkpoints are `ddcolor`'s to
//! read, ONNX models the runtime's.

mod edit;
mod entry;
mod error;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make and change their own files")]
mod tests;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::digest::Digest;

pub use edit::{CatalogueEdit, Removed};
pub(super) use entry::fault;
pub use entry::{Entry, FixedSize, ModelKind};
pub use error::CatalogueError;

/// Name of the catalogue inside a models directory.
const CATALOGUE: &str = "models.toml";

/// Whether a file is what its pin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// The bytes match the pin.
    Ok,
    /// There is no file.
    Missing,
    /// The file holds other bytes.
    Mismatch {
        /// Their digest.
        found: Digest,
    },
    /// The file cannot be read, and why.
    Unreadable(String),
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Missing => f.write_str("missing"),
            Self::Mismatch { found } => write!(f, "does not match its pin: the file has {found}"),
            Self::Unreadable(reason) => write!(f, "unreadable: {reason}"),
        }
    }
}

/// The catalogue of a models directory.
#[derive(Debug, Clone)]
pub struct Catalogue {
    directory: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    model: Vec<Entry>,
}

impl Catalogue {
    /// Reads `DIR/models.toml`. Unknown keys, double ids and files outside the directory are errors; whether the files
    /// are there is not asked yet.
    pub fn open(directory: &Path) -> Result<Self, CatalogueError> {
        let path = directory.join(CATALOGUE);
        let text = fs::read_to_string(&path).map_err(|source| CatalogueError::Read { path, source })?;
        Self::parse(directory, &text)
    }

    /// As [`Catalogue::open`], of a text that is already read.
    fn parse(directory: &Path, text: &str) -> Result<Self, CatalogueError> {
        let path = directory.join(CATALOGUE);
        let raw: Raw = toml::from_str(text).map_err(|error| syntax(&path, text, &error))?;
        for (index, entry) in raw.model.iter().enumerate() {
            let is_twin = raw.model[..index].iter().any(|earlier| earlier.id == entry.id);
            if let Some(fault) = fault(entry, is_twin) {
                return Err(CatalogueError::Entry { path, id: entry.id.clone(), fault });
            }
        }
        Ok(Self { directory: directory.to_owned(), entries: raw.model })
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry with this id, which must be of this kind.
    pub fn find(&self, id: &str, kind: ModelKind) -> Result<&Entry, CatalogueError> {
        let unknown = || CatalogueError::Unknown { path: self.directory.join(CATALOGUE), id: id.to_owned() };
        let entry = self.entries.iter().find(|entry| entry.id == id).ok_or_else(unknown)?;
        if entry.kind != kind {
            return Err(CatalogueError::Kind { id: id.to_owned(), found: entry.kind, wanted: kind });
        }
        Ok(entry)
    }

    /// The one entry of a kind (scene, denoise).
    pub fn only(&self, kind: ModelKind) -> Result<&Entry, CatalogueError> {
        let mut of_kind = self.entries.iter().filter(|entry| entry.kind == kind);
        match (of_kind.next(), of_kind.count()) {
            (Some(entry), 0) => Ok(entry),
            (first, more) => {
                let count = more + usize::from(first.is_some());
                Err(CatalogueError::NotOne { path: self.directory.join(CATALOGUE), kind, count })
            }
        }
    }

    /// Where an entry's file is.
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.directory.join(&entry.file)
    }

    /// Hashes a model's file without keeping it in memory, and refuses bytes that do not match the pin.
    pub fn check(&self, entry: &Entry) -> Result<(), CatalogueError> {
        let (path, file) = self.open_file(entry)?;
        let hashed = Digest::of_reader(file.take(entry.bytes.saturating_add(1)));
        let (found, length) =
            hashed.map_err(|source| CatalogueError::File { id: entry.id.clone(), path: path.clone(), source })?;
        matches_pin(entry, path, found, length)
    }

    /// Reads a model's file once, and refuses bytes that do not match the pin: what is used is what was hashed.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, CatalogueError> {
        let (path, file) = self.open_file(entry)?;
        // One allocation of the right size: growing would hold a large file twice.
        let mut bytes = Vec::with_capacity(usize::try_from(entry.bytes).unwrap_or(0).saturating_add(1));
        let read = file.take(entry.bytes.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|source| CatalogueError::File { id: entry.id.clone(), path: path.clone(), source })?;
        matches_pin(entry, path, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Opens a model's file. Its length is asked first, so that a wrong file of any size is refused without reading it.
    fn open_file(&self, entry: &Entry) -> Result<(PathBuf, File), CatalogueError> {
        let path = self.path(entry);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (found, file) = opened.map_err(|source| CatalogueError::File { id: entry.id.clone(), path: path.clone(), source })?;
        if found != entry.bytes {
            return Err(CatalogueError::Length { id: entry.id.clone(), path, found, expected: entry.bytes });
        }
        Ok((path, file))
    }

    /// Hashes the file.
    pub fn file_state(&self, entry: &Entry) -> FileState {
        let hashed = File::open(self.path(entry)).and_then(Digest::of_reader);
        match hashed {
            Ok((found, length)) if found == entry.sha256 && length == entry.bytes => FileState::Ok,
            Ok((found, _)) => FileState::Mismatch { found },
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileState::Missing,
            Err(error) => FileState::Unreadable(error.to_string()),
        }
    }
}

fn matches_pin(entry: &Entry, path: PathBuf, found: Digest, length: u64) -> Result<(), CatalogueError> {
    let id = entry.id.clone();
    if length != entry.bytes {
        return Err(CatalogueError::Length { id, path, found: length, expected: entry.bytes });
    }
    if found != entry.sha256 {
        return Err(CatalogueError::Mismatch { id, path, found, expected: entry.sha256 });
    }
    Ok(())
}

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> CatalogueError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    CatalogueError::Syntax { path: path.to_owned(), line, message: error.message().replace(['\n', '\r'], " ") }
}
