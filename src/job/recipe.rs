//! The recipe: everything that decides a derivative's pixels, as one digest.
//!
//! The digest is part of a job's key, of the derivative's name and of its record: a new recipe makes a new derivative
//! and never overwrites an old one. What does not change pixels (worker counts, paths, the device that happens to run
//! it) stays out.

use serde::Serialize;

use crate::digest::Digest;

/// Version of the arithmetic of this program: raised whenever the same facts would give other pixels or other metadata, so that what was
/// made before keeps its name and is made anew.
pub const PIPELINE_VERSION: u32 = 6;

/// A model as a recipe names it: which weights, not where they lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WeightsRef {
    /// Catalogue id.
    pub id: String,
    /// SHA-256 of the weights file.
    pub sha256: Digest,
}

/// How pictures of one scene are coloured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SceneRecipe {
    /// The colour network.
    pub model: WeightsRef,
    /// Smallest height of the network's copy, pixels.
    pub min_height: u32,
    /// Largest height of the network's copy, pixels.
    pub max_height: u32,
}

/// How one derivative is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputRecipe {
    /// `source`, `jpeg`, `png` or `tiff`.
    pub format: String,
    /// JPEG quality 1..=100.
    pub jpeg_quality: u8,
    /// TIFF compression: `none`, `lzw` or `deflate`.
    pub tiff_compression: String,
    /// `srgb`, `adobe-rgb`, `display-p3` or `prophoto`.
    pub colour_space: String,
    /// Longest side, pixels; null for the scan's own size.
    pub max_side: Option<u32>,
    /// The visible mark: `auto`, `off`, `corner` or `strip`.
    pub label: String,
}

/// The facts a recipe is made of. Adding a field changes every digest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipeFacts {
    /// Version of the pixel arithmetic: [`PIPELINE_VERSION`].
    pub pipeline: u32,
    /// Precision asked for: `fp16` or `fp32`.
    pub precision: String,
    /// Portraits.
    pub portrait: SceneRecipe,
    /// Buildings and streets.
    pub architecture: SceneRecipe,
    /// Everything else, and the safe default.
    pub other: SceneRecipe,
    /// Whether small scans are enlarged to the minimum height.
    pub enlarge: bool,
    /// Largest area of the network's copy, pixels.
    pub max_area: u64,
    /// `fit` or `parity`.
    pub preprocessing: String,
    /// `auto`, or `off` where the whole scan counts as picture.
    pub border: String,
    /// `auto`, or `off` where the colour network's copy keeps the scan's tones.
    pub levels: String,
    /// The scene network.
    pub router: WeightsRef,
    /// Scene fixed by the collection, if any.
    pub scene_override: Option<String>,
    /// Routing thresholds: name and value, in a fixed order.
    pub routing: Vec<(String, f32)>,
    /// `network`, `output` or `off`.
    pub denoise_apply_to: String,
    /// Noise σ (8-bit code values) above which the denoiser runs.
    pub denoise_threshold: f32,
    /// The denoising network; `None` when denoising is off.
    pub denoiser: Option<WeightsRef>,
    /// How the first derivative of a scan is written.
    #[serde(flatten)]
    pub output: OutputRecipe,
    /// How the others are, in order.
    pub further_outputs: Vec<OutputRecipe>,
    /// Factor on chroma, 0..=1.5.
    pub saturation: f32,
    /// Whether the place where a picture was taken is left out of its metadata.
    pub strip_gps: bool,
    /// IPTC Digital Source Type that derivatives name.
    pub digital_source_type: String,
}

/// Facts with their canonical text and its digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    facts: RecipeFacts,
    canonical: String,
    digest: Digest,
}

impl Recipe {
    /// Forms the canonical text (compact JSON, keys sorted) and its SHA-256.
    ///
    /// Sorted, so that anybody can form it again from a record: its `recipe` without `sha256`, compact, keys in order.
    pub fn new(facts: RecipeFacts) -> Self {
        let text = serde_json::to_string(&facts).expect("strings and numbers always serialise");
        // Through the text, so that 2.4 stays 2.4 and does not become the nearest f32 written out.
        let sorted: serde_json::Value = serde_json::from_str(&text).expect("what was just written can be read");
        let canonical = sorted.to_string();
        let digest = Digest::of(canonical.as_bytes());
        Self { facts, canonical, digest }
    }

    /// What it is made of.
    pub const fn facts(&self) -> &RecipeFacts {
        &self.facts
    }

    /// Compact JSON; hashing these bytes gives [`Recipe::digest`].
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// SHA-256 of the canonical text.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn facts() -> RecipeFacts {
        let weights = |id: &str| WeightsRef { id: id.to_owned(), sha256: Digest::of(id.as_bytes()) };
        let scene = |min_height, max_height| SceneRecipe { model: weights("colour"), min_height, max_height };
        RecipeFacts {
            pipeline: 1,
            precision: "fp16".to_owned(),
            portrait: scene(460, 680),
            architecture: scene(960, 1280),
            other: scene(512, 512),
            enlarge: true,
            max_area: 1 << 21,
            preprocessing: "fit".to_owned(),
            border: "auto".to_owned(),
            levels: "auto".to_owned(),
            router: weights("scene"),
            scene_override: None,
            routing: vec![("min_score".to_owned(), 0.5)],
            denoise_apply_to: "network".to_owned(),
            denoise_threshold: 7.0,
            denoiser: Some(weights("denoise")),
            output: OutputRecipe {
                format: "source".to_owned(),
                jpeg_quality: 92,
                tiff_compression: "none".to_owned(),
                colour_space: "srgb".to_owned(),
                max_side: None,
                label: "off".to_owned(),
            },
            further_outputs: Vec::new(),
            saturation: 1.0,
            strip_gps: false,
            digital_source_type: "compositeWithTrainedAlgorithmicMedia".to_owned(),
        }
    }

    #[test]
    fn the_digest_is_of_the_canonical_text() {
        let recipe = Recipe::new(facts());
        assert_eq!(recipe.digest(), Digest::of(recipe.canonical().as_bytes()));
        assert_eq!(recipe.digest(), Recipe::new(facts()).digest());
    }

    #[test]
    fn anything_that_changes_pixels_changes_the_digest() {
        let base = Recipe::new(facts()).digest();
        let changes: [fn(&mut RecipeFacts); 13] = [
            |facts| facts.precision = "fp32".to_owned(),
            |facts| facts.portrait.model.sha256 = Digest::of(b"other weights"),
            |facts| facts.other.max_height = 544,
            |facts| facts.denoise_threshold = 8.0,
            |facts| facts.scene_override = Some("portrait".to_owned()),
            |facts| facts.output.jpeg_quality = 90,
            |facts| facts.output.label = "corner".to_owned(),
            |facts| facts.further_outputs.push(facts.output.clone()),
            |facts| facts.preprocessing = "parity".to_owned(),
            |facts| facts.border = "off".to_owned(),
            |facts| facts.levels = "off".to_owned(),
            |facts| facts.saturation = 0.8,
            |facts| facts.output.colour_space = "prophoto".to_owned(),
        ];
        for change in changes {
            let mut facts = facts();
            change(&mut facts);
            assert_ne!(Recipe::new(facts.clone()).digest(), base, "{facts:?}");
        }
    }
}
