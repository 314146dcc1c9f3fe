//! Roots and volumes that go away, fill up and come back: nobody is charged, nothing is lost, and what is told is true.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::workbench::{Workbench, jpeg, text};

/// A museum with one recorded scan that was never worked on.
fn with_waiting_scan(seed: u32, extra: &str) -> Workbench {
    let bench = Workbench::new();
    bench.configure(extra);
    let config = fs::read_to_string(bench.config()).unwrap();
    fs::write(bench.config(), config.replace("min_free_mib = 0", "min_free_mib = 1000000000")).unwrap();
    bench.put("a.jpg", &jpeg(seed));
    assert_eq!(bench.run(&["once"]).status.code(), Some(1), "there is to be no room");
    fs::write(bench.config(), config).unwrap();
    assert_eq!(bench.count("pending"), 1);
    bench
}

#[test]
fn scans_wait_uncharged_while_their_root_is_not_mounted_and_are_done_when_it_is() {
    let bench = with_waiting_scan(100, "[retry]\nbase = \"10ms\"\n");
    let aside = bench.path().join("aside");
    fs::rename(bench.ingest(), &aside).unwrap();
    // What an unmounted volume leaves behind.
    fs::create_dir(bench.ingest()).unwrap();
    let daemon = bench.spawn(&["run"], None);
    bench.wait_until("the root to be offline", || bench.json(&["status", "--json"])["roots"][0]["state"] == "offline");
    std::thread::sleep(std::time::Duration::from_secs(2));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    let job = &bench.jobs()["a.jpg"];
    assert_eq!((&job["state"], &job["failures"]), (&"pending".into(), &0.into()), "{job}");
    let output = bench.run(&["once"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    fs::remove_dir(bench.ingest()).unwrap();
    fs::rename(&aside, bench.ingest()).unwrap();
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 1, "{:?}", bench.jobs());
}

#[test]
fn other_bytes_on_a_volume_in_the_roots_place_condemn_no_scan() {
    let bench = with_waiting_scan(102, "");
    let aside = bench.path().join("aside");
    fs::rename(bench.ingest(), &aside).unwrap();
    bench.put("a.jpg", &jpeg(103));
    assert_eq!(bench.run(&["once"]).status.code(), Some(1));
    let job = &bench.jobs()["a.jpg"];
    assert_eq!((&job["state"], &job["failures"]), (&"pending".into(), &0.into()), "{job}");
}

#[test]
fn a_root_that_goes_away_after_the_look_is_no_success() {
    let bench = Workbench::new();
    let config = fs::read_to_string(bench.config()).unwrap();
    fs::write(bench.config(), config.replace("count = 2", "count = 1")).unwrap();
    bench.put("a.jpg", &jpeg(104));
    bench.put("b.jpg", &jpeg(105));
    let once = bench.spawn(&["once"], Some("decode:nap"));
    bench.wait_until("both to be recorded", || bench.count("running") == 1 && bench.count("pending") == 1);
    fs::rename(bench.ingest(), bench.path().join("aside")).unwrap();
    assert_eq!(once.wait(), Some(1), "a scan is left");
    assert_eq!((bench.count("completed"), bench.count("pending")), (1, 1));
    assert_eq!(bench.jobs()["b.jpg"]["failures"], 0);
}

#[test]
fn a_scan_renamed_while_it_waits_is_found_again() {
    let bench = with_waiting_scan(106, "[retry]\nattempts = 1\n");
    fs::rename(bench.ingest().join("a.jpg"), bench.ingest().join("b.jpg")).unwrap();
    bench.ok(&["once"]);
    let job = &bench.jobs()["a.jpg"];
    assert_eq!(job["state"], "completed", "{job}");
    bench.assert_consistent();
}

#[test]
fn a_scan_that_was_overwritten_and_put_back_is_coloured_after_all() {
    let bench = with_waiting_scan(107, "");
    bench.put("a.jpg", &jpeg(108));
    bench.ok(&["once"]);
    assert_eq!((bench.count("rejected"), bench.count("completed")), (1, 1), "{:?}", bench.jobs());
    bench.put("a.jpg", &jpeg(107));
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 2, "{:?}", bench.jobs());
    bench.assert_consistent();
}

