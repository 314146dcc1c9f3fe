//! One folder of the output tree, held open: files are written, compared and renamed relative to it, links are not followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, fsync, linkat, mkdirat, openat, renameat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::PublishError;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder held open; `path` is for messages.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What lies under a name, compared with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Same,
    Other,
}

/// How an attempt to take a name ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Commit {
    Done,
    Taken,
}

impl Folder {
    /// Opens the root of a tree, which may be a link of the operator's choice; `None` when it is not there.
    pub(super) fn open(root: &Path) -> Result<Option<Self>, PublishError> {
        match openat(CWD, root, FOLDER, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: root.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(PublishError::failed("opening", root, error.into())),
        }
    }

    /// Opens the root of a tree and creates what is missing of its path.
    pub(super) fn create(root: &Path) -> Result<Self, PublishError> {
        if let Some(folder) = Self::open(root)? {
            return Ok(folder);
        }
        let parent = match root.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = root.file_name().ok_or_else(|| PublishError::NotBelow { path: root.to_owned() })?;
        Self::create(parent)?.make(name)?;
        Self::open(root)?.ok_or_else(|| PublishError::failed("opening", root, Errno::NOENT.into()))
    }

    /// Makes a sub-folder durable, unless it is already there.
    fn make(&self, name: &OsStr) -> Result<(), PublishError> {
        match mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => self.sync(),
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(self.failed("creating", name, error.into())),
        }
    }

    fn child(&self, name: &OsStr) -> Result<Option<Self>, PublishError> {
        match openat(&self.fd, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("opening", name, error.into())),
        }
    }

    /// The folder below this one, if it is there.
    pub(super) fn descend(self, folders: &[&OsStr]) -> Result<Option<Self>, PublishError> {
        let mut folder = self;
        for name in folders {
            let Some(child) = folder.child(name)? else { return Ok(None) };
            folder = child;
        }
        Ok(Some(folder))
    }

    /// The folder below this one, created where it is missing.
    pub(super) fn descend_creating(self, folders: &[&OsStr]) -> Result<Self, PublishError> {
        let mut folder = self;
        for name in folders {
            folder.make(name)?;
            let child = folder.child(name)?;
            folder = child.ok_or_else(|| folder.failed("opening", name, Errno::NOENT.into()))?;
        }
        Ok(folder)
    }

    pub(super) fn failed(&self, doing: &'static str, name: &OsStr, source: io::Error) -> PublishError {
        PublishError::failed(doing, &self.path.join(name), source)
    }

    /// Opens a regular file; `None` when nothing lies there. Anything else under the name is somebody else's: a conflict.
    pub(super) fn open_file(&self, name: &OsStr) -> Result<Option<File>, PublishError> {
        let conflict = || PublishError::Conflict { path: self.path.join(name) };
        // Non-blocking, so that a FIFO under the name cannot hang the worker.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::NXIO) => return Err(conflict()),
            Err(error) => return Err(self.failed("opening", name, error.into())),
        };
        let metadata = file.metadata().map_err(|source| self.failed("reading", name, source))?;
        if metadata.is_file() { Ok(Some(file)) } else { Err(conflict()) }
    }

    /// Compares what lies under `name` with `bytes`. An empty file is the reservation of a process that died (see
    /// [`Part::commit_new`]): it holds nothing, and is removed.
    pub(super) fn compare(&self, name: &OsStr, bytes: &[u8]) -> Result<Found, PublishError> {
        let Some(mut file) = self.open_file(name)? else { return Ok(Found::Nothing) };
        let failed = |source| self.failed("reading", name, source);
        let length = file.metadata().map_err(failed)?.len();
        if length == 0 && !bytes.is_empty() {
            unlinkat(&self.fd, name, AtFlags::empty()).map_err(|error| self.failed("removing", name, error.into()))?;
            return Ok(Found::Nothing);
        }
        if length != bytes.len() as u64 {
            return Ok(Found::Other);
        }
        let mut buffer = vec![0; bytes.len().clamp(1, 1 << 20)];
        let mut rest = bytes;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(if rest.is_empty() { Found::Same } else { Found::Other }),
                Ok(count) => match rest.split_at_checked(count) {
                    Some((expected, after)) if expected == &buffer[..count] => rest = after,
                    _ => return Ok(Found::Other),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Removes a file if it holds exactly these bytes.
    pub(super) fn remove_if_same(&self, name: &OsStr, bytes: &[u8]) -> Result<(), PublishError> {
        if self.compare(name, bytes)? == Found::Same {
            unlinkat(&self.fd, name, AtFlags::empty()).map_err(|error| self.failed("removing", name, error.into()))?;
            self.sync()?;
        }
        Ok(())
    }

    /// Writes `.NAME.FENCE.part` in this folder and flushes it to the disk.
    pub(super) fn write_part(&self, name: &OsStr, fence: &str, bytes: &[u8]) -> Result<Part<'_>, PublishError> {
        let mut part_name = OsString::from(".");
        part_name.push(name);
        part_name.push(format!(".{fence}.part"));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || openat(&self.fd, &part_name, flags, Mode::from_raw_mode(0o644));
        let fd = create().or_else(|error| match error {
            // Left by a process that died with the same fence, before its ledger was set aside.
            Errno::EXIST => unlinkat(&self.fd, &part_name, AtFlags::empty()).and_then(|()| create()),
            other => Err(other),
        });
        let fd = fd.map_err(|error| self.failed("creating", &part_name, error.into()))?;
        let part = Part { folder: self, part_name, name: name.to_owned(), renamed: false };
        let mut file = File::from(fd);
        // An error of fsync is final: the kernel may have dropped the pages. The part goes, the attempt is made anew.
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|source| self.failed("writing", &part.part_name, source))?;
        Ok(part)
    }

    /// Flushes the folder itself, so that its names survive a power cut. Some network file systems cannot and say so.
    pub(super) fn sync(&self) -> Result<(), PublishError> {
        match fsync(&self.fd) {
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(PublishError::failed("flushing", &self.path, error.into())),
        }
    }
}

