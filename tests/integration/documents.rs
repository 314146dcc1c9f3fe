//! Printed and typed pages among the photographs: left alone with a reason, or coloured when somebody says so.
//!
//! With a scene network of four scores made here, which calls bright pictures pages; the real one is judged in its card.

use std::fs;

use autochrome::codec::Format;
use autochrome::digest::Digest;
use autochrome::imaging::{Channels, Samples, ScanImage, Size};

use crate::onnx::{message, number};
use crate::workbench::{Workbench, encode, jpeg, text};

/// Gives the museum models of its own: the bundled ones, but with this scene network.
fn with_scene_network(bench: &Workbench, scene: &[u8]) {
    let own = bench.own_models();
    // Not through the link: the bundled file stays as it is.
    fs::remove_file(own.join("scene.onnx")).unwrap();
    fs::write(own.join("scene.onnx"), scene).unwrap();
    let mut catalogue: toml::Table = fs::read_to_string(own.join("models.toml")).unwrap().parse().unwrap();
    for model in catalogue["model"].as_array_mut().unwrap() {
        if model["id"].as_str() == Some("scene") {
            let table = model.as_table_mut().unwrap();
            table.insert("bytes".to_owned(), i64::try_from(scene.len()).unwrap().into());
            table.insert("sha256".to_owned(), Digest::of(scene).to_string().into());
        }
    }
    fs::write(own.join("models.toml"), catalogue.to_string()).unwrap();
}

/// A scene network (onnx.proto3, IR version 9, opset 17) whose scores are `slope` × mean grey + `offset`.
fn scene_network(slope: &[f32], offset: &[f32]) -> Vec<u8> {
    let count = slope.len() as u64;
    let node = |inputs: &[&str], output: &str, operator: &str| {
        let inputs: Vec<u8> = inputs.iter().flat_map(|name| message(1, name.as_bytes())).collect();
        message(1, &[inputs, message(2, output.as_bytes()), message(4, operator.as_bytes())].concat())
    };
    let weights = |name: &str, shape: &[u64], values: &[f32]| {
        let shape: Vec<u8> = shape.iter().flat_map(|&size| number(1, size)).collect();
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        message(5, &[shape, number(2, 1), message(8, name.as_bytes()), message(9, &data)].concat())
    };
    let value = |field, name: &str, shape: &[u64]| {
        let shape: Vec<u8> = shape.iter().flat_map(|&size| message(1, &number(1, size))).collect();
        let tensor = message(1, &[number(1, 1), message(2, &shape)].concat());
        message(field, &[message(1, name.as_bytes()), message(2, &tensor)].concat())
    };
    let graph = [
        node(&["grey"], "mean", "GlobalAveragePool"),
        node(&["mean", "slope", "offset"], "maps", "Conv"),
        node(&["maps"], "scores", "Flatten"),
        message(2, b"scene"),
        weights("slope", &[count, 1, 1, 1], slope),
        weights("offset", &[count], offset),
        value(11, "grey", &[1, 1, 224, 224]),
        value(12, "scores", &[1, count]),
    ]
    .concat();
    let opset = [message(1, b""), number(2, 17)].concat();
    [number(1, 9), message(7, &graph), message(8, &opset)].concat()
}

/// Bright pictures are pages: of 0.5 mean grey the document score is 0, of 1.0 it is 1; the rest is `other`.
fn knows_pages() -> Vec<u8> {
    scene_network(&[0.0, 0.0, -2.0, 2.0], &[0.0, 0.0, 2.0, -1.0])
}

/// Lines of short black strokes on white paper.
fn page() -> Vec<u8> {
    let size = Size::new(170, 220);
    let ink = |x: u32, y: u32| y % 12 < 3 && (12..158).contains(&x) && x.wrapping_mul(2_654_435_761) >> 29 > 4;
    let samples = (0..size.height).flat_map(|y| (0..size.width).map(move |x| if ink(x, y) { 20 } else { 246 })).collect();
    encode(&ScanImage::new(size, Channels::Grey, Samples::U8(samples)).unwrap(), Format::Png)
}

#[test]
fn a_page_is_skipped_with_a_reason_and_a_photograph_beside_it_is_coloured() {
    let bench = Workbench::new();
    with_scene_network(&bench, &knows_pages());
    bench.put("page.png", &page());
    bench.put("photograph.jpg", &jpeg(1));
    let told = bench.ok(&["once"]);
    let reason = "looks like a printed or typed page (score 0.";
    assert!(told.contains(&format!("skipped    page.png: {reason}")), "{told}");
    assert!(told.contains("1 completed, 1 skipped, 0 given up"), "{told}");
    let jobs = bench.jobs();
    assert_eq!(jobs["page.png"]["state"], "skipped");
    let show = bench.ok(&["show", &jobs["page.png"]["id"].to_string()]);
    assert!(show.contains(reason) && show.contains("set `scene = \"other\"` for the collection to colour it anyhow"), "{show}");
    assert_eq!((bench.count("skipped"), bench.count("completed")), (1, 1));
    let [picture] = &bench.pictures()[..] else { panic!("one derivative: {:?}", bench.pictures()) };
    let record = bench.record(picture);
    assert_eq!(record["route"]["scene"], "other");
    assert!(record["route"]["scores"]["document"].as_f64().unwrap() < 0.6, "{}", record["route"]);
    let thresholds = record["recipe"]["routing"].as_array().unwrap();
    assert!(thresholds.iter().any(|pair| pair[0] == "document_score" && pair[1] == 0.75), "{thresholds:?}");
    bench.assert_consistent();
}

#[test]
fn a_collection_that_fixes_a_scene_has_its_pages_coloured() {
    let bench = Workbench::new();
    let config = fs::read_to_string(bench.config()).unwrap();
    fs::write(bench.config(), config.replace("output = \"output\"\n", "output = \"output\"\nscene = \"portrait\"\n")).unwrap();
    with_scene_network(&bench, &knows_pages());
    bench.put("page.png", &page());
    bench.ok(&["once"]);
    let record = bench.record(&bench.pictures()[0]);
    assert_eq!((&record["route"]["scene"], &record["route"]["override"]), (&"portrait".into(), &"portrait".into()));
    assert!(record["route"]["scores"]["document"].as_f64().unwrap() > 0.6, "{}", record["route"]);
}

#[test]
fn a_scene_network_of_three_scores_knows_no_pages_and_one_of_five_is_refused() {
    let bench = Workbench::new();
    with_scene_network(&bench, &scene_network(&[0.0; 3], &[0.1, 0.2, 0.7]));
    bench.put("page.png", &page());
    bench.ok(&["once"]);
    let record = bench.record(&bench.pictures()[0]);
    assert_eq!((&record["route"]["scene"], record["route"]["scores"]["document"].as_f64()), (&"other".into(), Some(0.0)));

    let bench = Workbench::new();
    with_scene_network(&bench, &scene_network(&[0.0; 5], &[0.2; 5]));
    bench.put("page.png", &page());
    let refused = bench.run(&["once"]);
    assert_eq!(refused.status.code(), Some(78), "{}", text(&refused));
    assert!(text(&refused).contains("5 scores") && text(&refused).contains("3 or 4 scores"), "{}", text(&refused));
}
