//! Keeps `config/reference.toml` equal to the code, both ways, and the example museum sound.

use std::path::Path;

use super::keys::{COLLECTION_KEYS, KEYS, Key};
use super::tests::load;
use super::values::Value;

/// The reference file: every key of the tables with its default and meaning, in their order.
fn reference() -> String {
    let mut text = String::from(
        "# Every key of autochrome.toml with its default and one line of meaning. This file is a configuration: it changes\n\
         # nothing. Unknown keys are errors. Relative paths start at the directory of the file they stand in. A variable such\n\
         # as AUTOCHROME__DEVICE__PROVIDER=cpu lies over the file. `autochrome config show` prints what holds, and who said so.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (begins, name) = key.path.split_once('.').unwrap_or(("", key.path));
        if begins != section {
            text.push_str(&format!("\n[{begins}]\n"));
            section = begins;
        }
        text.push_str(&lines(key, name, ""));
    }
    text.push_str("\n# One for each collection; the first three keys are required.\n# [[collection]]\n");
    for key in COLLECTION_KEYS {
        text.push_str(&lines(key, key.path, "# "));
    }
    text.push_str("#\n# A collection that wants other values than the rest says so itself:\n");
    for (name, key) in KEYS.iter().filter_map(|key| Some((key.own?, key))) {
        text.push_str(&lines(key, name, "# "));
    }
    text
}

/// One key: `key = default` in front of its meaning.
fn lines(key: &Key, name: &str, mark: &str) -> String {
    let example = |name: &str| match name {
        "name" => "glass-plates",
        "ingest" => "ingest/glass-plates",
        "output" => "derivatives/glass-plates",
        _ => "models",
    };
    let default = key.default();
    let mark = if default.is_none() { "# " } else { mark };
    let value = default.unwrap_or_else(|| Value::Text(example(name).to_owned())).to_toml();
    format!("{mark}{:<38} # {}\n", format!("{name} = {value}"), key.meaning)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file)).unwrap()
}

#[test]
fn the_reference_file_says_what_the_code_does() {
    let (file, code) = (read("reference.toml"), reference());
    assert!(file == code, "config/reference.toml is not what the code says; it should be:\n{code}");
}

#[test]
fn the_reference_file_is_a_configuration_that_changes_nothing() {
    let (reference, nothing) = (load(&read("reference.toml")).unwrap(), load("").unwrap());
    for (one, other) in reference.effective.iter().zip(&nothing.effective) {
        assert_eq!((&one.key, &one.value), (&other.key, &other.value));
    }
}

#[test]
fn the_collection_of_the_reference_file_can_be_used_when_its_marks_are_taken_away() {
    let text = read("reference.toml");
    let (_, collection) = text.split_once("# [[collection]]\n").unwrap();
    let is_key = |line: &&str| line.contains(" = ");
    let collection: Vec<_> = collection.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_key).collect();
    let settings = load(&format!("[[collection]]\n{}", collection.join("\n"))).unwrap().settings;
    assert_eq!(settings.collections[0].name, "glass-plates");
    assert_eq!(settings.collections[0].profile, settings.profile, "the defaults of a collection are the common ones");
}

#[test]
fn the_example_museum_is_sound_and_has_collections() {
    let settings = load(&read("example-museum.toml")).unwrap().settings;
    settings.require_collections().unwrap();
    assert!(settings.collections.len() >= 3);
    let overridden = settings.collections.iter().filter(|one| one.profile != settings.profile).count();
    assert!(overridden >= 1, "it shows how a collection differs");
}
