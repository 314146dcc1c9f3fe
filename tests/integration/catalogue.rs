//! The catalogue in an operator's hands: what is there, whether it is what it was, and taking a model out.

use std::fs;
use std::path::Path;

use autochrome::digest::Digest;
use serde_json::Value;

use crate::workbench::{Workbench, text};

/// Adds a colour model of a file that says nothing, with every fact an entry can have.
fn add_entry(models: &Path, id: &str, file: &str) -> Digest {
    let content = b"no network".as_slice();
    fs::write(models.join(file), content).unwrap();
    let (sha256, imported) = (Digest::of(content), Digest::of(b"before"));
    let entry = format!(
        "\n[[model]]\nid = {id:?}\nkind = \"colour\"\narchitecture = \"ddcolor (onnx)\"\nfile = {file:?}\nbytes = {}\n\
         sha256 = \"{sha256}\"\nlicence = \"NOASSERTION\"\nsource = \"a friend\"\nmeasured = \"never\"\n\
         imported_sha256 = \"{imported}\"\nsize = {{ width = 512, height = 256 }}\n",
        content.len()
    );
    let catalogue = fs::read_to_string(models.join("models.toml")).unwrap();
    fs::write(models.join("models.toml"), catalogue + &entry).unwrap();
    sha256
}

