//! What happens to files that cannot be coloured: a named exception, never a derivative, and the batch goes on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use autochrome::codec::Format;
use autochrome::imaging::{Channels, Samples, ScanImage, Size};

use crate::workbench::{Workbench, encode, jpeg, photograph, text};

#[test]
fn damaged_files_are_rejected_with_a_reason_and_the_batch_goes_on() {
    let bench = Workbench::new();
    let whole = [("jpg", Format::Jpeg), ("png", Format::Png), ("tif", Format::Tiff)]
        .map(|(extension, format)| (extension, encode(&photograph(160, 128, 20), format)));
    let mut damaged = Vec::new();
    for (extension, bytes) in &whole {
        for percent in [25, 50, 75, 95, 99] {
            let name = format!("cut-{percent}.{extension}");
            bench.put(&name, &bytes[..bytes.len() * percent / 100]);
            damaged.push(name);
        }
    }
    bench.put("letter.jpg", b"Dear Sir, enclosed please find the photographs.");
    damaged.push("letter.jpg".to_owned());
    bench.put("bomb.png", &png_bomb());
    damaged.push("bomb.png".to_owned());
    bench.put("huge.tif", &tiff_header(25_000, 20_000));
    damaged.push("huge.tif".to_owned());
    bench.put("sound.jpg", &jpeg(21));
    bench.put("empty.jpg", b"");
    let told = bench.ok(&["once"]);
    let jobs = bench.jobs();
    for name in &damaged {
        let job = &jobs[name.as_str()];
        assert_eq!(job["state"], "rejected", "{name}: {job}");
        let reason = job["reason"].as_str().unwrap();
        assert!(!reason.is_empty() && !reason.contains('\n'), "{name}: {reason:?}");
        assert!(told.contains(name.as_str()), "{name} is listed at the end");
    }
    assert!(jobs["bomb.png"]["reason"].as_str().unwrap().contains("60000"), "{}", jobs["bomb.png"]);
    assert_eq!(jobs["sound.jpg"]["state"], "completed");
    assert!(!jobs.contains_key("empty.jpg"), "an empty file waits");
    assert!(told.contains("empty.jpg"), "{told}");
    assert!(bench.ok(&["status"]).contains("empty.jpg"));
    bench.assert_consistent();
}

/// A valid PNG header that promises 60000 × 60000 pixels, and next to nothing after it.
fn png_bomb() -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut body = kind.to_vec();
        body.extend(data);
        let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
        bytes.extend(&body);
        bytes.extend(crc32(&body).to_be_bytes());
        bytes
    };
    let mut header = Vec::new();
    header.extend(60_000_u32.to_be_bytes());
    header.extend(60_000_u32.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &header));
    file.extend(chunk(b"IDAT", &[0x78, 0x9C, 0x03, 0, 0, 0, 0, 1]));
    file.extend(chunk(b"IEND", &[]));
    file
}

/// CRC-32 as PNG wants it (ISO 3309), bit by bit: a test needs no table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// A TIFF of one huge uncompressed grey strip that is not there.
fn tiff_header(width: u32, height: u32) -> Vec<u8> {
    let entries: [(u16, u16, u32); 8] =
        [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, height), (279, 4, 100)];
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

#[test]
fn colour_and_blank_scans_are_skipped_and_toned_prints_are_not() {
    let bench = Workbench::new();
    bench.put("colour.png", &encode(&tinted(|x, y, grey| [grey, 255 - grey / 2, (x * 3 + y) as u8]), Format::Png));
    bench.put("sepia.png", &encode(&tinted(|_, _, grey| [grey.saturating_add(24), grey, grey.saturating_sub(30)]), Format::Png));
    let blank = ScanImage::new(Size::new(160, 128), Channels::Grey, Samples::U8(vec![243; 160 * 128])).unwrap();
    bench.put("blank.png", &encode(&blank, Format::Png));
    bench.ok(&["once"]);
    let jobs = bench.jobs();
    assert_eq!(jobs["colour.png"]["state"], "skipped", "{}", jobs["colour.png"]);
    assert_eq!(jobs["blank.png"]["state"], "skipped", "{}", jobs["blank.png"]);
    assert_eq!(jobs["sepia.png"]["state"], "completed", "{}", jobs["sepia.png"]);
    assert!(jobs["colour.png"]["reason"].as_str().unwrap().contains("colour"));
    bench.assert_consistent();
}

