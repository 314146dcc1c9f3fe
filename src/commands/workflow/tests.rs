//! What is printed is a configuration that holds what the workflow says.

use super::*;
use crate::config::{DenoiseScope, OutputChoice};
use crate::imaging::Preprocessing;
use crate::inference::Precision;
use crate::routing::Scene;

fn setup(checkpoint: Option<&str>, side: Option<u32>, precision: Option<Precision>) -> Setup {
    Setup { checkpoint: checkpoint.map(Into::into), side, precision }
}

fn loaded(setups: &[Setup]) -> (String, Settings) {
    let meaning = Meaning { told: vec!["node 1 (a\nb): x".to_owned()], objections: Vec::new(), setups: setups.to_vec() };
    let text = toml_of(&meaning, "a.json", |id| id == "ddcolor-starter");
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    std::io::Write::write_all(&mut file.as_file(), text.as_bytes()).unwrap();
    let loaded = Settings::load(Some(file.path()), std::iter::empty()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (text, loaded.settings)
}

#[test]
fn the_printed_settings_are_a_configuration_that_says_what_the_workflow_says() {
    let (text, settings) = loaded(&[setup(Some("ddcolor_paper.pth"), Some(640), Some(Precision::Fp32))]);
    let [collection] = settings.collections.as_slice() else { panic!("one collection: {text}") };
    let profile = &collection.profile;
    assert_eq!((profile.rules.scene_override, profile.precision), (Some(Scene::Other), Precision::Fp32));
    assert_eq!(profile.other.model, "ddcolor-paper");
    assert_eq!((profile.other.extent.min_height, profile.other.extent.max_height), (640, 640));
    assert_eq!((profile.preprocessing, profile.denoise.apply_to), (Preprocessing::Parity, DenoiseScope::Off));
    assert_eq!(profile.writing.format, OutputChoice::Fixed(crate::codec::Format::Png));
    assert!(
        text.contains("# Not in the catalogue yet: `autochrome models import ddcolor_paper.pth --id ddcolor-paper`"),
        "{text}"
    );
    assert!(!loaded(&[setup(Some("ddcolor_starter.pth"), None, None)]).0.contains("Not in the catalogue"));
}

#[test]
fn several_ways_through_a_workflow_are_several_collections() {
    let (text, settings) = loaded(&[setup(None, Some(512), None), setup(None, Some(2048), Some(Precision::Fp16))]);
    let [one, other] = settings.collections.as_slice() else { panic!("two collections: {text}") };
    assert_eq!((one.profile.other.extent.max_height, other.profile.other.extent.max_height), (512, 2048));
    assert!(other.profile.other.extent.max_area >= 2048 * 2048 && one.name != other.name);
}

#[test]
fn the_largest_square_can_be_said() {
    let (_, settings) = loaded(&[setup(None, Some(4096), None)]);
    assert!(settings.collections[0].profile.other.extent.max_area >= 4096 * 4096);
}
