//! The real program on real files and a real ledger.

/// What happens to files that cannot be coloured.
mod bad_input;
/// Commands that only look or decide.
mod commands;
/// Our DDColor graph against the official network's arrays.
mod golden;
/// From a folder of scans to derivatives with records.
mod happy;
/// kill -9, signals, full volumes: every scan ends exactly once.
mod recovery;
/// Keeps the walls of the house.
mod tidy;
/// Files that arrive while the daemon watches.
mod watch;
/// One temporary museum a test.
mod workbench;
