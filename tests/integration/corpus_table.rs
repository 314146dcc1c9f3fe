//! One file for every kind of scan, written by independent programs, through the whole line: the table of `tests/corpus.md`.
//!
//! With `AUTOCHROME_CORPUS=write` the table is written anew; without, it must have a row for every kind and no other. Says SKIPPED on
//! standard error where ImageMagick, libtiff's tools or ExifTool are missing.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::imaging::metrics::lightness_difference;
use moxcms::ColorProfile;
use serde_json::Value;

use crate::workbench::{Workbench, encode, photograph, photograph16, text};

/// Who writes a kind, and how: arguments between source and result for `convert`, before the source for `tiffcp`.
struct Kind {
    name: &'static str,
    file: &'static str,
    from: Depth,
    program: &'static str,
    arguments: &'static [&'static str],
    /// Profile that is attached first.
    profile: Option<Profile>,
}

#[derive(Clone, Copy)]
enum Depth {
    Eight,
    Sixteen,
}

#[derive(Clone, Copy, PartialEq)]
enum Profile {
    Gamma18,
    AdobeRgb,
}

const fn kind(
    name: &'static str,
    file: &'static str,
    from: Depth,
    program: &'static str,
    arguments: &'static [&'static str],
) -> Kind {
    Kind { name, file, from, program, arguments, profile: None }
}

const fn under(profile: Profile, kind: &Kind) -> Kind {
    Kind { profile: Some(profile), ..*kind }
}

use Depth::{Eight, Sixteen};

