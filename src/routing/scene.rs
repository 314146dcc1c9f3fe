//! The kinds of pictures, and what the scene network says of one.

use std::fmt;
use std::str::FromStr;

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
