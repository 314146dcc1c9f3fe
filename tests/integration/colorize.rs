//! One picture, now: what a curator tries first.

use std::fs;
use std::path::Path;
use std::process::Command;

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::colour::{profile_of, srgb_profile};
use autochrome::imaging::lab::{lightness_of_luminance, srgb_to_lab};
use autochrome::imaging::metrics::colour_difference;
use autochrome::imaging::{Channels, ColourSpace, Samples};
use moxcms::ColorProfile;
use serde_json::Value;
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;

use crate::workbench::{Workbench, encode, jpeg, photograph, photograph16, text};

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn record(image: &Path) -> Value {
    let mut path = image.as_os_str().to_owned();
    path.push(".json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn scans_become_pictures_with_records_and_no_ledger() {
    let bench = Workbench::new();
    let scans = [bench.put("one.jpg", &jpeg(1)), bench.put("two.png", &encode(&photograph(150, 120, 2), Format::Png))];
    let before = scans.each_ref().map(|scan| fs::read(scan).unwrap());
    let out = bench.path().join("made");
    let arguments = ["colorize", scans[0].to_str().unwrap(), scans[1].to_str().unwrap(), "-o", out.to_str().unwrap()];
    let said = bench.ok(&arguments);
    assert_eq!(said.matches("coloured").count(), 2, "{said}");
    let made = names(&out);
    assert_eq!(made.len(), 4, "{made:?}");
    assert!(made[0].starts_with("one--") && made[0].ends_with(".jpg") && made[1] == format!("{}.json", made[0]));
    assert!(made[2].starts_with("two--") && made[2].ends_with(".png"));
    for (scan, before) in scans.iter().zip(&before) {
        assert_eq!(&fs::read(scan).unwrap(), before);
    }
    assert!(!bench.path().join("state").exists(), "nothing is entered into a ledger");
    let record = record(&out.join(&made[0]));
    assert_eq!(record["job"]["id"], Value::Null);
    assert_eq!(record["source"]["path"], scans[0].to_str().unwrap());
    // The same once more is already there; another recipe is not.
    let said = bench.ok(&arguments);
    assert_eq!(said.matches("unchanged").count(), 2, "{said}");
    let said = bench.ok(&[&arguments[..], &["--scene", "portrait", "--height", "128"]].concat());
    assert_eq!(said.matches("portrait").count(), 2, "{said}");
    assert_eq!(names(&out).len(), 8);
}

#[test]
fn nothing_is_overwritten_least_of_all_the_scan() {
    let bench = Workbench::new();
    let scan = bench.put("one.jpg", &jpeg(3));
    let (before, path) = (fs::read(&scan).unwrap(), scan.to_str().unwrap());
    let letter = bench.path().join("letter.png");
    fs::write(&letter, b"not a picture").unwrap();
    let alone = bench.path().join("alone.png");
    fs::write(bench.path().join("alone.png.json"), b"{\"mine\": true}").unwrap();
    for taken in [path, letter.to_str().unwrap(), alone.to_str().unwrap()] {
        let output = bench.run(&["colorize", path, "-o", taken]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("is there already"), "{}", text(&output));
    }
    assert_eq!(fs::read(&scan).unwrap(), before);
    assert_eq!(fs::read(&letter).unwrap(), b"not a picture");
    assert!(!alone.exists());
    let free = bench.path().join("free.tif");
    bench.ok(&["colorize", path, "-o", free.to_str().unwrap()]);
    assert_eq!(codec::read_header(&fs::read(&free).unwrap(), &DecodeLimits::default()).unwrap().format, Format::Tiff);
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_coloured() {
    let bench = Workbench::new();
    let good = bench.put("good.jpg", &jpeg(4));
    let cut = bench.put("cut.jpg", &jpeg(5)[..900]);
    let missing = bench.ingest().join("missing.jpg");
    let files = [&cut, &missing, &bench.ingest(), &good].map(|path| path.to_str().unwrap().to_owned());
    let out = bench.path().join("made");
    let mut arguments: Vec<&str> = vec!["colorize", "-o", out.to_str().unwrap()];
    arguments.extend(files.iter().map(String::as_str));
    let output = bench.run(&arguments);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("3 of 4 scans were not coloured"), "{said}");
    assert!(said.contains("it is a directory") && said.contains("cannot be read") && said.contains("ends before"), "{said}");
    assert_eq!(names(&out).len(), 2);
    assert_eq!(bench.run(&["colorize", "-o", "x.gif", &files[3]]).status.code(), Some(2));
}

#[test]
fn a_volume_without_room_is_the_disks_fault_and_not_the_scans() {
    let bench = Workbench::new();
    let scan = bench.put("one.jpg", &jpeg(6));
    let out = bench.path().join("full");
    let mut command = bench.command(&["colorize", scan.to_str().unwrap(), "-o", &format!("{}/", out.display())]);
    let output = command.env("AUTOCHROME__OUTPUT__MIN_FREE_MIB", "1000000000").output().unwrap();
    assert_eq!(output.status.code(), Some(74), "{}", text(&output));
    assert!(text(&output).contains("MiB free"), "{}", text(&output));
    assert!(!out.exists() || names(&out).is_empty());
}

/// A 16-bit TIFF as a scanning department delivers it: grey under a gamma of 1.8, which is not sRGB's.
#[test]
fn the_lightness_of_a_scan_is_that_of_its_profile() {
    let bench = Workbench::new();
    let Samples::U8(grey) = photograph(200, 160, 6).into_samples() else { panic!("8 bits were made") };
    let grey: Vec<u16> = grey.iter().zip(0..).map(|(&value, index)| (u16::from(value) * 257) ^ (index % 200)).collect();
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).unwrap();
    let mut page = encoder.new_image::<colortype::Gray16>(200, 160).unwrap();
    let profile = ColorProfile::new_gray_with_gamma(1.8).encode().unwrap();
    page.encoder().write_tag(Tag::IccProfile, &profile[..]).unwrap();
    page.write_data(&grey).unwrap();
    let scan = bench.put("plate.tif", bytes.get_ref());
    let made = bench.path().join("plate.tif");
    bench.ok(&["colorize", scan.to_str().unwrap(), "-o", made.to_str().unwrap()]);
    let derivative = codec::decode(&fs::read(&made).unwrap(), &DecodeLimits::default()).unwrap();
    assert_eq!((derivative.image.channels(), derivative.image.bit_depth()), (Channels::Rgb, 16));
    assert_eq!(derivative.declared.icc.as_deref(), Some(srgb_profile()));
    let Samples::U16(rgb) = derivative.image.samples() else { panic!("the depth changed") };
    let mut largest = 0.0_f64;
    for (&grey, rgb) in grey.iter().zip(rgb.chunks_exact(3)) {
        // A profile holds gammas in steps of 1/256: 1.8 is 461 of them.
        let wanted = lightness_of_luminance((f64::from(grey) / 65_535.0).powf(461.0 / 256.0));
        let found = srgb_to_lab([0, 1, 2].map(|channel| f64::from(rgb[channel]) / 65_535.0))[0];
        largest = largest.max((found - wanted).abs());
    }
    // The bound of ARCHITECTURE.md for 16 bits.
    assert!(largest <= 0.05, "{largest}");
    let record = record(&made);
    assert_eq!(record["source"]["colour"]["basis"], "icc");
    assert_eq!(record["derivative"]["colour_space"], "srgb");
    let recorded = record["derivative"]["lightness_max_difference"].as_f64().unwrap();
    assert!((recorded - largest).abs() < 0.005, "the record says {recorded}, measured {largest}");
}

