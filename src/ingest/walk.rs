//! Looks through a tree: folders in order of name, links never followed, each folder entered before it is listed.
//!
//! Entering first is what closes the gap of recursive watches: a visitor that watches a folder on entering it either
//! hears of a file or finds it in the list.

use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::mount::{Delivery, delivery};
use super::{ignore, sidecar};

/// What a walk meets. Breaking ends it.
pub(super) trait Visitor {
    /// A folder that is going to be listed, and how its mount tells of changes.
    fn enter(&mut self, relative: &Path, delivery: Delivery, is_mount: bool) -> ControlFlow<()>;
    /// A regular file whose name is a scan's.
    fn scan(&mut self, relative: &Path, metadata: &Metadata) -> ControlFlow<()>;
    /// Something that has the name of a scan's sidecar, perhaps a link.
    fn sidecar(&mut self, relative: &Path, metadata: &Metadata);
    /// A file that is none, or no regular file.
    fn ignored(&mut self);
    /// A folder or file that could not be looked at; the walk goes on.
    fn failed(&mut self, relative: &Path, error: &io::Error);
}

/// A folder on the list of a walk.
struct Folder {
    relative: PathBuf,
    /// Device and delivery of the folder above; none where the walk begins.
    above: Option<(u64, Delivery)>,
}

/// Walks the tree below `root` from `start` on, a folder's path below it (empty: the root itself).
pub(super) fn walk(root: &Path, start: &Path, visitor: &mut impl Visitor) -> ControlFlow<()> {
    // The last one is next. Memory: the unlisted folders of one branch.
    let mut folders = vec![Folder { relative: start.to_owned(), above: None }];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder.relative);
        match enter(&path, &folder, visitor)? {
            Ok(Some(here)) => list(&path, &folder.relative, here, &mut folders, visitor)?,
            Ok(None) => {}
            Err(error) => gone_or_failed(&folder.relative, &error, visitor),
        }
    }
    ControlFlow::Continue(())
}

/// Enters a folder; `None` when it is none any more.
fn enter(path: &Path, folder: &Folder, visitor: &mut impl Visitor) -> ControlFlow<(), io::Result<Option<(u64, Delivery)>>> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = folder.relative.as_os_str().is_empty();
    let metadata = if is_root { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let device = match metadata {
        Ok(metadata) if metadata.is_dir() => metadata.dev(),
        Ok(_) => return ControlFlow::Continue(Ok(None)),
        Err(error) => return ControlFlow::Continue(Err(error)),
    };
    let (told, is_mount) = match folder.above {
        Some((above, told)) if above == device => (told, false),
        _ => (delivery(path), true),
    };
    visitor.enter(&folder.relative, told, is_mount)?;
    ControlFlow::Continue(Ok(Some((device, told))))
}

fn list(
    path: &Path,
    relative: &Path,
    here: (u64, Delivery),
    folders: &mut Vec<Folder>,
    visitor: &mut impl Visitor,
) -> ControlFlow<()> {
    let mut entries: Vec<DirEntry> = Vec::new();
    match fs::read_dir(path) {
        Ok(listing) => {
            for entry in listing {
                match entry {
                    Ok(entry) => entries.push(entry),
                    Err(error) => {
                        visitor.failed(relative, &error);
                        break;
                    }
                }
            }
        }
        Err(error) => gone_or_failed(relative, &error, visitor),
    }
    entries.sort_by_key(DirEntry::file_name);
    let first = folders.len();
    for entry in entries {
        let name = entry.file_name();
        let relative = relative.join(&name);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if ignore::is_collection_folder(&name) {
                    folders.push(Folder { relative, above: Some(here) });
                }
            }
            Ok(kind) if kind.is_file() && ignore::is_scan(&name) => match entry.metadata() {
                Ok(metadata) if metadata.is_file() => visitor.scan(&relative, &metadata)?,
                Ok(_) => visitor.ignored(),
                Err(error) => gone_or_failed(&relative, &error, visitor),
            },
            Ok(_) if sidecar::scan_of(&name).is_some() => match entry.metadata() {
                Ok(metadata) => visitor.sidecar(&relative, &metadata),
                Err(error) => gone_or_failed(&relative, &error, visitor),
            },
            Ok(_) => visitor.ignored(),
            Err(error) => gone_or_failed(&relative, &error, visitor),
        }
    }
    folders[first..].reverse();
    ControlFlow::Continue(())
}