fn ids(bench: &Workbench) -> Vec<String> {
    let models = bench.json(&["models", "list", "--json"]);
    models.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn list_shows_every_fact_of_a_model_for_people_and_machines() {
    let bench = Workbench::new();
    let models = bench.own_models();
    let sha256 = add_entry(&models, "fixed", "fixed.onnx");
    let listed = bench.json(&["models", "list", "--json"]);
    let fixed = listed.as_array().unwrap().iter().find(|model| model["id"] == "fixed").unwrap();
    for (key, value) in [
        ("kind", Value::from("colour")),
        ("architecture", "ddcolor (onnx)".into()),
        ("file", "fixed.onnx".into()),
        ("bytes", 10.into()),
        ("parameters", Value::Null),
        ("sha256", sha256.to_string().into()),
        ("licence", "NOASSERTION".into()),
        ("source", "a friend".into()),
        ("measured", "never".into()),
        ("imported_sha256", Digest::of(b"before").to_string().into()),
        ("size", serde_json::json!({ "width": 512, "height": 256 })),
        ("state", "ok".into()),
        ("matches", true.into()),
    ] {
        assert_eq!(fixed[key], value, "{key}");
    }
    let told = bench.ok(&["models", "list"]);
    let imported = Digest::of(b"before").to_string();
    for part in [&sha256.to_string(), "512×256", "NOASSERTION", "a friend", "never", &imported, "the file matches its pin"] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    fs::write(models.join("fixed.onnx"), b"another").unwrap();
    assert!(bench.ok(&["models", "list"]).contains("the file is wrong: does not match its pin"));
}

#[test]
fn the_bundled_models_say_what_they_were_measured_at() {
    let bench = Workbench::new();
    let models = bench.json(&["models", "list", "--json"]);
    for model in models.as_array().unwrap() {
        assert!(model["measured"].as_str().is_some_and(|measured| measured.len() > 20), "{model}");
    }
}

#[test]
fn verify_is_satisfied_with_what_matches_and_names_what_does_not() {
    let bench = Workbench::new();
    let models = bench.own_models();
    let told = bench.ok(&["models", "verify"]);
    assert_eq!(told.lines().filter(|line| line.ends_with("  ok")).count(), 3, "{told}");
    add_entry(&models, "changed", "changed.onnx");
    add_entry(&models, "gone", "gone.onnx");
    fs::write(models.join("changed.onnx"), b"NO network").unwrap();
    fs::remove_file(models.join("gone.onnx")).unwrap();
    let output = bench.run(&["models", "verify"]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(78), "{told}");
    let found = Digest::of(b"NO network");
    for part in [
        "ddcolor-starter  ddcolor-starter.safetensors  ok\n",
        &format!("changed  changed.onnx  does not match its pin: the file has {found}\n"),
        "gone  gone.onnx  missing\n",
        "2 of 5 models are not what the catalogue says: changed, gone",
        "hint: ",
    ] {
        assert!(told.contains(part), "{part:?} in {told}");
    }
    let output = bench.run(&["models", "verify", "--json"]);
    assert_eq!(output.status.code(), Some(78));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |id: &str| rows.as_array().unwrap().iter().find(|row| row["id"] == id).unwrap().clone();
    assert_eq!((&row("scene")["matches"], &row("scene")["found_sha256"]), (&true.into(), &row("scene")["sha256"]));
    assert_eq!((&row("changed")["matches"], &row("changed")["found_sha256"]), (&false.into(), &found.to_string().into()));
    assert_eq!((&row("gone")["state"], &row("gone")["found_sha256"]), (&"missing".into(), &Value::Null));
}

#[test]
fn a_model_in_use_is_not_removed_and_its_users_are_named() {
    let bench = Workbench::new();
    let models = bench.own_models();
    add_entry(&models, "large", "large.onnx");
    let config = fs::read_to_string(bench.config()).unwrap();
    let own = "output = \"output\"\nportrait.model = \"large\"\n";
    fs::write(bench.config(), config.replace("output = \"output\"\n", own)).unwrap();
    for (id, users) in [
        ("large", "model large is in use: collection plates (portrait)\n"),
        (
            "ddcolor-starter",
            "in use: the common settings (portrait, architecture, other); collection plates (architecture, other)\n",
        ),
        ("scene", "in use: the common settings (routing); collection plates (routing)\n"),
        ("denoise", "in use: the common settings (denoise); collection plates (denoise)\n"),
    ] {
        let refused = bench.run(&["models", "remove", id]);
        let told = text(&refused);
        assert_eq!(refused.status.code(), Some(1), "{id}: {told}");
        assert!(told.contains(users) && told.contains("hint: name another model"), "{id}: {told}");
    }
    assert_eq!(ids(&bench).len(), 4);
    bench.ok(&["models", "verify"]);
}

#[test]
fn a_model_that_nothing_uses_goes_with_its_file_and_without_its_card() {
    let bench = Workbench::new();
    let models = bench.own_models();
    let before = fs::read_to_string(models.join("models.toml")).unwrap();
    let sha256 = add_entry(&models, "large", "large.onnx");
    fs::write(models.join("large.md"), "a card").unwrap();
    let told = bench.ok(&["models", "remove", "large"]);
    assert!(told.contains("large is out of the catalogue; its file large.onnx is deleted"), "{told}");
    assert!(told.contains(&sha256.to_string()), "records keep the digest, and the answer says which: {told}");
    assert!(!models.join("large.onnx").exists() && models.join("large.md").exists());
    assert_eq!(fs::read_to_string(models.join("models.toml")).unwrap().trim_end(), before.trim_end());
    let unknown = bench.run(&["models", "remove", "large"]);
    assert!(!unknown.status.success() && text(&unknown).contains("no model \"large\""), "{}", text(&unknown));
}

#[test]
fn a_denoiser_goes_when_nothing_denoises_and_a_shared_file_stays() {
    let bench = Workbench::new();
    bench.configure("[denoise]\napply_to = \"off\"");
    let models = bench.own_models();
    bench.ok(&["models", "remove", "denoise"]);
    assert!(!models.join("denoise.onnx").exists());
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/denoise.onnx");
    assert!(bundled.exists(), "the museum's link went, not what it led to");
    for id in ["one", "two"] {
        add_entry(&models, id, "shared.onnx");
    }
    let told = bench.ok(&["models", "remove", "one"]);
    assert!(told.contains("its file shared.onnx stays, because model two has it too"), "{told}");
    assert!(models.join("shared.onnx").exists());
    assert_eq!(ids(&bench), ["ddcolor-starter", "scene", "two"]);
}

#[test]
fn config_check_names_every_model_that_cannot_be_used() {
    let bench = Workbench::new();
    let models = bench.own_models();
    let sound = fs::read_to_string(bench.config()).unwrap();
    let wrong = sound
        .replace("[scene.portrait]\n", "[scene.portrait]\nmodel = \"nosuch\"\n")
        .replace("[scene.other]\n", "[scene.other]\nmodel = \"scene\"\n");
    fs::write(bench.config(), wrong).unwrap();
    let output = bench.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    for part in ["no model \"nosuch\"", "model scene is a scene model, and a colour model is asked for"] {
        assert!(text(&output).contains(part), "{part} is not in {}", text(&output));
    }
    fs::write(bench.config(), sound).unwrap();
    bench.ok(&["config", "check"]);
    for file in ["denoise.onnx", "scene.onnx"] {
        fs::remove_file(models.join(file)).unwrap();
    }
    let output = bench.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    assert!(text(&output).contains("denoise.onnx") && text(&output).contains("scene.onnx"), "{}", text(&output));
}
