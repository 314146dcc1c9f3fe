//! Scans with borders: what is coloured, what is not, and what the record says.

use std::fs;

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::imaging::metrics::lightness_difference;
use autochrome::imaging::{Channels, Samples, ScanImage, Size};
use serde_json::Value;

use crate::workbench::{Workbench, encode, photograph};

const SIZE: Size = Size::new(400, 300);
/// Left, top, width and height of the picture in the scan.
const PICTURE: [u32; 4] = [40, 24, 330, 250];

/// A picture within a black rebate that somebody wrote on.
fn bordered() -> ScanImage {
    let Samples::U8(picture) = photograph(SIZE.width, SIZE.height, 21).into_samples() else { unreachable!("8 bits were made") };
    let samples = picture.iter().enumerate().map(|(index, &value)| {
        let (x, y) = (index as u32 % SIZE.width, index as u32 / SIZE.width);
        let is_written = (100..220).contains(&x) && (280..292).contains(&y) && (x / 4) % 3 == 0;
        match is_picture(x, y) {
            true => value.max(40),
            false if is_written => 240,
            false => 9 + (x * 7 + y * 3) as u8 % 3,
        }
    });
    ScanImage::new(SIZE, Channels::Grey, Samples::U8(samples.collect())).unwrap()
}

fn is_picture(x: u32, y: u32) -> bool {
    let [left, top, width, height] = PICTURE;
    (left..left + width).contains(&x) && (top..top + height).contains(&y)
}

/// The only derivative's picture and record that were not there before.
fn made(bench: &Workbench, before: &[std::path::PathBuf]) -> (ScanImage, Value) {
    let picture = bench.pictures().into_iter().find(|path| !before.contains(path)).unwrap();
    let bytes = fs::read(bench.output().join(&picture)).unwrap();
    (codec::decode(&bytes, &DecodeLimits::default()).unwrap().image, bench.record(&picture))
}

/// Largest difference between a pixel's samples, among pixels of the scan's border or of its picture.
fn colour(image: &ScanImage, of_picture: bool) -> u8 {
    let Samples::U8(samples) = image.samples() else { panic!("the depth changed") };
    let pixels = samples.as_chunks::<3>().0.iter().enumerate().filter(|(index, _)| {
        let (x, y) = (*index as u32 % SIZE.width, *index as u32 / SIZE.width);
        is_picture(x, y) == of_picture
    });
    pixels.map(|(_, rgb)| rgb.iter().max().unwrap() - rgb.iter().min().unwrap()).max().unwrap()
}

#[test]
fn a_border_stays_exactly_neutral_and_the_picture_is_coloured() {
    let bench = Workbench::new();
    let scan = bordered();
    bench.put("negative.png", &encode(&scan, Format::Png));
    bench.ok(&["once"]);
    bench.assert_consistent();
    let (derivative, record) = made(&bench, &[]);
    assert_eq!(derivative.size(), SIZE, "nothing is cropped");
    assert_eq!(colour(&derivative, false), 0);
    assert!(colour(&derivative, true) > 2, "{}", colour(&derivative, true));
    assert!(lightness_difference(&scan, &derivative).unwrap().max <= 0.5);
    let border = &record["border"];
    assert_eq!(border["mode"], "auto");
    let found = ["left", "top", "width", "height"].map(|key| border[key].as_u64().unwrap());
    for (found, wanted) in found.into_iter().zip(PICTURE) {
        assert!(found.abs_diff(u64::from(wanted)) <= 4, "{border:#}");
    }
    assert!(border["confidence"].as_f64().unwrap() > 0.5, "{border:#}");
    // The network's copy has the picture's shape.
    let [width, height] = ["content_width", "content_height"].map(|key| record["extent"][key].as_f64().unwrap());
    assert!((width / height - 330.0 / 250.0).abs() < 0.05, "{:#}", record["extent"]);
}

#[test]
fn borders_that_are_not_looked_for_are_coloured_like_everything_else_and_the_record_says_so() {
    let bench = Workbench::new();
    bench.put("negative.png", &encode(&bordered(), Format::Png));
    bench.ok(&["once"]);
    let before = bench.pictures();
    bench.configure("[network]\nborder = \"off\"\n");
    bench.ok(&["once"]);
    let (derivative, record) = made(&bench, &before);
    let border = &record["border"];
    assert_eq!(border["mode"], "off");
    let found = ["left", "top", "width", "height"].map(|key| border[key].as_u64().unwrap());
    assert_eq!(found, [0, 0, 400, 300]);
    assert_eq!(record["recipe"]["border"], "off");
    assert!(colour(&derivative, false) > 0);
}