/// A derivative of a 16-bit grey TIFF, made under one variable: its bytes and its record.
fn made_under(bench: &Workbench, name: &str, variables: &[(&str, &str)]) -> (Vec<u8>, Value) {
    let scan = bench.put("deep.tif", &encode(&photograph16(200, 160, 6), Format::Tiff));
    let made = bench.path().join(name);
    let mut command = bench.command(&["colorize", scan.to_str().unwrap(), "-o", made.to_str().unwrap()]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    (fs::read(&made).unwrap(), record(&made))
}

#[test]
fn a_derivative_in_another_colour_space_carries_its_profile_and_says_so() {
    let bench = Workbench::new();
    let mut before = None;
    for space in ColourSpace::ALL {
        let variables = [("AUTOCHROME__OUTPUT__COLOUR_SPACE", space.word()), ("AUTOCHROME__OUTPUT__FORMAT", "tiff")];
        let (bytes, record) = made_under(&bench, &format!("{space}.tif"), &variables);
        let derivative = codec::decode(&bytes, &DecodeLimits::default()).unwrap();
        assert_eq!(derivative.declared.icc.as_deref(), Some(profile_of(space)));
        assert_eq!(derivative.declared.exif_colour_space, Some(if space == ColourSpace::Srgb { 1 } else { 65_535 }));
        assert_eq!(record["derivative"]["colour_space"], space.word());
        assert_eq!(record["recipe"]["colour_space"], space.word());
        let difference = record["derivative"]["lightness_max_difference"].as_f64().unwrap();
        assert!(difference <= 0.05, "{space}: {difference}");
        // By its profile every one is the same picture; what sRGB cannot hold is more colourful in the others.
        let colour = derivative.colour();
        let Samples::U16(rgb) = derivative.image.samples() else { panic!("the depth changed") };
        let labs: Vec<_> =
            rgb.as_chunks::<3>().0.iter().map(|rgb| colour.lab(rgb.map(|code| f64::from(code) / 65_535.0))).collect();
        let srgb = before.get_or_insert_with(|| labs.clone());
        for (found, wanted) in labs.iter().zip(srgb) {
            assert!((found[0] - wanted[0]).abs() < 0.1, "{space}: {found:?} is as light as {wanted:?}");
            let chroma = |lab: &[f64; 3]| lab[1].hypot(lab[2]);
            assert!(chroma(found) > chroma(wanted) - 0.1, "{space}: {found:?} is no duller than {wanted:?}");
        }
    }
}

#[test]
fn without_saturation_a_derivative_is_neutral() {
    let bench = Workbench::new();
    let (bytes, record) = made_under(&bench, "grey.tif", &[("AUTOCHROME__OUTPUT__SATURATION", "0")]);
    let derivative = codec::decode(&bytes, &DecodeLimits::default()).unwrap();
    let Samples::U16(rgb) = derivative.image.samples() else { panic!("the depth changed") };
    assert!(rgb.as_chunks::<3>().0.iter().all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2]));
    assert_eq!((&record["derivative"]["saturation"], &record["recipe"]["saturation"]), (&0.0.into(), &0.0.into()));
}

