//! Brings a file of others into the catalogue: read without executing anything, checked, written in our form, tried, entered.
//!
//! | file | answers |
//! |---|---|
//! | `source` | the file that is brought in: its bytes, their digest, what it is |
//! | `torch`, `pickle` | tensors of a `.pth` or `.pt`, and that it calls nothing |
//! | `tensors` | tensors of any container by official name, each read when asked for |
//! | `onnx` | a graph of others: looked at, copied |
//! | `checkpoint` | DDColor weights: spectral norms folded, written as safetensors |
//! | `part` | the new file until it has its name |
//! | `trial` | one picture through the new model |
//!
//! What every kind of file goes through is here: the lock on the catalogue, the digest, the id, the file before the entry.

mod checkpoint;
mod error;
mod onnx;
mod part;
mod pickle;
mod source;
mod tensors;
mod torch;
mod trial;

use std::path::{Path, PathBuf};

use super::catalogue::fault;
use super::{CatalogueEdit, EngineSettings, Entry, FileState, FixedSize, ModelKind};

pub use error::ImportError;

use part::Part;
use source::{Kind, Source};
use trial::Trial;

/// What SPDX says where nobody stated a licence.
pub const NO_LICENCE: &str = "NOASSERTION";

/// What an entry says where nobody stated where the file was published. Its name is not in the model's file: the same weights
/// under another name are the same model.
const NO_SOURCE: &str = "not stated";

/// Which file becomes which model.
#[derive(Debug, Clone, Copy)]
pub struct ImportRequest<'a> {
    /// The file; it is read, never changed.
    pub file: &'a Path,
    /// Its name in configurations and records.
    pub id: &'a str,
    /// Licence of the weights; none: [`NO_LICENCE`].
    pub licence: Option<&'a str>,
    /// Where the file was published; none: it says that nobody stated it.
    pub source: Option<&'a str>,
}

/// What an import came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The model is new.
    Added,
    /// The model was there already, and its file matches its pin.
    AlreadyThere,
    /// The model was there, its file was missing or damaged and is there again.
    Restored,
}

/// A model that is in the catalogue now.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Its entry.
    pub entry: Entry,
    /// Where its file is.
    pub path: PathBuf,
    /// What was done.
    pub outcome: ImportOutcome,
    /// The authors' name of its size, where one was found out: `tiny`, `large`, `other`.
    pub variant: Option<&'static str>,
}

/// What an entry says of the new file beside its bytes.
struct Description {
    architecture: String,
    variant: &'static str,
    parameters: u64,
    size: Option<FixedSize>,
}

/// Imports a file into the catalogue of `models`; once more with the same file and id, it makes sure that it is there.
///
/// The file comes first and the entry second, both or neither: whatever goes wrong, the directory is as it was.
///
/// # Errors
/// A catalogue that cannot be changed, a file that is no DDColor network or has been damaged, an id in use, a network that
/// fails its trial on the configured device: see [`ImportError`].
pub fn import(models: &Path, engine: &EngineSettings, request: &ImportRequest<'_>) -> Result<Imported, ImportError> {
    // Held to the end: nobody else changes the catalogue meanwhile.
    let edit = CatalogueEdit::begin(models)?;
    part::sweep(models);
    let source = Source::open(request.file)?;
    let known = edit.catalogue().entries().iter().find(|entry| entry.id == request.id).cloned();
    if let Some(entry) = known {
        return again(models, &edit, &source, entry);
    }
    let mut entry = Entry {
        id: request.id.to_owned(),
        kind: ModelKind::Colour,
        architecture: String::new(),
        file: file_name(request.id, source.kind()),
        // Corrected below; not zero, which would be a fault.
        bytes: source.bytes(),
        parameters: None,
        sha256: source.digest(),
        licence: request.licence.unwrap_or(NO_LICENCE).to_owned(),
        source: request.source.unwrap_or(NO_SOURCE).to_owned(),
        measured: None,
        note: Some(format!("imported from {}", source.name())),
        imported_sha256: Some(source.digest()),
        size: None,
    };
    if let Some(fault) = fault(&entry, false) {
        return Err(ImportError::Id { id: entry.id, fault });
    }
    if edit.catalogue().entries().iter().any(|other| other.file == entry.file) {
        return Err(ImportError::Id { id: entry.id, fault: "would have the same file as another model" });
    }
    // Before the file is converted: a missing runtime is found at once.
    let trial = Trial::prepare(engine).map_err(ImportError::Device)?;
    let mut part = Part::create(models, &entry.file)?;
    let made = make(&source, &entry, &mut part)?;
    let finished = part.finish()?;
    (entry.bytes, entry.sha256) = (finished.bytes, finished.sha256);
    (entry.architecture, entry.parameters, entry.size) = (made.architecture, Some(made.parameters), made.size);
    trial.run(&entry, part.path())?;
    let placed = part.place_new(&entry)?;
    edit.add(&entry)?;
    Ok(Imported { path: placed.keep(), outcome: ImportOutcome::Added, variant: Some(made.variant), entry })
}

/// The id is in use: for this file, or for another.
fn again(models: &Path, edit: &CatalogueEdit, source: &Source, entry: Entry) -> Result<Imported, ImportError> {
    if entry.imported_sha256 != Some(source.digest()) && entry.sha256 != source.digest() {
        return Err(ImportError::Taken { id: entry.id });
    }
    let path = edit.catalogue().path(&entry);
    let outcome = match edit.catalogue().file_state(&entry) {
        FileState::Ok => ImportOutcome::AlreadyThere,
        FileState::Unreadable(detail) => return Err(ImportError::Unreadable { path, detail }),
        FileState::Missing | FileState::Mismatch { .. } => {
            let mut part = Part::create(models, &entry.file)?;
            if entry.sha256 == source.digest() {
                source.copy_to(&mut part)?;
            } else {
                make(source, &entry, &mut part)?;
            }
            let found = part.finish()?.sha256;
            if found != entry.sha256 {
                return Err(ImportError::Differs { id: entry.id, found, expected: entry.sha256 });
            }
            part.replace()?;
            ImportOutcome::Restored
        }
    };
    Ok(Imported { entry, path, outcome, variant: None })
}

/// Name of the model's file in the models directory.
fn file_name(id: &str, kind: Kind) -> String {
    match kind {
        Kind::Onnx => format!("{id}.onnx"),
        Kind::Torch | Kind::Safetensors => format!("{id}.safetensors"),
    }
}

/// Writes the model's file. The licence and the source of `entry` are in it.
fn make(source: &Source, entry: &Entry, part: &mut Part) -> Result<Description, ImportError> {
    let made = match source.kind() {
        Kind::Torch => checkpoint::convert(source, &torch::open(source)?, entry, part),
        Kind::Safetensors => checkpoint::convert(source, &tensors::open_safetensors(source)?, entry, part),
        Kind::Onnx => onnx::keep(source, part),
    }?;
    source.still_the_same()?;
    Ok(made)
}
