//! What identifies a state of a file, and a directory.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Device and inode of an ingest root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootIdentity {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

/// What must stay the same while a file rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileSignature {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of the bytes, ns since 1970 on the file server's clock; only ever compared with itself.
    pub mtime_ns: i64,
    /// Last change of bytes, name or rights, likewise.
    pub ctime_ns: i64,
}

/// Files the ledger knows, by the bytes of their path below the root.
pub type Known = HashMap<Vec<u8>, FileSignature>;

impl RootIdentity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl FileSignature {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Saturates beyond the years 1677 and 2262, which only broken clocks write.
const fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_rewrite_and_a_replacement_change_the_signature() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let look = || FileSignature::of(&fs::symlink_metadata(&path).unwrap());
        fs::write(&path, b"one").unwrap();
        let first = look();
        assert_eq!(look(), first);
        fs::write(dir.path().join("b"), b"two").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert_ne!(look(), first, "another inode");
        let second = look();
        fs::write(&path, b"longer").unwrap();
        assert_ne!(look(), second);
    }

    #[test]
    fn times_of_broken_clocks_do_not_overflow() {
        assert_eq!(nanoseconds(i64::MAX, 1), i64::MAX);
        assert_eq!(nanoseconds(i64::MIN, 0), i64::MIN);
        assert_eq!(nanoseconds(-1, 999_999_999), -1);
    }
}
