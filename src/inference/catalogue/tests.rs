//! The catalogue held against files.

use super::*;
use tempfile::TempDir;

fn entry(id: &str, kind: &str, file: &str, content: &[u8]) -> String {
    format!(
        "[[model]]\nid = {id:?}\nkind = {kind:?}\narchitecture = \"x\"\nfile = {file:?}\nbytes = {}\nsha256 = \"{}\"\n\
         licence = \"Apache-2.0\"\nsource = \"here\"\n",
        content.len(),
        Digest::of(content)
    )
}

fn directory(catalogue: &str, files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CATALOGUE), catalogue).unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn bytes_are_handed_out_only_when_they_match_the_pin() {
    let dir = directory(&entry("a", "scene", "a.onnx", b"weights"), &[("a.onnx", b"weights")]);
    let catalogue = Catalogue::open(dir.path()).unwrap();
    let one = catalogue.find("a", ModelKind::Scene).unwrap();
    assert_eq!(catalogue.read(one).unwrap(), b"weights");
    assert!(catalogue.check(one).is_ok());
    assert_eq!(catalogue.file_state(one), FileState::Ok);

    fs::write(dir.path().join("a.onnx"), b"Weights").unwrap();
    assert!(matches!(catalogue.read(one), Err(CatalogueError::Mismatch { found, .. }) if found == Digest::of(b"Weights")));
    assert!(matches!(catalogue.check(one), Err(CatalogueError::Mismatch { found, .. }) if found == Digest::of(b"Weights")));
    assert_eq!(catalogue.file_state(one), FileState::Mismatch { found: Digest::of(b"Weights") });

    fs::write(dir.path().join("a.onnx"), b"weights and more").unwrap();
    assert!(matches!(catalogue.read(one), Err(CatalogueError::Length { found: 16, expected: 7, .. })));

    fs::remove_file(dir.path().join("a.onnx")).unwrap();
    assert_eq!(catalogue.file_state(one), FileState::Missing);
    let error = catalogue.read(one).unwrap_err();
    assert!(error.hint().unwrap().contains("restore the file"), "{error}");
}

