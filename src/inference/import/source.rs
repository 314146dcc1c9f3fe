//! The file that is brought in: opened once, hashed, recognised by its content, and never changed.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ImportError;
use super::part::Part;
use crate::digest::Digest;

/// Longest header of a safetensors file, as the format bounds it.
pub(super) const LONGEST_HEADER: u64 = 100_000_000;
/// Bytes at the beginning that tell what a file is: a tar header has its mark at 257.
const HEAD: u64 = 512;
/// Mark at the beginning of every pickle stream that PyTorch wrote before its zip archives, little-endian.
const OLD_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A zip archive, which PyTorch has written since 1.6.
    Torch,
    /// Safetensors.
    Safetensors,
    /// A protobuf message that begins as an ONNX model does.
    Onnx,
}

/// A file to import.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    file: File,
    kind: Kind,
    digest: Digest,
    signature: [i64; 6],
}

impl Source {
    /// Opens and hashes a file.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let unreadable = |source| ImportError::Read { path: path.to_owned(), source };
        // Asked before it is opened: opening a named pipe waits for somebody to write.
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")));
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let signature = signature(&file).map_err(unreadable)?;
        let mut head = Vec::new();
        (&file).take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
        let kind = recognise(&head, path)?;
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let (digest, _) = Digest::of_reader(&file).map_err(unreadable)?;
        Ok(Self { path: path.to_owned(), file, kind, digest, signature })
    }

    /// As it was named.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// SHA-256 of all its bytes.
    pub(super) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its length.
    pub(super) const fn bytes(&self) -> u64 {
        self.signature[2].unsigned_abs()
    }

    /// Its name without directories, on one line.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
    }

    /// The open file.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// A path that leads to the file that was hashed, whatever has its name by now.
    pub(super) fn descriptor_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// An error unless nobody has touched the file since it was opened: what was hashed is what was read.
    pub(super) fn still_the_same(&self) -> Result<(), ImportError> {
        match signature(&self.file) {
            Ok(now) if now == self.signature => Ok(()),
            Ok(_) => Err(ImportError::Changed { path: self.path.clone() }),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// Copies the file as it is.
    pub(super) fn copy_to(&self, part: &mut Part) -> Result<(), ImportError> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(|error| self.unreadable(error))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(|error| self.unreadable(error))? {
                0 => return self.still_the_same(),
                count => part.write(&buffer[..count])?,
            }
        }
    }

    /// Reading it went wrong.
    pub(super) fn unreadable(&self, source: io::Error) -> ImportError {
        ImportError::Read { path: self.path.clone(), source }
    }

    /// Its content is wrong; `detail` may be anything.
    pub(super) fn damaged(&self, detail: impl std::fmt::Display) -> ImportError {
        let detail = crate::inference::error::one_line(&detail.to_string().escape_debug().to_string());
        ImportError::Damaged { path: self.path.clone(), detail: detail.trim_end_matches('.').to_owned() }
    }
}

/// Device, inode, length, and the moments of the last change of content and of attributes.
fn signature(file: &File) -> io::Result<[i64; 6]> {
    let meta = file.metadata()?;
    let changed = meta.ctime().wrapping_mul(1_000_000_000).wrapping_add(meta.ctime_nsec());
    Ok([meta.dev().cast_signed(), meta.ino().cast_signed(), meta.len().cast_signed(), meta.mtime(), meta.mtime_nsec(), changed])
}

fn recognise(head: &[u8], path: &Path) -> Result<Kind, ImportError> {
    let header = head.first_chunk().map(|&length| u64::from_le_bytes(length));
    let window = &head[..head.len().min(64)];
    let is_old = window.windows(OLD_MAGIC.len()).any(|bytes| bytes == OLD_MAGIC)
        || window.windows(24).any(|bytes| bytes == b"119547037146038801333356")
        || head.get(257..262) == Some(b"ustar");
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Ok(Kind::Torch)
    } else if header.is_some_and(|length| length <= LONGEST_HEADER) && head.get(8) == Some(&b'{') {
        Ok(Kind::Safetensors)
    } else if is_old || matches!(head, [0x80, 1..=5, ..]) {
        Err(ImportError::OldPickle { path: path.to_owned() })
    } else if matches!(head, [0x08, 1..=0x7f, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..]) {
        // `ModelProto.ir_version` as field 1, then a tag of the fields 2 to 8.
        Ok(Kind::Onnx)
    } else {
        Err(ImportError::Kind { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        let kind = |head: &[u8]| recognise(head, Path::new("x.pth")).map_err(|error| error.to_string());
        assert_eq!(kind(b"PK\x03\x04rest"), Ok(Kind::Torch));
        assert_eq!(kind(b"\x80\x02\0\0\0\0\0\0{\"a\""), Ok(Kind::Safetensors));
        assert_eq!(kind(b"\x08\x08\x12\x07pytorch"), Ok(Kind::Onnx));
        for old in [b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.".as_slice(), b"\x80\x02}q\0."] {
            assert_eq!(kind(old), Err("x.pth is in the old pickle format of PyTorch".to_owned()));
        }
        for other in [b"".as_slice(), b"\x89PNG\r\n\x1a\n", &[0xff; 400]] {
            assert_eq!(kind(other), Err("x.pth is not a PyTorch checkpoint, safetensors or ONNX".to_owned()));
        }
    }
}
