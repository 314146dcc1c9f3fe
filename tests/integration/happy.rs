//! From a folder of scans to derivatives with records.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::imaging::metrics::lightness_difference;
use serde_json::Value;

use crate::workbench::{Workbench, encode, jpeg, photograph, photograph16};

/// Paths of a record that cli.md names; every one must be there, filled or null with a reason.
const PROMISED: &[&str] = &[
    "schema",
    "digital_source_type",
    "job.id",
    "job.claim",
    "job.failures",
    "job.collection",
    "source.root",
    "source.path",
    "source.bytes",
    "source.sha256",
    "source.format",
    "source.width",
    "source.height",
    "source.bit_depth",
    "source.channels",
    "derivative.path",
    "derivative.bytes",
    "derivative.sha256",
    "derivative.format",
    "derivative.width",
    "derivative.height",
    "derivative.bit_depth",
    "route.scene",
    "route.scores.portrait",
    "route.scores.architecture",
    "route.scores.other",
    "route.scores.document",
    "route.reason",
    "route.override",
    "route.router.id",
    "route.router.sha256",
    "denoise.noise_sigma",
    "denoise.lightness_sigma",
    "denoise.applied_to",
    "denoise.model",
    "border.mode",
    "border.left",
    "border.top",
    "border.width",
    "border.height",
    "border.confidence",
    "levels.mode",
    "levels.darkest",
    "levels.black",
    "levels.white",
    "levels.lightest",
    "levels.applied",
    "extent.width",
    "extent.height",
    "extent.rule",
    "model.id",
    "model.sha256",
    "model.architecture",
    "model.licence",
    "model.source",
    "precision.requested",
    "precision.observed",
    "precision.fp32_islands",
    "precision.fallback",
    "device.provider",
    "device.name",
    "device.driver",
    "device.runtime_version",
    "device.cuda",
    "device.cudnn",
    "numerics.non_finite",
    "numerics.ab_min",
    "numerics.ab_max",
    "numerics.chroma_mean",
    "numerics.chroma_p99",
    "numerics.out_of_gamut_share",
    "recipe.sha256",
    "software.name",
    "software.version",
    "software.commit",
    "timings_ms",
];

fn at<'a>(record: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(record, |value, key| value.get(key))
}

