//! Which format a file has, by its first bytes.

use std::fmt;
use std::str::FromStr;

use super::DecodeError;
use crate::metadata::{ExifForm, MAX_EXIF, MAX_IPTC, MAX_XMP, Room};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (ITU-T T.81), 8 bits, grey or RGB.
    Jpeg,
    /// PNG (W3C, third edition), not animated.
    Png,
    /// TIFF 6.0 and BigTIFF.
    Tiff,
    /// WebP, not animated; read only.
    WebP,
    /// JPEG 2000, in JP2 files and as bare codestreams; read only.
    Jpeg2000,
}

/// First bytes of files that people take for scans, to say what was found instead.
const OTHERS: &[(&[u8], &str)] = &[
    (b"GIF8", "a GIF"),
    (b"BM", "a Windows bitmap"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop document"),
    (b"\xFF\x0A", "a JPEG XL codestream"),
    (b"\0\0\0\x0CJXL ", "a JPEG XL file"),
    (b"PK\x03\x04", "a ZIP archive"),
];

impl Format {
    /// The format whose signature the bytes begin with.
    ///
    /// # Errors
    /// [`DecodeError::Empty`] for no bytes at all, [`DecodeError::UnknownFormat`] for any other beginning.
    pub fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [] => Err(DecodeError::Empty),
            [0xFF, 0xD8, 0xFF, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Ok(Self::Png),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Self::Tiff),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            [0, 0, 0, 0x0C, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => Ok(Self::Jpeg2000),
            _ => Err(DecodeError::UnknownFormat { found: describe(bytes) }),
        }
    }

    /// `jpg`, `png`, `tif`, `webp`, `jp2`.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Tiff => "tif",
            Self::WebP => "webp",
            Self::Jpeg2000 => "jp2",
        }
    }

    /// The word of configuration and records: `jpeg`, `png`, `tiff`, `webp`, `jpeg2000`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Tiff => "tiff",
            Self::WebP => "webp",
            Self::Jpeg2000 => "jpeg2000",
        }
    }

    /// Those that are written.
    pub const WRITTEN: [Self; 3] = [Self::Jpeg, Self::Png, Self::Tiff];

    /// The format of a derivative that is to have its scan's: what is only read has a lossless one of at least its depth instead.
    pub const fn of_derivative(self) -> Self {
        match self {
            Self::Jpeg => Self::Jpeg,
            Self::Png | Self::WebP => Self::Png,
            Self::Tiff | Self::Jpeg2000 => Self::Tiff,
        }
    }
}

impl Format {
    /// The registered media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Tiff => "image/tiff",
            Self::WebP => "image/webp",
            Self::Jpeg2000 => "image/jp2",
        }
    }

    /// Longest blocks of metadata that are written: of a JPEG one segment each, which has 64 KiB with what it begins with.
    pub const fn room(self) -> Room {
        const SEGMENT: usize = 65_000;
        match self {
            Self::Jpeg => Room { exif: ExifForm::LumaBlock(SEGMENT), iptc: SEGMENT, xmp: SEGMENT },
            Self::Tiff => Room { exif: ExifForm::Directories, iptc: MAX_IPTC, xmp: MAX_XMP },
            Self::Png | Self::WebP | Self::Jpeg2000 => Room { exif: ExifForm::Block(MAX_EXIF), iptc: MAX_IPTC, xmp: MAX_XMP },
        }
    }
}

fn describe(bytes: &[u8]) -> &'static str {
    if let Some((_, name)) = OTHERS.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return name;
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return "a HEIF, AVIF or video file";
    }
    let start = &bytes[..bytes.len().min(512)];
    if start.iter().all(|&byte| byte == 0) {
        return "zeros, as of a copy that never arrived";
    }
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7E | 0x80..);
    if start.iter().all(is_text) && start.is_ascii() { "plain text" } else { "bytes of no known kind" }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that names none of the choices there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not one of {choices}")]
pub struct UnknownWord {
    /// What was written.
    pub word: String,
    /// What may be written.
    pub choices: &'static str,
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::WRITTEN
            .into_iter()
            .find(|format| format.word() == word)
            .ok_or_else(|| UnknownWord { word: word.to_owned(), choices: "jpeg, png, tiff" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_written_and_read_as_one_word() {
        for (format, word, extension) in
            [(Format::Jpeg, "jpeg", "jpg"), (Format::Png, "png", "png"), (Format::Tiff, "tiff", "tif")]
        {
            assert_eq!(format.to_string(), word);
            assert_eq!(word.parse(), Ok(format));
            assert_eq!(format.extension(), extension);
        }
        assert_eq!("gif".parse::<Format>().unwrap_err().to_string(), "\"gif\" is not one of jpeg, png, tiff");
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let reason = |bytes: &[u8]| Format::of(bytes).unwrap_err().to_string();
        assert_eq!(reason(b""), "the file is empty");
        assert!(reason(b"Dear Sir, enclosed please find").contains("plain text"));
        assert!(reason(b"GIF89a....").contains("a GIF"));
        assert!(reason(&[0; 600]).contains("zeros"));
        assert!(reason(&[0xFF, 0xD8]).contains("no known kind"));
    }
}
