//! Facts in, decision out: whether a scan is left alone, and which scene it is.
//!
//! Looks at numbers only; who measured them and what a scene changes is known elsewhere.

use std::fmt;
use std::str::FromStr;

use crate::imaging::Features;

/// What kind of picture it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scene {
    /// People, close.
    Portrait,
    /// Buildings and streets.
    Architecture,
    /// Everything else, and the safe default.
    Other,
    /// Typed or printed pages, maps, tables: left alone, so no picture is ever routed here.
    Document,
}

impl Scene {
    /// All scenes, in the order of their scores.
    pub const ALL: [Self; 4] = [Self::Portrait, Self::Architecture, Self::Other, Self::Document];

    /// The scenes that are coloured, in the order of their scores.
    pub const COLOURED: [Self; 3] = [Self::Portrait, Self::Architecture, Self::Other];

    /// The word for it in configuration, records and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Portrait => "portrait",
            Self::Architecture => "architecture",
            Self::Other => "other",
            Self::Document => "document",
        }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no scene.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is no scene: expected portrait, architecture, other or document")]
pub struct UnknownScene {
    word: String,
}

impl FromStr for Scene {
    type Err = UnknownScene;

    fn from_str(word: &str) -> Result<Self, UnknownScene> {
        let named = Self::ALL.into_iter().find(|scene| scene.as_str() == word);
        named.ok_or_else(|| UnknownScene { word: word.to_owned() })
    }
}

/// Scores of the scene network, summing to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneScores {
    /// Portrait.
    pub portrait: f32,
    /// Architecture.
    pub architecture: f32,
    /// Other.
    pub other: f32,
    /// Document; 0 of a network that does not know pages.
    pub document: f32,
}

impl SceneScores {
    /// The score of one scene.
    pub const fn of(&self, scene: Scene) -> f32 {
        match scene {
            Scene::Portrait => self.portrait,
            Scene::Architecture => self.architecture,
            Scene::Other => self.other,
            Scene::Document => self.document,
        }
    }
}

/// Thresholds and override.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutingRules {
    /// Scene fixed by the collection.
    pub scene_override: Option<Scene>,
    /// Best score below which the picture goes to `other`.
    pub min_score: f32,
    /// Residual chroma (Lab units) above which a scan counts as already in colour.
    pub colour_chroma: f32,
    /// Deviation of lightness (L* units) below which a scan counts as blank.
    pub blank_deviation: f32,
    /// Document score above which a scan counts as a page and is left alone; at 1 none does.
    pub document_score: f32,
}

/// Best score below which the scene network counts as undecided.
pub const MIN_SCORE: f32 = 0.5;

/// Residual chroma ([`Features::chroma_residual`]) above which a scan counts as already in colour, Lab units.
///
/// Measured: of 50 black-and-white scans of the FSA/OWI collection none lies above it, as scanned (grey) or toned to sepia,
/// cyanotype and selenium with noise in every channel and JPEG chroma of quality 70 (largest 2.0). Of colour photographs, 23
/// of 25 Documerica scans kept for evaluation lie above it, 51 of 60 others of that (faded) collection, 1,505 of 1,615 FSA/OWI
/// transparencies of 150 pixels, 7,911 of 8,110 and 2,767 of 2,793 of mixed subjects; what is missed is almost of one tone to
/// the eye. Of 3,284 thumbnails of members of the US Congress, about 41 % of them toned monochromes, 36 % lie below; those
/// wrongly above are mostly campaign buttons and halftones whose noise so small a picture does not average away.
pub const COLOUR_CHROMA: f32 = 2.4;

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
            min_score: MIN_SCORE,
            colour_chroma: COLOUR_CHROMA,
            blank_deviation: BLANK_DEVIATION,
            document_score: DOCUMENT_SCORE,
        }
    }
}

