//! What a person who writes a configuration relies on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::build::build;
use super::layers::Layers;
use super::machine::Machine;
use super::*;
use crate::codec::Format;
use crate::imaging::{ColourSpace, Preprocessing};
use crate::inference::{Precision, ProviderChoice};
use crate::ingest::Ready;
use crate::routing::Scene;

pub(super) fn machine() -> Machine {
    Machine { cores: 8, memory_mib: 16_384, models: PathBuf::from("/usr/share/autochrome/models") }
}

/// Settings of a file at `/museum/autochrome.toml`.
pub(super) fn load(text: &str) -> Result<Loaded, ConfigError> {
    build(Layers::of_text(text, Path::new("/museum/autochrome.toml")), &machine())
}

/// Loads through the front door: a real file and these variables.
#[expect(clippy::disallowed_methods, reason = "a test writes the file it reads")]
fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("museum.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(Some(&file), variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

#[track_caller]
fn told(result: Result<Loaded, ConfigError>) -> String {
    result.expect_err("it is wrong").to_string()
}

const COLLECTION: &str = "[[collection]]\nname = \"plates\"\ningest = \"in\"\noutput = \"out\"\n";

#[test]
fn an_empty_file_gives_the_defaults() {
    let Settings { profile, engine, workers, retry, .. } = load("").unwrap().settings;
    assert_eq!((profile.portrait.extent.min_height, profile.portrait.extent.max_height), (460, 680));
    assert_eq!((profile.architecture.extent.min_height, profile.architecture.extent.max_height), (960, 1280));
    assert_eq!((profile.other.extent.min_height, profile.other.extent.max_height), (512, 512));
    assert_eq!(profile.portrait.model, "ddcolor-starter");
    assert_eq!((profile.precision, profile.denoise.apply_to), (Precision::Fp16, DenoiseScope::Network));
    assert_eq!((profile.min_free_bytes, profile.max_file_bytes, profile.limits.max_pixels), (2 << 30, 4 << 30, 400_000_000));
    assert_eq!((engine.provider, engine.threads), (ProviderChoice::Auto, 8));
    assert_eq!((workers.count, workers.memory_mib), (8, 8_192));
    assert_eq!((retry.attempts, retry.base, retry.cap), (3, Duration::from_secs(5), Duration::from_secs(1_800)));
}

#[test]
fn colour_networks_get_three_quarters_of_what_the_workers_leave() {
    let memory = |text: &str| load(text).unwrap().settings.engine.model_memory_mib;
    assert_eq!(memory(""), 6_144);
    assert_eq!(memory("[workers]\nmemory_mib = 12384\n"), 3_000);
    assert_eq!(memory("[workers]\nmemory_mib = 99999\n"), 1, "nothing is left: one network at a time");
}

#[test]
fn fewer_workers_start_where_memory_is_short() {
    let small = Machine { memory_mib: 3_000, ..machine() };
    let layers = || Layers::of_text("", Path::new("/museum/autochrome.toml"));
    assert_eq!(build(layers(), &small).unwrap().settings.workers.count, 2);
    let tiny = Machine { memory_mib: 256, ..machine() };
    assert_eq!(build(layers(), &tiny).unwrap().settings.workers, WorkerSettings { count: 1, memory_mib: 128 });
    assert_eq!(load("workers.count = 20").unwrap().settings.workers.count, 20, "what is written is obeyed");
}

#[test]
fn every_problem_is_told_at_once_with_key_value_line_and_rule() {
    let text = format!(
        "stat = \"x\"\n{COLLECTION}[device]\nprovider = \"gpu\"\nthreads = 1.5\n[retry]\nattempts = 0\nbase = \"soon\"\n\
         [scene.portrait]\nheight = {{ min = 16, max = 680 }}\n[nonsense]\nkey = 1\n[workers]\nmemory_mib = \"much\"\n"
    );
    let told = told(load(&text));
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "/museum/autochrome.toml: 8 problems");
    for (at, parts) in [
        (1, &["line 1", "stat", "did you mean state?"][..]),
        (2, &["line 7", "device.provider = \"gpu\"", "\"cuda\""]),
        (3, &["line 8", "device.threads = 1.5", "whole number"]),
        (4, &["line 10", "retry.attempts = 0", "from 1 to 100"]),
        (5, &["line 11", "retry.base = \"soon\"", "duration"]),
        (6, &["line 13", "scene.portrait.height.min = 16", "from 32"]),
        (7, &["line 14", "nonsense", "is not a key"]),
        (8, &["line 17", "workers.memory_mib = \"much\"", "whole number"]),
    ] {
        assert!(parts.iter().all(|part| lines[at].contains(part)), "{parts:?} in {}", lines[at]);
    }
}

