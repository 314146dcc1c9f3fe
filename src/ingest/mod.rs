//! Finds out which scans rest in the ingest roots and what their bytes are.
//!
//! A reconcile loop: full looks at the tree are the truth, file-system events only make a look come sooner. A file is
//! believed when size, times, inode and device stay the same over the rest period on the monotonic clock; then it is
//! hashed and reported. Sources are opened for reading and nothing else. What is known is told to a sink; recording it is
//! the ledger's, reading pixels the codec's.
//!
//! The order of the story: `root` is the directory there, `walk` what lies in it, `ignore` what of it is a scan, `mount`
//! who tells of changes, `sidecar` what a person wrote beside a scan, `stability` does a file rest, `fixity` what are its bytes, `sweep` all of that for one root,
//! `hints`, `watcher` and `settle` when to look; `trees` refuses configurations that would feed on themselves.

mod fixity;
mod hints;
mod ignore;
mod mount;
mod report;
mod root;
mod settle;
mod sidecar;
mod signature;
mod stability;
mod sweep;
mod trees;
mod walk;
mod watcher;

use std::path::PathBuf;
use std::time::Duration;

pub use fixity::{FixityError, Named, open_named, read_at_most, read_verified};
pub use report::{Report, RootState, StableFile, WaitReason, WaitingFile};
pub use settle::sweep_until_settled;
pub use sidecar::{sidecar_beside, sidecar_name};
pub use signature::{FileSignature, Known, RootIdentity};
pub use trees::{TreeError, check_trees};
pub use watcher::Watcher;

/// How a file becomes ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// By resting.
    Stable,
    /// By a file `NAME.done` beside it (`plate.tif.done` for `plate.tif`), and resting.
    Marker,
}

/// One ingest root and how it is looked at.
#[derive(Debug, Clone)]
pub struct RootSettings {
    /// Collection name.
    pub collection: String,
    /// The root; may be a link of the operator's choice. Links below it are not followed.
    pub path: PathBuf,
    /// How long a file must stay unchanged before it is believed.
    pub rest: Duration,
    /// Time between full looks, when a look does not take so long that more rest is due.
    pub rescan: Duration,
    /// Always poll, even where the file system has events.
    pub poll: bool,
    /// Ready rule.
    pub ready: Ready,
    /// Largest file that is taken, bytes.
    pub max_file_bytes: u64,
    /// What the root was when it was last online; `None` takes what is there.
    pub expected: Option<RootIdentity>,
}
