//! How a derivative came to be, what the operator decides about its metadata, and how much of it fits.

use std::fmt;

use crate::digest::Digest;

/// What the derivative calls itself, of IPTC's Digital Source Types (NewsCodes, 2024-09-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceType {
    /// A captured picture with elements that a trained model made: the conservative label for invented colour.
    #[default]
    Composite,
    /// A captured picture altered by an algorithm without changing its main content. Some readers do not take it for a machine's work.
    Enhanced,
}

impl SourceType {
    /// The word for it in configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Composite => "compositeWithTrainedAlgorithmicMedia",
            Self::Enhanced => "algorithmicallyEnhanced",
        }
    }

    /// The concept's URI.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Composite => "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
            Self::Enhanced => "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced",
        }
    }
}

impl fmt::Display for SourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What the operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Whether the place where a picture was taken is left out.
    pub strip_gps: bool,
    /// What the derivative calls itself.
    pub source_type: SourceType,
}

/// How a file's format holds EXIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExifForm {
    /// A block of at most so many bytes, which describes samples of luma and chroma.
    LumaBlock(usize),
    /// A block of at most so many bytes.
    Block(usize),
    /// Directories of the file itself, whose page has its size and resolution anyway.
    Directories,
}

/// What a file's format has room for, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// EXIF.
    pub exif: ExifForm,
    /// IPTC-IIM.
    pub iptc: usize,
    /// XMP.
    pub xmp: usize,
}

/// How a derivative came to be: what its metadata says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The scan's name.
    pub file_name: &'a str,
    /// The scan's digest.
    pub source_sha256: Digest,
    /// The recipe's digest.
    pub recipe_sha256: Digest,
    /// The job, if there is a ledger.
    pub job: Option<i64>,
    /// When, RFC 3339.
    pub made_at: &'a str,
    /// This program and its version.
    pub software: &'a str,
    /// The colour network's id.
    pub model: &'a str,
    /// Its weights.
    pub model_sha256: Digest,
    /// Precision observed.
    pub precision: &'a str,
    /// What kind of picture it was taken for.
    pub scene: &'a str,
    /// The derivative's media type.
    pub media_type: &'a str,
    /// The derivative's pixels, upright.
    pub size: (u32, u32),
    /// Pixels an inch, upright.
    pub dpi: Option<(f64, f64)>,
    /// Whether the picture was turned or mirrored to be upright.
    pub turned: bool,
    /// Whether its samples are sRGB; EXIF has no number for what else they may be.
    pub is_srgb: bool,
}