#[test]
fn every_scan_of_a_folder_gets_a_derivative_with_a_full_record() {
    let bench = Workbench::new();
    bench.put("portrait.jpg", &jpeg(1));
    bench.put("album 1/plate 12.tif", &encode(&photograph16(150, 110, 2), Format::Tiff));
    bench.put("album 1/deeper/card.png", &encode(&photograph(120, 140, 3), Format::Png));
    let told = bench.ok(&["once"]);
    assert!(told.contains("3 completed, 0 skipped, 0 given up"), "{told}");
    bench.assert_consistent();
    let pictures = bench.pictures();
    assert_eq!(pictures.len(), 3);
    assert!(pictures[0].starts_with("album 1/deeper") && pictures[1].starts_with("album 1"), "{pictures:?}");
    for picture in &pictures {
        let record = bench.record(picture);
        for path in PROMISED {
            let value = at(&record, path).unwrap_or_else(|| panic!("{path} is missing in {record:#}"));
            assert!(!value.is_null() || record["absent"][path].is_string(), "{path} is null without a reason");
        }
        assert_eq!(record["schema"], "autochrome-provenance/1");
        let mut recipe = record["recipe"].clone();
        let digest = recipe.as_object_mut().unwrap().remove("sha256").unwrap();
        let recomputed = autochrome::digest::Digest::of(recipe.to_string().as_bytes()).to_string();
        assert_eq!(digest, recomputed.as_str(), "the recipe's digest can be formed again from the record");
        assert!(record["made_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        assert_eq!(record["device"]["provider"], "cpu");
        assert_eq!(record["precision"]["requested"], "fp16");
        assert_eq!(record["precision"]["observed"], "fp32");
        assert!(record["precision"]["reason"].is_string(), "why FP16 became FP32 is said");
    }
}

#[test]
fn the_derivative_keeps_size_depth_and_lightness() {
    let bench = Workbench::new();
    // Bounds as promised for lossless formats: 0.5 L* at 8 bits, 0.05 L* at 16.
    for (name, scan, format, bound) in
        [("eight.png", photograph(133, 97, 4), Format::Png, 0.5), ("sixteen.tif", photograph16(101, 143, 5), Format::Tiff, 0.05)]
    {
        let source = bench.put(name, &encode(&scan, format));
        bench.ok(&["once"]);
        let record = bench.json(&["audit", "show", source.to_str().unwrap(), "--json"]);
        let path = bench.output().join(record["derivative"]["path"].as_str().unwrap());
        let derivative = codec::decode(&fs::read(path).unwrap(), &DecodeLimits::default()).unwrap().image;
        assert_eq!((derivative.size(), derivative.bit_depth()), (scan.size(), scan.bit_depth()));
        assert!(derivative.channels().is_rgb());
        let difference = lightness_difference(&scan, &derivative).unwrap();
        assert!(difference.max <= bound, "{name}: {difference:?}");
    }
}

#[test]
fn sources_are_never_touched() {
    let bench = Workbench::new();
    let paths = [bench.put("a.jpg", &jpeg(6)), bench.put("b/c.jpg", &jpeg(7)), bench.put("broken.jpg", b"not a picture")];
    let look = |path: &std::path::PathBuf| {
        let metadata = fs::metadata(path).unwrap();
        (fs::read(path).unwrap(), metadata.ino(), metadata.mtime_nsec(), metadata.mtime(), metadata.ctime_nsec(), metadata.mode())
    };
    let before: Vec<_> = paths.iter().map(look).collect();
    let names = || fs::read_dir(bench.ingest()).unwrap().count();
    let entries = names();
    bench.ok(&["once"]);
    assert_eq!(paths.iter().map(look).collect::<Vec<_>>(), before);
    assert_eq!(names(), entries, "nothing is written into an ingest root");
}

#[test]
fn the_same_bytes_twice_are_one_derivative_and_two_sightings() {
    let bench = Workbench::new();
    bench.put("one.jpg", &jpeg(8));
    bench.put("again/two.jpg", &jpeg(8));
    bench.ok(&["once"]);
    assert_eq!(bench.pictures().len(), 1);
    let shown = bench.json(&["show", "1", "--json"]);
    assert_eq!(shown["sightings"].as_array().unwrap().len(), 2);
}

#[test]
fn a_second_look_does_nothing_and_new_bytes_under_an_old_name_are_a_new_job() {
    let bench = Workbench::new();
    bench.put("plate.jpg", &jpeg(9));
    bench.ok(&["once"]);
    let first = bench.published();
    assert!(bench.ok(&["once"]).contains("0 completed"));
    assert_eq!(bench.published(), first);
    bench.put("plate.jpg", &jpeg(10));
    bench.ok(&["once"]);
    assert_eq!(bench.pictures().len(), 2, "the older derivative stays");
    bench.assert_consistent();
}

#[test]
fn a_new_recipe_makes_a_new_derivative_and_keeps_the_old_one() {
    let bench = Workbench::new();
    bench.put("plate.png", &encode(&photograph(120, 100, 11), Format::Png));
    bench.ok(&["once"]);
    let first = bench.published();
    bench.configure("[denoise]\napply_to = \"off\"\n");
    bench.ok(&["once"]);
    let both = bench.published();
    assert_eq!(both.len(), 4);
    assert!(first.iter().all(|path| both.contains(path)));
}

#[test]
fn what_precision_a_derivative_was_made_with_stays_true_of_it() {
    let bench = Workbench::new();
    let source = bench.put("plate.jpg", &jpeg(14));
    bench.ok(&["once"]);
    let first = bench.output().join(&bench.pictures()[0]);
    let config = fs::read_to_string(bench.config()).unwrap();
    fs::write(bench.config(), config.replace("provider = \"cpu\"\n", "provider = \"cpu\"\nprecision = \"fp32\"\n")).unwrap();
    bench.ok(&["once"]);
    let records = bench.json(&["audit", "show", source.to_str().unwrap(), "--json"]);
    let facts: Vec<_> = records.as_array().unwrap().iter().map(|record| &record["precision"]).collect();
    assert_eq!(facts.len(), 2, "{records:#}");
    assert_eq!((&facts[0]["requested"], &facts[0]["observed"]), (&"fp16".into(), &"fp32".into()));
    assert_eq!((&facts[1]["requested"], &facts[1]["observed"]), (&"fp32".into(), &"fp32".into()));
    assert!(facts[0]["reason"].is_string() && facts[1]["reason"].is_null(), "{records:#}");
    let told = bench.ok(&["audit", "show", first.to_str().unwrap()]);
    assert!(told.contains("fp16 asked, fp32 observed"), "{told}");
    let beside = bench.record(first.strip_prefix(bench.output()).unwrap());
    assert_eq!(&beside["precision"], facts[0], "the file and the ledger say the same");
}

#[test]
fn a_noisy_scan_is_denoised_for_the_network_only_unless_asked() {
    let bench = Workbench::new();
    // Of the size that the network sees, so that reducing it takes no noise away.
    let noisy = noisy(96, 96);
    bench.put("noisy.png", &encode(&noisy, Format::Png));
    for (apply_to, expected) in [("network", "network"), ("output", "output"), ("off", "none")] {
        bench.configure(&format!("[denoise]\napply_to = \"{apply_to}\"\nthreshold = 5.0\n"));
        let before = bench.pictures();
        bench.ok(&["once"]);
        let picture = bench.pictures().into_iter().find(|path| !before.contains(path)).unwrap();
        let record = bench.record(&picture);
        assert!(record["denoise"]["noise_sigma"].as_f64().unwrap() > 10.0, "{record:#}");
        assert_eq!(record["denoise"]["applied_to"], expected);
        assert_eq!(record["denoise"]["model"].is_null(), apply_to == "off");
        let bytes = fs::read(bench.output().join(&picture)).unwrap();
        let derivative = codec::decode(&bytes, &DecodeLimits::default()).unwrap().image;
        let changed = lightness_difference(&noisy, &derivative).unwrap();
        if apply_to == "output" {
            assert!(changed.mean > 2.0, "the published lightness was to be denoised: {changed:?}");
        } else {
            assert!(changed.max <= 0.5, "the published lightness is the source's: {changed:?}");
        }
    }
}

#[test]
fn a_lightness_denoised_for_noise_that_only_the_full_size_shows_says_so() {
    let bench = Workbench::new();
    bench.configure("[denoise]\napply_to = \"output\"\nthreshold = 12.0\n");
    bench.put("noisy.png", &encode(&noisy(480, 480), Format::Png));
    bench.ok(&["once"]);
    let denoise = &bench.record(&bench.pictures()[0])["denoise"];
    assert_eq!(denoise["applied_to"], "output");
    assert!(denoise["noise_sigma"].as_f64().unwrap() < 12.0, "{denoise:#}");
    assert!(denoise["lightness_sigma"].as_f64().unwrap() > 12.0, "{denoise:#}");
}

/// White noise of σ ≈ 25 code values on a soft picture, reproducible.
fn noisy(width: u32, height: u32) -> autochrome::imaging::ScanImage {
    use autochrome::imaging::{Channels, Samples, ScanImage};
    let base = photograph(width, height, 12);
    let Samples::U8(samples) = base.samples() else { unreachable!("8 bits were made") };
    let mut random = fastrand::Rng::with_seed(7);
    // A sum of twelve uniform numbers has variance 1: near enough to a normal distribution.
    let mut normal = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    let added = samples.iter().map(|&value| (f64::from(value) + 25.0 * normal()).round().clamp(0.0, 255.0) as u8).collect();
    ScanImage::new(base.size(), Channels::Grey, Samples::U8(added)).unwrap()
}

#[test]
fn a_scene_fixed_by_the_collection_is_obeyed_and_recorded() {
    let bench = Workbench::new();
    let config = fs::read_to_string(bench.config()).unwrap();
    fs::write(bench.config(), config.replace("name = \"plates\"\n", "name = \"plates\"\nscene = \"architecture\"\n")).unwrap();
    bench.put("a.jpg", &jpeg(13));
    bench.ok(&["once"]);
    let record = bench.record(&bench.pictures()[0]);
    assert_eq!(record["route"]["scene"], "architecture");
    assert_eq!(record["route"]["override"], "architecture");
}
