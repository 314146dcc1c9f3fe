//! Which tones of its copy the colour network saw as black and white.

use serde::{Deserialize, Serialize};

/// Levels of the colour network's copy. The published lightness has none of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelsRecord {
    /// `auto`: a copy of few tones gets levels; `off`: none does.
    pub mode: String,
    /// The darkest tone of the copy but for 0.2 % of its pixels, sRGB-encoded, 0..=1; null where nothing was measured.
    pub darkest: Option<f32>,
    /// Its first percentile, likewise.
    pub black: Option<f32>,
    /// Its 99th percentile.
    pub white: Option<f32>,
    /// Its lightest tone but for 0.2 %; levels are applied where it is less than 0.5 above the darkest.
    pub lightest: Option<f32>,
    /// Whether the network was shown the tones from `black` to `white` stretched to 0..=1.
    pub applied: bool,
}
