//! The catalogue of models: which file does what, and the SHA-256 it must have.
//!
//! Reads `models.toml` and the files beside it. Says nothing about what is in a file: checkpoints are `ddcolor`'s to
//! read, ONNX models the runtime's.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::digest::Digest;

/// Name of the catalogue inside a models directory.
const CATALOGUE: &str = "models.toml";

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Colour network, built from safetensors weights.
    Colour,
    /// Scene network, ONNX.
    Scene,
    /// Denoiser, ONNX.
    Denoise,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Colour => "colour",
            Self::Scene => "scene",
            Self::Denoise => "denoise",
        })
    }
}

/// One model of the catalogue: a `[[model]]` table, every key of which must be known.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name in configurations and records; unique.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// Architecture, in a word: `ddcolor`, `efficientnet-lite0`, …
    pub architecture: String,
    /// File name, below the models directory.
    pub file: String,
    /// Length of the file.
    pub bytes: u64,
    /// Number of parameters, where somebody counted.
    pub parameters: Option<u64>,
    /// The pin: SHA-256 of the file.
    pub sha256: Digest,
    /// SPDX expression.
    pub licence: String,
    /// Where the file comes from.
    pub source: String,
    /// A sentence a registrar should know.
    pub note: Option<String>,
}

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

/// What can be wrong with a catalogue or a model's file.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The catalogue is not there or cannot be read.
    #[error("model catalogue {} cannot be read", path.display())]
    Read {
        /// The catalogue.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The catalogue is not the TOML it should be.
    #[error("model catalogue {} line {line}: {message}", path.display())]
    Syntax {
        /// The catalogue.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// An entry is well-formed but wrong.
    #[error("model catalogue {}: model {id:?} {fault}", path.display())]
    Entry {
        /// The catalogue.
        path: PathBuf,
        /// The entry.
        id: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// No model has this id.
    #[error("no model {id:?} is in catalogue {}", path.display())]
    Unknown {
        /// The catalogue.
        path: PathBuf,
        /// The id asked for.
        id: String,
    },
    /// The model is for something else.
    #[error("model {id} is a {found} model, and a {wanted} model is asked for")]
    Kind {
        /// The model.
        id: String,
        /// What it is.
        found: ModelKind,
        /// What was asked for.
        wanted: ModelKind,
    },
    /// Exactly one model of a kind is needed.
    #[error("catalogue {} has {count} {kind} models, and exactly one is needed", path.display())]
    NotOne {
        /// The catalogue.
        path: PathBuf,
        /// The kind.
        kind: ModelKind,
        /// How many there are.
        count: usize,
    },
    /// A model's file is not there or cannot be read.
    #[error("file {} of model {id} cannot be read", path.display())]
    File {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A model's file has another length than its pin says.
    #[error("file {} of model {id} has {found} bytes, and its pin says {expected}", path.display())]
    Length {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// Bytes of the file.
        found: u64,
        /// Bytes of the pin.
        expected: u64,
    },
    /// A model's file holds other bytes than the pinned ones.
    #[error("file {} of model {id} has SHA-256 {found}, and its pin says {expected}", path.display())]
    Mismatch {
        /// The model.
        id: String,
        /// The file.
        path: PathBuf,
        /// Digest of the file.
        found: Digest,
        /// Digest of the pin.
        expected: Digest,
    },
}

impl CatalogueError {
    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("point `models` at the directory that holds models.toml, or restore it from the release"),
            Self::Syntax { .. } | Self::Entry { .. } => Some("correct models.toml, or restore it from the release"),
            Self::Unknown { .. } | Self::Kind { .. } | Self::NotOne { .. } => {
                Some("run `autochrome models list` to see the models there are")
            }
            Self::File { .. } | Self::Length { .. } | Self::Mismatch { .. } => {
                Some("restore the file from the release, or run `autochrome models list`")
            }
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
        let text = fs::read_to_string(&path).map_err(|source| CatalogueError::Read { path: path.clone(), source })?;
        let raw: Raw = toml::from_str(&text).map_err(|error| syntax(&path, &text, &error))?;
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

    /// Reads a model's file once, and refuses bytes that do not match the pin: what is used is what was hashed.
    pub fn read(&self, entry: &Entry) -> Result<Vec<u8>, CatalogueError> {
        let path = self.path(entry);
        let id = || entry.id.clone();
        let unreadable = |source| CatalogueError::File { id: id(), path: path.clone(), source };
        let file = File::open(&path).map_err(unreadable)?;
        // The length is asked first, so that a wrong file of any size is refused without reading it.
        let found = file.metadata().map_err(unreadable)?.len();
        let length = |found| CatalogueError::Length { id: id(), path: path.clone(), found, expected: entry.bytes };
        if found != entry.bytes {
            return Err(length(found));
        }
        let mut bytes = Vec::new();
        file.take(entry.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        let found = Digest::of(&bytes);
        if bytes.len() as u64 != entry.bytes {
            return Err(length(bytes.len() as u64));
        }
        if found != entry.sha256 {
            return Err(CatalogueError::Mismatch { id: id(), path, found, expected: entry.sha256 });
        }
        Ok(bytes)
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

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> CatalogueError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    CatalogueError::Syntax { path: path.to_owned(), line, message: error.message().replace(['\n', '\r'], " ") }
}

/// What is wrong with an entry, if anything.
fn fault(entry: &Entry, is_twin: bool) -> Option<&'static str> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let stays_inside = |file: &str| {
        let mut components = Path::new(file).components().peekable();
        components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
    };
    match entry {
        _ if is_twin => Some("is there twice"),
        Entry { id, .. } if id.is_empty() || !id.chars().all(is_plain) => {
            Some("has an id of other characters than A-Z a-z 0-9 - _ .")
        }
        Entry { file, .. } if !stays_inside(file) => Some("names a file outside the models directory"),
        Entry { bytes: 0, .. } => Some("has a file of zero bytes"),
        Entry { .. } => None,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make and change their own files")]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn entry(id: &str, kind: &str, file: &str, content: &[u8]) -> String {
        format!(
            "[[model]]\nid = {id:?}\nkind = {kind:?}\narchitecture = \"x\"\nfile = {file:?}\nbytes = {}\nsha256 = \"{}\"\n\
             licence = \"Apache-2.0\"\nsource = \"here\"\n",
            content.len(),
            Digest::of(content)
        )
    }

    fn directory(catalogue: &str, files: &[(&str, &[u8])]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CATALOGUE), catalogue).unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn bytes_are_handed_out_only_when_they_match_the_pin() {
        let dir = directory(&entry("a", "scene", "a.onnx", b"weights"), &[("a.onnx", b"weights")]);
        let catalogue = Catalogue::open(dir.path()).unwrap();
        let one = catalogue.find("a", ModelKind::Scene).unwrap();
        assert_eq!(catalogue.read(one).unwrap(), b"weights");
        assert_eq!(catalogue.file_state(one), FileState::Ok);

        fs::write(dir.path().join("a.onnx"), b"Weights").unwrap();
        assert!(matches!(catalogue.read(one), Err(CatalogueError::Mismatch { found, .. }) if found == Digest::of(b"Weights")));
        assert_eq!(catalogue.file_state(one), FileState::Mismatch { found: Digest::of(b"Weights") });

        fs::write(dir.path().join("a.onnx"), b"weights and more").unwrap();
        assert!(matches!(catalogue.read(one), Err(CatalogueError::Length { found: 16, expected: 7, .. })));

        fs::remove_file(dir.path().join("a.onnx")).unwrap();
        assert_eq!(catalogue.file_state(one), FileState::Missing);
        let error = catalogue.read(one).unwrap_err();
        assert!(error.hint().unwrap().contains("restore the file"), "{error}");
    }

    #[test]
    fn a_catalogue_with_unknown_keys_or_kinds_is_refused_with_the_line() {
        for wrong in ["colour = 1\n".to_owned(), entry("a", "scene", "a", b"x") + "pin = 3\n", entry("a", "face", "a", b"x")] {
            let dir = directory(&wrong, &[]);
            let error = Catalogue::open(dir.path()).unwrap_err();
            assert!(matches!(error, CatalogueError::Syntax { line: 1.., .. }), "{wrong}: {error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_file_outside_the_directory_is_refused() {
        for file in ["../a", "/etc/passwd", "a/../../b", "", "./a"] {
            let dir = directory(&entry("a", "scene", file, b"x"), &[]);
            assert!(matches!(Catalogue::open(dir.path()), Err(CatalogueError::Entry { .. })), "{file}");
        }
    }

    #[test]
    fn two_models_of_one_id_are_refused() {
        let dir = directory(&(entry("a", "scene", "a", b"x") + &entry("a", "colour", "b", b"x")), &[]);
        assert!(Catalogue::open(dir.path()).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_model_is_found_by_its_id_and_kind() {
        let text = entry("a", "scene", "a", b"x") + &entry("b", "colour", "b", b"x") + &entry("c", "colour", "c", b"x");
        let dir = directory(&text, &[]);
        let catalogue = Catalogue::open(dir.path()).unwrap();
        assert!(matches!(catalogue.find("a", ModelKind::Colour), Err(CatalogueError::Kind { found: ModelKind::Scene, .. })));
        assert!(matches!(catalogue.find("d", ModelKind::Colour), Err(CatalogueError::Unknown { .. })));
        assert_eq!(catalogue.only(ModelKind::Scene).unwrap().id, "a");
        assert!(matches!(catalogue.only(ModelKind::Colour), Err(CatalogueError::NotOne { count: 2, .. })));
        assert!(matches!(catalogue.only(ModelKind::Denoise), Err(CatalogueError::NotOne { count: 0, .. })));
    }

    #[test]
    fn the_bundled_catalogue_is_sound_and_has_one_model_of_each_small_kind() {
        let catalogue = Catalogue::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).unwrap();
        assert!(catalogue.find("ddcolor-starter", ModelKind::Colour).is_ok());
        assert_eq!(catalogue.only(ModelKind::Scene).unwrap().id, "scene");
        assert_eq!(catalogue.only(ModelKind::Denoise).unwrap().id, "denoise");
    }
}