/// A finished file that does not have its name yet; removed when it does not get one.
#[derive(Debug)]
pub(super) struct Part<'a> {
    folder: &'a Folder,
    part_name: OsString,
    name: OsString,
    renamed: bool,
}

impl Part<'_> {
    /// Gives the file its name, in place of whatever had it.
    pub(super) fn replace(mut self) -> Result<(), PublishError> {
        let fd = &self.folder.fd;
        renameat(fd, &self.part_name, fd, &self.name).map_err(|error| self.failed(error))?;
        self.renamed = true;
        self.folder.sync()
    }

    /// Gives the file its name if nobody has it.
    ///
    /// NFS, FUSE and 9p do not know `RENAME_NOREPLACE`: a hard link does the same there. Where there are no hard links
    /// either, the name is reserved with an empty file first.
    pub(super) fn commit_new(mut self) -> Result<Commit, PublishError> {
        let mut ended = self.rename_new();
        if ended.is_err_and(is_unsupported) {
            ended = self.link();
        }
        // Without hard links: EPERM (vfat), EMLINK, EOPNOTSUPP.
        if ended.is_err_and(|error| is_unsupported(error) || matches!(error, Errno::PERM | Errno::MLINK)) {
            ended = self.reserve();
        }
        match ended {
            Ok(()) => self.renamed = true,
            Err(Errno::EXIST) => return Ok(Commit::Taken),
            Err(error) => return Err(self.failed(error)),
        }
        self.folder.sync()?;
        Ok(Commit::Done)
    }

    fn rename_new(&self) -> Result<(), Errno> {
        let fd = &self.folder.fd;
        renameat_with(fd, &self.part_name, fd, &self.name, RenameFlags::NOREPLACE)
    }

    fn link(&self) -> Result<(), Errno> {
        let fd = &self.folder.fd;
        linkat(fd, &self.part_name, fd, &self.name, AtFlags::empty())?;
        unlinkat(fd, &self.part_name, AtFlags::empty())
    }

    fn reserve(&self) -> Result<(), Errno> {
        let fd = &self.folder.fd;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        drop(openat(fd, &self.name, flags, Mode::from_raw_mode(0o644))?);
        renameat(fd, &self.part_name, fd, &self.name)
    }

    fn failed(&self, error: Errno) -> PublishError {
        self.folder.failed("naming", &self.name, error.into())
    }
}

const fn is_unsupported(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed now is swept at the next start.
            let _ = unlinkat(&self.folder.fd, &self.part_name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_take_a_name_keeps_what_has_it() {
        type Way = fn(&Part<'_>) -> Result<(), Errno>;
        let ways: [Way; 3] = [|part| part.rename_new(), |part| part.link(), |part| part.reserve()];
        for way in ways {
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::create(dir.path()).unwrap();
            let mut part = folder.write_part(OsStr::new("new"), "1-1", b"ours").unwrap();
            way(&part).unwrap();
            part.renamed = true;
            assert_eq!(std::fs::read(dir.path().join("new")).unwrap(), b"ours");
            let late = folder.write_part(OsStr::new("new"), "1-2", b"late").unwrap();
            assert_eq!(way(&late), Err(Errno::EXIST));
            drop(late);
            assert_eq!(std::fs::read(dir.path().join("new")).unwrap(), b"ours");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no unfinished file stays");
        }
    }

    #[test]
    fn the_reservation_of_a_process_that_died_is_no_picture() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        std::fs::write(dir.path().join("a"), b"").unwrap();
        assert_eq!(folder.compare(OsStr::new("a"), b"picture").unwrap(), Found::Nothing);
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn bytes_are_compared_to_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        let bytes = vec![7_u8; (2 << 20) + 3];
        std::fs::write(dir.path().join("a"), &bytes).unwrap();
        assert_eq!(folder.compare(OsStr::new("a"), &bytes).unwrap(), Found::Same);
        let mut other = bytes.clone();
        *other.last_mut().unwrap() = 8;
        assert_eq!(folder.compare(OsStr::new("a"), &other).unwrap(), Found::Other);
        assert_eq!(folder.compare(OsStr::new("a"), &bytes[1..]).unwrap(), Found::Other);
    }
}