#[test]
fn a_daemon_waits_for_a_volume_that_cannot_be_written_and_goes_on_when_it_can() {
    // Read-only; and really full: a volume with room for one more file takes the record and not the image.
    for (options, remedy) in [("ro", "remount,rw"), ("size=16m,nr_inodes=2", "remount,nr_inodes=1000")] {
        let bench = Workbench::new();
        fs::create_dir_all(bench.output()).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(bench.output()).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("NOT TESTED: mounting needs rights that this user does not have");
            return;
        }
        let _mount = Mount(&bench);
        bench.put("a.jpg", &jpeg(109));
        let daemon = bench.spawn(&["run"], None);
        let paused = || bench.json(&["status", "--json"])["daemon"]["paused"].clone();
        bench.wait_until("status to say so", || !paused().is_null());
        assert!(paused().as_str().unwrap().contains("output volume"), "{options}: {}", paused());
        bench.wait_for("pending", 1);
        let job = &bench.jobs()["a.jpg"];
        assert_eq!((&job["state"], &job["failures"]), (&"pending".into(), &0.into()), "{options}: {job}");
        assert!(bench.pictures().iter().all(|path| !path.to_string_lossy().ends_with(".part")), "{:?}", bench.published());
        assert!(Command::new("mount").args(["-o", remedy]).arg(bench.output()).status().unwrap().success());
        bench.wait_for("completed", 1);
        bench.wait_until("status to say that work goes on", || paused().is_null());
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait(), Some(0));
        assert_eq!(bench.jobs()["a.jpg"]["failures"], 0, "{options}");
        bench.assert_consistent();
    }
}

/// A file system on the output tree, taken away at the end of a test however it ends.
struct Mount<'a>(&'a Workbench);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.output()).status();
    }
}

/// A museum with one scan of a building, 160 × 128 pixels, and the outcome of `once` on a device without memory for networks of
/// more than `pixels`.
fn without_memory(bench: &Workbench, pixels: u64) -> std::process::Output {
    let config = fs::read_to_string(bench.config()).unwrap();
    fs::write(bench.config(), config.replace("output = \"output\"", "output = \"output\"\nscene = \"architecture\"")).unwrap();
    bench.put("a.jpg", &jpeg(120));
    bench.command(&["once"]).env("AUTOCHROME_FAULT", format!("memory:{pixels}")).output().unwrap()
}

#[test]
fn a_device_with_little_memory_gets_a_smaller_copy_and_the_record_says_so() {
    let bench = Workbench::new();
    let output = without_memory(&bench, 13_000);
    assert!(output.status.success(), "{}", text(&output));
    let shown = bench.ok(&["audit", "show", bench.ingest().join("a.jpg").to_str().unwrap(), "--json"]);
    let record: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let record = record.get(0).unwrap_or(&record);
    assert_eq!((&record["extent"]["width"], &record["extent"]["height"]), (&128.into(), &96.into()), "{record}");
    assert_eq!(record["extent"]["rule"], "height 96 instead of 128, since the device had no memory for more");
    let setbacks = record["device"]["setbacks"].as_array().unwrap();
    assert_eq!(setbacks.len(), 1, "{setbacks:?}");
    assert_eq!(setbacks[0]["tried"], "160×128 on cpu");
    assert!(setbacks[0]["found"].as_str().unwrap().contains("alone and in its small form"), "{setbacks:?}");
    let shown = bench.ok(&["audit", "show", bench.ingest().join("a.jpg").to_str().unwrap()]);
    assert!(shown.contains("no memory for 160×128 on cpu"), "{shown}");
}

#[test]
fn a_scan_for_which_there_is_no_memory_at_all_is_handed_back_uncharged_and_done_when_there_is() {
    let bench = Workbench::new();
    let output = without_memory(&bench, 1000);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let job = &bench.jobs()["a.jpg"];
    assert_eq!((&job["state"], &job["failures"]), (&"pending".into(), &0.into()), "{job}");
    let reason = job["reason"].as_str().unwrap();
    assert!(reason.contains("160×128 on cpu") && reason.contains("128×96 on cpu"), "every step is told: {reason}");
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 1, "{:?}", bench.jobs());
    bench.assert_consistent();
}
