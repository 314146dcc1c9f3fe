//! kill -9, signals, full volumes: every scan ends exactly once.

use rustix::process::Signal;

use crate::workbench::{Workbench, encode, jpeg, photograph, text};
use autochrome::codec::Format;

/// Places in the line at which a process can die: while decoding, while the network runs, before anything is written,
/// between record and image, and when both are in place but the ledger does not know.
const PLACES: [&str; 5] = ["decode", "network", "publish", "publish.between", "settle"];

#[test]
fn killed_anywhere_and_started_again_every_scan_ends_exactly_once() {
    for place in PLACES {
        let bench = Workbench::new();
        bench.configure("[retry]\nbase = \"100ms\"\n");
        bench.put("a.jpg", &jpeg(50));
        bench.put("b.png", &encode(&photograph(140, 120, 51), Format::Png));
        let code = bench.spawn(&["once"], Some(&format!("{place}:kill"))).wait();
        assert_eq!(code, None, "{place}: the process was to die by a signal; log:\n{}", bench.log());
        bench.ok(&["once"]);
        bench.assert_consistent();
        assert_eq!(bench.pictures().len(), 2, "{place}");
        for (name, job) in bench.jobs() {
            assert_eq!(job["state"], "completed", "{place}: {name}: {job}");
        }
    }
}

#[test]
fn a_pair_already_in_place_is_adopted_and_not_made_again() {
    let bench = Workbench::new();
    bench.configure("[retry]\nbase = \"100ms\"\n");
    bench.put("a.jpg", &jpeg(52));
    bench.spawn(&["once"], Some("settle:kill")).wait();
    let picture = bench.output().join(&bench.pictures()[0]);
    let look = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&picture).unwrap());
    let inode = look();
    bench.ok(&["once"]);
    assert_eq!(look(), inode, "the file in place was kept");
    let shown = bench.json(&["show", "1", "--json"]);
    let complete = shown["events"].as_array().unwrap().iter().find(|event| event["kind"] == "complete").unwrap();
    assert_eq!(complete["details"]["adopted"], true);
    assert_eq!(shown["failures"], 1, "the death was charged once");
}

#[test]
fn other_bytes_under_the_derivatives_name_are_a_conflict_and_stay() {
    let bench = Workbench::new();
    bench.put("a.jpg", &jpeg(53));
    bench.ok(&["once"]);
    let picture = bench.output().join(&bench.pictures()[0]);
    std::fs::write(&picture, b"somebody else's picture").unwrap();
    std::fs::remove_dir_all(bench.path().join("state")).unwrap();
    bench.ok(&["once"]);
    assert_eq!(std::fs::read(&picture).unwrap(), b"somebody else's picture");
    assert_eq!(bench.jobs()["a.jpg"]["state"], "rejected");
}

#[test]
fn a_scan_that_kills_the_program_is_given_up_after_three() {
    let bench = Workbench::new();
    bench.configure("[retry]\nbase = \"10ms\"\ncap = \"10ms\"\n");
    bench.put("poison.jpg", &jpeg(54));
    for _ in 0..3 {
        assert_eq!(bench.spawn(&["once"], Some("decode:kill")).wait(), None);
    }
    let told = bench.ok(&["once"]);
    assert!(told.contains("0 completed, 0 skipped, 1 given up") && told.contains("poison.jpg"), "{told}");
    let job = &bench.jobs()["poison.jpg"];
    assert_eq!((&job["state"], &job["failures"]), (&"exhausted".into(), &3.into()), "{job}");
    bench.ok(&["retry", "1"]);
    bench.ok(&["once"]);
    assert_eq!(bench.jobs()["poison.jpg"]["state"], "completed");
}

#[test]
fn a_panic_is_a_failed_attempt_and_not_the_end_of_the_program() {
    let bench = Workbench::new();
    bench.configure("[retry]\nattempts = 2\nbase = \"10ms\"\n");
    bench.put("a.jpg", &jpeg(55));
    let output = bench.command(&["once"]).env("AUTOCHROME_FAULT", "decode:panic").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("pending    a.jpg, again not before 2") && told.contains("exhausted  a.jpg"), "{told}");
    let job = &bench.jobs()["a.jpg"];
    assert_eq!((&job["state"], &job["failures"]), (&"exhausted".into(), &2.into()), "{job}");
}

#[test]
fn the_first_signal_finishes_what_runs_and_exits_well() {
    let bench = Workbench::new();
    for seed in 0..6 {
        bench.put(format!("{seed}.jpg"), &jpeg(60 + seed));
    }
    let daemon = bench.spawn(&["run"], None);
    bench.wait_until("a first derivative", || bench.count("completed") > 0);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0), "log:\n{}", bench.log());
    bench.assert_consistent();
    let failures: u64 = bench.jobs().values().map(|job| job["failures"].as_u64().unwrap()).sum();
    assert_eq!(failures, 0, "a stop charges nobody");
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 6);
}

