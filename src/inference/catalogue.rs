//! stub
use std::path::Path;
use crate::digest::Digest;
/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelKind { /// Colour network, built from safetensors weights.
    Colour, /// Scene network, ONNX.
    Scene, /// Denoiser, ONNX.
    Denoise }
impl std::fmt::Display for ModelKind { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
/// One model in models.toml.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Id.
    pub id: String,
    /// Kind.
    pub kind: ModelKind,
    /// Architecture, in a word: `ddcolor`, `efficientnet-lite0`, …
    pub architecture: String,
    /// File name beside models.toml.
    pub file: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Parameters.
    pub parameters: Option<u64>,
    /// Pin.
    pub sha256: Digest,
    /// Licence.
    pub licence: String,
    /// Origin.
    pub source: String,
    /// A sentence.
    pub note: Option<String>,
}
/// Whether a file is what its pin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState { /// Matches.
    Ok, /// Not there.
    Missing, /// Other bytes.
    Mismatch { /// Digest found.
        found: Digest }, /// Cannot be read.
    Unreadable(String) }
impl std::fmt::Display for FileState { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
/// The catalogue of a models directory.
#[derive(Debug, Clone)]
pub struct Catalogue { entries: Vec<Entry> }
/// Catalogue errors.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError { /// stub
    #[error("stub")] Stub }
impl CatalogueError { /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None } }
impl Catalogue {
    /// Reads `DIR/models.toml`.
    pub fn open(_directory: &Path) -> Result<Self, CatalogueError> { todo!() }
    /// All entries.
    pub fn entries(&self) -> &[Entry] { &self.entries }
    /// The entry with this id, which must be of this kind.
    pub fn find(&self, _id: &str, _kind: ModelKind) -> Result<&Entry, CatalogueError> { todo!() }
    /// The one entry of a kind (scene, denoise).
    pub fn only(&self, _kind: ModelKind) -> Result<&Entry, CatalogueError> { todo!() }
    /// Reads a model's file once, and refuses bytes that do not match the pin.
    pub fn read(&self, _entry: &Entry) -> Result<Vec<u8>, CatalogueError> { todo!() }
    /// Hashes the file.
    pub fn file_state(&self, _entry: &Entry) -> FileState { todo!() }
}
