//! What people decide about single scans, by command and by sidecar, and what is left alone without them.

use std::fs;

use autochrome::codec::Format;
use autochrome::imaging::lab::lab_to_srgb;
use autochrome::imaging::{Channels, Samples, ScanImage, Size};

use crate::workbench::{Workbench, encode, jpeg, photograph, text};

fn sidecar(word: &str) -> String {
    format!("as = \"{word}\"\nby = \"B. Klein\"\nwhy = \"the glass says so\"\n")
}

/// A print of one grey tone with red lips.
fn tinted() -> Vec<u8> {
    let grey = photograph(300, 240, 71);
    let Samples::U8(samples) = grey.samples() else { unreachable!("8 bits were made") };
    let rgb = samples.iter().zip(0_u32..).flat_map(|(&sample, at)| {
        let (x, y) = (f64::from(at % 300), f64::from(at / 300));
        let lips = (x - 150.0).hypot(y - 120.0) < 22.0;
        let lightness = 20.0 + 0.6 * f64::from(sample) / 2.55;
        let rgb = lab_to_srgb([lightness, if lips { 22.0 } else { 0.0 }, if lips { 8.0 } else { 0.0 }]);
        rgb.map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8)
    });
    encode(&ScanImage::new(Size::new(300, 240), Channels::Rgb, Samples::U8(rgb.collect())).unwrap(), Format::Png)
}

#[test]
fn small_and_tinted_scans_are_left_alone_until_somebody_decides() {
    let bench = Workbench::new();
    bench.put("stamp.png", &encode(&photograph(40, 30, 70), Format::Png));
    let lips = bench.put("lips.png", &tinted());
    let told = bench.ok(&["once"]);
    assert!(
        told.contains("stamp.png: too small: 40x30 pixels, at least 64 on each side are needed; `autochrome route`"),
        "{told}"
    );
    assert!(told.contains("lips.png: looks hand-tinted: "), "{told}");
    assert_eq!(bench.count("skipped"), 2);
    let small = bench.jobs()["stamp.png"]["id"].to_string();
    let decision = ["--as", "portrait", "--by", "A. Weber", "--why", "the tint is to be replaced"];
    for what in [lips.to_str().unwrap(), &small] {
        let told = bench.ok(&[&["route", what][..], &decision].concat());
        assert!(told.contains("portrait by decision of A. Weber (command): the tint is to be replaced"), "{told}");
    }
    bench.ok(&["once"]);
    assert_eq!((bench.count("completed"), bench.count("skipped")), (2, 2));
    for picture in bench.pictures() {
        let route = &bench.record(&picture)["route"];
        assert_eq!((&route["scene"], &route["override"]), (&"portrait".into(), &"portrait".into()));
        assert_eq!((&route["decided_by"], &route["why"]), (&"A. Weber".into(), &"the tint is to be replaced".into()));
        assert_eq!(route["reason"], "portrait by decision of A. Weber (command): the tint is to be replaced");
    }
    let shown = bench.ok(&["show", lips.to_str().unwrap()]);
    assert!(shown.contains("decision    portrait by decision of A. Weber") && shown.contains("\"by\":\"A. Weber\""), "{shown}");
    // It sticks: nothing is made twice, and another recipe obeys it as well.
    bench.ok(&["once"]);
    assert_eq!(bench.pictures().len(), 2);
    bench.configure("[denoise]\nthreshold = 9.0\n");
    bench.ok(&["once"]);
    assert_eq!(bench.pictures().len(), 4);
    assert!(bench.pictures().iter().all(|picture| bench.record(picture)["route"]["override"] == "portrait"));
    bench.assert_consistent();
}

#[test]
fn a_scan_that_is_to_be_left_alone_keeps_its_derivative_and_gets_no_other() {
    let bench = Workbench::new();
    let scan = bench.put("a.jpg", &jpeg(72));
    bench.ok(&["once"]);
    let decide =
        |word: &str| bench.ok(&["route", scan.to_str().unwrap(), "--as", word, "--by", "A. Weber", "--why", "a negative"]);
    let told = decide("skip");
    assert!(told.contains("stays: nothing is ever deleted"), "{told}");
    bench.configure("[denoise]\nthreshold = 9.0\n");
    let told = bench.ok(&["once"]);
    assert!(told.contains("a.jpg: left alone by decision of A. Weber: a negative"), "{told}");
    assert_eq!((bench.pictures().len(), bench.count("skipped")), (1, 1));
    let told = decide("auto");
    assert!(told.contains("the decision is taken back by A. Weber"), "{told}");
    bench.ok(&["once"]);
    assert_eq!(bench.pictures().len(), 2);
    bench.assert_consistent();
}

#[test]
fn wrong_decisions_are_refused_in_one_line() {
    let bench = Workbench::new();
    let scan = bench.put("a.jpg", &jpeg(73));
    bench.ok(&["once"]);
    let stranger = bench.path().join("b.jpg");
    fs::write(&stranger, jpeg(74)).unwrap();
    let unknown = bench.put("c.jpg", &jpeg(75));
    let [scan, stranger, unknown] = [&scan, &stranger, &unknown].map(|path| path.to_str().unwrap().to_owned());
    for (what, word, why, code, wanted) in [
        (scan.as_str(), "document", "x", 2, "none of portrait, architecture, other, skip, auto"),
        (scan.as_str(), "skip", " ", 2, "why must be one line of 1 to 1000 characters"),
        (stranger.as_str(), "skip", "x", 1, "lies in no ingest root"),
        (unknown.as_str(), "skip", "x", 1, "nothing is known of"),
        ("99", "skip", "x", 1, "there is no job 99"),
    ] {
        let output = bench.run(&["route", what, "--as", word, "--by", "A", "--why", why]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains(wanted), "{wanted}: {}", text(&output));
    }
    fs::write(&scan, jpeg(76)).unwrap();
    let changed = bench.run(&["route", &scan, "--as", "skip", "--by", "A", "--why", "x"]);
    assert!(text(&changed).contains("has changed since it was recorded"), "{}", text(&changed));
}

