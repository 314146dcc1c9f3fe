//! `autochrome` colours scanned black-and-white photographs and records what made every derivative.
//!
//! The map of the house, in the order a scan walks through it:
//!
//! | room | answers |
//! |---|---|
//! | [`ingest`] | which files rest in the ingest roots, and what their bytes are |
//! | [`store`] | what was promised and what happened: the only room that speaks SQL |
//! | [`job`] | pure: what an outcome means for a job |
//! | [`pipeline`] | one scan from claim to settlement, and the workers that do it |
//! | [`codec`] | bytes to pixels and back |
//! | [`colour`] | what a scan's numbers mean: profiles and lightness |
//! | [`imaging`] | pure: pixels in, pixels out |
//! | [`routing`] | pure: scores and rules to a route |
//! | [`metadata`] | what a file says beside its samples, and what of it a derivative says |
//! | [`inference`] | the only room that speaks ONNX Runtime |
//! | [`provenance`] | the record every derivative carries |
//! | [`publish`] | the only code that creates files in an output tree |
//!
//! `ARCHITECTURE.md` has the walk of one scan and the walls between the rooms.

pub mod cli;
pub mod codec;
pub mod colour;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod digest;
mod failure;
pub mod faults;
pub mod imaging;
pub mod inference;
pub mod ingest;
pub mod job;
pub mod metadata;
pub mod pipeline;
pub mod provenance;
pub mod publish;
pub mod routing;
pub mod store;
pub mod telemetry;
