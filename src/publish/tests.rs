//! What must hold of an output tree, on real folders and volumes.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::job::Disposition;

struct Tree {
    dir: TempDir,
}

const NAME: &str = "a/b/plate--0123.tif";

impl Tree {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn publish(&self, image: &[u8], record: &[u8]) -> Result<(), PublishError> {
        publish_into(&self.root(), image, record)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn files(&self) -> Vec<String> {
        let entries = walkdir::WalkDir::new(self.root()).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files.map(|entry| entry.path().strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned()).collect()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.root().join(name)).unwrap()
    }

    fn existing(&self) -> Existing {
        existing(&self.root(), Path::new(NAME)).unwrap()
    }
}

fn publish_into(root: &Path, image: &[u8], record: &[u8]) -> Result<(), PublishError> {
    publish(&Publication { output_root: root, relative: Path::new(NAME), image, record, fence: "7-2", min_free_bytes: 0 })
}

#[test]
fn a_derivative_and_its_record_reach_a_tree_that_did_not_exist() {
    let tree = Tree::new();
    assert_eq!(tree.existing(), Existing::Nothing);
    tree.publish(b"image", b"{}").unwrap();
    assert_eq!(tree.files(), [NAME, "a/b/plate--0123.tif.json"]);
    assert_eq!(tree.existing(), Existing::Both { image_digest: Digest::of(b"image"), record: b"{}".to_vec() });
}

#[test]
fn publishing_twice_is_publishing_once() {
    let tree = Tree::new();
    tree.publish(b"image", b"{}").unwrap();
    let look = |name: &str| fs::metadata(tree.root().join(name)).unwrap().ino();
    let before = [look(NAME), look("a/b/plate--0123.tif.json")];
    tree.publish(b"image", b"{}").unwrap();
    assert_eq!([look(NAME), look("a/b/plate--0123.tif.json")], before);
}

#[test]
fn other_bytes_under_the_name_stay_with_their_record() {
    let tree = Tree::new();
    tree.put(NAME, b"other");
    tree.put("a/b/plate--0123.tif.json", b"their record");
    let error = tree.publish(b"image", b"{}").unwrap_err();
    assert_eq!(error.disposition(), Disposition::Permanent);
    assert!(error.to_string().contains("different bytes") && error.hint().is_some());
    assert_eq!((tree.read(NAME), tree.read("a/b/plate--0123.tif.json")), (b"other".to_vec(), b"their record".to_vec()));
    assert_eq!(tree.files().len(), 2);
}

#[test]
fn a_record_whose_picture_never_came_is_replaced() {
    let tree = Tree::new();
    tree.put("a/b/plate--0123.tif.json", b"orphan");
    assert_eq!(tree.existing(), Existing::RecordOnly);
    tree.publish(b"image", b"{}").unwrap();
    assert_eq!(tree.read("a/b/plate--0123.tif.json"), b"{}");
}

#[test]
fn the_same_picture_without_its_record_is_kept_and_gets_one() {
    let tree = Tree::new();
    tree.put(NAME, b"image");
    assert_eq!(tree.existing(), Existing::ImageOnly { image_digest: Digest::of(b"image") });
    let before = fs::metadata(tree.root().join(NAME)).unwrap().ino();
    tree.publish(b"image", b"{}").unwrap();
    assert_eq!(fs::metadata(tree.root().join(NAME)).unwrap().ino(), before);
    assert_eq!(tree.read("a/b/plate--0123.tif.json"), b"{}");
}

#[test]
fn an_unfinished_file_with_the_same_fence_is_no_obstacle() {
    let tree = Tree::new();
    tree.put("a/b/.plate--0123.tif.json.7-2.part", b"half");
    tree.put("a/b/.plate--0123.tif.7-2.part", b"half");
    tree.publish(b"image", b"{}").unwrap();
    assert_eq!(tree.files().len(), 2);
}

#[test]
fn links_in_the_tree_lead_nowhere() {
    let tree = Tree::new();
    let outside = tree.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), b"image").unwrap();
    fs::create_dir_all(tree.root().join("a/b")).unwrap();
    symlink(outside.join("victim"), tree.root().join(NAME)).unwrap();
    assert!(matches!(tree.publish(b"image", b"{}"), Err(PublishError::Conflict { .. })));
    assert!(matches!(existing(&tree.root(), Path::new(NAME)), Err(PublishError::Conflict { .. })));
    fs::remove_dir_all(tree.root().join("a")).unwrap();
    symlink(&outside, tree.root().join("a")).unwrap();
    let error = tree.publish(b"image", b"{}").unwrap_err();
    assert!(matches!(error, PublishError::Obstructed { .. }), "{error:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn paths_that_leave_the_tree_are_refused() {
    let tree = Tree::new();
    for relative in ["../x.tif", "a/../../x.tif", "/x.tif", ""] {
        let relative = Path::new(relative);
        let publication =
            Publication { output_root: &tree.root(), relative, image: b"i", record: b"r", fence: "1-1", min_free_bytes: 0 };
        let error = publish(&publication).unwrap_err();
        assert_eq!(error.disposition(), Disposition::Permanent, "{error}");
    }
    assert!(!tree.root().exists());
}

