//! How a root with several mounts is looked at.

use super::*;

fn settings(path: &Path) -> RootSettings {
    RootSettings {
        collection: "plates".to_owned(),
        path: path.to_owned(),
        rest: Duration::ZERO,
        rescan: Duration::from_secs(3600),
        poll: false,
        ready: Ready::Stable,
        max_file_bytes: 1 << 20,
        expected: None,
    }
}

fn modes(reports: &[Report]) -> Vec<&'static str> {
    let mode = |report: &Report| if let Report::Root { mode, .. } = report { Some(*mode) } else { None };
    reports.iter().filter_map(mode).collect()
}

#[test]
fn a_share_below_a_local_root_is_polled_and_the_rest_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let mut reports = Vec::new();
    let mut sink = |report| reports.push(report);
    let mut sweeper = Sweeper::new(settings(dir.path()), Known::new(), true, &stop, &mut sink);
    assert_eq!(sweeper.check_root(), Presence::Appeared);
    // As a walk meets them: the root, a share mounted in it, a folder of the share, another share in that.
    for (relative, delivery, is_mount) in [
        ("", Delivery::Events, true),
        ("share", Delivery::Polling, true),
        ("share/a", Delivery::Polling, false),
        ("share/a/b", Delivery::Polling, true),
    ] {
        assert!(sweeper.enter(Path::new(relative), delivery, is_mount).is_continue());
    }
    assert_eq!(sweeper.polled(), [Path::new("share")], "what lies in it is looked at with it");
    assert_eq!(sweeper.mode(), "watch+poll");
    sweeper.sweep();
    assert!(sweeper.polled().is_empty(), "the next look finds the share unmounted");
    assert_eq!(modes(&reports), ["watch"]);
}

#[test]
fn a_root_that_cannot_be_watched_says_that_it_is_polled() {
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let mut reports = Vec::new();
    let mut sink = |report| reports.push(report);
    let mut sweeper = Sweeper::new(settings(dir.path()), Known::new(), true, &stop, &mut sink);
    sweeper.check_root();
    // What a limit on watches leads to.
    sweeper.set_hints(None);
    sweeper.sweep();
    assert_eq!(modes(&reports), ["watch", "poll"]);
}

#[test]
fn a_file_that_is_gone_waits_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.jpg");
    fs::File::options().write(true).create_new(true).open(&file).unwrap();
    let stop = AtomicBool::new(false);
    let mut reports = Vec::new();
    let mut sink = |report| reports.push(report);
    let mut sweeper = Sweeper::new(settings(dir.path()), Known::new(), false, &stop, &mut sink);
    sweeper.check_root();
    sweeper.sweep();
    sweeper.tell_waiting_now();
    sweeper.look_at(Path::new("a.jpg"));
    std::fs::rename(&file, dir.path().join("a.txt")).unwrap();
    sweeper.look_at(Path::new("a.jpg"));
    sweeper.tell_waiting_now();
    sweeper.tell_waiting_now();
    let waiting = |report: &Report| if let Report::Waiting { files, .. } = report { Some(files.len()) } else { None };
    assert_eq!(reports.iter().filter_map(waiting).collect::<Vec<_>>(), [1, 0], "told when it changed");
}

#[test]
fn a_folder_that_is_closed_to_us_is_named_until_it_opens() {
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let mut reports = Vec::new();
    let mut sink = |report| reports.push(report);
    let mut sweeper = Sweeper::new(settings(dir.path()), Known::new(), false, &stop, &mut sink);
    sweeper.check_root();
    sweeper.failed(Path::new("closed"), &io::Error::from(io::ErrorKind::PermissionDenied));
    sweeper.tell_waiting_now();
    sweeper.sweep();
    sweeper.tell_waiting_now();
    let waiting = |report: &Report| match report {
        Report::Waiting { files, .. } => Some(files.iter().map(|file| file.relative.clone()).collect::<Vec<_>>()),
        _ => None,
    };
    let told: Vec<_> = reports.iter().filter_map(waiting).collect();
    assert_eq!(told, [vec![PathBuf::from("closed")], vec![]]);
}
