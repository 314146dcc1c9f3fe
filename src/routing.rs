//! Facts in, decision out: whether a scan is left alone, and which scene it is.
//!
//! Looks at numbers only, and at what a person decided; who measured them and what a scene changes is known elsewhere.

mod decision;
mod scene;
mod skip;

use crate::imaging::{Features, Size};

pub use decision::{Decision, DecisionError, Origin, Verdict};
pub use scene::{Scene, SceneScores, UnknownScene};
pub use skip::Skip;

/// Thresholds and override.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutingRules {
    /// Scene fixed by the collection, or by a decision.
    pub scene_override: Option<Scene>,
    /// What a person decided about this one scan. It goes before everything that is measured: somebody has looked.
    pub decision: Option<Decision>,
    /// Pixels that the shorter side of a scan needs.
    pub min_side: u32,
    /// Best score below which the picture goes to `other`.
    pub min_score: f32,
    /// Residual chroma (Lab units) above which a scan counts as already in colour.
    pub colour_chroma: f32,
    /// Share of a print of one tone, 0..=1, above which colours of its own count as tinted by hand; at 1 none do.
    pub tinted_share: f32,
    /// Deviation of lightness (L* units) below which a scan counts as blank.
    pub blank_deviation: f32,
    /// Document score above which a scan counts as a page and is left alone; at 1 none does.
    pub document_score: f32,
}

/// Best score below which the scene network counts as undecided.
pub const MIN_SCORE: f32 = 0.5;

/// Pixels that the shorter side of a scan needs: below, the networks see an enlargement of eight times and more, and no face is left
/// to recognise. Stamps and thumbnails that strayed among scans are what is found so small.
pub const MIN_SIDE: u32 = 64;

/// Residual chroma ([`Features::chroma_residual`]) above which a scan counts as already in colour, Lab units.
///
/// Measured: of 50 black-and-white scans of the FSA/OWI collection none lies above it, as scanned (grey) or toned to sepia,
/// cyanotype and selenium with noise in every channel and JPEG chroma of quality 70 (largest 2.0). Of colour photographs, 23
/// of 25 Documerica scans kept for evaluation lie above it, 51 of 60 others of that (faded) collection, 1,505 of 1,615 FSA/OWI
/// transparencies of 150 pixels, 7,911 of 8,110 and 2,767 of 2,793 of mixed subjects; what is missed is almost of one tone to
/// the eye. Of 3,284 thumbnails of members of the US Congress, about 41 % of them toned monochromes, 36 % lie below; those
/// wrongly above are mostly campaign buttons and halftones whose noise so small a picture does not average away.
pub const COLOUR_CHROMA: f32 = 2.4;

/// Share of the picture ([`Features::tinted_share`]) above which a print of one tone counts as tinted by hand, 0..=1.
///
/// Measured: of 50 black-and-white scans of the FSA/OWI collection none lies above it, as scanned (grey) or toned to sepia, cyanotype,
/// selenium and a warm paper with noise in every channel and JPEG chroma of quality 70 (largest 0.0008). Tinted on 1 % of the area at a
/// chroma of 12, on 3 % at 20 and on 10 % at 30, all of 300 grey and warm prints lie above it and 143 of 150 sepia ones: what is missed
/// are weak tints of the print's own hue. By the same arithmetic in Python, none of 1,600 thumbnails of scenes toned so does, and 14 of
/// 1,183 toned monochromes among portraits of the US Congress: of five looked at, one is a painting in colour, two are signed in blue
/// ink, two lie on a mount of another tone.
pub const TINTED_SHARE: f32 = 0.003;

/// Deviation of lightness ([`Features::lightness_deviation`]) below which a scan counts as blank, L* units.
///
/// Measured: the flattest of 50 black-and-white FSA/OWI scans has 6.5, of 25 Documerica scans 8.2, of 3,284 Congress portraits
/// 6.1; of 15,967 pictures in all one lies below, an almost black transparency with 1.7.
pub const BLANK_DEVIATION: f32 = 2.0;

/// Document score above which a scan counts as a page. Well above a half: a photograph left alone is missed by somebody, a page
/// coloured is only odd.
///
/// Measured with the bundled model: all of 200 rendered pages lie above 0.8, a scanned page of print at 0.94 and a photograph
/// of handwriting at 0.80; none of 920 photographs of the test set lies above 0.4, the highest of 50 FSA/OWI scans is 0.08. What
/// comes nearest from below are pictures of nothing but an even texture, a brick wall at 0.72 and gravel at 0.69.
pub const DOCUMENT_SCORE: f32 = 0.75;