#[test]
fn a_volume_without_the_wanted_room_is_fatal_and_nothing_is_written() {
    let tree = Tree::new();
    let publication = Publication {
        output_root: &tree.root(),
        relative: Path::new(NAME),
        image: b"image",
        record: b"{}",
        fence: "1-1",
        min_free_bytes: u64::MAX >> 1,
    };
    let error = publish(&publication).unwrap_err();
    assert_eq!(error.disposition(), Disposition::Fatal);
    assert!(error.to_string().contains("free") && error.hint().is_some(), "{error}");
    assert!(!tree.root().exists());
}

/// A small volume for one test; unmounted when dropped.
struct Volume(PathBuf);

impl Volume {
    fn mount(place: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(place).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(place).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(place.to_owned()));
        }
        eprintln!("NOT TESTED: mounting needs rights that this user does not have");
        None
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_volume_that_fills_up_while_writing_is_fatal_and_holds_no_half_file() {
    let tree = Tree::new();
    let Some(_volume) = Volume::mount(&tree.root(), "size=256k") else { return };
    let error = tree.publish(&vec![1; 1 << 20], b"{}").unwrap_err();
    assert!(matches!(error, PublishError::NoRoom { .. }), "known before anything is written: {error:?}");
    // Room that disappears between the question and the writing.
    let folder = Folder::open(&tree.root()).unwrap().unwrap();
    let error = folder.write_part(OsStr::new("x"), "1-1", &vec![1; 1 << 20]).unwrap_err();
    assert_eq!(error.disposition(), Disposition::Fatal, "{error:?}");
    assert!(tree.files().is_empty(), "{:?}", tree.files());
    drop(folder);
    tree.publish(b"image", b"{}").unwrap();
}

#[test]
fn a_read_only_volume_is_fatal_and_works_again_when_it_is_not() {
    let tree = Tree::new();
    let Some(_volume) = Volume::mount(&tree.root(), "ro,size=256k") else { return };
    let error = tree.publish(b"image", b"{}").unwrap_err();
    assert_eq!(error.disposition(), Disposition::Fatal, "{error:?}");
    assert!(error.to_string().contains("out") && error.hint().is_some());
    assert!(Command::new("mount").args(["-o", "remount,rw"]).arg(tree.root()).status().unwrap().success());
    tree.publish(b"image", b"{}").unwrap();
}

#[test]
fn a_folder_without_the_right_to_write_is_fatal() {
    use std::os::unix::fs::PermissionsExt as _;
    let tree = Tree::new();
    fs::create_dir(tree.root()).unwrap();
    fs::set_permissions(tree.root(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(tree.root().join("probe"), b"").is_ok() {
        eprintln!("NOT TESTED: this user may write everywhere");
        return;
    }
    let error = tree.publish(b"image", b"{}").unwrap_err();
    assert_eq!(error.disposition(), Disposition::Fatal, "{error:?}");
    fs::set_permissions(tree.root(), fs::Permissions::from_mode(0o755)).unwrap();
    tree.publish(b"image", b"{}").unwrap();
}

#[test]
fn every_error_is_one_line() {
    let path = PathBuf::from("/out/x");
    let io = || io::Error::from(io::ErrorKind::Other);
    let all = [
        PublishError::Volume { doing: "writing", path: path.clone(), source: io() },
        PublishError::NoRoom { path: path.clone(), free_mib: 1, floor_mib: 2 },
        PublishError::Conflict { path: path.clone() },
        PublishError::Obstructed { path: path.clone() },
        PublishError::NotBelow { path: path.clone() },
        PublishError::Io { doing: "writing", path, source: io() },
    ];
    for error in all {
        let lines = [Some(error.to_string()), error.hint().map(str::to_owned)];
        assert!(lines.iter().flatten().all(|line| !line.contains('\n') && !line.ends_with('.')), "{error}");
        assert!(error.to_string().contains("/out/x"));
    }
}
