//! What a scan's file says beside its samples, and what of it a derivative says: EXIF, IPTC-IIM and XMP.
//!
//! Captions, dates, authors and rights go on; what describes the old file's samples does not; and the derivative says in the words of
//! IPTC's standard that its colour is a machine's. Everything that comes from a file is hostile text until it has been through here. Where
//! blocks lie in a file is the business of [`crate::codec`].

mod derive;
mod fields;
mod iptc;
mod origin;
mod rdf;
mod xmp;

pub use self::derive::{Account, Carried, carry};
pub use self::fields::{Directory, Field, field, memory_of, rational, text};
pub use self::iptc::iim_of_resources;
pub use self::origin::{ExifForm, Origin, Policy, Room, SourceType};
pub use ::exif::{Rational, SRational, Value};

/// Longest EXIF block that is read, bytes. The largest honest ones hold a thumbnail of some 64 KiB.
pub const MAX_EXIF: usize = 1 << 20;

/// Longest XMP packet that is read, bytes.
pub const MAX_XMP: usize = 4 << 20;

/// Longest IPTC-IIM block that is read, bytes.
pub const MAX_IPTC: usize = 1 << 20;

/// Metadata as a file has it.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Fields of EXIF and of TIFF's directory, unchecked.
    pub exif: Vec<Field>,
    /// The datasets of IPTC-IIM, unchecked.
    pub iptc: Option<Vec<u8>>,
    /// The XMP packet, unchecked.
    pub xmp: Option<Vec<u8>>,
    /// What was found and could not be read, in words.
    pub dropped: Dropped,
}

impl Found {
    /// Whether a block is short enough to be read; if not, that is said.
    pub fn takes(&mut self, name: &str, length: u64, most: usize) -> bool {
        let takes = length <= most as u64;
        if !takes {
            self.dropped.say(format!("{name}: {length} bytes are more than the {most} that are read"));
        }
        takes
    }
}

/// What is not carried on, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped(Vec<String>);

impl Dropped {
    /// Adds one thing.
    pub fn say(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    /// The words; of very many some, and how many more there were.
    pub fn into_words(mut self) -> Vec<String> {
        const MOST: usize = 60;
        if let Some(more) = self.0.len().checked_sub(MOST).filter(|&more| more > 0) {
            self.0.truncate(MOST);
            self.0.push(format!("and {more} more"));
        }
        self.0
    }
}

/// Text without what XML forbids even as a reference (XML 1.0, 2.2) and what upsets a screen: control characters and U+FFFE, U+FFFF.
fn printable(text: &str) -> String {
    let kept = |letter: &char| !letter.is_control() || matches!(letter, '\t' | '\n' | '\r');
    text.chars().filter(kept).filter(|letter| !matches!(letter, '\u{FFFE}' | '\u{FFFF}')).collect()
}

#[cfg(test)]
mod tests;