impl Default for RoutingRules {
    fn default() -> Self {
        Self {
            scene_override: None,
            decision: None,
            min_side: MIN_SIDE,
            min_score: MIN_SCORE,
            colour_chroma: COLOUR_CHROMA,
            tinted_share: TINTED_SHARE,
            blank_deviation: BLANK_DEVIATION,
            document_score: DOCUMENT_SCORE,
        }
    }
}

impl RoutingRules {
    /// Name and value of every threshold, in a fixed order: what a recipe says of routing.
    #[expect(clippy::cast_precision_loss, reason = "sides of pictures are far below 2^24")]
    pub fn thresholds(&self) -> Vec<(String, f32)> {
        [
            ("min_score", self.min_score),
            ("colour_chroma", self.colour_chroma),
            ("blank_deviation", self.blank_deviation),
            ("document_score", self.document_score),
            ("tinted_share", self.tinted_share),
            ("min_side", self.min_side as f32),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// Where a scan goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Scene, never [`Scene::Document`].
    pub scene: Scene,
    /// Why, in words.
    pub reason: String,
    /// Whether the collection, or a person, fixed it.
    pub overridden: bool,
}

/// Whether a scan is left alone because of its size, which the header says before anything is decoded.
pub fn too_small(size: Size, rules: &RoutingRules) -> Option<Skip> {
    let least = rules.min_side;
    (rules.decision.is_none() && size.width.min(size.height) < least).then_some(Skip::TooSmall { size, least })
}

/// Whether the scan is left alone before any network looks at it.
pub fn precheck(features: &Features, rules: &RoutingRules) -> Option<Skip> {
    if rules.decision.is_some() {
        return None;
    }
    let &Features { chroma_residual: residual, coloured_share: share, lightness_deviation: deviation, .. } = features;
    if residual > rules.colour_chroma {
        return Some(Skip::AlreadyColour { residual, share, threshold: rules.colour_chroma });
    }
    if features.tinted_share > rules.tinted_share {
        return Some(Skip::HandTinted { share: features.tinted_share, threshold: rules.tinted_share });
    }
    (deviation < rules.blank_deviation).then_some(Skip::Blank { deviation, threshold: rules.blank_deviation })
}

/// Whether the scan is left alone because it is a page: its score passes the threshold, and neither the collection nor a person
/// fixes a scene.
pub fn page(scores: &SceneScores, rules: &RoutingRules) -> Option<Skip> {
    let (score, threshold) = (scores.document, rules.document_score);
    let is_page = rules.scene_override.is_none() && score.is_finite() && score > threshold;
    is_page.then_some(Skip::Document { score, threshold })
}

/// The route of a scan that is not left alone: a person's word first, then the collection's, then the best score of the scenes that
/// are coloured, unless it is too low to trust.
pub fn route(scores: &SceneScores, rules: &RoutingRules) -> Route {
    if let (Some(scene), Some(decision)) = (rules.scene_override, &rules.decision) {
        return Route { scene, reason: decision.to_string(), overridden: true };
    }
    if let Some(scene) = rules.scene_override {
        return Route { scene, reason: format!("the collection fixes the scene {scene}"), overridden: true };
    }
    let other = |reason| Route { scene: Scene::Other, reason, overridden: false };
    if Scene::ALL.into_iter().any(|scene| !scores.of(scene).is_finite()) {
        return other("a score of the scene network is not a finite number, so the safe default".to_owned());
    }
    // The first of equals: a tie is broken by the order of the scenes.
    let best = Scene::COLOURED.into_iter().rev().max_by(|&one, &other| scores.of(one).total_cmp(&scores.of(other)));
    let best = best.unwrap_or(Scene::Other);
    let score = scores.of(best);
    if score < rules.min_score {
        let min = rules.min_score;
        return other(format!("uncertain: best score {score:.2} for {best} is below {min:.2}, so the safe default"));
    }
    Route { scene: best, reason: format!("best score {score:.2} for {best}"), overridden: false }
}

#[cfg(test)]
mod tests;
