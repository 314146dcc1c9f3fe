//! Files that arrive while the daemon watches.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::workbench::{Workbench, jpeg};

#[test]
fn a_file_that_arrives_slowly_is_read_when_it_rests() {
    let bench = Workbench::new();
    bench.configure("");
    let daemon = bench.spawn(&["run"], None);
    bench.wait_until("the daemon to be ready", || bench.log().contains("Ready"));
    let bytes = jpeg(80);
    let mut file = fs::File::create(bench.ingest().join("slow.jpg")).unwrap();
    // Longer in all than the rest period, each pause shorter than it.
    for part in bytes.chunks(bytes.len() / 8 + 1) {
        file.write_all(part).unwrap();
        file.flush().unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(file);
    bench.wait_for("completed", 1);
    let jobs = bench.jobs();
    assert_eq!(jobs.len(), 1, "no job for a half-written state: {jobs:?}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    bench.assert_consistent();
}

#[test]
fn files_in_new_folders_are_found_and_links_are_not_followed() {
    let bench = Workbench::new();
    let outside = bench.path().join("outside.jpg");
    fs::write(&outside, jpeg(81)).unwrap();
    let daemon = bench.spawn(&["run"], None);
    bench.wait_until("the daemon to be ready", || bench.log().contains("Ready"));
    std::os::unix::fs::symlink(&outside, bench.ingest().join("link.jpg")).unwrap();
    std::os::unix::fs::symlink(bench.ingest(), bench.ingest().join("loop")).unwrap();
    bench.put("new/deep/er/plate.jpg", &jpeg(82));
    bench.put(".hidden.jpg", &jpeg(83));
    bench.put("half.jpg.part", &jpeg(84));
    bench.wait_for("completed", 1);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    let jobs = bench.jobs();
    assert_eq!(jobs.keys().collect::<Vec<_>>(), ["new/deep/er/plate.jpg"]);
}

#[test]
fn a_root_that_vanishes_is_offline_and_nothing_is_concluded() {
    let bench = Workbench::new();
    bench.put("a.jpg", &jpeg(85));
    bench.ok(&["once"]);
    let aside = bench.path().join("aside");
    fs::rename(bench.ingest(), &aside).unwrap();
    // An empty directory under the old path is what an unmounted volume looks like.
    fs::create_dir(bench.ingest()).unwrap();
    let output = bench.run(&["once"]);
    assert_eq!(output.status.code(), Some(1));
    let status = bench.json(&["status", "--json"]);
    assert_eq!(status["roots"][0]["state"], "offline", "{status}");
    assert_eq!(status["jobs"]["completed"], 1);
    fs::remove_dir(bench.ingest()).unwrap();
    fs::rename(&aside, bench.ingest()).unwrap();
    bench.put("b.jpg", &jpeg(86));
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 2);
}
