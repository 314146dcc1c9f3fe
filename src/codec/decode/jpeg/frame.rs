//! What a JPEG's frame header says (ITU-T T.81, B.2.2), and how markers are looked for in its data.

use crate::codec::{DecodeError, Format};
use crate::imaging::Size;

pub(super) fn damaged(what: impl Into<String>) -> DecodeError {
    DecodeError::damaged(Format::Jpeg, what.into())
}

pub(super) fn unsupported(what: impl Into<String>) -> DecodeError {
    DecodeError::unsupported(Format::Jpeg, what)
}

/// A big-endian number, if it is there.
pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A component of the frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) horizontal: u8,
    pub(super) vertical: u8,
}

/// What the frame header (SOF) says.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) size: Size,
    pub(super) components: Vec<Component>,
    pub(super) progressive: bool,
}

impl Frame {
    /// The largest sampling factors, across and down.
    pub(super) fn factors(&self) -> (u32, u32) {
        let most = |side: fn(&Component) -> u8| self.components.iter().map(side).max().map_or(1, u32::from);
        (most(|one| one.horizontal), most(|one| one.vertical))
    }

    /// Minimum coded units of all components together, beside and below each other.
    pub(super) fn units(&self) -> Size {
        let (across, down) = self.factors();
        Size::new(self.size.width.div_ceil(8 * across), self.size.height.div_ceil(8 * down))
    }

    pub(super) fn read(payload: &[u8], progressive: bool) -> Result<Self, DecodeError> {
        let bad = || damaged("its frame header is not one");
        let [precision, _, _, _, _, count, rest @ ..] = payload else { return Err(bad()) };
        let (height, width) = (be16(payload, 1).ok_or_else(bad)?, be16(payload, 3).ok_or_else(bad)?);
        if *precision != 8 {
            return Err(unsupported(format!("{precision} bits a sample")));
        }
        if height == 0 {
            return Err(unsupported("a height given after the picture (DNL)"));
        }
        if rest.len() != 3 * usize::from(*count) {
            return Err(bad());
        }
        let component = |entry: &[u8]| Component { id: entry[0], horizontal: entry[1] >> 4, vertical: entry[1] & 0xF };
        let components: Vec<_> = rest.chunks_exact(3).map(component).collect();
        if components.iter().any(|one| !(1..=4).contains(&one.horizontal) || !(1..=4).contains(&one.vertical)) {
            return Err(bad());
        }
        Ok(Self { size: Size::new(width.into(), height.into()), components, progressive })
    }
}

/// The next byte of all ones at or behind `at`, looked for eight at a time: data has one in some 200.
pub(super) fn next_ff(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(eight) = bytes.get(at..at + 8) {
        let inverted = !u64::from_le_bytes(eight.try_into().expect("eight bytes are eight"));
        // The classic test for a zero byte; its lowest hit is always a true one.
        let zero = inverted.wrapping_sub(0x0101_0101_0101_0101) & !inverted & 0x8080_8080_8080_8080;
        if zero != 0 {
            return Some(at + zero.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes.get(at..)?.iter().position(|&byte| byte == 0xFF).map(|found| at + found)
}