/// What vanished between two looks is no error.
fn gone_or_failed(relative: &Path, error: &io::Error, visitor: &mut impl Visitor) {
    if error.kind() != io::ErrorKind::NotFound {
        visitor.failed(relative, error);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[derive(Default)]
    struct Notes {
        scans: Vec<String>,
        sidecars: Vec<String>,
        entered: Vec<String>,
        mounts: usize,
        ignored: u32,
        limit: Option<usize>,
    }

    impl Visitor for Notes {
        fn enter(&mut self, relative: &Path, _: Delivery, is_mount: bool) -> ControlFlow<()> {
            self.entered.push(relative.to_str().unwrap().to_owned());
            self.mounts += usize::from(is_mount);
            ControlFlow::Continue(())
        }

        fn scan(&mut self, relative: &Path, _: &Metadata) -> ControlFlow<()> {
            self.scans.push(relative.to_str().unwrap().to_owned());
            if self.limit == Some(self.scans.len()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }

        fn sidecar(&mut self, relative: &Path, _: &Metadata) {
            self.sidecars.push(relative.to_str().unwrap().to_owned());
        }

        fn ignored(&mut self) {
            self.ignored += 1;
        }

        fn failed(&mut self, relative: &Path, error: &io::Error) {
            panic!("{}: {error}", relative.display());
        }
    }

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b/2.jpg",
            "b/2.jpg.autochrome.toml",
            "b/c/3.tif",
            "a/1.png",
            "z.jpg",
            "a/note.txt",
            "@eaDir/thumb.jpg",
            ".hidden/x.jpg",
            ".x.jpg",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        dir
    }

    #[test]
    fn scans_come_in_order_and_links_sockets_and_private_folders_do_not() {
        let dir = tree();
        symlink(dir.path().join("z.jpg"), dir.path().join("link.jpg")).unwrap();
        symlink(dir.path(), dir.path().join("a/loop")).unwrap();
        symlink(dir.path(), dir.path().join("loop.jpg")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket.jpg")).unwrap();
        let mut notes = Notes::default();
        assert!(walk(dir.path(), Path::new(""), &mut notes).is_continue());
        assert_eq!(notes.scans, ["z.jpg", "a/1.png", "b/2.jpg", "b/c/3.tif"]);
        assert_eq!(notes.entered, ["", "a", "b", "b/c"]);
        assert_eq!((notes.ignored, notes.mounts), (6, 1));
        assert_eq!(notes.sidecars, ["b/2.jpg.autochrome.toml"], "no scan, and not unknown either");
    }

    #[test]
    fn a_walk_may_begin_in_a_folder_and_ends_when_told() {
        let dir = tree();
        let mut notes = Notes::default();
        assert!(walk(dir.path(), Path::new("b"), &mut notes).is_continue());
        assert_eq!(notes.scans, ["b/2.jpg", "b/c/3.tif"]);
        let mut notes = Notes { limit: Some(2), ..Notes::default() };
        assert!(walk(dir.path(), Path::new(""), &mut notes).is_break());
        assert_eq!(notes.scans.len(), 2);
    }

    #[test]
    fn a_root_behind_a_link_is_walked_and_a_folder_that_became_a_link_is_not() {
        let dir = tree();
        let other = tempfile::tempdir().unwrap();
        symlink(dir.path(), other.path().join("root")).unwrap();
        let mut notes = Notes::default();
        assert!(walk(&other.path().join("root"), Path::new(""), &mut notes).is_continue());
        assert_eq!(notes.scans.len(), 4);
        let mut notes = Notes::default();
        assert!(walk(other.path(), Path::new("root"), &mut notes).is_continue());
        assert!(notes.scans.is_empty());
    }
}
