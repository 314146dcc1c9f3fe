//! Which words a place in the file knows, and which known word an unknown one was probably meant to be.

use std::collections::BTreeMap;

use super::keys::{COLLECTION_KEYS, KEYS, Key, OUTPUT_KEYS, OUTPUT_PATH};

/// The keys of the file's top level, or of a collection, by the name they have there.
#[derive(Debug)]
pub(super) struct Vocabulary {
    keys: BTreeMap<&'static str, &'static Key>,
}

impl Vocabulary {
    /// What may stand outside `[[collection]]`.
    pub(super) fn top() -> Self {
        Self { keys: KEYS.iter().map(|key| (key.path, key)).collect() }
    }

    /// What may stand inside one.
    pub(super) fn collection() -> Self {
        let overrides = KEYS.iter().filter_map(|key| Some((key.own?, key)));
        Self { keys: COLLECTION_KEYS.iter().map(|key| (key.path, key)).chain(overrides).collect() }
    }

    /// What may stand inside one of a collection's outputs.
    pub(super) fn output() -> Self {
        let overrides = KEYS.iter().filter(|key| OUTPUT_KEYS.contains(&key.path)).filter_map(|key| Some((key.own?, key)));
        Self { keys: [(OUTPUT_PATH.path, &OUTPUT_PATH)].into_iter().chain(overrides).collect() }
    }

    /// The key of this name, with its name as a constant.
    pub(super) fn key(&self, name: &str) -> Option<(&'static str, &'static Key)> {
        self.keys.get_key_value(name).map(|(name, key)| (*name, *key))
    }

    /// Whether known keys stand below this name.
    pub(super) fn is_section(&self, name: &str) -> bool {
        self.keys.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The known name that `name` was probably meant to be: the same word in another section, or few letters away.
    pub(super) fn nearest(&self, name: &str) -> Option<&'static str> {
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let mut same_word = self.keys.keys().filter(|key| last(key) == last(name));
        if let (Some(only), None) = (same_word.next(), same_word.next()) {
            return Some(only);
        }
        // A third of the letters wrong is another word, not a slip.
        let bound = (name.chars().count() / 3).clamp(1, 3);
        let sections = self.keys.keys().flat_map(|key| key.match_indices('.').map(|(at, _)| &key[..at]));
        let candidates = self.keys.keys().copied().chain(sections);
        let near = candidates.map(|known| (distance(name, known), known)).filter(|(edits, _)| *edits <= bound);
        near.min().map(|(_, known)| known)
    }
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // The first row and the first column count letters of one word alone.
    let mut rows: Vec<Vec<usize>> = (0..=one.len()).map(|i| (i..=i + other.len()).collect()).collect();
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_other_words_are_not() {
        let top = Vocabulary::top();
        assert_eq!(top.nearest("device.presicion"), Some("device.precision"));
        assert_eq!(top.nearest("devcie"), Some("device"));
        assert_eq!(top.nearest("jpeg_quality"), Some("output.jpeg_quality"));
        assert_eq!(top.nearest("output.memory"), None);
        assert_eq!(top.nearest("nonsense"), None);
        let collection = Vocabulary::collection();
        assert_eq!(collection.nearest("ingset"), Some("ingest"));
        assert_eq!(collection.nearest("output.format"), Some("format"));
    }

    #[test]
    fn a_collection_knows_its_own_keys_and_its_overrides() {
        let collection = Vocabulary::collection();
        assert_eq!(collection.key("format").map(|(_, key)| key.path), Some("output.format"));
        assert_eq!(collection.key("portrait.height.min").map(|(_, key)| key.path), Some("scene.portrait.height.min"));
        assert!(collection.is_section("portrait.height") && !collection.is_section("port"));
        assert!(collection.key("workers.count").is_none() && Vocabulary::top().key("name").is_none());
    }
}
