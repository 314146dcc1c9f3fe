//! The bytes of a file and their digest: read once, through no link, from a file that stays the same meanwhile.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::FileSignature;
use crate::digest::Digest;
use crate::job::Disposition;

/// A scan could not be read as the ledger promises it.
#[derive(Debug, thiserror::Error)]
pub enum FixityError {
    /// Its bytes are others than those that were recorded.
    #[error("{} changed after it was recorded: its SHA-256 is {found}", path.display())]
    Changed {
        /// The scan.
        path: PathBuf,
        /// SHA-256 of what lies there now.
        found: Digest,
    },
    /// No regular file lies there any more.
    #[error("{} is not there any more", path.display())]
    Gone {
        /// The scan.
        path: PathBuf,
    },
    /// It is larger than what is read into memory.
    #[error("{} has {} MiB, more than the limit of {} MiB", path.display(), bytes >> 20, limit >> 20)]
    TooLarge {
        /// The scan.
        path: PathBuf,
        /// Its size, bytes.
        bytes: u64,
        /// The limit, bytes.
        limit: u64,
    },
    /// The system's answer.
    #[error("reading {} went wrong", path.display())]
    Io {
        /// The scan.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl FixityError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Changed { .. } | Self::TooLarge { .. } => Disposition::Permanent,
            Self::Gone { .. } | Self::Io { .. } => Disposition::Transient,
        }
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Changed { .. } => Some("a changed file becomes a new job by itself"),
            Self::TooLarge { .. } => Some("raise the limit on file size in the configuration if the machine has the memory"),
            Self::Gone { .. } => Some("put the scan back under its name; a renamed scan is found by itself"),
            Self::Io { .. } => Some("check the disk or share that holds the ingest root, and that this user may read the scan"),
        }
    }
}

/// Reads a scan of at most `max_bytes` once and compares its digest with the ledger's.
///
/// `root` may be a link of the operator's choice; below it no link is followed.
pub fn read_verified(root: &Path, relative: &Path, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, FixityError> {
    let path = || root.join(relative);
    let failed = |source: io::Error| match Errno::from_io_error(&source) {
        Some(error) if is_gone(error) => FixityError::Gone { path: path() },
        _ => FixityError::Io { path: path(), source },
    };
    let file = open_beneath(root, relative).map_err(|error| failed(error.into()))?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(FixityError::Gone { path: path() });
    }
    let too_large = |bytes| FixityError::TooLarge { path: path(), bytes, limit: max_bytes };
    if metadata.len() > max_bytes {
        return Err(too_large(metadata.len()));
    }
    let bytes = read_at_most(&file, metadata.len(), max_bytes).map_err(failed)?;
    let bytes = bytes.ok_or_else(|| too_large(max_bytes.saturating_add(1)))?;
    let found = Digest::of(&bytes);
    if found == *digest { Ok(bytes) } else { Err(FixityError::Changed { path: path(), found }) }
}

/// All of a file that said to have `length` bytes; `None` of one that has more than `most`, which it may have come to while it was read.
pub fn read_at_most(file: &File, length: u64, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length.min(most)).unwrap_or(usize::MAX)).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// What lies under a name that somebody gave.
#[derive(Debug)]
pub enum Named {
    /// A regular file, open for reading.
    File {
        /// The file.
        file: File,
        /// Its length, bytes, when it was opened.
        length: u64,
    },
    /// A directory.
    Directory,
    /// A FIFO, a socket or a device.
    Other,
}

