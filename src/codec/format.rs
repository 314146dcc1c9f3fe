//! Which format a file has, by its first bytes.

use std::fmt;
use std::str::FromStr;

use super::DecodeError;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (ITU-T T.81), 8 bits, grey or RGB.
    Jpeg,
    /// PNG (W3C, third edition), not animated.
    Png,
    /// TIFF 6.0 and BigTIFF.
    Tiff,
}

/// First bytes of files that people take for scans, to say what was found instead.
const OTHERS: &[(&[u8], &str)] = &[
    (b"GIF8", "a GIF"),
    (b"BM", "a Windows bitmap"),
    (b"%PDF", "a PDF"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0CjP  ", "a JPEG 2000 file"),
    (b"\xFF\x4F\xFF\x51", "a JPEG 2000 codestream"),
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
            _ => Err(DecodeError::UnknownFormat { found: describe(bytes) }),
        }
    }

    /// `jpg`, `png`, `tif`.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Tiff => "tif",
        }
    }

    /// The word of configuration and records: `jpeg`, `png`, `tiff`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Tiff => "tiff",
        }
    }
}

fn describe(bytes: &[u8]) -> &'static str {
    if let Some((_, name)) = OTHERS.iter().find(|(signature, _)| bytes.starts_with(signature)) {
        return name;
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return "a WebP";
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
        [Self::Jpeg, Self::Png, Self::Tiff]
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
