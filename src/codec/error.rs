//! Every way in which a file can be bad, or a derivative can turn out wrong.

use std::collections::TryReserveError;

use super::Format;
use crate::imaging::Size;
use crate::job::Disposition;

/// What a library or a check of our own said.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A scan that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// Not one of our formats.
    #[error("the content is neither JPEG, PNG, TIFF, WebP nor JPEG 2000: it looks like {found}")]
    UnknownFormat {
        /// What the first bytes look like.
        found: &'static str,
    },
    /// More pixels than this installation decodes.
    #[error("{size} pixels are more than the limit of {}", quantity(*.limit))]
    TooManyPixels {
        /// Size by the header.
        size: Size,
        /// Most pixels allowed.
        limit: u64,
    },
    /// One side is longer than any scan's.
    #[error("{size} pixels: a side is longer than the limit of {limit} pixels")]
    SideTooLong {
        /// Size by the header.
        size: Size,
        /// Longest side allowed.
        limit: u32,
    },
    /// A part of the picture is missing at the end.
    #[error("the {format} file ends before its picture does")]
    Truncated {
        /// Format by content.
        format: Format,
        /// Where it ended.
        source: Cause,
    },
    /// The content contradicts the format's rules or its own checksums.
    #[error("the {format} file is damaged")]
    Damaged {
        /// Format by content.
        format: Format,
        /// What was wrong.
        source: Cause,
    },
    /// A sound file of a kind that is not decoded here.
    #[error("this kind of {format} is not supported: {what}")]
    Unsupported {
        /// Format by content.
        format: Format,
        /// What it has that is not supported.
        what: String,
    },
    /// No memory for a picture within the limits.
    #[error("there is no memory to decode {size} pixels")]
    Memory {
        /// Size by the header.
        size: Size,
        /// The allocator's answer.
        source: TryReserveError,
    },
}

impl DecodeError {
    pub(super) fn truncated(format: Format, source: impl Into<Cause>) -> Self {
        Self::Truncated { format, source: source.into() }
    }

    pub(super) fn damaged(format: Format, source: impl Into<Cause>) -> Self {
        Self::Damaged { format, source: source.into() }
    }

    pub(super) fn unsupported(format: Format, what: impl Into<String>) -> Self {
        Self::Unsupported { format, what: what.into() }
    }

    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Empty
            | Self::UnknownFormat { .. }
            | Self::TooManyPixels { .. }
            | Self::SideTooLong { .. }
            | Self::Truncated { .. }
            | Self::Damaged { .. }
            | Self::Unsupported { .. } => Disposition::Permanent,
            Self::Memory { .. } => Disposition::Transient,
        }
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Empty => Some("copy the file again; nothing of it arrived"),
            Self::UnknownFormat { .. } => Some("convert the scan to TIFF, PNG or JPEG; a file's name does not make it one"),
            Self::TooManyPixels { .. } => {
                Some("raise the pixel limit if such scans are expected, or rescan at a lower resolution")
            }
            Self::SideTooLong { .. } => Some("cut the scan into parts"),
            Self::Truncated { .. } => Some("rescan or copy the file again; it ends before its picture does"),
            Self::Damaged { .. } => Some("rescan or copy the file again; compare it with a backup"),
            Self::Unsupported { .. } => Some("save the scan once more as 8- or 16-bit grey or RGB"),
            Self::Memory { .. } => Some("give the machine more memory or run fewer workers"),
        }
    }
}

/// A number of pixels, in megapixels when it is a round number of them.
fn quantity(pixels: u64) -> String {
    match (pixels / 1_000_000, pixels % 1_000_000) {
        (megapixels @ 1.., 0) => format!("{megapixels} megapixels"),
        _ => format!("{pixels} pixels"),
    }
}

/// A picture that could not be encoded, or whose encoded form is not the picture.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The format cannot hold such a side.
    #[error("{size} pixels are too many for {format}, whose sides end at {limit} pixels")]
    TooLarge {
        /// Size of the picture.
        size: Size,
        /// Format asked for.
        format: Format,
        /// Longest side of the format.
        limit: u32,
    },
    /// The encoder gave up.
    #[error("the picture could not be encoded as {format}")]
    Encoder {
        /// Format asked for.
        format: Format,
        /// What the encoder said.
        source: Cause,
    },
    /// What was encoded cannot be decoded.
    #[error("the encoded {format} cannot be decoded again")]
    VerifyDecode {
        /// Format written.
        format: Format,
        /// What the decoder said.
        source: DecodeError,
    },
    /// What was encoded has another shape than the picture.
    #[error("the encoded {format} has {found} where the picture has {wanted}")]
    VerifyShape {
        /// Format written.
        format: Format,
        /// Size, depth and samples a pixel found.
        found: String,
        /// Those of the picture.
        wanted: String,
    },
    /// A lossless format changed samples.
    #[error("{count} samples of the encoded {format} differ from the picture")]
    VerifySamples {
        /// Format written.
        format: Format,
        /// How many samples differ.
        count: u64,
    },
    /// The same of a file that was made strip by strip.
    #[error("{rows} rows of the encoded {format} differ from the picture")]
    VerifyRows {
        /// Format written.
        format: Format,
        /// How many rows have other samples.
        rows: u64,
    },
    /// A lossy format changed the lightness too much.
    #[error("the encoded {format} differs from the picture by {mean:.2} L* on average, more than {bound}")]
    VerifyLightness {
        /// Format written.
        format: Format,
        /// Mean |ΔL*|.
        mean: f32,
        /// Largest mean allowed.
        bound: f32,
    },
}

impl EncodeError {
    pub(super) fn encoder(format: Format, source: impl Into<Cause>) -> Self {
        Self::Encoder { format, source: source.into() }
    }

    /// What it means for the job. Encoders are deterministic and lossless formats exact, so a difference there may be
    /// the memory's fault: worth another attempt, on the charge of the job.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::TooLarge { .. } | Self::Encoder { .. } | Self::VerifyLightness { .. } => Disposition::Permanent,
            Self::VerifyDecode { .. } | Self::VerifyShape { .. } | Self::VerifySamples { .. } | Self::VerifyRows { .. } => {
                Disposition::Transient
            }
        }
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TooLarge { .. } => Some("set output.format to \"tiff\" or \"png\""),
            Self::Encoder { .. } => None,
            Self::VerifyDecode { .. } | Self::VerifyShape { .. } | Self::VerifySamples { .. } | Self::VerifyRows { .. } => {
                Some("test the machine's memory; an encoder never differs from itself")
            }
            Self::VerifyLightness { .. } => Some("raise output.jpeg_quality, or set output.format to \"tiff\" or \"png\""),
        }
    }
}
