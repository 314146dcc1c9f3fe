//! Keeps the walls of the house: which room may say what. Prints `path:line: reason`.

use std::fs;
use std::path::{Path, PathBuf};

/// A word that only some rooms may use.
struct Wall {
    word: &'static str,
    rooms: &'static [&'static str],
    reason: &'static str,
}

const WALLS: &[Wall] = &[
    Wall { word: "sqlx", rooms: &["store/"], reason: "only store/ speaks SQL" },
    Wall { word: "ort::", rooms: &["inference/"], reason: "only inference/ speaks ONNX Runtime" },
    Wall { word: "exif::", rooms: &["codec/", "metadata/"], reason: "only codec/ and metadata/ read EXIF" },
    Wall { word: "quick_xml", rooms: &["metadata/"], reason: "only metadata/ reads XMP" },
    Wall { word: "zune_jpeg", rooms: &["codec/"], reason: "only codec/ calls image decoders" },
    Wall { word: "libjpeg_turbo_rs", rooms: &["codec/"], reason: "only codec/ calls image encoders" },
    Wall { word: "image::codecs", rooms: &["codec/"], reason: "only codec/ calls image decoders" },
    Wall { word: "moxcms", rooms: &["colour/"], reason: "only colour/ reads colour profiles" },
    Wall { word: "tiff::", rooms: &["codec/"], reason: "only codec/ calls image decoders" },
    Wall { word: "png::", rooms: &["codec/"], reason: "only codec/ calls image decoders" },
    Wall {
        word: "crate::config",
        rooms: &["config/", "config.rs", "daemon/", "commands/", "failure.rs"],
        reason: "rooms do not import config: they get their own settings struct",
    },
    Wall {
        word: "crate::store",
        rooms: &["store/", "daemon/", "commands/", "failure.rs", "pipeline/worker.rs", "pipeline/attempt.rs"],
        reason: "stage code never sees the store",
    },
    Wall { word: "crate::pipeline", rooms: &["pipeline/", "daemon/", "commands/"], reason: "rooms do not know the pipeline" },
];

/// Rooms that do no I/O, read no clock, log nothing and spawn nothing.
const PURE: &[&str] = &["imaging/", "routing.rs", "routing/", "job/"];
const IMPURE: &[&str] =
    &["std::fs", "std::io", "std::net", "std::process", "std::thread", "Instant::now", "SystemTime", "tracing::", "tokio::"];

/// Ways to create, rename or delete files, and who may: in an output tree only publish does.
const WRITERS: &[&str] = &[
    "commands/scratch.rs",
    "publish.rs",
    "publish/",
    "store/open.rs",
    "inference/catalogue/edit.rs",
    "inference/import/part.rs",
    "inference/runtime.rs",
    "inference/runtime/",
    "inference/session.rs",
    "inference/profile.rs",
];
const WRITES: &[&str] = &[
    "fs::write",
    "fs::rename",
    "fs::remove",
    "File::create",
    "create_dir",
    "OpenOptions",
    "File::options",
    "renameat",
    "unlinkat",
    "mkdirat",
];

fn sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), path));
            }
        }
    }
    found.sort();
    found
}

fn is_in(file: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| file == *room || (room.ends_with('/') && file.starts_with(room)))
}

/// Code lines with their numbers: comments and the test module at a file's end are free to say anything.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let before_tests = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    before_tests
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line.to_owned()))
        .collect()
}

#[test]
fn the_walls_of_the_house_stand() {
    let mut breaches = Vec::new();
    for (file, path) in sources() {
        let is_test = file.ends_with("tests.rs") || file.ends_with("bench.rs") && file != "commands/bench.rs";
        if is_test {
            continue;
        }
        for (number, line) in code(&path) {
            let mut breach = |reason: &str| breaches.push(format!("src/{file}:{number}: {reason}"));
            for wall in WALLS {
                if says(&line, wall.word) && !is_in(&file, wall.rooms) {
                    breach(wall.reason);
                }
            }
            if is_in(&file, PURE) && IMPURE.iter().any(|word| line.contains(word)) {
                breach("pure rooms do no I/O, read no clock, log nothing, spawn nothing");
            }
            if !is_in(&file, WRITERS) && WRITES.iter().any(|word| line.contains(word)) {
                breach("only publish creates, renames or deletes files");
            }
        }
    }
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

/// Whether the word stands by itself: `sort::` is not `ort::`.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || character == '_')
    })
}

#[test]
fn every_file_says_what_it_is_for_and_is_one_room() {
    let mut findings = Vec::new();
    for (file, path) in sources() {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//!") {
            findings.push(format!("src/{file}:1: opens without saying what it is for"));
        }
        let lines = text.lines().count();
        if lines > 450 {
            findings.push(format!("src/{file}:{lines}: more than 450 lines are two rooms"));
        }
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut numbers: Vec<u32> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_str().unwrap()[..4].parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
}
