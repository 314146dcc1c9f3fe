//! Scans with few tones: what the colour network sees, what is published, and what the record says.

use std::fs;
use std::path::PathBuf;

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::imaging::metrics::lightness_difference;
use autochrome::imaging::{Channels, Samples, ScanImage, Size};
use serde_json::Value;

use crate::workbench::{Workbench, encode, photograph};

const SIZE: Size = Size::new(240, 180);

/// A print that has faded: its tones lie between 80 and 165.
fn faded() -> ScanImage {
    let Samples::U8(picture) = photograph(SIZE.width, SIZE.height, 21).into_samples() else { unreachable!("8 bits were made") };
    let samples = picture.into_iter().map(|value| 80 + value / 3).collect();
    ScanImage::new(SIZE, Channels::Grey, Samples::U8(samples)).unwrap()
}

/// The derivatives of `scan` with levels and without: picture and record.
fn made(scan: &ScanImage) -> [(ScanImage, Value); 2] {
    let bench = Workbench::new();
    bench.put("print.png", &encode(scan, Format::Png));
    let mut known: Vec<PathBuf> = Vec::new();
    ["auto", "off"].map(|levels| {
        // Whole scans and no pages: the scene network sees a faded picture as it is, and one that is pale as well looks like a page to it.
        let network = format!("[network]\nborder = \"off\"\nlevels = \"{levels}\"\n");
        bench.configure(&format!("{network}[routing]\ndocument_score = 1.0\n"));
        bench.ok(&["once"]);
        bench.assert_consistent();
        let picture = bench.pictures().into_iter().find(|path| !known.contains(path)).unwrap();
        let bytes = fs::read(bench.output().join(&picture)).unwrap();
        let record = bench.record(&picture);
        assert_eq!(record["recipe"]["levels"], levels);
        assert_eq!(record["levels"]["mode"], levels);
        known.push(picture);
        (codec::decode(&bytes, &DecodeLimits::default()).unwrap().image, record)
    })
}

#[test]
fn a_faded_scan_keeps_its_lightness_and_the_record_says_which_tones_the_network_saw_as_black_and_white() {
    let scan = faded();
    let [(with, record), (without, bare)] = made(&scan);
    let levels = &record["levels"];
    assert_eq!(levels["applied"], true, "{levels:#}");
    let [black, white] = ["black", "white"].map(|key| levels[key].as_f64().unwrap());
    assert!(black > 80.0 / 255.0 && black < 0.42 && white > 0.55 && white < 165.0 / 255.0, "{levels:#}");
    assert!(lightness_difference(&scan, &with).unwrap().max <= 0.5);
    assert!(with != without, "the network saw something else, so it said something else");
    assert_eq!(bare["levels"]["applied"], false);
    assert!(bare["levels"]["black"].is_null() && bare["absent"]["levels.black"].is_string(), "{bare:#}");
}

#[test]
fn an_ordinary_scan_is_coloured_as_if_there_were_no_levels() {
    let [(with, record), (without, _)] = made(&photograph(SIZE.width, SIZE.height, 21));
    let levels = &record["levels"];
    assert_eq!(levels["applied"], false, "{levels:#}");
    assert!(levels["lightest"].as_f64().unwrap() - levels["darkest"].as_f64().unwrap() > 0.5, "{levels:#}");
    assert!(with == without, "the network saw the same");
}
