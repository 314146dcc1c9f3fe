//! Unfinished files: those that a dead process left behind, and reports that replace an older one at once.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use walkdir::WalkDir;

/// Removes unfinished files of earlier processes below an output root and returns how many there were.
///
/// Only regular files named as this program names its own are touched. What cannot be looked into is left alone; a tree
/// that does not exist has none. The caller holds the ledger's lock: no other process works on these derivatives.
pub fn sweep_parts(output_root: &Path) -> io::Result<usize> {
    match std::fs::metadata(output_root) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    }
    let mut removed = 0;
    for entry in WalkDir::new(output_root).follow_links(false) {
        // A folder that cannot be read keeps its unfinished files; publishing into it is going to say why.
        let Ok(entry) = entry else { continue };
        if entry.file_type().is_file() && is_part(entry.file_name()) {
            remove(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// `.` NAME `.` DIGITS `-` DIGITS `.part`
fn is_part(name: &OsStr) -> bool {
    let fence = || {
        let inner = name.as_bytes().strip_prefix(b".")?.strip_suffix(b".part")?;
        let dot = inner.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0)?;
        let fence = std::str::from_utf8(&inner[dot + 1..]).ok()?;
        fence.split_once('-')
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    fence().is_some_and(|(job, claim)| is_number(job) && is_number(claim))
}

#[expect(clippy::disallowed_methods, reason = "unfinished files are this room's own")]
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a report (not a derivative) in place of an older one: readers see the old file or the new one, never half of
/// either. The folder must exist; a link under the name is replaced, not followed.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut part_name = OsString::from(".");
    part_name.push(name);
    part_name.push(format!(".{}-{}.part", std::process::id(), fastrand::u32(..)));
    let part = folder.join(part_name);
    let written = write_and_rename(&part, path, bytes);
    if written.is_err() {
        // The error that is told is the first one.
        let _ = remove(&part);
    }
    written?;
    match rustix::fs::fsync(std::fs::File::open(folder)?) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place where reports are replaced")]
fn write_and_rename(part: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::File::options().write(true).create_new(true).open(part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(part, path)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_our_own_unfinished_files_are_swept_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        let ours = ["a/.x.tif.12-3.part", "a/b/.x.tif.json.1-1.part"];
        let others = [
            "a/x.tif",
            "a/.x.part",
            "a/x.tif.12-3.part",
            "a/.x.tif.12-.part",
            "a/.x.tif.a-3.part",
            "a/..1-1.part",
            "a/.x.1-1.part~",
        ];
        for name in ours.iter().chain(&others) {
            fs::write(tree.join(name), b"x").unwrap();
        }
        fs::write(outside.join(".x.tif.1-1.part"), b"x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("link")).unwrap();
        std::os::unix::fs::symlink(&tree, tree.join("a/loop")).unwrap();
        assert_eq!(sweep_parts(&tree).unwrap(), ours.len());
        assert!(others.iter().all(|name| tree.join(name).exists()));
        assert!(outside.join(".x.tif.1-1.part").exists());
        assert_eq!(sweep_parts(&tree).unwrap(), 0);
        assert_eq!(sweep_parts(&dir.path().join("missing")).unwrap(), 0);
    }

    #[test]
    fn a_report_is_replaced_whole_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sheet.html");
        for bytes in [&b"first, and longer"[..], b"second"] {
            replace_file(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::create_dir(dir.path().join("folder")).unwrap();
        replace_file(&dir.path().join("folder"), b"x").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the unfinished file is removed");
        replace_file(&dir.path().join("missing/sheet.html"), b"x").unwrap_err();
    }
}
