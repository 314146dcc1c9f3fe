//! Whether an ingest root is there, and is the directory it was.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{FileSignature, Known, RootIdentity};

/// How many files that the ledger knows are looked for before a root with another device number counts as another root.
const WITNESSES: usize = 256;

/// What the directory at `path` is, if it is the one that is expected; otherwise why the root is offline, in one line.
///
/// A device number is not for ever: after a restart a share or a disk may get another. A directory with the expected inode
/// is taken for the expected one when a file that the ledger knows lies in it unchanged; `known` then learns the number.
pub(super) fn identify(path: &Path, expected: Option<RootIdentity>, known: &mut Known) -> Result<RootIdentity, String> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{} does not exist; is the volume mounted?", path.display()),
        _ => format!("{} cannot be looked at: {error}", path.display()),
    })?;
    if !metadata.is_dir() {
        return Err(format!("{} is not a directory", path.display()));
    }
    let found = RootIdentity::of(&metadata);
    match expected {
        Some(expected) if expected != found => {
            if expected.inode != found.inode || !holds_known_file(path, known) {
                return Err(format!("another directory lies at {}; is the volume mounted?", path.display()));
            }
            let moved = known.values_mut().filter(|signature| signature.device == expected.device);
            moved.for_each(|signature| signature.device = found.device);
        }
        _ => {}
    }
    // Looking into it: a directory without the right to list it shows nothing and would look empty.
    fs::read_dir(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Ok(found)
}

fn holds_known_file(path: &Path, known: &Known) -> bool {
    known.iter().take(WITNESSES).any(|(relative, signature)| {
        let found = fs::symlink_metadata(path.join(OsStr::from_bytes(relative)));
        found.is_ok_and(|metadata| {
            let FileSignature { inode, size, mtime_ns, .. } = FileSignature::of(&metadata);
            (inode, size, mtime_ns) == (signature.inode, signature.size, signature.mtime_ns)
        })
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests {
    use super::*;

    fn identity(path: &Path) -> RootIdentity {
        RootIdentity::of(&fs::metadata(path).unwrap())
    }

    #[test]
    fn the_directory_that_was_there_before_is_online_and_any_other_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        let expected = identify(&root, None, &mut Known::new()).unwrap();
        assert_eq!(identify(&root, Some(expected), &mut Known::new()), Ok(expected));
        fs::rename(&root, dir.path().join("aside")).unwrap();
        let missing = identify(&root, Some(expected), &mut Known::new()).unwrap_err();
        assert!(missing.contains("does not exist"), "{missing}");
        fs::create_dir(&root).unwrap();
        let other = identify(&root, Some(expected), &mut Known::new()).unwrap_err();
        assert!(other.contains("another directory") && other.contains("mounted?"), "{other}");
        fs::remove_dir(&root).unwrap();
        fs::write(&root, b"").unwrap();
        assert!(identify(&root, None, &mut Known::new()).unwrap_err().contains("not a directory"));
    }

    #[test]
    fn a_new_device_number_is_believed_only_with_a_witness() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.jpg"), b"scan").unwrap();
        let found = identity(dir.path());
        let before = RootIdentity { device: found.device ^ 1, ..found };
        let now = FileSignature::of(&fs::metadata(dir.path().join("a.jpg")).unwrap());
        let recorded = FileSignature { device: before.device, ..now };
        let mut known = Known::from([(b"a.jpg".to_vec(), recorded)]);
        assert_eq!(identify(dir.path(), Some(before), &mut known), Ok(found));
        assert_eq!(known[&b"a.jpg"[..]], now, "the file needs no second reading");
        let mut strangers = Known::from([(b"a.jpg".to_vec(), FileSignature { size: 5, ..recorded })]);
        for known in [&mut Known::new(), &mut strangers] {
            identify(dir.path(), Some(before), known).unwrap_err();
        }
    }
}