fn tinted(colour: impl Fn(u32, u32, u8) -> [u8; 3]) -> ScanImage {
    let base = photograph(160, 128, 22);
    let Samples::U8(samples) = base.samples() else { unreachable!("8 bits were made") };
    let pixel = |(index, &grey): (usize, &u8)| colour(index as u32 % 160, index as u32 / 160, grey);
    let rgb = samples.iter().enumerate().flat_map(pixel).collect();
    ScanImage::new(base.size(), Channels::Rgb, Samples::U8(rgb)).unwrap()
}

#[test]
fn any_file_name_is_processed_named_safely_and_recorded_byte_for_byte() {
    let bench = Workbench::new();
    let long = [b"x".repeat(251).as_slice(), b".jpg"].concat();
    let names: [&[u8]; 5] = [b"with spaces (1).jpg", b"new\nline.jpg", b"gla\xDFplatte.jpg", b"-rf.jpg", &long];
    for (seed, name) in names.iter().enumerate() {
        bench.put(Path::new(OsStr::from_bytes(name)), &jpeg(30 + seed as u32));
    }
    bench.ok(&["once"]);
    bench.assert_consistent();
    let pictures = bench.pictures();
    assert_eq!(pictures.len(), names.len());
    let mut recorded: Vec<Vec<u8>> = Vec::new();
    for picture in &pictures {
        let name = picture.to_str().expect("names of derivatives are text");
        assert!(!name.chars().any(char::is_control) && !name.starts_with(['-', '.']), "{name:?}");
        let source = &bench.record(picture)["source"];
        recorded.push(match source["path_hex"].as_str() {
            Some(hex) => (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect(),
            None => source["path"].as_str().unwrap().as_bytes().to_vec(),
        });
    }
    let mut expected: Vec<_> = names.iter().map(|name| name.to_vec()).collect();
    expected.sort();
    recorded.sort();
    assert_eq!(recorded, expected);
}

#[test]
fn an_output_tree_inside_an_ingest_root_is_refused_at_start() {
    let bench = Workbench::new();
    let config = std::fs::read_to_string(bench.config()).unwrap();
    std::fs::write(bench.config(), config.replace("\"output\"", "\"ingest/derivatives\"")).unwrap();
    let output = bench.run(&["once"]);
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    assert!(!bench.ingest().join("derivatives").exists());
}

#[test]
fn every_problem_of_a_configuration_is_told_at_once() {
    let bench = Workbench::new();
    bench.configure("[retry]\nattempts = 0\nbase = \"soon\"\n[nonsense]\nkey = 1\n");
    for command in [&["config", "check"][..], &["once"]] {
        let output = bench.run(command);
        let told = text(&output);
        assert_eq!(output.status.code(), Some(78), "{told}");
        for problem in ["retry.attempts", "retry.base", "nonsense"] {
            assert!(told.contains(problem), "{problem} is missing in {told}");
        }
        assert!(told.contains("hint:"), "{told}");
    }
}

#[test]
fn a_model_that_does_not_match_its_pin_is_refused_before_any_scan_is_claimed() {
    let bench = Workbench::new();
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let copy = bench.path().join("models");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(bundled).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let scene = copy.join("scene.onnx");
    let mut bytes = std::fs::read(&scene).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&scene, bytes).unwrap();
    let mut config = std::fs::read_to_string(bench.config()).unwrap();
    let line = config.lines().find(|line| line.starts_with("models")).unwrap().to_owned();
    config = config.replace(&line, "models = \"models\"");
    std::fs::write(bench.config(), config).unwrap();
    bench.put("a.jpg", &jpeg(40));
    let output = bench.run(&["once"]);
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    assert!(text(&output).contains("scene"), "{}", text(&output));
    assert!(bench.published().is_empty());
}

#[test]
fn a_missing_runtime_is_one_line_and_a_hint() {
    let bench = Workbench::new();
    bench.put("a.jpg", &jpeg(41));
    let output = bench.command(&["once"]).env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so").output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("/nowhere/libonnxruntime.so") && told.contains("hint:"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}
