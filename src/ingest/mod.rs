//! stub
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use crate::digest::Digest;
use crate::job::Disposition;
/// Device and inode of an ingest root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootIdentity { /// st_dev
    pub device: u64, /// st_ino
    pub inode: u64 }
/// What must rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSignature { /// st_dev
    pub device: u64, /// st_ino
    pub inode: u64, /// Bytes.
    pub size: u64, /// mtime
    pub mtime_ns: i64, /// ctime
    pub ctime_ns: i64 }
/// A rested, hashed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StableFile { /// Collection.
    pub collection: String, /// Below the root.
    pub relative: PathBuf, /// As hashed.
    pub signature: FileSignature, /// SHA-256.
    pub digest: Digest }
/// Files the ledger knows, by name bytes.
pub type Known = HashMap<Vec<u8>, FileSignature>;
/// State of a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootState { /// There.
    Online, /// Not there.
    Offline { /// Why.
        reason: String } }
/// Why a file waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason { /* stub */ }
impl std::fmt::Display for WaitReason { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
/// A file that is not believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingFile { /// Below the root.
    pub relative: PathBuf, /// Why.
    pub reason: WaitReason }
/// What an ingest thread says.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A file that can be recorded.
    Stable(StableFile),
    /// A root's state, when it changed.
    Root { /// Collection.
        collection: String, /// Identity when online.
        identity: Option<RootIdentity>, /// State.
        state: RootState, /// `watch` or `poll`.
        mode: &'static str },
    /// All files that wait, when that changed.
    Waiting { /// Collection.
        collection: String, /// Files.
        files: Vec<WaitingFile> },
    /// A sweep is over.
    SweepDone { /// Collection.
        collection: String, /// Files seen.
        seen: u64, /// Newly stable.
        stable: u64, /// Waiting.
        waiting: u64, /// How long.
        duration: Duration },
}
/// How a file becomes ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready { /// By resting.
    Stable, /// By a file `NAME.done` beside it, and resting.
    Marker }
/// One root.
#[derive(Debug, Clone)]
pub struct RootSettings { /// Collection.
    pub collection: String, /// Path.
    pub path: PathBuf, /// Rest period.
    pub rest: Duration, /// Full look at least this often.
    pub rescan: Duration, /// Always poll.
    pub poll: bool, /// Ready rule.
    pub ready: Ready, /// Largest file, bytes.
    pub max_file_bytes: u64, /// Identity when last online.
    pub expected: Option<RootIdentity> }
/// A thread that watches a root.
#[derive(Debug)]
pub struct Watcher {}
impl Watcher {
    /// Starts.
    pub fn spawn(_root: RootSettings, _known: Known, _sink: impl FnMut(Report) + Send + 'static) -> io::Result<Self> { todo!() }
    /// Stops and joins.
    pub fn stop(self) { todo!() }
}
/// Looks until every file either rested and was reported, or waits for something other than rest (0 bytes, no marker).
pub fn sweep_until_settled(_root: &RootSettings, _known: Known, _stop: &AtomicBool, _sink: &mut dyn FnMut(Report)) -> io::Result<()> { todo!() }
/// Tree errors.
#[derive(Debug, thiserror::Error)]
pub enum TreeError { /// stub
    #[error("stub")] Stub }
impl TreeError { /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None } }
/// Refuses an output tree inside an ingest root, or the reverse, also through links: (ingest, output) pairs.
pub fn check_trees(_trees: &[(PathBuf, PathBuf)]) -> Result<(), TreeError> { todo!() }
/// Fixity errors.
#[derive(Debug, thiserror::Error)]
pub enum FixityError { /// stub
    #[error("stub")] Stub }
impl FixityError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition { Disposition::Transient }
    /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None }
}
/// Reads a scan once and compares its digest with the ledger's.
pub fn read_verified(_root: &Path, _relative: &Path, _digest: &Digest, _max_bytes: u64) -> Result<Vec<u8>, FixityError> { todo!() }