#[test]
fn other_programs_see_the_same_colours_by_the_profile() {
    if ["exiftool", "convert"].iter().any(|program| Command::new(program).arg("-ver").output().is_err()) {
        eprintln!("SKIPPED: exiftool or convert (ImageMagick) is not installed");
        return;
    }
    let bench = Workbench::new();
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(bench.path()).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    fs::write(bench.path().join("srgb.icc"), srgb_profile()).unwrap();
    // Dull enough for every space to hold.
    let pale = ("AUTOCHROME__OUTPUT__SATURATION", "0.5");
    let (bytes, _) = made_under(&bench, "srgb.tif", &[pale]);
    let wanted = codec::decode(&bytes, &DecodeLimits::default()).unwrap().image;
    for (space, name) in [
        (ColourSpace::AdobeRgb, "Compatible with Adobe RGB (1998)"),
        (ColourSpace::DisplayP3, "Display P3"),
        (ColourSpace::ProPhoto, "ROMM RGB (ProPhoto)"),
    ] {
        let file = format!("{space}.tif");
        let variables = [pale, ("AUTOCHROME__OUTPUT__COLOUR_SPACE", space.word()), ("AUTOCHROME__OUTPUT__FORMAT", "tiff")];
        made_under(&bench, &file, &variables);
        let facts = said("exiftool", &["-s3", "-ProfileDescription", "-ColorSpace", &file]);
        assert_eq!(facts, format!("{name}\nUncalibrated\n"));
        said("convert", &[&file, "-intent", "relative", "-profile", "srgb.icc", "-depth", "16", "back.tif"]);
        let back = codec::decode(&fs::read(bench.path().join("back.tif")).unwrap(), &DecodeLimits::default()).unwrap().image;
        let apart = colour_difference(&wanted, &back).unwrap();
        assert!(apart.p999 < 0.1, "{space}: {apart:?}");
    }
}
