//! Looks that end, on real folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::ingest::{Ready, RootState, StableFile, WaitReason, sidecar_name};

struct Root {
    dir: TempDir,
    settings: RootSettings,
    known: Known,
}

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root");
        fs::create_dir(&path).unwrap();
        let rest = Duration::from_millis(60);
        let settings = RootSettings {
            collection: "plates".to_owned(),
            path,
            rest,
            rescan: rest,
            poll: false,
            ready: Ready::Stable,
            max_file_bytes: 1 << 20,
            expected: None,
        };
        Self { dir, settings, known: Known::new() }
    }

    fn put(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.settings.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn look(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        sweep_until_settled(&self.settings, self.known.clone(), &AtomicBool::new(false), &mut |report| reports.push(report))
            .unwrap();
        reports
    }

    fn remember(&mut self, reports: &[Report]) {
        for file in stable(reports) {
            self.known.insert(file.relative.to_str().unwrap().as_bytes().to_vec(), file.signature);
        }
        for report in reports {
            match report {
                Report::Root { identity: Some(identity), .. } => self.settings.expected = Some(*identity),
                Report::Sidecar { relative, found: Some((signature, _)), .. } => {
                    self.known.insert(sidecar_name(relative.to_str().unwrap().as_bytes()), *signature);
                }
                _ => {}
            }
        }
    }
}

fn stable(reports: &[Report]) -> Vec<&StableFile> {
    reports.iter().filter_map(|report| if let Report::Stable(file) = report { Some(file) } else { None }).collect()
}

fn names(reports: &[Report]) -> Vec<&str> {
    stable(reports).iter().map(|file| file.relative.to_str().unwrap()).collect()
}

fn waiting(reports: &[Report]) -> Vec<(&str, &WaitReason)> {
    let last =
        reports.iter().rev().find_map(|report| if let Report::Waiting { files, .. } = report { Some(files) } else { None });
    last.unwrap().iter().map(|file| (file.relative.to_str().unwrap(), &file.reason)).collect()
}

#[test]
fn every_scan_is_reported_with_the_digest_of_its_bytes() {
    let root = Root::new();
    root.put("b/2.tif", b"two");
    root.put("a.jpg", b"one");
    root.put("notes.txt", b"no scan");
    root.put("half.jpg.part", b"half");
    let reports = root.look();
    assert_eq!(names(&reports), ["a.jpg", "b/2.tif"]);
    assert_eq!(stable(&reports)[0].digest, Digest::of(b"one"));
    assert!(
        matches!(&reports[0], Report::Root { identity: Some(_), state: RootState::Online, mode: "poll", .. }),
        "{:?}",
        reports[0]
    );
    let Some(Report::SweepDone { seen, stable, waiting: waits, ignored, .. }) = reports.last() else { panic!("{reports:?}") };
    assert_eq!((*seen, *stable, *waits, *ignored), (2, 2, 0, 2));
    assert!(waiting(&reports).is_empty());
}

#[test]
fn files_that_time_does_not_make_ready_wait_with_a_reason_and_the_look_ends() {
    let root = Root::new();
    root.put("empty.jpg", b"");
    root.put("large.jpg", &vec![1; (1 << 20) + 1]);
    root.put("sound.jpg", b"x");
    let reports = root.look();
    assert_eq!(names(&reports), ["sound.jpg"]);
    assert_eq!(
        waiting(&reports),
        [("empty.jpg", &WaitReason::Empty), ("large.jpg", &WaitReason::TooLarge { mib: 2, limit_mib: 1 })]
    );
}

#[test]
fn a_file_that_may_not_be_read_waits_and_the_look_ends() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = Root::new();
    let path = root.put("secret.jpg", b"x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        eprintln!("NOT TESTED: this user may read everything");
        return;
    }
    let reports = root.look();
    assert!(matches!(waiting(&reports)[..], [("secret.jpg", WaitReason::Unreadable { .. })]), "{reports:?}");
}

