//! Scans as other people's programs write them. Needs ImageMagick and libtiff's tools; says so and passes where they are not there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use autochrome::codec::{self, DecodeLimits, Format};
use autochrome::imaging::{Channels, Samples, ScanImage, Size};
use tempfile::TempDir;

use crate::workbench::{encode, photograph, photograph16};

struct Writers {
    dir: TempDir,
}

impl Writers {
    /// `None`, loudly, where a program is missing.
    fn find(programs: &[&str]) -> Option<Self> {
        let missing = |program: &&&str| Command::new(program).arg("-version").output().is_err();
        if let Some(program) = programs.iter().find(missing) {
            // Past the capture of a passing test's output.
            let line = format!("SKIPPED: {program} is not installed, so nothing was compared with what it writes\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        Some(Self { dir: tempfile::tempdir().unwrap() })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs a program with the options, the source and a new name.
    fn write(&self, program: &str, options: &[&str], from: &Path, to: &str) -> PathBuf {
        let to = self.dir.path().join(to);
        let mut command = Command::new(program);
        if program == "convert" {
            command.arg(from).args(options).arg(&to);
        } else {
            command.args(options).arg(from).arg(&to);
        }
        let output = command.output().unwrap();
        assert!(to.exists(), "{program} {options:?}: {}", String::from_utf8_lossy(&output.stderr));
        to
    }

    fn decoded(&self, path: &Path) -> ScanImage {
        let scan = codec::decode(&std::fs::read(path).unwrap(), &DecodeLimits::default()).unwrap_or_else(|error| {
            panic!("{}: {error}: {:?}", path.display(), std::error::Error::source(&error).map(ToString::to_string))
        });
        assert_eq!(scan.header.format, Format::Tiff);
        scan.image
    }

    /// What a program wrote, decoded.
    fn written(&self, program: &str, options: &[&str], from: &Path) -> ScanImage {
        let path = self.write(program, options, from, "written.tif");
        let image = self.decoded(&path);
        std::fs::remove_file(path).unwrap();
        image
    }
}

#[test]
fn lossless_tiffs_of_libtiff_give_every_sample_back() {
    let Some(writers) = Writers::find(&["tiffcp"]) else { return };
    for (name, image) in [("8.tif", photograph(150, 131, 1)), ("16.tif", photograph16(150, 131, 2))] {
        let from = writers.put(name, &encode(&image, Format::Tiff));
        for options in [
            &["-c", "none"][..],
            &["-c", "lzw"],
            &["-c", "lzw:2"],
            &["-c", "zip:2"],
            &["-c", "packbits"],
            &["-c", "zstd"],
            &["-c", "zstd:2"],
            &["-c", "zip", "-r", "7"],
            &["-t", "-w", "48", "-l", "32", "-c", "zstd"],
            &["-B"],
            &["-8", "-c", "lzw"],
        ] {
            assert!(writers.written("tiffcp", options, &from) == image, "{name} {options:?}");
        }
    }
}

#[test]
fn faxes_palettes_and_wide_samples_of_imagemagick_are_what_it_shows() {
    let Some(writers) = Writers::find(&["convert"]) else { return };
    let image = photograph(150, 131, 3);
    let from = writers.put("grey.tif", &encode(&image, Format::Tiff));
    // The same two levels, stored as they are and as a fax.
    let plain = writers.written("convert", &["-monochrome", "-compress", "none"], &from);
    let fax = writers.written("convert", &["-monochrome", "-compress", "Group4"], &from);
    assert!(plain == fax, "a fax of Group 4 has the pixels of the plain file");
    let Samples::U8(levels) = plain.samples() else { panic!("two levels have 8 bits") };
    assert!(levels.contains(&0) && levels.contains(&255));
    let Samples::U8(grey) = image.samples() else { panic!("8 bits were made") };
    for options in [
        &["-depth", "32", "-define", "quantum:format=unsigned"][..],
        &["-depth", "32", "-define", "quantum:format=floating-point"],
        &["-depth", "16", "-compress", "zip"],
    ] {
        let wide = writers.written("convert", options, &from);
        let Samples::U16(wide) = wide.samples() else { panic!("{options:?}: not 16 bits") };
        let near = |(&wide, &grey): (&u16, &u8)| wide.abs_diff(u16::from(grey) * 257) <= 1;
        assert!(wide.iter().zip(grey).all(near), "{options:?}");
    }
    // The same colours as indices and as they are.
    let planes = [1, 2, 3].map(|seed| photograph(150, 131, seed).into_samples());
    let [Samples::U8(red), Samples::U8(green), Samples::U8(blue)] = planes else { panic!("8 bits were made") };
    let rgb = red.iter().zip(&green).zip(&blue).flat_map(|((&red, &green), &blue)| [red, green, blue]).collect();
    let coloured = ScanImage::new(image.size(), Channels::Rgb, Samples::U8(rgb)).unwrap();
    let from = writers.put("colour.tif", &encode(&coloured, Format::Tiff));
    let indexed = writers.write("convert", &["-type", "Palette", "-colors", "64", "-compress", "none"], &from, "indexed.tif");
    let by_us = writers.decoded(&indexed);
    let by_them = writers.written("convert", &["-type", "TrueColor", "-compress", "none"], &indexed);
    assert_eq!((by_us.channels(), by_us.size()), (Channels::Rgb, by_them.size()));
    // It chooses entries of 16 bits, and writes 8.
    let (Samples::U16(wide), Samples::U8(narrow)) = (by_us.samples(), by_them.samples()) else { panic!("other depths") };
    let same = |(&wide, &narrow): (&u16, &u8)| (u32::from(wide) + 128) / 257 == u32::from(narrow);
    assert!(wide.iter().zip(narrow).all(same), "a palette's colours are those that ImageMagick shows");
}

#[test]
fn libpng_and_libtiff_have_nothing_to_say_of_the_profile_in_derivatives() {
    let Some(writers) = Writers::find(&["convert"]) else { return };
    let Samples::U8(grey) = photograph(60, 40, 4).into_samples() else { panic!("8 bits were made") };
    let rgb = grey.iter().flat_map(|&grey| [grey, grey / 2, 255 - grey]).collect();
    let image = ScanImage::new(Size::new(60, 40), Channels::Rgb, Samples::U8(rgb)).unwrap();
    for (name, format) in [("a.png", Format::Png), ("a.tif", Format::Tiff), ("a.jpg", Format::Jpeg)] {
        let from = writers.put(name, &encode(&image, format));
        let output = Command::new("convert").arg(&from).arg(writers.dir.path().join("out.png")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("rofile"), "{name}: {said}");
    }
}