const JPEG: &[&str] = &["-quality", "95"];

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    kind("JPEG, grey", "a.jpg", Eight, "convert", JPEG),
    kind("JPEG, progressive", "a.jpg", Eight, "convert", &["-interlace", "JPEG", "-quality", "95"]),
    kind("JPEG, YCbCr 4:4:4", "a.jpg", Eight, "convert", &["-type", "TrueColor", "-sampling-factor", "4:4:4", "-quality", "95"]),
    kind("JPEG, YCbCr 4:2:2", "a.jpg", Eight, "convert", &["-type", "TrueColor", "-sampling-factor", "4:2:2", "-quality", "95"]),
    kind("JPEG, YCbCr 4:2:0", "a.jpg", Eight, "convert", &["-type", "TrueColor", "-sampling-factor", "4:2:0", "-quality", "95"]),
    kind("JPEG, CMYK", "a.jpg", Eight, "convert", &["-colorspace", "CMYK", "-sampling-factor", "4:4:4", "-quality", "95"]),
    under(Profile::Gamma18, &kind("JPEG, grey, gamma 1.8", "a.jpg", Eight, "convert", JPEG)),
    under(Profile::AdobeRgb, &kind("JPEG, Adobe RGB", "a.jpg", Eight, "convert", &["-type", "TrueColor", "-quality", "95"])),
    kind("PNG, 1 bit", "a.png", Eight, "convert", &["-monochrome"]),
    kind("PNG, 4 bits", "a.png", Eight, "convert", &["-colors", "16", "-depth", "4", "-define", "png:bit-depth=4", "-define", "png:color-type=0"]),
    kind("PNG, 8 bits", "a.png", Eight, "convert", &[]),
    kind("PNG, 16 bits", "a.png", Sixteen, "convert", &["-define", "png:bit-depth=16"]),
    kind("PNG, palette", "a.png", Eight, "convert", &["-type", "Palette", "-define", "png:color-type=3"]),
    kind("PNG, alpha", "a.png", Eight, "convert", &["-alpha", "set", "-channel", "A", "-evaluate", "set", "80%"]),
    kind("PNG, interlaced", "a.png", Sixteen, "convert", &["-interlace", "PNG"]),
    under(Profile::Gamma18, &kind("PNG, 16 bits, gamma 1.8", "a.png", Sixteen, "convert", &["-define", "png:bit-depth=16"])),
    kind("TIFF, uncompressed", "a.tif", Sixteen, "tiffcp", &["-c", "none"]),
    kind("TIFF, LZW", "a.tif", Sixteen, "tiffcp", &["-c", "lzw"]),
    kind("TIFF, LZW, predictor", "a.tif", Sixteen, "tiffcp", &["-c", "lzw:2"]),
    kind("TIFF, Deflate, predictor", "a.tif", Sixteen, "tiffcp", &["-c", "zip:2"]),
    kind("TIFF, PackBits", "a.tif", Eight, "tiffcp", &["-c", "packbits"]),
    kind("TIFF, Zstandard", "a.tif", Sixteen, "tiffcp", &["-c", "zstd"]),
    kind("TIFF, tiles", "a.tif", Sixteen, "tiffcp", &["-t", "-w", "64", "-l", "64", "-c", "lzw"]),
    kind("TIFF, big-endian", "a.tif", Sixteen, "tiffcp", &["-B"]),
    kind("BigTIFF", "a.tif", Sixteen, "tiffcp", &["-8"]),
    kind("TIFF, JPEG", "a.tif", Eight, "tiffcp", &["-c", "jpeg:95", "-r", "16"]),
    kind("TIFF, JPEG in tiles", "a.tif", Eight, "tiffcp", &["-c", "jpeg:95", "-t", "-w", "64", "-l", "64"]),
    kind("TIFF, JPEG, YCbCr", "a.tif", Eight, "convert", &["-type", "TrueColor", "-compress", "JPEG", "-quality", "95"]),
    kind("TIFF, 1 bit", "a.tif", Eight, "convert", &["-monochrome", "-compress", "none"]),
    kind("TIFF, CCITT Group 4", "a.tif", Eight, "convert", &["-monochrome", "-compress", "Group4"]),
    kind("TIFF, 4 bits", "a.tif", Eight, "convert", &["-depth", "4", "-type", "Grayscale", "-compress", "none"]),
    // It marks the samples as inverted and leaves them as they are.
    kind("TIFF, white is zero", "a.tif", Eight, "convert", &["-negate", "-define", "quantum:polarity=min-is-white", "-compress", "none"]),
    kind("TIFF, 32 bits", "a.tif", Sixteen, "convert", &["-depth", "32", "-define", "quantum:format=unsigned", "-compress", "none"]),
    kind("TIFF, floating-point", "a.tif", Sixteen, "convert", &["-depth", "32", "-define", "quantum:format=floating-point", "-compress", "none"]),
    kind("TIFF, RGB, 16 bits", "a.tif", Sixteen, "convert", &["-type", "TrueColor", "-compress", "LZW"]),
    kind("TIFF, RGB, planes", "a.tif", Sixteen, "convert", &["-type", "TrueColor", "-interlace", "Plane", "-compress", "none"]),
    kind("TIFF, RGB, alpha", "a.tif", Eight, "convert", &["-type", "TrueColorAlpha", "-channel", "A", "-evaluate", "set", "80%", "-compress", "none"]),
    kind("TIFF, palette", "a.tif", Eight, "convert", &["-type", "Palette", "-compress", "none"]),
    kind("TIFF, CMYK", "a.tif", Sixteen, "convert", &["-colorspace", "CMYK", "-compress", "LZW"]),
    kind("TIFF, two pages", "a.tif", Sixteen, "convert", &["(", "+clone", "-resize", "50%", ")", "-compress", "none"]),
    kind("TIFF, pyramid", "a.tif", Sixteen, "convert", &["-define", "ptif:pyramid=true", "ptif:"]),
    under(Profile::Gamma18, &kind("TIFF, 16 bits, gamma 1.8", "a.tif", Sixteen, "convert", &["-compress", "LZW"])),
    under(Profile::AdobeRgb, &kind("TIFF, 16 bits, Adobe RGB", "a.tif", Sixteen, "convert", &["-type", "TrueColor", "-compress", "LZW"])),
    kind("WebP, lossy", "a.webp", Eight, "convert", &["-quality", "95"]),
    kind("WebP, lossless", "a.webp", Eight, "convert", &["-define", "webp:lossless=true"]),
    kind("JPEG 2000, 8 bits", "a.jp2", Eight, "convert", &["-define", "jp2:rate=1"]),
    kind("JPEG 2000, 16 bits", "a.jp2", Sixteen, "convert", &["-define", "jp2:rate=1"]),
    kind("JPEG 2000, codestream", "a.j2k", Eight, "convert", &["-define", "jp2:rate=1"]),
];

