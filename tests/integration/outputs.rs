//! Several derivatives of one scan: a master and a picture for the web.

use std::fs;
use std::path::PathBuf;

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::imaging::{Channels, Samples, ScanImage};
use serde_json::Value;

use crate::workbench::{Workbench, encode, jpeg, photograph16, text};

/// Two outputs in place of the one.
fn museum() -> Workbench {
    let bench = Workbench::new();
    let config = fs::read_to_string(bench.config()).unwrap();
    let outputs = "[[collection.output]]\npath = \"output/masters\"\nformat = \"tiff\"\ntiff_compression = \"deflate\"\n\
                   [[collection.output]]\npath = \"output/access\"\nformat = \"jpeg\"\nmax_side = 100\n";
    let config = config.replace("output = \"output\"\n", outputs).replace("[ingest]", "[retry]\nbase = \"100ms\"\n[ingest]");
    fs::write(bench.config(), config).unwrap();
    bench
}

fn scan(bench: &Workbench) -> PathBuf {
    bench.put("a/plate 12.tif", &encode(&photograph16(180, 140, 60), Format::Tiff))
}

/// Master and access picture of the one scan.
fn pair(bench: &Workbench) -> [PathBuf; 2] {
    let pictures = bench.pictures();
    assert_eq!(pictures.len(), 2, "{pictures:?}");
    let [access, master] = [pictures[0].clone(), pictures[1].clone()];
    assert!(access.starts_with("access/a") && master.starts_with("masters/a"), "{pictures:?}");
    [master, access]
}

fn decoded(bench: &Workbench, picture: &PathBuf) -> ScanImage {
    codec::decode(&fs::read(bench.output().join(picture)).unwrap(), &DecodeLimits::default()).unwrap().image
}

#[test]
fn a_master_and_a_labelled_picture_for_the_web_are_made_of_one_scan() {
    let bench = museum();
    let scan = scan(&bench);
    bench.ok(&["config", "check"]);
    bench.ok(&["once"]);
    let [master, access] = pair(&bench);
    let (whole, small) = (decoded(&bench, &master), decoded(&bench, &access));
    assert_eq!((whole.size().width, whole.size().height, whole.bit_depth()), (180, 140, 16));
    assert_eq!((small.size().width, small.size().height, small.channels()), (100, 78, Channels::Rgb));
    let [of_master, of_access] = [&master, &access].map(|picture| bench.record(picture));
    assert_eq!((&of_master["derivative"]["label"], &of_access["derivative"]["label"]), (&"off".into(), &"corner".into()));
    assert_eq!((&of_master["derivative"]["max_side"], &of_access["derivative"]["max_side"]), (&Value::Null, &100.into()));
    assert_eq!(of_master["recipe"]["sha256"], of_access["recipe"]["sha256"]);
    // Letters on a darkened plate, in the lower right and nowhere else.
    let Samples::U8(samples) = small.samples() else { panic!("a JPEG has 8 bits") };
    let brightest = samples.iter().rev().take(100 * 3 * 14).max().unwrap();
    assert!(*brightest > 235, "the label's letters are white: {brightest}");
    // The ledger knows both, by their own bytes, and shows each its own record.
    for (picture, record) in [(&master, &of_master), (&access, &of_access)] {
        let shown = bench.json(&["audit", "show", bench.output().join(picture).to_str().unwrap(), "--json"]);
        assert_eq!(shown["derivative"]["sha256"], record["derivative"]["sha256"]);
    }
    let all = bench.json(&["audit", "show", scan.to_str().unwrap(), "--json"]);
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert!(bench.ok(&["show", "1"]).contains("access/a/plate 12--"));
    assert_eq!(bench.count("completed"), 1);
}

