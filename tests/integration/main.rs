//! The real program on real files and a real ledger.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test plays the museum and the scanner: it may write anywhere")]
#![allow(unreachable_pub, reason = "nothing is reached from outside a test binary")]

/// What happens to files that cannot be coloured.
mod bad_input;
/// Borders of scans: found, recorded, kept without colour.
mod borders;
/// The catalogue in an operator's hands.
mod catalogue;
/// Pictures without a ledger.
mod colorize;
/// Commands that only look or decide.
mod commands;
/// Scans as other programs write them.
mod corpus;
/// The table of kinds of scans.
mod corpus_table;
/// Printed and typed pages among the photographs.
mod documents;
/// ONNX files of others as colour networks.
mod foreign;
/// Our DDColor graph against the official network's arrays.
mod golden;
/// From a folder of scans to derivatives with records.
mod happy;
/// Files of others become models, or leave no trace.
mod import;
/// Levels of what the colour network sees of faded scans.
mod levels;
/// Captions, dates and rights as ExifTool reads them.
mod metadata;
/// Small ONNX files of DDColor's shape.
mod onnx;
/// Roots and volumes that go away, fill up and come back.
mod outages;
/// Several derivatives of one scan.
mod outputs;
/// What the authors' Python pipeline made, made again.
mod parity;
/// How near the colours come to known ones.
mod quality;
/// kill -9, signals, full volumes: every scan ends exactly once.
mod recovery;
/// What people decide about single scans.
mod routes;
/// Keeps the walls of the house.
mod tidy;
/// Files that arrive while the daemon watches.
mod watch;
/// One temporary museum a test.
mod workbench;
