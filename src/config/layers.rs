//! Finds the file, reads it, and lays the environment over it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::flatten::{flatten, unknown};
use super::problems::{ConfigError, Place, Problem};
use super::values::{Given, Value};
use super::vocabulary::Vocabulary;
use crate::ingest::read_at_most;

/// Files that are looked for when none is named.
const PLACES: [&str; 2] = ["autochrome.toml", "/etc/autochrome/autochrome.toml"];

/// Longest file that is read, bytes: hundreds of collections take some 100 KiB, and a device has no end.
const MOST_BYTES: u64 = 1 << 20;

/// Variables that lay over the file start so; a single underscore is part of a key's name.
const PREFIX: &str = "AUTOCHROME__";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment {name}"),
        }
    }
}

/// An effective value, for people who ask why.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// Sections and name, with dots.
    pub key: String,
    /// What holds. Paths are absolute; what the machine decided is shown as decided.
    pub value: toml::Value,
    /// Who said so.
    pub origin: Origin,
    /// What was written, where that was not yet the value.
    pub note: Option<&'static str>,
    /// What the key is for.
    pub meaning: &'static str,
}

/// A value that is right by itself, under the name it has where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Entries by the path their key has outside a collection.
pub(super) type Entries = BTreeMap<&'static str, Entry>;

/// What one `[[collection]]` says.
#[derive(Debug)]
pub(super) struct Collection {
    /// Goes in front of its keys where they are shown: `collection.NAME.`.
    pub(super) shown: String,
    pub(super) entries: Entries,
    /// What each of its `[[collection.output]]` says.
    pub(super) outputs: Vec<Self>,
}

/// All that was written, and what was wrong with it.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) file: Option<PathBuf>,
    /// What relative paths start from.
    pub(super) base: PathBuf,
    pub(super) top: Entries,
    pub(super) collections: Vec<Collection>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    pub(super) fn gather(
        named: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut variables: Vec<_> = environment.filter(|(name, _)| name.to_string_lossy().starts_with("AUTOCHROME_")).collect();
        variables.sort();
        let from_variable = variables.iter().find(|(name, value)| name == "AUTOCHROME_CONFIG" && !value.is_empty());
        let named = named.map(Path::to_owned).or_else(|| from_variable.map(|(_, value)| PathBuf::from(value)));
        let mut layers = match read(named)? {
            Some((file, text)) => Self::of_text(&text, &file),
            None => Self::empty(std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))),
        };
        for (name, value) in &variables {
            if let Some(path) = name.to_string_lossy().strip_prefix(PREFIX) {
                layers.overlay(&name.to_string_lossy(), path, value.to_str());
            }
        }
        Ok(layers)
    }

    pub(super) fn empty(base: PathBuf) -> Self {
        Self { file: None, base, top: Entries::new(), collections: Vec::new(), problems: Vec::new() }
    }

    /// The layers of one file; `file` is absolute.
    pub(super) fn of_text(text: &str, file: &Path) -> Self {
        let flat = flatten(text, &Origin::File(file.to_owned()));
        let base = file.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        Self { file: Some(file.to_owned()), base, top: flat.top, collections: flat.collections, problems: flat.problems }
    }

    /// Lays one variable over what is there; `path` is its name without the prefix.
    fn overlay(&mut self, variable: &str, path: &str, value: Option<&str>) {
        let key = path.to_lowercase().replace("__", ".");
        let mut refuse = |value: Option<String>, rule: String| {
            let place = Place::Variable(variable.to_owned());
            self.problems.push(Problem { key: key.clone(), value, place, rule });
        };
        if key == "collection" || key.starts_with("collection.") {
            return refuse(None, "collections are written in the file; variables cannot change them".to_owned());
        }
        let vocabulary = Vocabulary::top();
        let Some((name, known)) = vocabulary.key(&key) else {
            let rule = match vocabulary.is_section(&key) {
                true => "is a section and takes no value".to_owned(),
                false => unknown(&vocabulary, &key),
            };
            return refuse(None, rule);
        };
        let Some(text) = value else { return refuse(None, "must be UTF-8 text".to_owned()) };
        let given = Given::from_variable(text, &known.shape);
        match known.shape.check(&given) {
            Ok(value) => {
                self.top.insert(known.path, Entry { name, value, origin: Origin::Variable(variable.to_owned()) });
            }
            Err(rule) => refuse(Some(given.shown()), rule),
        }
    }
}

/// The named file, or the first that exists of those that are looked for, with its absolute path.
fn read(named: Option<PathBuf>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let must_exist = named.is_some();
    let candidates = named.map_or_else(|| PLACES.map(PathBuf::from).to_vec(), |path| vec![path]);
    for path in candidates {
        let path = std::path::absolute(&path).unwrap_or(path);
        let bytes = File::open(&path).and_then(|file| read_at_most(&file, 0, MOST_BYTES));
        let text = bytes.and_then(|bytes| {
            bytes.map(String::from_utf8).transpose().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        });
        match text {
            Ok(Some(text)) => return Ok(Some((path, text))),
            Ok(None) => return Err(ConfigError::TooLarge { path, limit: MOST_BYTES }),
            Err(error) if !must_exist && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        }
    }
    Ok(None)
}
