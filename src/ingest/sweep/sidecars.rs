//! Sidecars under observation: they rest as scans do, and a scan waits for the one beside it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Sweeper;
use crate::ingest::stability::Verdict;
use crate::ingest::sweep::Presence;
use crate::ingest::{FileSignature, Report, WaitReason, sidecar};

/// The path of the scan beside which a file of this path is a sidecar.
pub(super) fn scan_beside(relative: &Path) -> Option<PathBuf> {
    Some(relative.with_file_name(sidecar::scan_of(relative.file_name()?)?))
}

fn sidecar_beside(scan: &Path) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&sidecar::sidecar_name(scan.as_os_str().as_bytes())))
}

impl Sweeper<'_> {
    /// Takes an observation of a sidecar.
    pub(super) fn observe_sidecar(&mut self, relative: &Path, metadata: &Metadata) {
        if self.sidecar_verdict(relative, metadata) == Some(Verdict::Rested) {
            self.rested.push_back(relative.to_owned());
        }
    }

    /// `None` for a sidecar that the ledger knows in this state.
    fn sidecar_verdict(&mut self, relative: &Path, metadata: &Metadata) -> Option<Verdict> {
        let signature = FileSignature::of(metadata);
        if self.known.get(relative.as_os_str().as_bytes()) == Some(&signature) {
            self.tracker.forget(relative);
            return None;
        }
        // An empty one is whole as well: it says nothing, and is told so.
        Some(self.tracker.observe(relative, signature, None, self.now()))
    }

    /// Reads a sidecar that rests, and looks at its scan again.
    pub(super) fn settle_sidecar(&mut self, relative: &Path, scan: &Path) {
        let metadata = match fs::symlink_metadata(self.settings.path.join(relative)) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.sidecar_is_gone(relative, scan),
            Err(error) => return self.hold_unreadable(relative, &error),
        };
        if self.sidecar_verdict(relative, &metadata) != Some(Verdict::Rested) {
            return;
        }
        match sidecar::read(&self.settings.path, relative) {
            Ok((signature, said)) if signature == FileSignature::of(&metadata) => {
                let collection = self.settings.collection.clone();
                (self.sink)(Report::Sidecar { collection, relative: scan.to_owned(), found: Some((signature, said)) });
                self.tracker.forget(relative);
                self.known.insert(relative.as_os_str().as_bytes().to_vec(), signature);
                self.look_at(scan);
            }
            // Its next observation shows another state, and the rest begins anew.
            Ok(_) => self.look_at(relative),
            Err(answer) => self.tracker.hold(relative, WaitReason::Unreadable { answer }),
        }
    }

    /// Whether a scan that rests has to wait, because the sidecar beside it was not read in the state in which it is.
    pub(super) fn awaits_sidecar(&mut self, scan: &Path) -> bool {
        let relative = sidecar_beside(scan);
        match fs::symlink_metadata(self.settings.path.join(&relative)) {
            Ok(metadata) => {
                let known = self.known.get(relative.as_os_str().as_bytes());
                if known == Some(&FileSignature::of(&metadata)) {
                    return false;
                }
                self.observe_sidecar(&relative, &metadata);
                self.tracker.hold(scan, WaitReason::Sidecar);
                true
            }
            // A name too long for a sidecar has none.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename) => {
                if self.known.contains_key(relative.as_os_str().as_bytes()) {
                    self.tell_sidecar_gone(&relative, scan);
                }
                false
            }
            Err(error) => {
                self.hold_unreadable(scan, &error);
                true
            }
        }
    }

    /// Lets go of a sidecar that is not there, and looks at its scan, which may have waited for it.
    pub(super) fn sidecar_is_gone(&mut self, relative: &Path, scan: &Path) {
        self.tracker.forget(relative);
        self.tell_sidecar_gone(relative, scan);
        self.look_at(scan);
    }

    /// After a full look: tells of sidecars that the ledger knows and the look did not see.
    pub(super) fn tell_gone_sidecars(&mut self) {
        let seen: HashSet<PathBuf> = std::mem::take(&mut self.sidecars);
        let known = self.known.keys().map(|path| Path::new(OsStr::from_bytes(path)));
        let unseen = known.filter_map(|path| Some((path.to_owned(), scan_beside(path)?)));
        let unseen: Vec<_> = unseen.filter(|(path, _)| !seen.contains(path)).collect();
        for (relative, scan) in unseen {
            let found = fs::symlink_metadata(self.settings.path.join(&relative));
            if found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                self.tell_sidecar_gone(&relative, &scan);
            }
        }
    }

    fn tell_sidecar_gone(&mut self, relative: &Path, scan: &Path) {
        // Absence means something only in the directory that is the root.
        if self.known.contains_key(relative.as_os_str().as_bytes()) && self.check_root() == Presence::Online {
            self.known.remove(relative.as_os_str().as_bytes());
            let collection = self.settings.collection.clone();
            (self.sink)(Report::Sidecar { collection, relative: scan.to_owned(), found: None });
        }
    }
}
