//! What a key's value may be, and the check that turns typed text into such a value.

use std::time::Duration;

use super::duration;
use crate::routing::Scene;

const SCENES: &[&str] = &["auto", Scene::Portrait.as_str(), Scene::Architecture.as_str(), Scene::Other.as_str()];
/// Why a collection cannot be fixed to pages.
const PAGES: &str = "pages are left alone, not coloured, so a collection of them needs no ingest root; \"auto\" finds the pages among \
                     photographs, and \"other\" colours everything, pages included";

/// A value as it was typed, before anybody knows whether it is right.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Text(String),
    Integer(i64),
    Number(f64),
    Switch(bool),
    /// None of those: what it is, in words (`a table`, `a date`).
    Other(&'static str),
}

impl Given {
    /// As it would be written in TOML.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => toml::Value::from(text.as_str()).to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => toml::Value::from(*value).to_string(),
            Self::Switch(value) => value.to_string(),
            Self::Other(what) => (*what).to_owned(),
        }
    }

    /// Reads the text of an environment variable the way `shape` wants it; text that does not fit stays text, which the
    /// check then refuses.
    pub(super) fn from_variable(text: &str, shape: &Shape) -> Self {
        let read = match shape {
            Shape::Integer { .. } => text.parse().ok().map(Self::Integer),
            Shape::Number { .. } => text.parse().ok().map(Self::Number),
            Shape::Switch => text.parse().ok().map(Self::Switch),
            Shape::Word(_) | Shape::Scene | Shape::Path | Shape::Name | Shape::Duration { .. } => None,
        };
        read.unwrap_or_else(|| Self::Text(text.to_owned()))
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// One of these words.
    Word(&'static [&'static str]),
    /// `auto`, or a scene that is coloured.
    Scene,
    /// A path, not empty.
    Path,
    /// The name of a collection or model.
    Name,
    /// A duration between two others, both included, written as in a file.
    Duration { min: &'static str, max: &'static str },
    /// A whole number, both bounds included.
    Integer { min: u64, max: u64 },
    /// A number, both bounds included.
    Number { min: f64, max: f64 },
    /// `true` or `false`.
    Switch,
}

/// A value that is right.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Duration(Duration),
    Integer(u64),
    Number(f64),
    Switch(bool),
}

impl Value {
    pub(super) fn to_toml(&self) -> toml::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Duration(value) => duration::write(*value).into(),
            Self::Integer(value) => i64::try_from(*value).unwrap_or(i64::MAX).into(),
            Self::Number(value) => (*value).into(),
            Self::Switch(value) => (*value).into(),
        }
    }
}

impl Shape {
    /// The value, or the rule that `given` breaks.
    pub(super) fn check(&self, given: &Given) -> Result<Value, String> {
        match (self, given) {
            (Self::Word(words), Given::Text(text)) if words.contains(&text.as_str()) => Ok(Value::Text(text.clone())),
            (Self::Scene, Given::Text(text)) if SCENES.contains(&text.as_str()) => Ok(Value::Text(text.clone())),
            (Self::Scene, Given::Text(text)) if text == Scene::Document.as_str() => Err(PAGES.to_owned()),
            (Self::Path, Given::Text(text)) if !text.is_empty() && !text.contains('\0') => Ok(Value::Text(text.clone())),
            (Self::Name, Given::Text(text)) if is_name(text) => Ok(Value::Text(text.clone())),
            (Self::Duration { min, max }, Given::Text(text)) => {
                let bounds = [min, max].map(|text| duration::parse(text).expect("bounds in the key table are durations"));
                let found = duration::parse(text).filter(|found| (bounds[0]..=bounds[1]).contains(found));
                found.map(Value::Duration).ok_or_else(|| self.rule())
            }
            (Self::Integer { min, max }, Given::Integer(value)) => {
                let found = u64::try_from(*value).ok().filter(|value| (*min..=*max).contains(value));
                found.map(Value::Integer).ok_or_else(|| self.rule())
            }
            // Whoever writes `threshold = 7` means 7.0.
            #[expect(clippy::cast_precision_loss, reason = "what is outside 2^53 is outside every bound as well")]
            (Self::Number { .. }, Given::Integer(value)) => self.check(&Given::Number(*value as f64)),
            (Self::Number { min, max }, Given::Number(value)) if (*min..=*max).contains(value) => Ok(Value::Number(*value)),
            (Self::Switch, Given::Switch(value)) => Ok(Value::Switch(*value)),
            _ => Err(self.rule()),
        }
    }

    /// What is allowed, in words.
    pub(super) fn rule(&self) -> String {
        match self {
            Self::Word(words) => one_of(words),
            Self::Scene => one_of(SCENES),
            Self::Path => "must be a path in quotation marks, not empty".to_owned(),
            Self::Name => {
                "must be a name: 1 to 64 letters, digits, spaces, or any of - _ . ( ), starting with a letter or digit".to_owned()
            }
            Self::Duration { min, max } => {
                format!("must be a duration such as \"200ms\", \"10s\", \"5m\" or \"1h30m\", from {min} to {max}")
            }
            Self::Integer { min, max } => format!("must be a whole number from {min} to {max}"),
            Self::Number { min, max } => format!("must be a number from {min} to {max}"),
            Self::Switch => "must be true or false".to_owned(),
        }
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("must be one of {}", quoted.join(", "))
}

/// Names go into thread names, logs, queries and file paths of reports: letters of any script, but nothing that a shell, a
/// terminal or a path would read as something else.
fn is_name(text: &str) -> bool {
    let allowed = |character: char| character.is_alphanumeric() || " -_.()".contains(character);
    text.chars().count() <= 64 && text.starts_with(char::is_alphanumeric) && !text.ends_with(' ') && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn bounds_belong_to_what_is_allowed() {
        let shape = Shape::Integer { min: 1, max: 100 };
        assert!([1, 100].iter().all(|&value| shape.check(&Given::Integer(value)).is_ok()));
        assert!([0, 101, -1].iter().all(|&value| shape.check(&Given::Integer(value)).is_err()));
        let shape = Shape::Duration { min: "1s", max: "1m" };
        assert!(["1s", "60s", "1m"].iter().all(|value| shape.check(&text(value)).is_ok()));
        assert!(["999ms", "61s", "soon"].iter().all(|value| shape.check(&text(value)).is_err()));
    }

    #[test]
    fn a_whole_number_is_a_number_and_not_the_other_way_round() {
        let number = Shape::Number { min: 0.0, max: 255.0 };
        assert_eq!(number.check(&Given::Integer(7)), Ok(Value::Number(7.0)));
        assert!(number.check(&Given::Number(f64::NAN)).is_err());
        assert!(number.check(&Given::Number(f64::INFINITY)).is_err());
        assert!(Shape::Integer { min: 0, max: 9 }.check(&Given::Number(7.0)).is_err());
    }

    #[test]
    fn names_are_safe_wherever_they_are_shown() {
        for name in ["glass-plates", "Glasplatten Köln (1908)", "收藏", "7"] {
            assert!(is_name(name), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", " ", "-rf", ".hidden", "..", "a/b", "a\\b", "a\nb", "a ", "$HOME", "a\0", &long] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
