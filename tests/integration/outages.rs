//! Roots and volumes that go away, fill up and come back: nobody is charged, nothing is lost, and what is told is true.

use std::fs;

use crate::workbench::{Workbench, jpeg};

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
