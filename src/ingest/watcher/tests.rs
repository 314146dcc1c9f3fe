//! The thread at work on real folders. Waits for reports, with a limit that is no measurement.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::digest::Digest;
use crate::ingest::{Ready, RootState, StableFile};

const LIMIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Root {
    dir: TempDir,
    settings: RootSettings,
}

impl Root {
    /// No full look but the first within the test's life: what is found later was found by events.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root");
        fs::create_dir(&path).unwrap();
        let settings = RootSettings {
            collection: "plates".to_owned(),
            path,
            rest: Duration::from_millis(50),
            rescan: HOUR,
            poll: false,
            ready: Ready::Stable,
            max_file_bytes: 1 << 20,
            expected: None,
        };
        Self { dir, settings }
    }

    fn put(&self, name: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.settings.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn watch(&self) -> (Watcher, Reports) {
        let (sender, reports) = channel();
        let sink = move |report| drop(sender.send(report));
        (Watcher::spawn(self.settings.clone(), Known::new(), sink).unwrap(), Reports(reports))
    }
}

struct Reports(Receiver<Report>);

impl Reports {
    #[track_caller]
    fn find<T>(&self, what: &str, mut wanted: impl FnMut(Report) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let report = self.0.recv_timeout(left).unwrap_or_else(|error| panic!("waited in vain for {what}: {error}"));
            if let Some(found) = wanted(report) {
                return found;
            }
        }
    }

    #[track_caller]
    fn stable(&self) -> StableFile {
        self.find("a file at rest", |report| if let Report::Stable(file) = report { Some(file) } else { None })
    }

    #[track_caller]
    fn root(&self) -> (RootState, &'static str) {
        self.find(
            "the root's state",
            |report| if let Report::Root { state, mode, .. } = report { Some((state, mode)) } else { None },
        )
    }

    #[track_caller]
    fn sweep(&self) {
        self.find("a full look", |report| matches!(report, Report::SweepDone { .. }).then_some(()));
    }
}

#[test]
fn what_lies_there_at_the_start_and_what_comes_later_is_reported() {
    let root = Root::new();
    root.put("before.jpg", b"before");
    let (watcher, reports) = root.watch();
    assert_eq!(reports.root(), (RootState::Online, "watch"));
    reports.sweep();
    assert_eq!(reports.stable().relative, Path::new("before.jpg"));
    root.put("after.jpg", b"after");
    let file = reports.stable();
    assert_eq!((file.relative.as_path(), file.digest), (Path::new("after.jpg"), Digest::of(b"after")));
    watcher.stop();
}

#[test]
fn folders_that_appear_are_looked_into_however_deep() {
    let root = Root::new();
    let (watcher, reports) = root.watch();
    reports.sweep();
    root.put("new/deep/er/plate.jpg", b"one");
    assert_eq!(reports.stable().relative, Path::new("new/deep/er/plate.jpg"));
    root.put("new/deep/er/again.jpg", b"two");
    assert_eq!(reports.stable().relative, Path::new("new/deep/er/again.jpg"));
    // Moved in as a whole, from outside.
    let outside = root.dir.path().join("album");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x.jpg"), b"three").unwrap();
    fs::rename(outside, root.settings.path.join("album")).unwrap();
    assert_eq!(reports.stable().relative, Path::new("album/x.jpg"));
    watcher.stop();
}

#[test]
fn new_bytes_under_an_old_name_are_reported_anew() {
    let root = Root::new();
    let (watcher, reports) = root.watch();
    reports.sweep();
    root.put("a.jpg", b"one");
    assert_eq!(reports.stable().digest, Digest::of(b"one"));
    root.put("a.jpg", b"two");
    assert_eq!(reports.stable().digest, Digest::of(b"two"));
    watcher.stop();
}

#[test]
fn a_marker_makes_its_scan_ready() {
    let mut root = Root::new();
    root.settings.ready = Ready::Marker;
    root.put("x.jpg", b"x");
    let (watcher, reports) = root.watch();
    reports.sweep();
    root.put("x.jpg.done", b"");
    assert_eq!(reports.stable().relative, Path::new("x.jpg"));
    watcher.stop();
}

#[test]
fn a_root_without_events_is_polled() {
    let mut root = Root::new();
    root.settings.poll = true;
    root.settings.rescan = Duration::from_millis(50);
    let (watcher, reports) = root.watch();
    assert_eq!(reports.root(), (RootState::Online, "poll"));
    reports.sweep();
    root.put("a/b.jpg", b"x");
    assert_eq!(reports.stable().relative, Path::new("a/b.jpg"));
    watcher.stop();
}

#[test]
fn a_root_that_vanishes_is_told_and_watched_again_when_it_returns() {
    let mut root = Root::new();
    root.settings.rescan = Duration::from_millis(100);
    let (watcher, reports) = root.watch();
    assert_eq!(reports.root().0, RootState::Online);
    let aside = root.dir.path().join("aside");
    fs::rename(&root.settings.path, &aside).unwrap();
    fs::create_dir(&root.settings.path).unwrap();
    root.put("stranger.jpg", b"below the mount point");
    let is_offline = |report| matches!(report, Report::Root { state: RootState::Offline { .. }, .. }).then_some(());
    reports.find("the root to be offline", is_offline);
    fs::remove_dir_all(&root.settings.path).unwrap();
    fs::rename(&aside, &root.settings.path).unwrap();
    let is_online = |report| matches!(report, Report::Root { state: RootState::Online, .. }).then_some(());
    reports.find("the root to be online", is_online);
    root.put("back.jpg", b"back");
    assert_eq!(reports.stable().relative, Path::new("back.jpg"), "and nothing of the stranger's");
    watcher.stop();
}

#[test]
fn lost_events_are_made_up_for_by_a_full_look() {
    let root = Root::new();
    let (watcher, reports) = root.watch();
    reports.sweep();
    watcher.inbox.request_rescan();
    reports.sweep();
    watcher.stop();
}

#[test]
fn a_burst_of_files_is_reported_to_the_last_one() {
    let root = Root::new();
    let (watcher, reports) = root.watch();
    reports.sweep();
    let mut expected: BTreeSet<_> = (0..2000).map(|number| PathBuf::from(format!("{:02}/{number}.jpg", number % 20))).collect();
    for name in &expected {
        root.put(name, name.to_str().unwrap().as_bytes());
    }
    while !expected.is_empty() {
        assert!(expected.remove(&reports.stable().relative), "reported once");
    }
    watcher.stop();
}

#[test]
fn a_defect_does_not_end_the_observation() {
    let root = Root::new();
    root.put("a.jpg", b"x");
    let (sender, reports) = channel();
    let mut defects = 1;
    let sink = move |report| {
        if matches!(report, Report::Stable(_)) && defects > 0 {
            defects -= 1;
            panic!("a defect for the test");
        }
        drop(sender.send(report));
    };
    let watcher = Watcher::spawn(root.settings.clone(), Known::new(), sink).unwrap();
    assert_eq!(Reports(reports).stable().relative, Path::new("a.jpg"));
    watcher.stop();
}

#[test]
fn dropping_a_watcher_ends_its_thread_too() {
    let root = Root::new();
    let (watcher, reports) = root.watch();
    drop(watcher);
    while reports.0.recv_timeout(LIMIT) != Err(RecvTimeoutError::Disconnected) {}
}
