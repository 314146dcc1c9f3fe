//! Which names are scans: decided by the name alone, before a file is looked at.
//!
//! A file is taken when its extension, in any case, is one of [`PICTURES`]: formats this program decodes, and pictures it
//! may decode one day, which must be refused by name in the ledger rather than passed over in silence. Everything else
//! (`.txt`, `.xml`, `.done`, files without an extension) is not a scan; it is counted and nothing more. Names that begin
//! with a dot or a tilde are somebody's unfinished or private files, whatever their extension.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Extensions of pictures. Unfinished copies (`.part`, `.partial`, `.tmp`, `.crdownload`, `.filepart`, `.lock`, `NAME~`)
/// are left out by not being here.
const PICTURES: [&str; 18] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "tif", "tiff", "jp2", "jpx", "jpf", "j2k", "j2c", "webp", "bmp", "dng", "gif", "heic",
    "psd",
];

/// Folders that file servers and desktops make for themselves: Synology, QNAP, NetApp, Windows, macOS, ext4. Those that
/// begin with a dot are left out anyway.
const FOREIGN_FOLDERS: [&str; 10] = [
    "@eadir",
    "#recycle",
    "@recycle",
    "#snapshot",
    "@recently-snapshot",
    "$recycle.bin",
    "system volume information",
    "network trash folder",
    "temporary items",
    "lost+found",
];

/// The extension of marker files, see [`super::Ready::Marker`].
pub(super) const MARKER: &str = ".done";

/// Whether a file of this name is a scan.
pub(super) fn is_scan(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let Some(dot) = bytes.iter().rposition(|&byte| byte == b'.') else { return false };
    !is_private(bytes) && dot > 0 && PICTURES.iter().any(|extension| bytes[dot + 1..].eq_ignore_ascii_case(extension.as_bytes()))
}

/// Whether a folder of this name is looked into.
pub(super) fn is_collection_folder(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !is_private(bytes) && !FOREIGN_FOLDERS.iter().any(|foreign| bytes.eq_ignore_ascii_case(foreign.as_bytes()))
}

/// `.nfs…`, `.smbdelete…`, `.syncthing.…`, `.goutputstream-…`, `._…`, `.DS_Store`, `~$…`, `~syncthing~…`.
fn is_private(name: &[u8]) -> bool {
    name.starts_with(b".") || name.starts_with(b"~")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &[u8]) -> bool {
        is_scan(OsStr::from_bytes(name))
    }

    #[test]
    fn pictures_are_scans_whatever_they_are_called() {
        let names: [&[u8]; 9] = [
            b"a.jpg",
            b"A.JPG",
            b"plate 12.TiFf",
            b"-rf.png",
            b"new\nline.jpg",
            b"\xDF.jpg",
            b"a.b.c.jpeg",
            b"raw.DNG",
            b"#1.webp",
        ];
        assert!(names.iter().all(|name| taken(name)));
    }

    #[test]
    fn unfinished_private_and_other_files_are_not() {
        let names = [
            "a.jpg.part",
            "a.partial",
            "a.tif.tmp",
            "a.jpg.crdownload",
            "a.jpg.filepart",
            "a.tif.lock",
            "~a.jpg",
            "~$a.tif",
            "a.jpg~",
            ".nfs000001",
            ".smbdelete0001.jpg",
            ".syncthing.a.jpg.tmp",
            "~syncthing~a.jpg",
            ".goutputstream-X.jpg",
            "._a.jpg",
            ".DS_Store",
            "Thumbs.db",
            "desktop.ini",
            "a.jpg.done",
            "a.txt",
            "a.xml",
            "a.jpg.json",
            "README",
            "jpg",
            ".jpg",
            "a.",
            "",
        ];
        for name in names {
            assert!(!taken(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn folders_of_file_servers_are_not_looked_into() {
        let foreign =
            ["@eaDir", "#recycle", ".stversions", ".Trash-1000", "$RECYCLE.BIN", "System Volume Information", "lost+found"];
        assert!(foreign.iter().all(|name| !is_collection_folder(OsStr::new(name))));
        assert!(["1908", "Nachlass Müller", "a.jpg", "#12"].iter().all(|name| is_collection_folder(OsStr::new(name))));
    }
}