impl RoutingRules {
    /// Name and value of every threshold, in a fixed order: what a recipe says of routing.
    pub fn thresholds(&self) -> Vec<(String, f32)> {
        [
            ("min_score", self.min_score),
            ("colour_chroma", self.colour_chroma),
            ("blank_deviation", self.blank_deviation),
            ("document_score", self.document_score),
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
    /// Whether the collection fixed it.
    pub overridden: bool,
}

/// Why a scan is left alone; `Display` is for a registrar.
#[derive(Debug, Clone, PartialEq)]
pub enum Skip {
    /// The scan shows more than one tone.
    AlreadyColour {
        /// Chroma that no single tone explains, Lab units.
        residual: f32,
        /// Share of the picture that is coloured, 0..=1.
        share: f32,
        /// The threshold it passes, Lab units.
        threshold: f32,
    },
    /// There is nothing on it.
    Blank {
        /// Deviation of lightness, L* units.
        deviation: f32,
        /// The threshold it does not reach, L* units.
        threshold: f32,
    },
    /// It is a page, not a photograph.
    Document {
        /// Score of the scene network, 0..=1.
        score: f32,
        /// The threshold it passes.
        threshold: f32,
    },
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyColour { residual, share, threshold } => write!(
                f,
                "already in colour: chroma of {residual:.1} Lab units that no single tone explains is above {threshold:.1} \
                 ({:.0} % of the picture is coloured)",
                share * 100.0
            ),
            Self::Blank { deviation, threshold } => {
                write!(f, "blank: lightness varies by {deviation:.1} L* units, which is below {threshold:.1}")
            }
            Self::Document { score, threshold } => write!(
                f,
                "looks like a printed or typed page (score {score:.2}, above {threshold:.2}): not coloured; set `scene = \"other\"` \
                 for the collection to colour it anyhow"
            ),
        }
    }
}

/// Whether the scan is left alone before any network looks at it.
pub fn precheck(features: &Features, rules: &RoutingRules) -> Option<Skip> {
    let &Features { chroma_residual: residual, coloured_share: share, lightness_deviation: deviation, .. } = features;
    if residual > rules.colour_chroma {
        return Some(Skip::AlreadyColour { residual, share, threshold: rules.colour_chroma });
    }
    (deviation < rules.blank_deviation).then_some(Skip::Blank { deviation, threshold: rules.blank_deviation })
}

/// Whether the scan is left alone because it is a page: its score passes the threshold, and the collection fixes no scene.
pub fn page(scores: &SceneScores, rules: &RoutingRules) -> Option<Skip> {
    let (score, threshold) = (scores.document, rules.document_score);
    let is_page = rules.scene_override.is_none() && score.is_finite() && score > threshold;
    is_page.then_some(Skip::Document { score, threshold })
}