#[test]
fn a_catalogue_with_unknown_keys_or_kinds_is_refused_with_the_line() {
    for wrong in ["colour = 1\n".to_owned(), entry("a", "scene", "a", b"x") + "pin = 3\n", entry("a", "face", "a", b"x")] {
        let dir = directory(&wrong, &[]);
        let error = Catalogue::open(dir.path()).unwrap_err();
        assert!(matches!(error, CatalogueError::Syntax { line: 1.., .. }), "{wrong}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_file_outside_the_directory_is_refused() {
    for file in ["../a", "/etc/passwd", "a/../../b", "", "./a"] {
        let dir = directory(&entry("a", "scene", file, b"x"), &[]);
        assert!(matches!(Catalogue::open(dir.path()), Err(CatalogueError::Entry { .. })), "{file}");
    }
}

#[test]
fn a_fixed_size_that_no_network_can_have_is_refused() {
    for (size, sound) in
        [("{ width = 96, height = 64 }", true), ("{ width = 100, height = 64 }", false), ("{ width = 0, height = 64 }", false)]
    {
        let dir = directory(&(entry("a", "colour", "a.onnx", b"x") + &format!("size = {size}\n")), &[]);
        assert_eq!(Catalogue::open(dir.path()).is_ok(), sound, "{size}");
    }
}

#[test]
fn two_models_of_one_id_are_refused() {
    let dir = directory(&(entry("a", "scene", "a", b"x") + &entry("a", "colour", "b", b"x")), &[]);
    assert!(Catalogue::open(dir.path()).unwrap_err().to_string().contains("twice"));
}

#[test]
fn a_model_is_found_by_its_id_and_kind() {
    let text = entry("a", "scene", "a", b"x") + &entry("b", "colour", "b", b"x") + &entry("c", "colour", "c", b"x");
    let dir = directory(&text, &[]);
    let catalogue = Catalogue::open(dir.path()).unwrap();
    assert!(matches!(catalogue.find("a", ModelKind::Colour), Err(CatalogueError::Kind { found: ModelKind::Scene, .. })));
    assert!(matches!(catalogue.find("d", ModelKind::Colour), Err(CatalogueError::Unknown { .. })));
    assert_eq!(catalogue.only(ModelKind::Scene).unwrap().id, "a");
    assert!(matches!(catalogue.only(ModelKind::Colour), Err(CatalogueError::NotOne { count: 2, .. })));
    assert!(matches!(catalogue.only(ModelKind::Denoise), Err(CatalogueError::NotOne { count: 0, .. })));
}

#[test]
fn the_bundled_catalogue_is_sound_and_has_one_model_of_each_small_kind() {
    let catalogue = Catalogue::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models")).unwrap();
    assert!(catalogue.find("ddcolor-starter", ModelKind::Colour).is_ok());
    assert_eq!(catalogue.only(ModelKind::Scene).unwrap().id, "scene");
    assert_eq!(catalogue.only(ModelKind::Denoise).unwrap().id, "denoise");
}

#[test]
fn an_entry_comes_and_goes_and_the_rest_of_the_file_stays_as_it_was() {
    let before = format!("# Kept by hand.\n\n{}note = \"the first\" # of two\n", entry("a", "scene", "a", b"x"));
    let dir = directory(&before, &[]);
    let text = || fs::read_to_string(dir.path().join(CATALOGUE)).unwrap();
    let new: Raw = toml::from_str(&entry("b", "colour", "b.safetensors", b"y")).unwrap();
    let mut new = new.model[0].clone();
    new.size = Some(FixedSize { width: 512, height: 256 });
    CatalogueEdit::begin(dir.path()).unwrap().add(&new).unwrap();
    assert!(text().starts_with(&before), "{}", text());
    assert_eq!(Catalogue::open(dir.path()).unwrap().find("b", ModelKind::Colour).unwrap(), &new);

    let again = CatalogueEdit::begin(dir.path()).unwrap().add(&new).unwrap_err();
    assert!(matches!(&again, CatalogueError::Taken { id, .. } if id == "b"), "{again}");
    let removed = CatalogueEdit::begin(dir.path()).unwrap().remove("b").unwrap();
    assert_eq!(removed, Removed { entry: new, file_kept_for: None });
    assert_eq!(text().trim_end(), before.trim_end());
    let gone = CatalogueEdit::begin(dir.path()).unwrap().remove("b").unwrap_err();
    assert!(matches!(gone, CatalogueError::Unknown { .. }), "{gone}");
}

#[test]
fn a_removed_model_s_file_goes_unless_another_model_has_the_same() {
    let text = entry("a", "scene", "one.onnx", b"x") + &entry("b", "colour", "one.onnx", b"x") + &entry("c", "colour", "c", b"y");
    let dir = directory(&text, &[("one.onnx", b"x"), ("c.md", b"a card")]);
    let remove = |id| CatalogueEdit::begin(dir.path()).unwrap().remove(id).unwrap();
    assert_eq!(remove("a").file_kept_for.as_deref(), Some("b"));
    assert!(dir.path().join("one.onnx").exists(), "b still names it");
    assert_eq!(remove("b").file_kept_for, None);
    assert!(!dir.path().join("one.onnx").exists());
    assert_eq!(remove("c").file_kept_for, None, "a file that was gone already is no error");
    assert!(dir.path().join("c.md").exists());
    assert_eq!(Catalogue::open(dir.path()).unwrap().entries(), []);
}

#[test]
fn a_file_that_cannot_be_removed_is_named_and_its_entry_is_gone() {
    let dir = directory(&entry("a", "scene", "folder", b"x"), &[]);
    fs::create_dir(dir.path().join("folder")).unwrap();
    let error = CatalogueEdit::begin(dir.path()).unwrap().remove("a").unwrap_err();
    assert!(matches!(&error, CatalogueError::Remove { id, .. } if id == "a"), "{error}");
    assert!(Catalogue::open(dir.path()).unwrap().entries().is_empty());
}

#[test]
fn what_stands_above_the_first_entry_stays_when_that_entry_goes() {
    let text = format!("# Kept by hand.\n\n{}{}", entry("a", "scene", "a", b"x"), entry("b", "colour", "b", b"y"));
    let dir = directory(&text, &[]);
    let kept = || fs::read_to_string(dir.path().join(CATALOGUE)).unwrap();
    CatalogueEdit::begin(dir.path()).unwrap().remove("a").unwrap();
    assert!(kept().starts_with("# Kept by hand.\n\n[[model]]\nid = \"b\""), "{}", kept());
    CatalogueEdit::begin(dir.path()).unwrap().remove("b").unwrap();
    assert!(kept().starts_with("# Kept by hand."), "{}", kept());
    assert!(Catalogue::open(dir.path()).unwrap().entries().is_empty());
}

#[test]
fn a_catalogue_in_another_notation_is_read_and_not_changed() {
    let dir = directory("model = []\n", &[]);
    assert!(Catalogue::open(dir.path()).unwrap().entries().is_empty());
    let error = CatalogueEdit::begin(dir.path()).unwrap_err();
    assert!(error.to_string().contains("line 1: models must be written as [[model]]"), "{error}");
}
