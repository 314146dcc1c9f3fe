//! Where in its scan a picture was taken to lie.

use serde::{Deserialize, Serialize};

/// The picture in the scan: networks saw nothing else, and outside it the derivative has no colour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BorderRecord {
    /// `auto`: borders were looked for; `off`: the whole scan counted as picture.
    pub mode: String,
    /// Columns to the left of the picture, upright, pixels.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Columns of it.
    pub width: u32,
    /// Rows of it.
    pub height: u32,
    /// How sure it is that what lies outside is border, 0..=1; 1 when nothing does.
    pub confidence: f32,
}