/// Opens the file that somebody named; links are followed. Nothing but a regular file is opened: a FIFO keeps its reader waiting for a
/// writer, a device may never end or act when it is opened.
///
/// # Errors
/// Nothing lies there, or it may not be read.
pub fn open_named(path: &Path) -> io::Result<Named> {
    let other = |metadata: &Metadata| match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => None,
        (false, true) => Some(Named::Directory),
        (false, false) => Some(Named::Other),
    };
    if let Some(other) = other(&std::fs::metadata(path)?) {
        return Ok(other);
    }
    // Something else may lie there by now: it is opened so that it cannot keep anybody waiting, and looked at again.
    let file = File::from(openat(CWD, path, FILE.difference(OFlags::NOFOLLOW), Mode::empty())?);
    let metadata = file.metadata()?;
    Ok(other(&metadata).unwrap_or(Named::File { file, length: metadata.len() }))
}

/// What hashing a rested file came to.
#[derive(Debug)]
pub(super) enum Hashed {
    /// The digest of exactly the state that rested.
    Rested(Digest),
    /// It changed between the look and the end of reading.
    Changed,
    /// No regular file lies there any more.
    Gone,
    /// The thread was told to end.
    Stopped,
}

/// Hashes a file if it is, before and after, in the state `signature`.
pub(super) fn hash(root: &Path, relative: &Path, signature: &FileSignature, stop: &AtomicBool) -> io::Result<Hashed> {
    let file = match open_beneath(root, relative) {
        Ok(file) => file,
        Err(error) if is_gone(error) => return Ok(Hashed::Gone),
        Err(error) => return Err(error.into()),
    };
    if FileSignature::of(&file.metadata()?) != *signature {
        return Ok(Hashed::Changed);
    }
    let hashed = Digest::of_reader(Stoppable { file: &file, stop });
    if stop.load(Ordering::Relaxed) {
        return Ok(Hashed::Stopped);
    }
    let (digest, length) = hashed?;
    let unchanged = FileSignature::of(&file.metadata()?) == *signature && length == signature.size;
    Ok(if unchanged { Hashed::Rested(digest) } else { Hashed::Changed })
}

/// Reading a large scan over a network takes a while; ending must not wait for it.
struct Stoppable<'a> {
    file: &'a File,
    stop: &'a AtomicBool,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        self.file.read(buffer)
    }
}

/// Nothing lies there, or something that this program does not take: a link, or a file where a folder was.
const fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::XDEV)
}

