//! The parts of a record: one for each thing that an auditor asks about.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A file's place. Names on disk are bytes: where they are not UTF-8, `path` is for reading and `path_hex` is the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRecord {
    /// The path as text, with U+FFFD for what is not UTF-8.
    pub path: String,
    /// Its bytes in hexadecimal, given only when `path` lost some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
}

impl From<&Path> for PathRecord {
    fn from(path: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        let hex = |byte: &u8| format!("{byte:02x}");
        let path_hex = path.to_str().is_none().then(|| path.as_os_str().as_bytes().iter().map(hex).collect());
        Self { path: path.to_string_lossy().into_owned(), path_hex }
    }
}

/// Which job made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Job id in the ledger.
    pub id: Option<i64>,
    /// Number of the claim that made it.
    pub claim: Option<i64>,
    /// Failures charged before.
    pub failures: u32,
    /// Collection.
    pub collection: Option<String>,
}

/// How the samples of a scan were understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColourRecord {
    /// `icc`, `cicp`, `png-srgb`, `png-gamma`, `exif`, `assumed-srgb` or (CMYK) `assumed-inks`.
    pub basis: String,
    /// The profile's own name, or that of what was meant.
    pub name: Option<String>,
    /// SHA-256 of the embedded ICC profile, used or not.
    pub icc_sha256: Option<Digest>,
    /// What the file says of its colour and could not be used, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<String>,
}

/// The scan, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The ingest root.
    pub root: Option<String>,
    /// Path below it.
    #[serde(flatten)]
    pub path: PathRecord,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of exactly the bytes that were decoded.
    pub sha256: Digest,
    /// `jpeg`, `png`, `tiff`, `webp` or `jpeg2000`.
    pub format: String,
    /// Pixels, as stored.
    pub width: u32,
    /// Pixels, as stored.
    pub height: u32,
    /// Bits a sample.
    pub bit_depth: u8,
    /// `grey`, `grey+alpha`, `rgb`, `rgba` or `cmyk`.
    pub channels: String,
    /// EXIF orientation found, 1..=8; applied once.
    #[serde(default)]
    pub orientation: u8,
    /// Pages of the file that are not the scan, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_pages: Vec<String>,
    /// How its samples were understood; absent in records of older versions, which took all for sRGB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour: Option<ColourRecord>,
}

/// The derivative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DerivativeRecord {
    /// Path below the output root.
    #[serde(flatten)]
    pub path: PathRecord,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// `jpeg`, `png` or `tiff`.
    pub format: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bits a sample.
    pub bit_depth: u8,
    /// Colour space of its samples, whose profile it carries: `srgb`, `adobe-rgb`, `display-p3` or `prophoto`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub colour_space: String,
    /// Factor on the chroma that the network gave, 0..=1.5; 1 in records of older versions.
    #[serde(default = "super::as_the_network_gave_it")]
    pub saturation: f32,
    /// Longest side that the output asked for, pixels; null for the scan's own size.
    #[serde(default)]
    pub max_side: Option<u32>,
    /// The visible mark "AI-colorized": `off`, `corner` or `strip`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// Largest and mean |ΔL*| between the scan under its profile (or its denoised lightness, where that is published; under parity the
    /// picture that was encoded, and so for a reduced or labelled one) and the file decoded once more.
    #[serde(default)]
    pub lightness_max_difference: f32,
    /// See above.
    #[serde(default)]
    pub lightness_mean_difference: f32,
}

/// What became of the scan's metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataRecord {
    /// EXIF fields of the scan that went on.
    pub exif_fields: usize,
    /// Bytes of IPTC-IIM that went on.
    pub iptc_bytes: usize,
    /// Bytes of the derivative's XMP packet, which has the scan's properties and those of the making.
    pub xmp_bytes: usize,
    /// What did not go on, in words.
    pub dropped: Vec<String>,
}

/// A weights file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsRecord {
    /// Catalogue id.
    pub id: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// Scores of the scene network, summing to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoresRecord {
    /// Portrait.
    pub portrait: f32,
    /// Buildings and streets.
    pub architecture: f32,
    /// Everything else.
    pub other: f32,
    /// Typed or printed pages; 0 where the scene network does not know them, and in records made before there was one that does.
    #[serde(default)]
    pub document: f32,
}

/// The route and its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteRecord {
    /// `portrait`, `architecture` or `other`.
    pub scene: String,
    /// What the scene network said.
    pub scores: ScoresRecord,
    /// Why, in words.
    pub reason: String,
    /// The scene the collection or a person fixed.
    #[serde(rename = "override")]
    pub scene_override: Option<String>,
    /// Who decided it for this one scan; not there when nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Why they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The scene network.
    pub router: WeightsRecord,
}