#[test]
fn a_second_signal_ends_at_once_and_nothing_is_lost() {
    let bench = Workbench::new();
    bench.configure("[retry]\nbase = \"10ms\"\n");
    bench.put("a.jpg", &jpeg(70));
    let daemon = bench.spawn(&["run"], Some("network:pause"));
    bench.wait_for("running", 1);
    daemon.signal(Signal::INT);
    bench.wait_until("the first signal to be seen", || bench.log().contains("SIGINT"));
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait(), Some(1));
    bench.ok(&["once"]);
    bench.assert_consistent();
    assert_eq!(bench.count("completed"), 1);
}

#[test]
fn a_second_daemon_is_told_who_is_at_work() {
    let bench = Workbench::new();
    let daemon = bench.spawn(&["run"], None);
    bench.wait_until("the daemon to be ready", || bench.log().contains("Ready"));
    let output = bench.run(&["once"]);
    assert_eq!(output.status.code(), Some(69));
    let told = text(&output);
    assert!(told.contains(&daemon.pid().to_string()) && told.contains("since"), "{told}");
    let status = bench.json(&["status", "--json"]);
    assert_eq!(status["daemon"]["pid"], daemon.pid());
    assert_eq!(status["device"]["provider"], "cpu");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn a_defect_in_recording_ends_the_daemon_and_loses_no_scan() {
    let bench = Workbench::new();
    bench.put("a.jpg", &jpeg(73));
    let daemon = bench.spawn(&["run"], Some("record:panic"));
    assert_eq!(daemon.wait(), Some(1), "a daemon that records nothing any more must not look healthy; log:\n{}", bench.log());
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 1);
}

#[test]
fn an_ingest_thread_that_hangs_does_not_hold_up_the_end() {
    let bench = Workbench::new();
    bench.configure("[shutdown]\ndeadline = \"15s\"\n");
    bench.put("a.jpg", &jpeg(74));
    let daemon = bench.spawn(&["run"], Some("ingest:pause"));
    bench.wait_until("the thread to hang", || bench.log().contains("Fault injected at ingest"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0), "log:\n{}", bench.log());
}

#[test]
fn a_full_output_volume_stops_claiming_charges_nobody_and_work_resumes() {
    let bench = Workbench::new();
    // No volume has a billion gigabytes: the floor is never met, as on a full disk.
    bench.configure("");
    let config = std::fs::read_to_string(bench.config()).unwrap();
    let full = config.replace("min_free_mib = 0", "min_free_mib = 1000000000");
    std::fs::write(bench.config(), &full).unwrap();
    bench.put("a.jpg", &jpeg(71));
    let output = bench.run(&["once"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("free") && text(&output).contains("hint:"), "{}", text(&output));
    let job = &bench.jobs()["a.jpg"];
    assert_eq!((&job["state"], &job["failures"]), (&"pending".into(), &0.into()), "{job}");
    let daemon = bench.spawn(&["run"], None);
    bench.wait_until("status to say so", || !bench.json(&["status", "--json"])["daemon"]["paused"].is_null());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
    std::fs::write(bench.config(), config).unwrap();
    bench.ok(&["once"]);
    assert_eq!(bench.count("completed"), 1);
}

#[test]
fn a_pause_ends_when_nothing_waits_any_more() {
    let bench = Workbench::new();
    let config = std::fs::read_to_string(bench.config()).unwrap();
    std::fs::write(bench.config(), config.replace("min_free_mib = 0", "min_free_mib = 1000000000")).unwrap();
    bench.put("a.jpg", &jpeg(73));
    let daemon = bench.spawn(&["run"], None);
    let paused = || !bench.json(&["status", "--json"])["daemon"]["paused"].is_null();
    bench.wait_until("status to say that it is paused", paused);
    bench.wait_until("the job to be cancelled", || bench.run(&["cancel", "1"]).status.success());
    bench.wait_until("the pause to end", || !paused());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait(), Some(0));
}

#[test]
fn a_read_only_output_volume_is_a_pause_and_not_a_failure() {
    use std::process::Command;
    let bench = Workbench::new();
    std::fs::create_dir_all(bench.output()).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "ro", "tmpfs"]).arg(bench.output()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: mounting needs rights that this user does not have");
        return;
    }
    bench.put("a.jpg", &jpeg(72));
    let output = bench.run(&["once"]);
    let writable = Command::new("mount").args(["-o", "remount,rw"]).arg(bench.output()).status().unwrap();
    assert!(writable.success());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let job = bench.jobs()["a.jpg"].clone();
    bench.ok(&["once"]);
    let completed = bench.count("completed");
    assert!(Command::new("umount").arg(bench.output()).status().unwrap().success());
    assert_eq!((&job["state"], &job["failures"]), (&"pending".into(), &0.into()), "{job}");
    assert_eq!(completed, 1);
}
