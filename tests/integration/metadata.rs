//! What ExifTool reads of derivatives, for scans that ExifTool itself has written into.
//!
//! Says SKIPPED on standard error where ExifTool or libtiff's tools are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use autochrome::codec::Format;

use crate::workbench::{Workbench, encode, photograph};

/// What a cataloguer wrote into a scan.
const WRITTEN: &[&str] = &[
    "-EXIF:ImageDescription=Market at the Boerse, 1908",
    "-EXIF:Artist=Walker Evans",
    "-EXIF:Copyright=Library of Somewhere",
    "-EXIF:DateTimeOriginal=1908:05:01 12:30:00",
    "-EXIF:ModifyDate=2024:02:03 04:05:06",
    "-EXIF:Make=Linhof",
    "-GPSLatitude=52.5",
    "-GPSLatitudeRef=N",
    "-GPSLongitude=13.4",
    "-GPSLongitudeRef=E",
    "-GPSProcessingMethod=MANUAL",
    "-IPTC:Caption-Abstract=Markt vor der Börse",
    "-IPTC:CodedCharacterSet=UTF8",
    "-IPTC:Keywords=market",
    "-IPTC:Keywords=exchange",
    "-XMP-dc:Title=Markt <vor> der \"Börse\" & anderswo",
    "-XMP-dc:Rights=Gemeinfrei",
    "-XMP-photoshop:City=Berlin",
    "-XMP-xmp:CreatorTool=SilverFast 9",
    "-XMP-xmpMM:DocumentID=xmp.did:1234",
    "-XResolution=600",
    "-YResolution=600",
    "-ResolutionUnit=inches",
];

/// What must read the same of scan and derivative.
const SAME: &[&str] = &[
    "-EXIF:ImageDescription",
    "-EXIF:Artist",
    "-EXIF:Copyright",
    "-EXIF:DateTimeOriginal",
    "-EXIF:ModifyDate",
    "-EXIF:Make",
    "-EXIF:XResolution",
    "-EXIF:YResolution",
    "-EXIF:ResolutionUnit",
    "-GPSLatitude",
    "-GPSLongitude",
    "-IPTC:Caption-Abstract",
    "-IPTC:Keywords",
    "-XMP-dc:Title",
    "-XMP-dc:Rights",
    "-XMP-photoshop:City",
];

fn has(program: &str) -> bool {
    let there = Command::new(program).arg("-ver").output().is_ok();
    if !there {
        eprintln!("SKIPPED: {program} is not installed");
    }
    there
}

fn exiftool(arguments: &[&str], file: &Path) -> String {
    let output = Command::new("exiftool").args(["-charset", "iptc=utf8"]).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "exiftool: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A scan with the cataloguer's words in it.
fn scan(bench: &Workbench, format: Format) -> PathBuf {
    let path = bench.put(format!("scan.{}", format.extension()), &encode(&photograph(180, 140, 7), format));
    exiftool(&[&["-q", "-overwrite_original"], WRITTEN].concat(), &path);
    path
}

fn coloured(bench: &Workbench, source: &Path, extension: &str) -> PathBuf {
    let made = bench.path().join(format!("from-{}.{extension}", source.extension().unwrap().to_str().unwrap()));
    bench.ok(&["colorize", source.to_str().unwrap(), "-o", made.to_str().unwrap()]);
    made
}

#[test]
fn exiftool_reads_the_same_caption_date_rights_and_resolution_of_every_format() {
    if !has("exiftool") {
        return;
    }
    let bench = Workbench::new();
    let words = |file: &Path| exiftool(&[&["-G1", "-s"], SAME].concat(), file).replace("[IFD0]", "[EXIF]");
    for from in Format::WRITTEN {
        let source = scan(&bench, from);
        let before = std::fs::read(&source).unwrap();
        let wanted = words(&source);
        assert_eq!(wanted.lines().count(), SAME.len(), "{wanted}");
        for to in ["jpg", "png", "tif"] {
            let derivative = coloured(&bench, &source, to);
            assert_eq!(words(&derivative), wanted, "{from} to {to}");
            let own = exiftool(
                &[
                    "-s3",
                    "-XMP-iptcExt:DigitalSourceType",
                    "-XMP-iptcExt:AISystemUsed",
                    "-XMP-xmpMM:DerivedFromDocumentID",
                    "-XMP-xmp:CreatorTool",
                    "-ICC_Profile:ProfileDescription",
                    "-Orientation#",
                ],
                &derivative,
            );
            for word in ["compositeWithTrainedAlgorithmicMedia", "DDColor", "xmp.did:1234", "autochrome ", "sRGB"] {
                assert!(own.contains(word), "{word} of {from} to {to}: {own}");
            }
            assert!(own.lines().any(|line| line == "1"), "upright: {own}");
            let complaints = exiftool(&["-validate", "-warning", "-error", "-a", "-s3"], &derivative);
            assert_eq!(complaints.trim(), "OK", "{from} to {to}: {complaints}");
        }
        assert_eq!(std::fs::read(&source).unwrap(), before, "the scan is untouched");
    }
}

#[test]
fn libtiff_finds_no_fault_in_a_derivative() {
    if !has("tiffinfo") || !has("exiftool") {
        return;
    }
    let bench = Workbench::new();
    let derivative = coloured(&bench, &scan(&bench, Format::Tiff), "tif");
    let output = Command::new("tiffinfo").arg("-D").arg(&derivative).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