/// Non-blocking, so that a FIFO put in a scan's place cannot hang the reader.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a file below `root` without following a link on the way; the kernel watches over it where it can.
pub(super) fn open_beneath(root: &Path, relative: &Path) -> Result<File, Errno> {
    let root = openat(CWD, root, FOLDER, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(&root, relative, FILE, Mode::empty(), resolve) {
        // Kernels before 5.6, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM) => open_stepwise(root, relative),
        opened => opened.map(File::from),
    }
}

fn open_stepwise(root: OwnedFd, relative: &Path) -> Result<File, Errno> {
    let mut folder = root;
    let mut components = relative.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { return Err(Errno::XDEV) };
        if components.peek().is_none() {
            return openat(&folder, name, FILE, Mode::empty()).map(File::from);
        }
        folder = openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Err(Errno::NOENT)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    const MAX: u64 = 1 << 20;

    fn root() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/a")).unwrap();
        fs::write(dir.path().join("root/a/x.jpg"), b"scan").unwrap();
        fs::write(dir.path().join("outside.jpg"), b"scan").unwrap();
        dir
    }

    fn read(dir: &TempDir, relative: &str) -> Result<Vec<u8>, FixityError> {
        read_verified(&dir.path().join("root"), Path::new(relative), &Digest::of(b"scan"), MAX)
    }

    #[test]
    fn a_scan_is_read_only_as_it_was_recorded() {
        let dir = root();
        assert_eq!(read(&dir, "a/x.jpg").unwrap(), b"scan");
        fs::write(dir.path().join("root/a/x.jpg"), b"scam").unwrap();
        let error = read(&dir, "a/x.jpg").unwrap_err();
        assert_eq!(error.disposition(), Disposition::Permanent);
        assert!(matches!(error, FixityError::Changed { found, .. } if found == Digest::of(b"scam")));
    }

    #[test]
    fn a_scan_that_is_gone_may_come_back() {
        let dir = root();
        for relative in ["a/y.jpg", "b/x.jpg", "a/x.jpg/z.jpg", "a"] {
            let error = read(&dir, relative).unwrap_err();
            assert!(matches!(error, FixityError::Gone { .. }), "{relative}: {error:?}");
            assert_eq!(error.disposition(), Disposition::Transient);
        }
    }

    #[test]
    fn no_link_is_followed_below_the_root_and_nothing_above_it_is_read() {
        let dir = root();
        symlink(dir.path().join("outside.jpg"), dir.path().join("root/link.jpg")).unwrap();
        symlink(dir.path().join("root/a"), dir.path().join("root/b")).unwrap();
        for relative in ["link.jpg", "b/x.jpg", "../outside.jpg", "a/../../outside.jpg"] {
            assert!(matches!(read(&dir, relative), Err(FixityError::Gone { .. })), "{relative}");
        }
        symlink(dir.path().join("root"), dir.path().join("chosen")).unwrap();
        read_verified(&dir.path().join("chosen"), Path::new("a/x.jpg"), &Digest::of(b"scan"), MAX).unwrap();
    }

    #[test]
    fn without_openat2_the_same_holds() {
        let dir = root();
        symlink(dir.path().join("outside.jpg"), dir.path().join("root/link.jpg")).unwrap();
        symlink(dir.path().join("root/a"), dir.path().join("root/b")).unwrap();
        let open = |relative: &str| {
            let root = openat(CWD, dir.path().join("root"), FOLDER, Mode::empty()).unwrap();
            open_stepwise(root, Path::new(relative))
        };
        open("a/x.jpg").unwrap();
        for relative in ["link.jpg", "b/x.jpg", "../outside.jpg", "/etc/passwd", ""] {
            assert!(open(relative).is_err_and(is_gone), "{relative}");
        }
    }

    #[test]
    fn a_scan_beyond_the_limit_is_refused_before_it_is_read() {
        let dir = root();
        let error = read_verified(&dir.path().join("root"), Path::new("a/x.jpg"), &Digest::of(b"scan"), 3).unwrap_err();
        assert_eq!(error.disposition(), Disposition::Permanent);
        assert!(matches!(error, FixityError::TooLarge { bytes: 4, limit: 3, .. }), "{error:?}");
    }

    #[test]
    fn only_the_state_that_rested_is_hashed() {
        let dir = root();
        let (root, relative, go) = (dir.path().join("root"), Path::new("a/x.jpg"), AtomicBool::new(false));
        let signature = FileSignature::of(&fs::metadata(root.join(relative)).unwrap());
        assert!(matches!(hash(&root, relative, &signature, &go).unwrap(), Hashed::Rested(found) if found == Digest::of(b"scan")));
        let older = FileSignature { mtime_ns: 1, ..signature };
        assert!(matches!(hash(&root, relative, &older, &go).unwrap(), Hashed::Changed));
        assert!(matches!(hash(&root, Path::new("no.jpg"), &signature, &go).unwrap(), Hashed::Gone));
        assert!(matches!(hash(&root, relative, &signature, &AtomicBool::new(true)).unwrap(), Hashed::Stopped));
    }

    #[test]
    fn every_error_is_one_line() {
        let path = PathBuf::from("/in/x");
        let all = [
            FixityError::Changed { path: path.clone(), found: Digest::of(b"x") },
            FixityError::Gone { path: path.clone() },
            FixityError::TooLarge { path: path.clone(), bytes: 2 << 20, limit: 1 << 20 },
            FixityError::Io { path, source: io::ErrorKind::Other.into() },
        ];
        for error in all {
            let lines = [Some(error.to_string()), error.hint().map(str::to_owned)];
            assert!(lines.iter().flatten().all(|line| !line.contains('\n') && !line.ends_with('.')), "{error}");
        }
    }
}
