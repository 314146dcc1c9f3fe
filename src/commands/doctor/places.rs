//! Disks and rights: can what must be read be read, and is there room for what must be written. Nothing is created.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::report::Check;
use crate::config::{CollectionSettings, Settings};
use crate::{ingest, publish, store};

/// Room the ledger wants on its disk, MiB: a million jobs and a write-ahead log that could not be shortened for a while.
const LEDGER_MIB: u64 = 512;

/// Files that must still fit on a volume: a batch's derivatives and their records.
const LEAST_INODES: u64 = 10_000;

pub(super) fn disks(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![state_disk(&settings.state)];
    for one in &settings.collections {
        checks.extend(one.outputs.iter().map(|output| output_disk(one, &output.path)));
    }
    checks
}

fn state_disk(state: &Path) -> Check {
    if let Err(error) = store::refuse_network_file_system(nearest(state)) {
        let hint = error.hint();
        return Check::failed("disks", anyhow::Error::from(error), hint);
    }
    match publish::free_bytes(state) {
        Err(error) => cannot_ask(state, &error),
        Ok(free) if free >> 20 < LEDGER_MIB => {
            let message = format!("the state directory {} has {} MiB left", state.display(), free >> 20);
            Check::warning("disks", message, format!("make room: the ledger wants {LEDGER_MIB} MiB"))
        }
        Ok(free) => Check::ok("disks", format!("{} lies on a local disk, {} free", state.display(), size(free))),
    }
}

fn output_disk(one: &CollectionSettings, output: &Path) -> Check {
    let wanted = one.profile.min_free_bytes;
    let free = match publish::free_bytes(output) {
        Ok(free) => free,
        Err(error) => return cannot_ask(output, &error),
    };
    if free < wanted {
        let message =
            format!("the output of {} has {} free, below the {} that must stay free", one.name, size(free), size(wanted));
        return Check::failed("disks", message, Some("make room, or lower output.min_free_mib".to_owned()));
    }
    // File systems without a fixed number of files (Btrfs, XFS in part) say 0.
    if let Ok(volume) = statvfs(nearest(output))
        && volume.f_files > 0
        && volume.f_favail < LEAST_INODES
    {
        let message = format!("the output of {} has room for {} more files only", one.name, volume.f_favail);
        return Check::warning("disks", message, "every derivative takes two files: delete or move small files of this volume");
    }
    Check::ok("disks", format!("the output of {} has {} free, {} must stay free", one.name, size(free), size(wanted)))
}

pub(super) fn rights(settings: &Settings) -> Vec<Check> {
    let mut checks = vec![writable("the state directory", &settings.state)];
    for one in &settings.collections {
        checks.push(readable(one));
        checks.extend(one.outputs.iter().map(|output| writable(&format!("the output of {}", one.name), &output.path)));
    }
    if let Err(error) = ingest::check_trees(&settings.trees()) {
        let hint = error.hint().map(Into::into);
        checks.push(Check::failed("rights", anyhow::Error::from(error), hint));
    }
    checks
}

fn readable(one: &CollectionSettings) -> Check {
    let root = &one.ingest;
    if !root.is_dir() {
        let message = format!("the ingest root of {} is not there: {}", one.name, root.display());
        return Check::failed(
            "rights",
            message,
            Some("create it, or bring its mount back; nothing is concluded from its absence".to_owned()),
        );
    }
    match access(root, Access::READ_OK | Access::EXEC_OK) {
        Ok(()) => Check::ok("rights", format!("the ingest root of {} can be read: {}", one.name, root.display())),
        Err(error) => {
            let message = format!("the ingest root of {} cannot be read: {}: {error}", one.name, root.display());
            Check::failed("rights", message, Some("give the user that runs autochrome the right to read and enter it".to_owned()))
        }
    }
}

fn writable(what: &str, directory: &Path) -> Check {
    let asked = nearest(directory);
    let will_be = if asked == directory { "" } else { ", where it will be created" };
    match access(asked, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::ok("rights", format!("{what} can be written: {}{will_be}", asked.display())),
        Err(error) => {
            let message = format!("{what} cannot be written: {}{will_be}: {error}", asked.display());
            let hint =
                "give the user that runs autochrome the right to write there; a service may also need it in ReadWritePaths=";
            Check::failed("rights", message, Some(hint.to_owned()))
        }
    }
}

/// The directory itself, or the nearest above it that is there.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(path)
}

fn cannot_ask(path: &Path, error: &std::io::Error) -> Check {
    let message = format!("the volume of {} does not answer: {error}", PathBuf::from(path).display());
    Check::failed("disks", message, Some("check that it is mounted".to_owned()))
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn size(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_will_be_created_is_judged_by_the_nearest_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&folder.path().join("a/b/c")), folder.path());
        assert_eq!(nearest(folder.path()), folder.path());
    }
}
