//! One model of the catalogue, as `models.toml` writes it.

use std::fmt;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Colour network: safetensors weights, or an ONNX file of DDColor's shape.
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
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// The pin: SHA-256 of the file.
    pub sha256: Digest,
    /// SPDX expression.
    pub licence: String,
    /// Where the file comes from.
    pub source: String,
    /// What it was measured at, in a sentence: size, data, numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<String>,
    /// A sentence a registrar should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// SHA-256 of the file it was imported from, which may have been in another format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported_sha256: Option<Digest>,
    /// The only size of picture it takes, where its graph has one; none: every multiple of 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<FixedSize>,
}

/// The one size of picture that a network takes, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FixedSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl FixedSize {
    /// Colour networks halve their input five times.
    fn is_extent(self) -> bool {
        let fits = |side: u32| side > 0 && side.is_multiple_of(32);
        fits(self.width) && fits(self.height)
    }
}

impl Entry {
    /// Whether the file is an ONNX model; colour networks may also be safetensors weights.
    pub fn is_onnx(&self) -> bool {
        Path::new(&self.file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
    }
}

/// What is wrong with an entry, if anything.
pub(in crate::inference) fn fault(entry: &Entry, is_twin: bool) -> Option<&'static str> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let stays_inside = |file: &str| {
        let mut components = Path::new(file).components().peekable();
        components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
    };
    match entry {
        _ if is_twin => Some("is there twice"),
        // The configuration must be able to name it.
        Entry { id, .. }
            if !id.starts_with(|first: char| first.is_ascii_alphanumeric()) || id.len() > 64 || !id.chars().all(is_plain) =>
        {
            Some("has an id that is not 1 to 64 of A-Z a-z 0-9 - _ . beginning with a letter or digit")
        }
        Entry { file, .. } if !stays_inside(file) => Some("names a file outside the models directory"),
        Entry { bytes: 0, .. } => Some("has a file of zero bytes"),
        Entry { size: Some(size), .. } if !size.is_extent() => Some("has a size whose sides are not multiples of 32"),
        Entry { .. } => None,
    }
}