#[test]
fn killed_between_two_outputs_the_rest_is_made_and_what_is_there_is_kept() {
    for place in ["publish", "publish.between", "publish.next", "settle"] {
        let bench = museum();
        scan(&bench);
        let code = bench.spawn(&["once"], Some(&format!("{place}:kill"))).wait();
        assert_eq!(code, None, "{place}: {}", bench.log());
        let is_whole = |picture: &&PathBuf| !picture.to_string_lossy().ends_with(".part");
        let whole = bench.pictures();
        let before: Vec<_> =
            whole.iter().filter(is_whole).map(|picture| fs::read(bench.output().join(picture)).unwrap()).collect();
        bench.ok(&["once"]);
        let after = pair(&bench).map(|picture| fs::read(bench.output().join(picture)).unwrap());
        assert!(before.iter().all(|bytes| after.contains(bytes)), "{place}: what was published is not made again");
        assert_eq!(bench.published().len(), 4, "{place}: {:?}", bench.published());
        assert_eq!(bench.count("completed"), 1, "{place}");
    }
}

#[test]
fn where_one_output_cannot_be_published_none_is() {
    let first = museum();
    scan(&first);
    first.ok(&["once"]);
    let [_, access] = pair(&first);
    let bench = museum();
    scan(&bench);
    let taken = bench.output().join(&access);
    fs::create_dir_all(taken.parent().unwrap()).unwrap();
    fs::write(&taken, b"somebody else's picture").unwrap();
    bench.ok(&["once"]);
    assert_eq!(bench.published(), [access]);
    assert_eq!(fs::read(&taken).unwrap(), b"somebody else's picture");
    assert_eq!(bench.jobs()["a/plate 12.tif"]["state"], "rejected");
}

#[test]
fn outputs_that_would_get_in_each_others_way_are_told() {
    let bench = museum();
    let config = fs::read_to_string(bench.config()).unwrap();
    let told = |from: &str, to: &str| {
        fs::write(bench.config(), config.replace(from, to)).unwrap();
        let output = bench.run(&["config", "check"]);
        assert_eq!(output.status.code(), Some(78), "{}", text(&output));
        text(&output)
    };
    let same = told("output/access\"\nformat = \"jpeg\"", "output/masters\"\nformat = \"tiff\"");
    assert!(same.contains("collection.plates.output.2.path") && same.contains("same names"), "{same}");
    assert!(told("path = \"output/access\"\n", "").contains("collection.plates.output.2.path: is required"));
    assert!(told("max_side = 100", "max_sides = 100").contains("did you mean max_side?"));
    assert!(told("max_side = 100", "scene = \"portrait\"").contains("collection.plates.output.2.scene: is not a key"));
    assert!(told("output/access", "ingest/access").contains("ingest"));
    let parity = "[network]\npreprocessing = \"parity\"\n[denoise]\napply_to = \"off\"\n[retry]";
    let space = config.replace("tiff_compression = \"deflate\"", "colour_space = \"adobe-rgb\"").replace("[retry]", parity);
    fs::write(bench.config(), space).unwrap();
    let output = bench.run(&["config", "check"]);
    assert!(output.status.code() == Some(78) && text(&output).contains("output.1.colour_space"), "{}", text(&output));
    fs::create_dir_all(bench.output().join("masters")).unwrap();
    std::os::unix::fs::symlink(bench.output().join("masters"), bench.output().join("link")).unwrap();
    assert!(told("output/access\"\nformat = \"jpeg\"", "output/link\"\nformat = \"tiff\"").contains("same names"));
}

#[test]
fn a_jpeg_scan_by_itself_stays_unlabelled_and_a_strip_is_added_when_asked() {
    let bench = Workbench::new();
    let scan = bench.put("one.jpg", &jpeg(61));
    let made = bench.path().join("plain.jpg");
    bench.ok(&["colorize", scan.to_str().unwrap(), "-o", made.to_str().unwrap()]);
    let size = |path: &PathBuf| codec::read_header(&fs::read(path).unwrap(), &DecodeLimits::default()).unwrap().size;
    let plain = size(&made);
    let config = fs::read_to_string(bench.config()).unwrap();
    fs::write(bench.config(), config.replace("[output]", "[output]\nlabel = \"strip\"")).unwrap();
    let labelled = bench.path().join("strip.jpg");
    bench.ok(&["colorize", scan.to_str().unwrap(), "-o", labelled.to_str().unwrap()]);
    assert_eq!(size(&labelled).width, plain.width);
    assert!(size(&labelled).height > plain.height + 10);
}