/// Noise and what was done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DenoiseRecord {
    /// Noise σ at the network's size, 8-bit code values.
    pub noise_sigma: f32,
    /// Noise σ of the scan at its own size, by which the published lightness is denoised or not; only looked at under
    /// `denoise.apply_to = "output"`.
    #[serde(default)]
    pub lightness_sigma: Option<f32>,
    /// σ above which the denoiser runs.
    pub threshold: f32,
    /// What was denoised: `none`, `network` (its copy only) or `output` (the published lightness, and the network's copy
    /// where its own σ is above the threshold too).
    pub applied_to: String,
    /// The denoising network, when it ran.
    pub model: Option<WeightsRecord>,
}

/// Size of the network's copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtentRecord {
    /// Pixels with padding, a multiple of 32.
    pub width: u32,
    /// Pixels with padding, a multiple of 32.
    pub height: u32,
    /// Pixels of the picture itself.
    pub content_width: u32,
    /// Pixels of the picture itself.
    pub content_height: u32,
    /// The rule that decided, in words.
    pub rule: String,
    /// `fit`, or `parity`: as the authors' Python pipeline does it.
    #[serde(default)]
    pub preprocessing: String,
}

/// The colour network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// Catalogue id.
    pub id: String,
    /// SHA-256 of the weights file.
    pub sha256: Digest,
    /// Architecture.
    pub architecture: String,
    /// Licence.
    pub licence: String,
    /// Where the weights come from.
    pub source: String,
    /// SHA-256 of the published file the weights were imported from, if they were.
    #[serde(default)]
    pub imported_sha256: Option<Digest>,
}

/// A re-run in another precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackRecord {
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// Why, with the numbers seen.
    pub reason: String,
}

/// Precision asked for, and what the loaded session reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrecisionRecord {
    /// `fp16` or `fp32`.
    pub requested: String,
    /// `fp16` or `fp32`, read back from the session.
    pub observed: String,
    /// Why observed differs from requested.
    pub reason: Option<String>,
    /// Kinds of blocks that compute in FP32 inside an FP16 network.
    pub fp32_islands: Vec<String>,
    /// The re-run, if there was one.
    pub fallback: Option<FallbackRecord>,
}

/// Where it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// `cuda` or `cpu`, read back from the session.
    pub provider: String,
    /// Why this provider, when it was not named in the configuration.
    pub reason: Option<String>,
    /// The device's own name.
    pub name: Option<String>,
    /// Driver version.
    pub driver: Option<String>,
    /// ONNX Runtime version.
    pub runtime_version: Option<String>,
    /// CUDA version.
    pub cuda: Option<String>,
    /// cuDNN version.
    pub cudnn: Option<String>,
    /// What was tried before and found no memory, in order.
    #[serde(default)]
    pub setbacks: Vec<SetbackRecord>,
}

/// A try that found no memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetbackRecord {
    /// What was tried: size, provider.
    pub tried: String,
    /// What was found instead of memory.
    pub found: String,
}

/// What the network's output looked like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumericsRecord {
    /// Values that are not finite.
    pub non_finite: u64,
    /// Smallest a* or b*.
    pub ab_min: f32,
    /// Largest a* or b*.
    pub ab_max: f32,
    /// Mean chroma, √(a*² + b*²).
    pub chroma_mean: f32,
    /// 99th percentile of chroma.
    pub chroma_p99: f32,
    /// Share of pixels whose colour its space cannot hold: their chroma was reduced at fixed lightness, or under parity their
    /// channels were clipped.
    pub out_of_gamut_share: f64,
}

/// Everything that decided the pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeRecord {
    /// SHA-256 of the canonical text.
    pub sha256: Digest,
    /// The canonical text, parsed.
    #[serde(flatten)]
    pub facts: serde_json::Map<String, serde_json::Value>,
}

/// The program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftwareRecord {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The commit it was built from, where known.
    pub commit: Option<String>,
}

impl SoftwareRecord {
    /// This build.
    pub fn this() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("AUTOCHROME_COMMIT").filter(|commit| !commit.is_empty()).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_name_that_is_not_text_is_recorded_byte_for_byte() {
        let record = PathRecord::from(Path::new(OsStr::from_bytes(b"gla\xDFplatte.tif")));
        assert_eq!(record.path_hex.as_deref(), Some("676c61df706c617474652e746966"));
        assert_eq!(PathRecord::from(Path::new("plate\n12.tif")).path_hex, None);
    }
}