#[test]
fn a_sidecar_decides_and_one_that_cannot_be_understood_holds_its_scan_back() {
    let bench = Workbench::new();
    for (name, seed, said) in [
        ("album/face.jpg", 77, sidecar("portrait")),
        ("negative.jpg", 78, sidecar("skip")),
        ("broken.jpg", 79, "as = ".to_owned()),
    ] {
        bench.put(name, &jpeg(seed));
        bench.put(format!("{name}.autochrome.toml"), said.as_bytes());
    }
    let told = bench.ok(&["once"]);
    assert!(told.contains("1 completed, 1 skipped, 1 given up"), "{told}");
    assert!(told.contains("negative.jpg: left alone by decision of B. Klein: the glass says so; removing the sidecar"), "{told}");
    assert!(told.contains("the sidecar broken.jpg.autochrome.toml is not TOML: line 1: "), "{told}");
    let route = &bench.record(&bench.pictures()[0])["route"];
    assert_eq!(route["reason"], "portrait by decision of B. Klein (sidecar): the glass says so");
    bench.put("broken.jpg.autochrome.toml", sidecar("architecture").as_bytes());
    fs::remove_file(bench.ingest().join("negative.jpg.autochrome.toml")).unwrap();
    bench.ok(&["once"]);
    assert_eq!((bench.count("completed"), bench.count("rejected"), bench.count("skipped")), (3, 1, 0));
    let scenes: Vec<_> = bench.pictures().iter().map(|picture| bench.record(picture)["route"]["override"].clone()).collect();
    assert_eq!(scenes, ["portrait".into(), "architecture".into(), serde_json::Value::Null]);
    bench.assert_consistent();
}

#[test]
fn a_decision_beside_a_running_daemon_is_followed() {
    let bench = Workbench::new();
    let scan = bench.put("a.jpg", &jpeg(80));
    let daemon = bench.spawn(&["run"], None);
    bench.wait_for("completed", 1);
    bench.ok(&["route", scan.to_str().unwrap(), "--as", "architecture", "--by", "A. Weber", "--why", "a church"]);
    bench.wait_for("completed", 2);
    bench.put("a.jpg.autochrome.toml", sidecar("portrait").as_bytes());
    bench.wait_until("the sidecar to be read", || bench.log().contains("The sidecar beside a.jpg says: portrait"));
    bench.ok(&["route", "1", "--as", "auto", "--by", "A. Weber", "--why", "the sidecar knows better"]);
    bench.wait_for("completed", 3);
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    bench.assert_consistent();
}

#[test]
fn colorize_obeys_the_sidecar_and_the_command_line_goes_before_it() {
    let bench = Workbench::new();
    let scan = bench.put("a.jpg", &jpeg(81));
    bench.put("a.jpg.autochrome.toml", sidecar("skip").as_bytes());
    let out = format!("{}/", bench.path().join("made").display());
    let arguments = ["colorize", scan.to_str().unwrap(), "-o", &out];
    assert!(bench.ok(&arguments).contains("left alone by decision of B. Klein"));
    let said = bench.ok(&[&arguments[..], &["--scene", "other"]].concat());
    assert!(said.contains("coloured") && said.contains("(other"), "{said}");
    bench.put("a.jpg.autochrome.toml", sidecar("portrait").as_bytes());
    assert!(bench.ok(&arguments).contains("(portrait"));
    bench.put("a.jpg.autochrome.toml", b"who = 1\n");
    let refused = bench.run(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("line 1: who is not a key; the keys are as, by, why"), "{}", text(&refused));
}

#[test]
fn a_workflow_becomes_a_configuration_or_a_list_of_what_is_missing() {
    let bench = Workbench::new();
    let file = bench.path().join("w.json");
    let workflow = r#"{"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "DDColor_Colorize", "inputs": {"image": ["1", 0], "model_input_size": 512, "checkpoint": "ddcolor-starter.pth"}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}}}"#;
    fs::write(&file, workflow).unwrap();
    let printed = bench.ok(&["workflow", "import", file.to_str().unwrap()]);
    let written = bench.path().join("workflow.toml");
    fs::write(&written, &printed).unwrap();
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_autochrome"))
        .args(["--config", written.to_str().unwrap(), "config", "check"])
        .env("AUTOCHROME__MODELS", std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}\n{printed}", text(&checked));
    for (bytes, code, wanted) in [
        (workflow.replace("DDColor_Colorize", "Mystery").into_bytes(), 1, "node 2 (Mystery): is not known, and what is saved"),
        (workflow.replace("[\"1\", 0]", "[\"3\", 0]").into_bytes(), 2, "nodes 2, 3 feed one another in a circle"),
        (b"not json".to_vec(), 2, "it is not JSON"),
        (vec![b' '; (8 << 20) + 1], 2, "is larger than 8 MiB"),
    ] {
        fs::write(&file, bytes).unwrap();
        let output = bench.run(&["workflow", "import", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(text(&output).contains(wanted), "{wanted}: {}", text(&output));
    }
}
