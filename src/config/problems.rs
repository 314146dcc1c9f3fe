//! What can be wrong with a configuration, told so that one look is enough: key, value, place, rule.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a wrong value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Line of the file, counted from 1.
    Line(usize),
    /// An environment variable.
    Variable(String),
    /// Nowhere in particular: a value is missing, or two defaults meet.
    Nowhere,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) place: Place,
    pub(super) rule: String,
}

impl Problem {
    /// The key it is about, with dots; empty for text that is no TOML.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(line) => write!(f, "line {line}: ")?,
            Place::Variable(name) => write!(f, "{name}: ")?,
            Place::Nowhere => {}
        }
        match (self.key.as_str(), &self.value) {
            ("", _) => write!(f, "{}", self.rule),
            (key, Some(value)) => write!(f, "{key} = {value}: {}", self.rule),
            (key, None) => write!(f, "{key}: {}", self.rule),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is longer than any configuration.
    #[error("the configuration {} is larger than {} MiB", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, bytes.
        limit: u64,
    },
    /// Something in it is wrong. The text has a line for every problem: the one place where one line is not enough.
    #[error("{}", list(file.as_ref(), problems))]
    Unsound {
        /// The file; `None` when only the environment speaks.
        file: Option<PathBuf>,
        /// Every problem.
        problems: Vec<Problem>,
    },
    /// Sound, but there is nothing to work on.
    #[error("{}", nothing_to_do(file.as_ref()))]
    NoCollection {
        /// The file; `None` when there is none.
        file: Option<PathBuf>,
    },
}

impl ConfigError {
    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } => Some("name a readable file with --config or AUTOCHROME_CONFIG"),
            Self::TooLarge { .. } => {
                Some("name the configuration's .toml file with --config or AUTOCHROME_CONFIG; a scan or a device is none")
            }
            Self::Unsound { .. } => {
                Some("config/reference.toml lists every key with its default and meaning; `autochrome config check` looks again")
            }
            Self::NoCollection { .. } => {
                Some("write a [[collection]] with name, ingest and output; config/example-museum.toml shows how")
            }
        }
    }
}

fn list(file: Option<&PathBuf>, problems: &[Problem]) -> String {
    let subject = file.map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    problems.iter().fold(format!("{subject}: {count}"), |text, problem| text + &format!("\n  {problem}"))
}

fn nothing_to_do(file: Option<&PathBuf>) -> String {
    match file {
        Some(file) => format!("{} names no collection", file.display()),
        None => "no configuration was found, so there is no collection to work on".to_owned(),
    }
}