#[test]
fn text_that_is_no_toml_is_told_with_its_line() {
    let told = told(load("[device]\nprovider = cpu\n"));
    assert!(told.contains("line 2: "), "{told}");
    let twice = self::told(load("[device]\nprovider = \"cpu\"\nprovider = \"cuda\"\n"));
    assert!(twice.contains("line 3: ") && twice.contains("duplicate"), "{twice}");
}

#[test]
fn a_smallest_height_above_the_largest_is_told_even_when_one_is_a_default() {
    let both = told(load("[scene.other]\nheight = { min = 700, max = 600 }"));
    assert!(both.contains("scene.other.height.min = 700: must not be larger than scene.other.height.max = 600"), "{both}");
    let one = told(load("[scene.portrait]\nheight = { max = 400 }"));
    assert!(one.contains("scene.portrait.height.min = 460 (default)"), "{one}");
    let waits = told(load("[retry]\ncap = \"1s\""));
    assert!(waits.contains("retry.base = \"5s\" (default): must not be longer than retry.cap = \"1s\""), "{waits}");
}

#[test]
fn parity_and_denoising_exclude_each_other() {
    let told = told(load("[network]\npreprocessing = \"parity\"\n"));
    assert!(told.contains("1 problem") && told.contains("network.preprocessing = \"parity\": "), "{told}");
    assert!(told.contains("needs denoise.apply_to = \"off\", not \"network\" (default)"), "{told}");
    let sound = "[network]\npreprocessing = \"parity\"\n[denoise]\napply_to = \"off\"\n";
    assert_eq!(load(sound).unwrap().settings.profile.preprocessing, Preprocessing::Parity);
    let one = format!("{COLLECTION}preprocessing = \"parity\"\n[collection.denoise]\napply_to = \"off\"\n");
    let settings = load(&one).unwrap().settings;
    assert_eq!(settings.collections[0].profile.preprocessing, Preprocessing::Parity);
    assert_eq!(settings.profile.preprocessing, Preprocessing::Fit);
    let own = self::told(load(&format!("{sound}{COLLECTION}[collection.denoise]\napply_to = \"output\"\n")));
    assert!(own.contains("needs collection.plates.denoise.apply_to = \"off\", not \"output\""), "{own}");
}

#[test]
fn parity_knows_no_saturation_and_no_other_colour_space() {
    let sound = "[network]\npreprocessing = \"parity\"\n[denoise]\napply_to = \"off\"\n";
    let told = told(load(&format!("{sound}[output]\nsaturation = 0.8\n")));
    assert!(told.contains("1 problem") && told.contains("knows only output.saturation = 1.0, not 0.8"), "{told}");
    let own = self::told(load(&format!("{sound}{COLLECTION}saturation = 0\n")));
    assert!(own.contains("knows only collection.plates.saturation = 1.0, not 0.0"), "{own}");
    let space = self::told(load(&format!("{sound}[output]\ncolour_space = \"display-p3\"\n")));
    assert!(space.contains("knows only output.colour_space = \"srgb\", not \"display-p3\""), "{space}");
    let more = self::told(load("[output]\nsaturation = 1.6"));
    assert!(more.contains("must be a number from 0 to 1.5"), "{more}");
    assert_eq!(load(&format!("{COLLECTION}saturation = 0.5\n")).unwrap().settings.collections[0].profile.saturation, 0.5);
}

