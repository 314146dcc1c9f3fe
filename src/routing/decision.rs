//! What a person decided about one scan: a scene, or to leave it alone.

use std::fmt;
use std::str::FromStr;

use super::Scene;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is coloured as this scene, never [`Scene::Document`].
    Scene(Scene),
    /// It is left alone.
    Skip,
}

impl Verdict {
    /// The word for leaving a scan alone.
    const SKIP: &'static str = "skip";

    /// The word for it on the command line, in sidecars and in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scene(scene) => scene.as_str(),
            Self::Skip => Self::SKIP,
        }
    }

    /// The scene, unless the scan is left alone.
    pub const fn scene(self) -> Option<Scene> {
        match self {
            Self::Scene(scene) => Some(scene),
            Self::Skip => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verdict {
    type Err = DecisionError;

    fn from_str(word: &str) -> Result<Self, DecisionError> {
        if word == Self::SKIP {
            return Ok(Self::Skip);
        }
        let scene = Scene::COLOURED.into_iter().find(|scene| scene.as_str() == word);
        scene.map(Self::Scene).ok_or_else(|| DecisionError::Word(word.chars().take(MOST_BY).collect()))
    }
}

/// How a decision reached the program. A command's goes before a sidecar's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `autochrome route`.
    Command,
    /// A file beside the scan.
    Sidecar,
}

impl Origin {
    /// The word for it in the ledger and in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Sidecar => "sidecar",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Longest name, characters.
const MOST_BY: usize = 200;
/// Longest reason, characters: it is printed on one line of reports.
const MOST_WHY: usize = 1000;

/// What is wrong with a decision, as a rule for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// No such word.
    #[error("{0:?} is none of portrait, architecture, other, skip")]
    Word(String),
    /// Nothing, or too much, or several lines.
    #[error("`{name}` must be one line of 1 to {most} characters")]
    Text {
        /// `by` or `why`.
        name: &'static str,
        /// Most characters.
        most: usize,
    },
}

impl DecisionError {
    /// Whether it is about who decided, not why.
    pub fn is_about_author(&self) -> bool {
        matches!(self, Self::Text { name: "by", .. })
    }
}

/// A decision about one scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// By whom: one line of 1 to 200 characters.
    pub by: String,
    /// Why: one line of 1 to 1,000 characters.
    pub why: String,
    /// How it reached the program.
    pub origin: Origin,
}

impl Decision {
    /// Takes a decision whose author and reason are one line each; space around them is dropped.
    ///
    /// # Errors
    /// One of them is empty, too long, or has control characters.
    pub fn new(verdict: Verdict, by: &str, why: &str, origin: Origin) -> Result<Self, DecisionError> {
        Ok(Self { verdict, by: line("by", by, MOST_BY)?, why: line("why", why, MOST_WHY)?, origin })
    }
}

/// For people: what, who, why.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, by, why, origin } = self;
        match verdict {
            Verdict::Scene(scene) => write!(f, "{scene} by decision of {by} ({origin}): {why}"),
            Verdict::Skip => write!(
                f,
                "left alone by decision of {by}: {why}; {} takes it back",
                match origin {
                    Origin::Command => "`autochrome route --as auto`",
                    Origin::Sidecar => "removing the sidecar beside the scan",
                }
            ),
        }
    }
}

fn line(name: &'static str, text: &str, most: usize) -> Result<String, DecisionError> {
    let text = text.trim();
    let is_line = !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control);
    if is_line { Ok(text.to_owned()) } else { Err(DecisionError::Text { name, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_known_by_its_word_and_pages_are_none() {
        for word in ["portrait", "architecture", "other", "skip"] {
            assert_eq!(word.parse::<Verdict>().unwrap().as_str(), word);
        }
        for word in ["document", "auto", "", "Portrait"] {
            assert!(word.parse::<Verdict>().unwrap_err().to_string().contains("none of portrait, architecture, other, skip"));
        }
    }

    #[test]
    fn a_decision_has_an_author_and_a_reason_of_one_line() {
        let decide = |by: &str, why: &str| Decision::new(Verdict::Skip, by, why, Origin::Command);
        let decision = decide(" A. Weber ", "a negative").unwrap();
        assert_eq!(
            decision.to_string(),
            "left alone by decision of A. Weber: a negative; `autochrome route --as auto` takes it back"
        );
        for (by, why, name) in [("", "x", "by"), ("x", " ", "why"), ("x", "two\nlines", "why"), (&"x".repeat(201), "x", "by")] {
            assert!(decide(by, why).unwrap_err().to_string().starts_with(&format!("`{name}` must be one line")));
        }
    }
}