/// The route of a scan that is not left alone: the collection's word first, then the best score of the scenes that are coloured, unless
/// it is too low to trust.
pub fn route(scores: &SceneScores, rules: &RoutingRules) -> Route {
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
mod tests {
    use super::*;

    const fn scores(portrait: f32, architecture: f32, other: f32) -> SceneScores {
        SceneScores { portrait, architecture, other, document: 0.0 }
    }

    const fn with_document(document: f32) -> SceneScores {
        SceneScores { document, ..scores(0.3, 0.1, 0.0) }
    }

    const fn features(chroma_residual: f32, lightness_deviation: f32) -> Features {
        Features { chroma_mean: 12.0, chroma_residual, coloured_share: 0.37, lightness_deviation, detail_share: 0.2 }
    }

    #[test]
    fn scenes_are_known_by_their_words() {
        for scene in Scene::ALL {
            assert_eq!(scene.to_string().parse(), Ok(scene));
        }
        let error = "landscape".parse::<Scene>().unwrap_err().to_string();
        assert_eq!(error, "\"landscape\" is no scene: expected portrait, architecture, other or document");
    }

    #[test]
    fn the_best_score_decides() {
        let route = route(&scores(0.1, 0.83, 0.07), &RoutingRules::default());
        assert_eq!((route.scene, route.overridden), (Scene::Architecture, false));
        assert_eq!(route.reason, "best score 0.83 for architecture");
    }

    #[test]
    fn the_collection_has_the_first_word() {
        let rules = RoutingRules { scene_override: Some(Scene::Portrait), ..RoutingRules::default() };
        let route = route(&scores(f32::NAN, 0.9, 0.1), &rules);
        assert_eq!((route.scene, route.overridden), (Scene::Portrait, true));
        assert_eq!(route.reason, "the collection fixes the scene portrait");
    }

    #[test]
    fn an_uncertain_picture_takes_the_safe_default() {
        let route = route(&scores(0.41, 0.3, 0.29), &RoutingRules::default());
        assert_eq!(route.scene, Scene::Other);
        assert_eq!(route.reason, "uncertain: best score 0.41 for portrait is below 0.50, so the safe default");
    }

    #[test]
    fn scores_that_are_no_numbers_take_the_safe_default() {
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let route = route(&scores(0.9, broken, 0.1), &RoutingRules::default());
            assert_eq!(route.scene, Scene::Other);
            assert!(route.reason.contains("not a finite number"), "{}", route.reason);
        }
    }

    #[test]
    fn a_colour_scan_is_left_alone_with_a_reason() {
        let skip = precheck(&features(9.26, 20.0), &RoutingRules::default()).unwrap();
        let words = "already in colour: chroma of 9.3 Lab units that no single tone explains is above 2.4 (37 % of the picture is coloured)";
        assert_eq!(skip.to_string(), words);
    }

    #[test]
    fn a_blank_scan_is_left_alone_with_a_reason() {
        let skip = precheck(&features(0.0, 0.62), &RoutingRules::default()).unwrap();
        assert_eq!(skip.to_string(), "blank: lightness varies by 0.6 L* units, which is below 2.0");
    }

    #[test]
    fn a_monochrome_picture_is_not_left_alone() {
        assert_eq!(precheck(&features(1.1, 20.0), &RoutingRules::default()), None);
    }

    #[test]
    fn a_page_is_left_alone_with_a_reason_and_a_way_out() {
        let skip = page(&with_document(0.97), &RoutingRules::default()).unwrap();
        let words = "looks like a printed or typed page (score 0.97, above 0.75): not coloured; set `scene = \"other\"` for the \
                     collection to colour it anyhow";
        assert_eq!(skip.to_string(), words);
    }

    #[test]
    fn a_page_is_coloured_when_the_collection_fixes_a_scene() {
        for scene in Scene::COLOURED {
            let rules = RoutingRules { scene_override: Some(scene), ..RoutingRules::default() };
            assert_eq!(page(&with_document(1.0), &rules), None);
            assert_eq!(route(&with_document(1.0), &rules).scene, scene);
        }
    }

    #[test]
    fn a_document_score_that_does_not_pass_leaves_the_choice_to_the_rest() {
        let rules = RoutingRules { min_score: 0.2, ..RoutingRules::default() };
        let doubtful = with_document(0.6);
        assert_eq!(page(&doubtful, &rules), None);
        assert_eq!((route(&doubtful, &rules).scene, route(&doubtful, &rules).overridden), (Scene::Portrait, false));
        let reason = route(&doubtful, &RoutingRules::default()).reason;
        assert_eq!(reason, "uncertain: best score 0.30 for portrait is below 0.50, so the safe default");
    }

    #[test]
    fn a_threshold_of_one_leaves_no_page_alone_and_a_score_that_is_no_number_is_no_page() {
        let never = RoutingRules { document_score: 1.0, ..RoutingRules::default() };
        assert_eq!(page(&with_document(1.0), &never), None);
        for broken in [f32::NAN, f32::INFINITY] {
            assert_eq!(page(&with_document(broken), &RoutingRules::default()), None);
            assert!(route(&with_document(broken), &RoutingRules::default()).reason.contains("not a finite number"));
        }
    }

    #[test]
    fn thresholds_come_in_a_fixed_order() {
        let names: Vec<String> = RoutingRules::default().thresholds().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["min_score", "colour_chroma", "blank_deviation", "document_score"]);
    }
}