/// The file must be there afterwards: ImageMagick also ends with an error when it has only stumbled over a tag.
fn run(program: &str, arguments: &[&str], to: &Path) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(to.exists() && (output.status.success() || program == "convert"), "{program} {arguments:?}: {said}");
}

fn missing() -> bool {
    let programs = [("convert", "-version"), ("tiffcp", "-h"), ("exiftool", "-ver")];
    let missing = programs.iter().find(|(program, argument)| Command::new(program).arg(argument).output().is_err());
    if let Some((program, _)) = missing {
        std::io::stderr().write_all(format!("SKIPPED: {program} is not installed\n").as_bytes()).unwrap();
    }
    missing.is_some()
}

/// Writes the kind's file below a directory of its own, so that names stay short and apart.
fn written(bench: &Workbench, kind: &Kind, index: usize, sources: [&Path; 2]) -> PathBuf {
    let directory = bench.path().join(format!("corpus/{index:02}"));
    fs::create_dir_all(&directory).unwrap();
    let (path, source) = (directory.join(kind.file), sources[usize::from(matches!(kind.from, Sixteen))]);
    let (to, from) = (path.to_str().unwrap().to_owned(), source.to_str().unwrap());
    let profile = directory.join("profile.icc");
    match kind.profile {
        Some(Profile::Gamma18) => fs::write(&profile, ColorProfile::new_gray_with_gamma(1.8).encode().unwrap()).unwrap(),
        Some(Profile::AdobeRgb) => fs::write(&profile, ColorProfile::new_adobe_rgb().encode().unwrap()).unwrap(),
        None => {}
    }
    let attach = profile.to_str().unwrap();
    let attach: &[&str] = if kind.profile.is_some() {
        &["+profile", "icc", "-set", "colorspace:auto-grayscale", "off", "-profile", attach]
    } else {
        &[]
    };
    match kind.program {
        "convert" => {
            // A prefix that names the format stands for the result's own name.
            let (arguments, to) = match kind.arguments.split_last() {
                Some((last, rest)) if last.ends_with(':') => (rest, format!("{last}{to}")),
                _ => (kind.arguments, to),
            };
            run("convert", &[&[from], arguments, attach, &[&to]].concat(), &path);
        }
        program => run(program, &[kind.arguments, &[from, &to]].concat(), &path),
    }
    // A bare codestream has no place for words, and ExifTool writes none into a BigTIFF.
    if !kind.file.ends_with("j2k") && kind.name != "BigTIFF" {
        let words =
            ["-q", "-overwrite_original", "-m", "-EXIF:ImageDescription=Market", "-EXIF:Artist=Evans", "-XMP-dc:Title=Market"];
        let place = ["-XResolution=600", "-YResolution=600", "-ResolutionUnit=inches", "-IPTC:Caption-Abstract=Market"];
        run("exiftool", &[&words[..], &place, &[path.to_str().unwrap()]].concat(), &path);
    }
    path
}

