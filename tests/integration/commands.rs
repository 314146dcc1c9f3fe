//! Commands that only look or decide.

use std::fs;

use crate::workbench::{Workbench, jpeg, text};

#[test]
fn looking_before_any_work_shows_zeros() {
    let bench = Workbench::new();
    let status = bench.json(&["status", "--json"]);
    assert_eq!(status["jobs"]["pending"], 0);
    assert!(status["daemon"].is_null());
    assert!(bench.ok(&["status"]).contains("not running"));
    assert_eq!(bench.ok(&["jobs"]), "no jobs\n");
}

#[test]
fn a_derivative_tells_what_made_it_even_without_the_ledger() {
    let bench = Workbench::new();
    let source = bench.put("a.jpg", &jpeg(90));
    bench.ok(&["once"]);
    let picture = bench.output().join(&bench.pictures()[0]);
    let of_derivative = bench.json(&["audit", "show", picture.to_str().unwrap(), "--json"]);
    let of_source = bench.json(&["audit", "show", source.to_str().unwrap(), "--json"]);
    assert_eq!(of_derivative, of_source);
    fs::remove_dir_all(bench.path().join("state")).unwrap();
    assert_eq!(bench.json(&["audit", "show", picture.to_str().unwrap(), "--json"]), of_derivative);
    let mut bytes = fs::read(&picture).unwrap();
    bytes.push(0);
    fs::write(&picture, bytes).unwrap();
    let changed = bench.run(&["audit", "show", picture.to_str().unwrap()]);
    assert_eq!(changed.status.code(), Some(1), "a changed file is not vouched for: {}", text(&changed));
}

#[test]
fn show_says_what_happened_why_and_what_to_do() {
    let bench = Workbench::new();
    let path = bench.put("torn.jpg", &jpeg(91)[..900]);
    bench.ok(&["once"]);
    for what in ["1", path.to_str().unwrap()] {
        let told = bench.ok(&["show", what]);
        for part in ["rejected", "what ", "why ", "what to do ", "history", "decode"] {
            assert!(told.contains(part), "{part:?} is missing in\n{told}");
        }
    }
    let unknown = bench.run(&["show", "99"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn an_operators_decisions_are_recorded_and_wrong_ones_refused() {
    let bench = Workbench::new();
    bench.put("torn.jpg", &jpeg(92)[..900]);
    bench.ok(&["once"]);
    let cancel = bench.run(&["cancel", "1"]);
    assert_eq!(cancel.status.code(), Some(1), "a rejected job cannot be cancelled: {}", text(&cancel));
    bench.ok(&["retry", "--state", "rejected"]);
    assert_eq!(bench.count("pending"), 1);
    bench.ok(&["cancel", "1"]);
    assert_eq!(bench.count("cancelled"), 1);
    let kinds: Vec<_> = bench.json(&["show", "1", "--json"])["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["record", "claimed", "reject", "operator-retry", "cancel"]);
    let nonsense = bench.run(&["retry", "--state", "completed"]);
    assert_eq!(nonsense.status.code(), Some(2));
}

#[test]
fn the_contact_sheet_holds_its_pictures() {
    let bench = Workbench::new();
    bench.put("<b>&.jpg", &jpeg(93));
    bench.ok(&["once"]);
    let sheet = bench.path().join("sheet.html");
    bench.ok(&["sheet", "-o", sheet.to_str().unwrap()]);
    let page = fs::read_to_string(sheet).unwrap();
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,").count(), 2);
    assert!(page.contains("&lt;b&gt;&amp;.jpg") && !page.contains("<b>&.jpg"));
    assert!(!page.contains("http"), "it opens offline");
}

#[test]
fn models_list_shows_the_bundled_models_with_their_pins() {
    let bench = Workbench::new();
    let models = bench.json(&["models", "list", "--json"]);
    let ids: Vec<_> = models.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    for id in ["ddcolor-starter", "scene", "denoise"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    for model in models.as_array().unwrap() {
        assert_eq!(model["state"], "ok");
        assert_eq!(model["licence"], "Apache-2.0");
    }
}

#[test]
fn doctor_takes_one_picture_through_the_whole_line() {
    let bench = Workbench::new();
    let report = bench.json(&["doctor", "--json"]);
    let checks = report["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["state"] == "failed").collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(checks.iter().any(|check| check["name"] == "picture" && check["state"] == "ok"), "{report:#}");
    let broken = bench.command(&["doctor"]).env("ORT_DYLIB_PATH", "/nowhere.so").output().unwrap();
    assert_eq!(broken.status.code(), Some(78), "{}", text(&broken));
    assert!(text(&broken).contains("/nowhere.so"));
}

#[test]
fn config_show_says_where_each_value_came_from() {
    let bench = Workbench::new();
    let shown = bench.command(&["config", "show"]).env("AUTOCHROME__DEVICE__PRECISION", "fp32").output().unwrap();
    let told = text(&shown);
    let line = |key: &str| told.lines().find(|line| line.contains(key)).unwrap_or_else(|| panic!("{key} in {told}")).to_owned();
    assert!(line("device.precision").contains("fp32") && line("device.precision").contains("AUTOCHROME__DEVICE__PRECISION"));
    assert!(line("output.jpeg_quality").contains("default"));
    assert!(line("ingest.rest").contains("autochrome.toml"));
}
