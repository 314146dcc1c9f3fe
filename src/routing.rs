//! stub
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
}
impl std::fmt::Display for Scene { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
impl std::str::FromStr for Scene { type Err = String; fn from_str(_: &str) -> Result<Self, String> { todo!() } }
/// Scores of the scene network, summing to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneScores {
    /// Portrait.
    pub portrait: f32,
    /// Architecture.
    pub architecture: f32,
    /// Other.
    pub other: f32,
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
}
/// Where a scan goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Scene.
    pub scene: Scene,
    /// Why, in words.
    pub reason: String,
    /// Whether the collection fixed it.
    pub overridden: bool,
}
/// Why a scan is left alone; `Display` is for a registrar.
#[derive(Debug, Clone, PartialEq)]
pub enum Skip { /* stub */ }
impl std::fmt::Display for Skip { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
/// Whether the scan is left alone before any network looks at it.
pub fn precheck(_features: &Features, _rules: &RoutingRules) -> Option<Skip> { todo!() }
/// The route of a scan.
pub fn route(_scores: &SceneScores, _rules: &RoutingRules) -> Route { todo!() }
