//! The new file of a model: unfinished under a hidden name, then there as a whole, or never.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::ImportError;
use crate::digest::Digest;
use crate::inference::Entry;

/// A file under way; removed when dropped. Its directory is locked by the catalogue's change.
pub(super) struct Part {
    path: PathBuf,
    target: PathBuf,
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
}

/// A file that has its final name; removed when dropped, unless it is kept.
pub(super) struct Placed(Option<PathBuf>);

/// What was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    /// Length.
    pub(super) bytes: u64,
    /// SHA-256.
    pub(super) sha256: Digest,
}

#[expect(clippy::disallowed_methods, reason = "an import makes a file in the models directory")]
impl Part {
    /// Begins `DIR/.NAME.part`.
    pub(super) fn create(directory: &Path, name: &str) -> Result<Self, ImportError> {
        let (path, target) = (directory.join(format!(".{name}.part")), directory.join(name));
        let file = File::create(&path).map_err(|source| ImportError::Write { path: path.clone(), source })?;
        Ok(Self { path, target, file: BufWriter::with_capacity(1 << 20, file), hasher: Sha256::new(), bytes: 0 })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds bytes at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// Hands everything over to the system: others can read it.
    pub(super) fn flush(&mut self) -> Result<(), ImportError> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    /// Brings everything to the disk.
    pub(super) fn finish(&mut self) -> Result<Finished, ImportError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|source| self.failed(source))?;
        let sha256 = Digest::from_bytes(self.hasher.clone().finalize().into());
        Ok(Finished { bytes: self.bytes, sha256 })
    }

    /// Gives the file its name if nobody has it. The same bytes under that name are what an import left that was killed
    /// before its entry was written: they are taken.
    pub(super) fn place_new(self, entry: &Entry) -> Result<Placed, ImportError> {
        let renamed = match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
            // NFS and FUSE do not know the flag: a hard link does the same there.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(&self.path, &self.target),
            other => other.map_err(io::Error::from),
        };
        match renamed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = File::open(&self.target).and_then(Digest::of_reader);
                if !found.is_ok_and(|(found, _)| found == entry.sha256) {
                    return Err(ImportError::InTheWay { path: self.target.clone() });
                }
            }
            Err(error) => return Err(self.failed(error)),
        }
        let placed = Placed(Some(self.target.clone()));
        self.sync_directory()?;
        Ok(placed)
    }

    /// Gives the file its name, in place of what has it.
    pub(super) fn replace(self) -> Result<(), ImportError> {
        fs::rename(&self.path, &self.target).map_err(|source| self.failed(source))?;
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<(), ImportError> {
        let directory = self.target.parent().unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> ImportError {
        ImportError::Write { path: self.target.clone(), source }
    }
}

impl Placed {
    /// The file stays.
    pub(super) fn keep(mut self) -> PathBuf {
        self.0.take().expect("it is taken only here")
    }
}

/// Removes what killed imports left in a directory whose lock is held: nobody is at work there.
pub(super) fn sweep(directory: &Path) {
    // A directory that cannot be listed cannot be written either, which is told where the new file is begun.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".part")) {
            remove(&entry.path());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "what an import made and does not keep goes")]
fn remove(path: &Path) {
    // What is no longer there under this name needs no removing; the next import of this name overwrites the rest.
    let _ = fs::remove_file(path);
}

impl Drop for Part {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.0.iter().for_each(|path| remove(path));
    }
}
