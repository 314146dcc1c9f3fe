//! Walks a TOML document against the vocabulary: known values come out by name, everything else as a problem.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::layers::{Collection, Entries, Entry, Origin};
use super::problems::{Place, Problem};
use super::values::Given;
use super::vocabulary::Vocabulary;

/// What a document came to.
#[derive(Debug)]
pub(super) struct Flat {
    pub(super) top: Entries,
    pub(super) collections: Vec<Collection>,
    pub(super) problems: Vec<Problem>,
}

/// Reads a whole document. A text that is no TOML gives only the problems that make it so.
pub(super) fn flatten(text: &str, origin: &Origin) -> Flat {
    let mut flat = Flat { top: Entries::new(), collections: Vec::new(), problems: Vec::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let place = error.span().map_or(Place::Nowhere, |span| Place::Line(line_of(text, span.start)));
            let rule = error.message().replace('\n', " ");
            flat.problems.push(Problem { key: String::new(), value: None, place, rule });
        }
        return flat;
    }
    let mut table = document.into_inner();
    let collections = table.remove("collection");
    let vocabulary = Vocabulary::top();
    let mut walk = Walk { text, origin, vocabulary, shown: String::new(), entries: Entries::new(), problems: Vec::new() };
    walk.table("", &table);
    flat.top = walk.entries;
    flat.problems = walk.problems;
    if let Some(value) = collections {
        read_collections(text, origin, &value, &mut flat);
    }
    // In the order of the file, so that a person works from top to bottom.
    flat.problems.sort_by_key(|problem| match problem.place {
        Place::Line(line) => line,
        Place::Variable(_) | Place::Nowhere => usize::MAX,
    });
    flat
}

fn read_collections(text: &str, origin: &Origin, value: &Spanned<DeValue<'_>>, flat: &mut Flat) {
    let refused = |span: std::ops::Range<usize>| {
        let rule = "must be written as [[collection]], once for each collection".to_owned();
        Problem { key: "collection".to_owned(), value: None, place: Place::Line(line_of(text, span.start)), rule }
    };
    let DeValue::Array(items) = value.get_ref() else {
        flat.problems.push(refused(value.span()));
        return;
    };
    for item in items.iter() {
        let DeValue::Table(table) = item.get_ref() else {
            flat.problems.push(refused(item.span()));
            continue;
        };
        let shown = match table.get("name").map(Spanned::get_ref) {
            Some(DeValue::String(name)) => format!("collection.{}.", key_text(name)),
            _ => format!("collection.{}.", flat.collections.len() + 1),
        };
        let vocabulary = Vocabulary::collection();
        let mut walk = Walk { text, origin, vocabulary, shown, entries: Entries::new(), problems: Vec::new() };
        walk.table("", table);
        let outputs = read_outputs(&mut walk, table);
        flat.collections.push(Collection { shown: walk.shown, entries: walk.entries, outputs });
        flat.problems.append(&mut walk.problems);
    }
}

/// The outputs of a collection, where they are a list; where they are one path, that is a value like others.
fn read_outputs(collection: &mut Walk<'_>, table: &DeTable<'_>) -> Vec<Collection> {
    let Some(DeValue::Array(items)) = table.get("output").map(Spanned::get_ref) else { return Vec::new() };
    let mut outputs = Vec::new();
    for item in items.iter() {
        let DeValue::Table(table) = item.get_ref() else {
            let rule = "must be a path, or [[collection.output]] once for each output".to_owned();
            collection.problem("output", Some(given(item.get_ref()).shown()), line_of(collection.text, item.span().start), rule);
            continue;
        };
        let shown = format!("{}output.{}.", collection.shown, outputs.len() + 1);
        let (text, origin, vocabulary) = (collection.text, collection.origin, Vocabulary::output());
        let mut walk = Walk { text, origin, vocabulary, shown, entries: Entries::new(), problems: Vec::new() };
        walk.table("", table);
        collection.problems.append(&mut walk.problems);
        outputs.push(Collection { shown: walk.shown, entries: walk.entries, outputs: Vec::new() });
    }
    outputs
}

struct Walk<'a> {
    text: &'a str,
    origin: &'a Origin,
    vocabulary: Vocabulary,
    /// Goes in front of every name that is shown.
    shown: String,
    entries: Entries,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, section: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = match section {
                "" => key_text(key.get_ref()),
                section => format!("{section}.{}", key_text(key.get_ref())),
            };
            let line = line_of(self.text, key.span().start);
            // A list of outputs is read by itself.
            if name == "output" && matches!(value.get_ref(), DeValue::Array(_)) && self.vocabulary.key("ingest").is_some() {
                continue;
            }
            if let Some((known, key)) = self.vocabulary.key(&name) {
                let given = given(value.get_ref());
                match key.shape.check(&given) {
                    Ok(value) => {
                        self.entries.insert(key.path, Entry { name: known, value, origin: self.origin.clone() });
                    }
                    Err(rule) => self.problem(&name, Some(given.shown()), line, rule),
                }
            } else if self.vocabulary.is_section(&name) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.table(&name, inner),
                    other => {
                        let rule = format!("is a section, [{}{name}], and takes no value", self.shown);
                        self.problem(&name, Some(given(other).shown()), line, rule);
                    }
                }
            } else {
                self.problem(&name, None, line, unknown(&self.vocabulary, &name));
            }
        }
    }

    fn problem(&mut self, name: &str, value: Option<String>, line: usize, rule: String) {
        self.problems.push(Problem { key: format!("{}{name}", self.shown), value, place: Place::Line(line), rule });
    }
}

/// The rule that an unknown name breaks.
pub(super) fn unknown(vocabulary: &Vocabulary, name: &str) -> String {
    if ["scene.document", "document"]
        .iter()
        .any(|section| name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.') || rest.is_empty()))
    {
        return "is not a key: pages are left alone, so they have neither model nor height; routing.document_score decides"
            .to_owned();
    }
    match vocabulary.nearest(name) {
        Some(known) => format!("is not a key; did you mean {known}?"),
        None => "is not a key".to_owned(),
    }
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Integer(value) => {
            i64::from_str_radix(value.as_str(), value.radix()).map_or(Given::Other("a number of too many digits"), Given::Integer)
        }
        DeValue::Float(value) => value.as_str().parse().map_or(Given::Other("a number that cannot be read"), Given::Number),
        DeValue::Boolean(value) => Given::Switch(*value),
        DeValue::Datetime(_) => Given::Other("a date or time"),
        DeValue::Array(_) => Given::Other("a list"),
        DeValue::Table(_) => Given::Other("a section"),
    }
}

/// A key as it would be written: bare when it can be, else in quotation marks.
pub(super) fn key_text(key: &str) -> String {
    let bare = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { toml::Value::from(key).to_string() }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}