fn record(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// `profile`: the derivative's own, by its name.
fn row(kind: &Kind, record: &Value, profile: &str) -> String {
    let (source, derivative, metadata) = (&record["source"], &record["derivative"], &record["metadata"]);
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let carried = [
        (metadata["exif_fields"].as_u64() > Some(0), "EXIF"),
        (metadata["iptc_bytes"].as_u64() > Some(0), "IPTC"),
        (metadata["xmp_bytes"].as_u64() > Some(0), "XMP"),
    ];
    let carried: Vec<_> = carried.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect();
    let writer = if kind.program == "convert" { "ImageMagick" } else { "libtiff" };
    format!(
        "| {} | {writer} | {} bits, {} | {} | {}, {} bits, {profile} | {} | {:.3} |",
        kind.name,
        source["bit_depth"],
        word(&source["channels"]),
        word(&source["colour"]["basis"]),
        word(&derivative["format"]),
        derivative["bit_depth"],
        carried.join(", "),
        derivative["lightness_max_difference"].as_f64().unwrap(),
    )
}

#[test]
fn every_kind_of_scan_goes_through_the_whole_line() {
    if missing() {
        return;
    }
    let bench = Workbench::new();
    let originals = [photograph(176, 144, 1), photograph16(176, 144, 2)];
    let eight = bench.put("eight.tif", &encode(&originals[0], Format::Tiff));
    let sixteen = bench.put("sixteen.tif", &encode(&originals[1], Format::Tiff));
    let out = bench.path().join("made");
    let files: Vec<PathBuf> =
        KINDS.iter().enumerate().map(|(index, kind)| written(&bench, kind, index, [&eight, &sixteen])).collect();
    let mut table = String::from(
        "| scan | written by | depth, channels | colour by | derivative, its profile | metadata carried | max \\|ΔL*\\| |\n\
         |---|---|---|---|---|---|---|\n",
    );
    // Every directory by itself: the names are the same.
    let mut arguments = vec!["colorize".to_owned(), "-o".to_owned(), format!("{}/", out.display())];
    arguments.extend(files.iter().map(|file| file.to_str().unwrap().to_owned()));
    let output = bench.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output));
    let records: Vec<Value> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| record(&path))
        .collect();
    for (kind, file) in KINDS.iter().zip(&files) {
        let found = records.iter().find(|record| record["source"]["path"] == file.to_str().unwrap());
        let found = found.unwrap_or_else(|| panic!("{}: no record\n{}", kind.name, text(&output)));
        let bits = found["derivative"]["bit_depth"].as_u64().unwrap();
        let largest = found["derivative"]["lightness_max_difference"].as_f64().unwrap();
        // A JPEG loses more, which its quality decides; what is stored without loss keeps the bounds of its depth.
        if found["derivative"]["format"] != "jpeg" {
            assert!(largest <= if bits == 8 { 0.5 } else { 0.05 }, "{}: {largest}", kind.name);
        }
        let is_alone = found["source"]["other_pages"].as_array().is_none_or(Vec::is_empty);
        assert_eq!(is_alone, !matches!(kind.name, "TIFF, two pages" | "TIFF, pyramid"), "{}: {}", kind.name, found["source"]);
        // What was published looks like the picture that the writers were given.
        let path = out.join(found["derivative"]["path"].as_str().unwrap());
        let derivative = codec::decode(&fs::read(path).unwrap(), &DecodeLimits::default()).unwrap();
        let meaning = derivative.colour().into_meaning();
        assert_eq!(meaning.basis.to_string(), "icc", "{}: the derivative carries its profile", kind.name);
        let profile = meaning.name.unwrap();
        let derivative = derivative.image;
        let original = &originals[usize::from(matches!(kind.from, Sixteen))];
        let mean = lightness_difference(original, &derivative).unwrap().mean;
        let bound = match kind {
            Kind { profile: Some(_), .. } => f32::INFINITY,
            Kind { name, .. } if name.contains(", 1 bit") || name.contains("Group 4") => 45.0,
            Kind { name, .. } if name.contains(", 4 bits") => 6.0,
            Kind { file: "a.jpg" | "a.webp", .. } => 1.5,
            Kind { name, .. } if name.contains("JPEG") || name.contains("CMYK") => 1.5,
            Kind { name, .. } if name.contains("palette") => 1.0,
            // ImageMagick marks what is sRGB with a gamma of 2.2, and that is believed.
            Kind { file: "a.png", .. } => 1.0,
            _ => 0.2,
        };
        assert!(mean <= bound, "{}: the picture was {mean} L* away from the one that was written", kind.name);
        writeln!(table, "{}", row(kind, found, &profile)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus.md");
    if std::env::var_os("AUTOCHROME_CORPUS").is_some_and(|value| value == "write") {
        let head = "# Kinds of scans that are read\n\nWritten by the test `every_kind_of_scan_goes_through_the_whole_line` \
                    (`AUTOCHROME_CORPUS=write cargo test corpus_table`): one file of every kind, written by another program, coloured by \
                    `autochrome colorize`, and what its record says. The last column compares the lightness of the file that was published with that of \
                    the scan under its profile, in L* units.\n\n";
        fs::write(&path, format!("{head}{table}")).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    let names = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("| "))
            .map(|line| line.split('|').nth(1).unwrap().trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&committed), names(&table), "tests/corpus.md has a row for every kind");
}