#[test]
fn what_the_ledger_knows_is_passed_over_until_it_changes() {
    let mut root = Root::new();
    root.put("a.jpg", b"one");
    root.put("b.jpg", b"two");
    let first = root.look();
    root.remember(&first);
    let second = root.look();
    assert!(names(&second).is_empty());
    assert!(matches!(second.last(), Some(Report::SweepDone { seen: 2, stable: 0, .. })));
    root.put("a.jpg", b"other");
    let third = root.look();
    assert_eq!(names(&third), ["a.jpg"]);
    assert_eq!(stable(&third)[0].digest, Digest::of(b"other"));
}

#[test]
fn a_file_in_work_is_reported_once_and_whole() {
    use std::io::Write as _;
    let root = Root::new();
    let path = root.put("slow.jpg", b"begin");
    let writer = std::thread::spawn(move || {
        let mut file = fs::File::options().append(true).open(path).unwrap();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(15));
            file.write_all(b"+").unwrap();
        }
    });
    let reports = root.look();
    writer.join().unwrap();
    // On a machine so busy that the writer slept longer than the rest period, a state in between may have been believed.
    let last = stable(&reports).last().map(|file| file.digest);
    let whole = Digest::of(&fs::read(root.settings.path.join("slow.jpg")).unwrap());
    assert!(last == Some(whole) || stable(&root.look()).last().unwrap().digest == whole);
}

#[test]
fn marked_files_are_ready_and_others_are_not() {
    let mut root = Root::new();
    root.settings.ready = Ready::Marker;
    root.put("a/x.jpg", b"x");
    root.put("a/x.jpg.done", b"");
    root.put("a/y.jpg", b"y");
    root.put("z.jpg", b"z");
    fs::create_dir(root.settings.path.join("z.jpg.done")).unwrap();
    let reports = root.look();
    assert_eq!(names(&reports), ["a/x.jpg"]);
    assert_eq!(waiting(&reports), [("a/y.jpg", &WaitReason::NoMarker), ("z.jpg", &WaitReason::NoMarker)]);
}

#[test]
fn links_are_not_followed_and_loops_end() {
    let root = Root::new();
    root.put("a/x.jpg", b"x");
    let outside = root.dir.path().join("outside.jpg");
    fs::write(&outside, b"outside").unwrap();
    symlink(&outside, root.settings.path.join("link.jpg")).unwrap();
    symlink(&root.settings.path, root.settings.path.join("a/loop")).unwrap();
    assert_eq!(names(&root.look()), ["a/x.jpg"]);
}

#[test]
fn an_offline_root_is_told_and_concludes_nothing() {
    let mut root = Root::new();
    root.put("a.jpg", b"one");
    let first = root.look();
    root.remember(&first);
    let aside = root.dir.path().join("aside");
    fs::rename(&root.settings.path, &aside).unwrap();
    fs::create_dir(&root.settings.path).unwrap();
    root.put("stranger.jpg", b"what lies under the mount point");
    let reports = root.look();
    assert!(
        matches!(&reports[..], [Report::Root { identity: None, state: RootState::Offline { reason }, .. }] if reason.contains("mounted?")),
        "{reports:?}"
    );
    fs::remove_dir_all(&root.settings.path).unwrap();
    assert!(matches!(&root.look()[..], [Report::Root { state: RootState::Offline { .. }, .. }]));
    fs::rename(&aside, &root.settings.path).unwrap();
    assert!(names(&root.look()).is_empty(), "the files are known");
}

#[test]
fn a_look_that_is_told_to_end_ends() {
    let mut root = Root::new();
    root.settings.rest = Duration::from_secs(3600);
    root.put("a.jpg", b"one");
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, settings) = (Arc::clone(&stop), root.settings.clone());
    let looking = std::thread::spawn(move || {
        let mut reports = Vec::new();
        sweep_until_settled(&settings, Known::new(), &flag, &mut |report| reports.push(report)).unwrap();
        reports
    });
    stop.store(true, Ordering::Relaxed);
    let reports = looking.join().unwrap();
    assert!(names(&reports).is_empty(), "nothing is believed early");
}

