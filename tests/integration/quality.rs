//! `bench --quality`: how near the colours come to known ones.

use std::fs;

use autochrome::codec::Format;
use autochrome::imaging::{Channels, Samples, ScanImage, Size};

use crate::workbench::{Workbench, encode, photograph, photograph16, text};

/// A picture of coloured waves; different seeds are different colours.
fn colourful(width: u32, height: u32, seed: u32) -> ScanImage {
    let channel = |channel: u32| match photograph(width, height, seed + 5 * channel).into_samples() {
        Samples::U8(samples) => samples,
        Samples::U16(_) => unreachable!("8 bits were made"),
    };
    let [red, green, blue] = [0, 1, 2].map(channel);
    let samples = red.iter().zip(&green).zip(&blue).flat_map(|((&red, &green), &blue)| [red, green, blue]).collect();
    ScanImage::new(Size::new(width, height), Channels::Rgb, Samples::U8(samples)).unwrap()
}

#[test]
fn colour_photographs_are_coloured_again_and_compared() {
    let bench = Workbench::new();
    let folder = bench.path().join("truth");
    fs::create_dir_all(folder.join("deeper")).unwrap();
    fs::write(folder.join("one.png"), encode(&colourful(160, 120, 1), Format::Png)).unwrap();
    fs::write(folder.join("deeper/two.JPG"), encode(&colourful(120, 150, 2), Format::Jpeg)).unwrap();
    fs::write(folder.join("grey.tif"), encode(&photograph16(100, 80, 3), Format::Tiff)).unwrap();
    fs::write(folder.join("torn.jpg"), &encode(&colourful(160, 120, 4), Format::Jpeg)[..500]).unwrap();
    let blank = ScanImage::new(Size::new(96, 96), Channels::Rgb, Samples::U8([200, 90, 60].repeat(96 * 96))).unwrap();
    fs::write(folder.join("blank.png"), encode(&blank, Format::Png)).unwrap();
    fs::write(folder.join("notes.txt"), "no picture").unwrap();
    let (directory, csv) = (folder.to_str().unwrap(), bench.path().join("rows.csv"));
    let found = bench.json(&["bench", "--quality", directory, "--csv", csv.to_str().unwrap(), "--json"]);

    assert_eq!(found["pictures"], 2, "{found:#}");
    let in_range = |key: &str, low: f64, high: f64| {
        let value = found.pointer(key).and_then(serde_json::Value::as_f64).unwrap_or_else(|| panic!("{key} in {found:#}"));
        assert!((low..high).contains(&value), "{key}: {value}");
    };
    // The colours are random, so the network cannot know them; it must not be far worse than grey.
    in_range("/ab_mse_ratio", 0.3, 2.0);
    in_range("/ab_mse_ratio_without_casts", 0.3, 2.0);
    in_range("/psnr_db", 5.0, 40.0);
    in_range("/delta_e_2000/mean", 1.0, 80.0);
    in_range("/delta_e_2000/p95", 1.0, 120.0);
    in_range("/colourfulness_ratio", 0.0, 2.0);
    assert_eq!(found["models"][0]["id"], "ddcolor-starter");
    assert_eq!(found["device"]["provider"], "cpu");
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["file"].as_str().unwrap()).collect::<Vec<_>>(), ["deeper/two.JPG", "one.png"]);
    for row in rows {
        assert_eq!(row["network"]["height"].as_u64().unwrap() % 32, 0);
        assert!(["portrait", "architecture", "other"].contains(&row["scene"].as_str().unwrap()), "{row}");
        assert_eq!(row["precision"], "fp32");
        for key in ["ab_mse_ratio", "ab_mse_ratio_without_cast", "psnr_db", "colourfulness", "colourfulness_of_truth"] {
            assert!(row[key].is_number(), "{key} in {row}");
        }
    }
    assert_eq!((&rows[1]["width"], &rows[1]["height"]), (&160.into(), &120.into()), "compared at the picture's own size");

    let left_out = found["left_out"].as_array().unwrap();
    let reason = |file: &str| left_out.iter().find(|one| one["file"] == file).unwrap()["reason"].as_str().unwrap().to_owned();
    assert_eq!(left_out.len(), 3, "{left_out:?}");
    assert_eq!(reason("grey.tif"), "it has no colour to compare with");
    assert!(reason("blank.png").starts_with("skipped: blank"), "{left_out:?}");
    assert!(!reason("torn.jpg").is_empty());
    let table = fs::read_to_string(csv).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 + 3, "{table}");
    assert!(table.starts_with("file,scene,width,height,network_width,"), "{table}");
}

#[test]
fn a_directory_without_colour_photographs_is_an_error_that_says_why() {
    let bench = Workbench::new();
    let folder = bench.path().join("truth");
    let run = || bench.run(&["bench", "--quality", folder.to_str().unwrap()]);
    let missing = run();
    assert_eq!(missing.status.code(), Some(1), "{}", text(&missing));
    assert!(text(&missing).contains("cannot be read") && text(&missing).contains("hint: "), "{}", text(&missing));
    fs::create_dir(&folder).unwrap();
    let empty = run();
    assert_eq!(empty.status.code(), Some(1));
    assert!(text(&empty).contains("no picture lies in"), "{}", text(&empty));
    fs::write(folder.join("torn.jpg"), b"\xff\xd8\xff\xe0 and no more").unwrap();
    let torn = run();
    assert_eq!(torn.status.code(), Some(1));
    assert!(text(&torn).contains("could be measured: torn.jpg: "), "{}", text(&torn));
    assert_eq!(bench.run(&["bench", "--csv", "x.csv"]).status.code(), Some(2), "a table of nothing");
}

#[test]
fn the_figures_are_printed_for_people() {
    let bench = Workbench::new();
    let folder = bench.path().join("truth");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("one.png"), encode(&colourful(160, 120, 1), Format::Png)).unwrap();
    let told = bench.ok(&["bench", "--quality", folder.to_str().unwrap()]);
    for part in
        ["ab MSE ratio", "without casts", "PSNR, dB", "ΔE2000 p95", "colourfulness", "one.png", "left out: 0", "ddcolor-starter"]
    {
        assert!(told.contains(part), "{part:?} in {told}");
    }
}