#[test]
fn prophoto_is_not_for_jpegs() {
    let told = told(load("[output]\ncolour_space = \"prophoto\"\nformat = \"jpeg\"\n"));
    assert!(
        told.contains("1 problem") && told.contains("output.colour_space = \"prophoto\": its steps are too coarse for a JPEG"),
        "{told}"
    );
    let settings = load("[output]\ncolour_space = \"prophoto\"\nformat = \"tiff\"\n").unwrap().settings;
    assert_eq!(settings.profile.writing.encode.colour_space, ColourSpace::ProPhoto);
    let given = self::told(load("[output]\ncolour_space = \"prophoto\"\n"));
    assert!(given.contains("needs output.format = \"tiff\" or \"png\", not \"source\" (default)"), "{given}");
    let sound = "[output]\ncolour_space = \"prophoto\"\nformat = \"tiff\"\n";
    let own = self::told(load(&format!("{sound}{COLLECTION}format = \"jpeg\"\n")));
    assert!(own.contains("it needs collection.plates.format = \"tiff\" or \"png\", not \"jpeg\""), "{own}");
}

#[test]
fn a_collection_is_whole_uniquely_named_and_safely_named() {
    let told = told(load(
        "[[collection]]\nname = \"a\"\ningest = \"in\"\n[[collection]]\nname = \"a\"\ningest = \"i2\"\noutput = \"o2\"\n\
         [[collection]]\nname = \"-rf\"\ningest = \"\"\noutput = 7\n[[collection]]\nlable = \"x\"\n",
    ));
    for part in [
        "collection.a.output: is required",
        "collection.a.name = \"a\": another collection has this name already",
        "collection.-rf.name = \"-rf\": must be a name",
        "collection.-rf.ingest = \"\": must be a path",
        "collection.-rf.output = 7: must be a path",
        "collection.4.lable: is not a key",
        "collection.4.name: is required",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    assert!(!told.contains("collection.-rf.ingest: is required"), "what is wrong is not missing as well: {told}");
    let single = self::told(load("[collection]\nname = \"a\"\n"));
    assert!(single.contains("collection: must be written as [[collection]]"), "{single}");
}

#[test]
fn relative_paths_start_at_the_files_own_directory() {
    let text = format!("state = \"state\"\nmodels = \"/srv/models\"\n{COLLECTION}");
    let settings = load(&text).unwrap().settings;
    assert_eq!(settings.state, Path::new("/museum/state"));
    assert_eq!(settings.models, Path::new("/srv/models"));
    assert_eq!(settings.collections[0].ingest, Path::new("/museum/in"));
    assert_eq!(settings.collections[0].outputs[0].path, Path::new("/museum/out"));
    assert_eq!(load("").unwrap().settings.models, Path::new("/usr/share/autochrome/models"));
}

#[test]
fn the_state_directory_may_not_lie_in_an_ingest_root() {
    let told = told(load(&format!("state = \"in/state\"\n{COLLECTION}")));
    assert!(told.contains("collection.plates.ingest = \"in\": the state directory lies in it"), "{told}");
}

#[test]
fn a_collections_own_keys_lie_over_the_common_ones_for_it_alone() {
    let text = format!(
        "{COLLECTION}scene = \"portrait\"\nready = \"marker\"\npoll = true\nrest = \"1m\"\nprecision = \"fp32\"\nformat = \"tiff\"\n\
         [collection.denoise]\napply_to = \"off\"\n[collection.portrait]\nmodel = \"ddcolor-large\"\nheight = {{ min = 600 }}\n\
         [[collection]]\nname = \"prints\"\ningest = \"in2\"\noutput = \"out2\"\n[output]\nformat = \"png\"\n"
    );
    let settings = load(&text).unwrap().settings;
    let [plates, prints] = &settings.collections[..] else { panic!("two collections were written") };
    assert_eq!((plates.ready, plates.poll, plates.rest), (Ready::Marker, true, Duration::from_secs(60)));
    assert_eq!(plates.profile.rules.scene_override, Some(Scene::Portrait));
    assert_eq!((plates.profile.precision, plates.profile.writing.format), (Precision::Fp32, OutputChoice::Fixed(Format::Tiff)));
    assert_eq!(plates.profile.denoise.apply_to, DenoiseScope::Off);
    assert_eq!(plates.profile.portrait.model, "ddcolor-large");
    assert_eq!((plates.profile.portrait.extent.min_height, plates.profile.portrait.extent.max_height), (600, 680));
    assert_eq!((prints.ready, prints.poll, prints.rest), (Ready::Stable, false, Duration::from_secs(10)));
    assert_eq!(prints.profile, settings.profile);
    assert_eq!(prints.profile.writing.format, OutputChoice::Fixed(Format::Png));
}

#[test]
fn pages_are_no_scene_of_a_collection_and_have_no_model() {
    let fixed = told(load(&format!("{COLLECTION}scene = \"document\"\n")));
    assert!(fixed.contains("line 5: collection.plates.scene = \"document\": pages are left alone, not coloured"), "{fixed}");
    for section in ["[scene.document]\nmodel = \"ddcolor-starter\"\n", "scene.document.height = { min = 96, max = 96 }\n"] {
        let told = told(load(section));
        assert!(told.contains("scene.document: is not a key: pages are left alone"), "{told}");
    }
    let own = told(load(&format!("{COLLECTION}[collection.document]\nmodel = \"x\"\n")));
    assert!(own.contains("collection.plates.document: is not a key: pages are left alone"), "{own}");
    let rules = load("[routing]\ndocument_score = 0.9\n").unwrap().settings.profile.rules;
    assert!((rules.document_score - 0.9).abs() < f32::EPSILON);
}

#[test]
fn heights_of_a_collection_are_judged_together_with_what_it_inherits() {
    let told = told(load(&format!("{COLLECTION}[collection.portrait]\nheight = {{ min = 700 }}\n")));
    assert!(told.contains("collection.plates.portrait.height.min = 700"), "{told}");
    assert!(told.contains("scene.portrait.height.max = 680 (default)"), "{told}");
}

#[test]
fn variables_lie_over_the_file() {
    let loaded = load_with(
        "[device]\nprovider = \"cuda\"\n",
        &[
            ("AUTOCHROME__DEVICE__PROVIDER", "cpu"),
            ("AUTOCHROME__OUTPUT__JPEG_QUALITY", "80"),
            ("AUTOCHROME__SCENE__OTHER__HEIGHT__MIN", "64"),
            ("AUTOCHROME__EXTENT__ENLARGE", "false"),
            ("AUTOCHROME__DENOISE__THRESHOLD", "5"),
            ("AUTOCHROME_LOG", "debug"),
            ("AUTOCHROME_DATA", "/data"),
            ("AUTOCHROME_FAULT", "decode:kill"),
            ("HOME", "/root"),
        ],
    );
    let settings = loaded.unwrap().settings;
    assert_eq!(settings.engine.provider, ProviderChoice::Cpu);
    assert_eq!(settings.profile.writing.encode.jpeg_quality, 80);
    assert_eq!((settings.profile.other.extent.min_height, settings.profile.other.extent.enlarge), (64, false));
    assert!((settings.profile.denoise.threshold - 5.0).abs() < f32::EPSILON);
}

#[test]
fn wrong_variables_are_told_by_their_name_beside_the_files_problems() {
    let told = told(load_with(
        "[retry]\nattempts = 0\n",
        &[
            ("AUTOCHROME__DEVICE__PROVIDER", "gpu"),
            ("AUTOCHROME__DEVICE__PROVDER", "cpu"),
            ("AUTOCHROME__DEVICE", "cpu"),
            ("AUTOCHROME__WORKERS__COUNT", "two"),
            ("AUTOCHROME__COLLECTION__0__NAME", "plates"),
        ],
    ));
    for part in [
        "6 problems",
        "retry.attempts = 0",
        "AUTOCHROME__DEVICE__PROVIDER: device.provider = \"gpu\": must be one of",
        "AUTOCHROME__DEVICE__PROVDER: device.provder: is not a key; did you mean device.provider?",
        "AUTOCHROME__DEVICE: device: is a section",
        "AUTOCHROME__WORKERS__COUNT: workers.count = \"two\": must be a whole number",
        "AUTOCHROME__COLLECTION__0__NAME: collection.0.name: collections are written in the file",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}

#[test]
fn a_named_file_that_is_not_there_is_an_error_and_an_unnamed_one_is_not() {
    let missing = Settings::load(Some(Path::new("/nowhere/autochrome.toml")), std::iter::empty());
    let error = missing.unwrap_err();
    assert!(matches!(&error, ConfigError::Unreadable { path, .. } if path == Path::new("/nowhere/autochrome.toml")), "{error}");
    let variable = (OsString::from("AUTOCHROME_CONFIG"), OsString::from("/nowhere/else.toml"));
    let error = Settings::load(None, std::iter::once(variable)).unwrap_err();
    assert!(error.to_string().contains("/nowhere/else.toml") && error.hint().is_some(), "{error}");
}

#[test]
fn the_command_line_names_the_file_before_the_environment_does() {
    let loaded = load_with("workers.count = 3\n", &[("AUTOCHROME_CONFIG", "/nowhere/else.toml")]).unwrap();
    assert_eq!(loaded.settings.workers.count, 3);
}

#[test]
fn commands_that_need_a_collection_say_so() {
    let error = load("").unwrap().settings.require_collections().unwrap_err();
    assert_eq!(error.to_string(), "/museum/autochrome.toml names no collection");
    assert!(error.hint().is_some());
    load(COLLECTION).unwrap().settings.require_collections().unwrap();
    let nothing = build(Layers::empty(PathBuf::from("/home/ada")), &machine()).unwrap();
    assert_eq!(nothing.settings.state, Path::new("/home/ada/state"));
    assert!(nothing.settings.require_collections().unwrap_err().to_string().contains("no configuration was found"));
}

#[test]
fn every_value_is_shown_with_its_origin() {
    let loaded = load_with(
        &format!("[ingest]\nrest = \"90s\"\n{COLLECTION}format = \"png\"\n"),
        &[("AUTOCHROME__DEVICE__PRECISION", "fp32")],
    );
    let effective = loaded.unwrap().effective;
    let shown = |key: &str| effective.iter().find(|one| one.key == key).unwrap_or_else(|| panic!("{key} is not shown"));
    assert_eq!(shown("output.jpeg_quality").origin, Origin::Default);
    assert_eq!(shown("ingest.rest").value.as_str(), Some("1m30s"));
    assert!(matches!(&shown("ingest.rest").origin, Origin::File(path) if path.ends_with("museum.toml")));
    assert_eq!(shown("device.precision").origin, Origin::Variable("AUTOCHROME__DEVICE__PRECISION".to_owned()));
    assert!(shown("workers.count").value.as_integer() > Some(0), "what the machine decided is shown as decided");
    assert!(shown("collection.plates.ingest").value.as_str().unwrap().ends_with("/in"));
    assert_eq!(shown("collection.plates.format").value.as_str(), Some("png"));
    assert_eq!(shown("collection.plates.scene").origin, Origin::Default);
}

#[test]
fn a_file_without_end_or_of_any_other_kind_is_no_configuration() {
    let none = std::iter::empty::<(OsString, OsString)>;
    for (path, word) in
        [("/dev/zero", "larger than 1 MiB"), ("/proc/self", "cannot be read"), ("/proc/self/exe", "larger than 1 MiB")]
    {
        let error = Settings::load(Some(Path::new(path)), none()).unwrap_err();
        assert!(error.to_string().contains(word) && error.hint().is_some(), "{path}: {error}");
    }
    // A comment of all that a file may have, and of one byte more.
    for (length, is_taken) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        assert_eq!(load_with(&"#".repeat(length), &[]).is_ok(), is_taken, "{length}");
    }
}