#[test]
fn names_of_any_bytes_are_reported_as_they_are() {
    use std::os::unix::ffi::OsStrExt as _;
    let root = Root::new();
    let long = [b"x".repeat(251).as_slice(), b".jpg"].concat();
    let mut expected: Vec<&[u8]> = vec![b"gla\xDF.jpg", b"new\nline.jpg", b"-rf.jpg", &long];
    for name in &expected {
        root.put(std::ffi::OsStr::from_bytes(name), name);
    }
    let reports = root.look();
    let mut found: Vec<_> = stable(&reports).iter().map(|file| file.relative.as_os_str().as_bytes()).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_file_that_never_rests_is_named_and_does_not_hold_the_look_for_ever() {
    let root = Root::new();
    let path = root.put("growing.jpg", b"x");
    root.put("sound.jpg", b"x");
    let writer = std::thread::spawn(move || {
        for _ in 0..150 {
            let mut file = fs::File::options().append(true).open(&path).unwrap();
            std::io::Write::write_all(&mut file, b"x").unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let reports = root.look();
    assert_eq!(names(&reports), ["sound.jpg"]);
    assert_eq!(waiting(&reports), [("growing.jpg", &WaitReason::Resting { rest: root.settings.rest })]);
    writer.join().unwrap();
}

/// What was told of sidecars: the scan, and the decision, or what is wrong, or that it is gone.
fn sidecars(reports: &[Report]) -> Vec<(&str, Option<String>)> {
    let mut told = Vec::new();
    for report in reports {
        if let Report::Sidecar { relative, found, .. } = report {
            let said = found.as_ref().map(|(_, said)| said.as_ref().map_or_else(ToString::to_string, ToString::to_string));
            told.push((relative.to_str().unwrap(), said));
        }
    }
    told
}

#[test]
fn a_sidecar_is_told_before_its_scan_and_again_when_it_changed_or_is_gone() {
    let mut root = Root::new();
    root.put("b/a.jpg", b"one");
    let sidecar = root.put("b/a.jpg.autochrome.toml", b"as = \"portrait\"\nby = \"x\"\nwhy = \"y\"\n");
    let first = root.look();
    assert_eq!(sidecars(&first), [("b/a.jpg", Some("portrait by decision of x (sidecar): y".to_owned()))]);
    let place = |wanted: fn(&Report) -> bool| first.iter().position(wanted).unwrap();
    assert!(place(|one| matches!(one, Report::Sidecar { .. })) < place(|one| matches!(one, Report::Stable(_))));
    assert!(matches!(first.last(), Some(Report::SweepDone { seen: 1, waiting: 0, ignored: 0, .. })), "{:?}", first.last());
    root.remember(&first);
    assert!(sidecars(&root.look()).is_empty(), "it is known");
    fs::write(&sidecar, "as = \"portrait\"\n").unwrap();
    let changed = root.look();
    assert_eq!(sidecars(&changed), [("b/a.jpg", Some("the sidecar a.jpg.autochrome.toml has no key by".to_owned()))]);
    assert!(names(&changed).is_empty(), "the scan is as it was");
    root.remember(&changed);
    fs::remove_file(&sidecar).unwrap();
    assert_eq!(sidecars(&root.look()), [("b/a.jpg", None)]);
}

#[test]
fn a_link_in_the_place_of_a_sidecar_is_told_and_one_without_a_scan_is_remembered() {
    let root = Root::new();
    root.put("a.jpg", b"one");
    root.put("gone.jpg.autochrome.toml", b"as = \"skip\"\nby = \"x\"\nwhy = \"y\"\n");
    symlink(root.dir.path().join("outside"), root.settings.path.join("a.jpg.autochrome.toml")).unwrap();
    let reports = root.look();
    let told = sidecars(&reports);
    assert_eq!((told[0].0, told[1].0), ("a.jpg", "gone.jpg"));
    assert!(told[0].1.as_ref().unwrap().contains("is no regular file; links are not followed"), "{told:?}");
    assert_eq!(names(&reports), ["a.jpg"]);
}
