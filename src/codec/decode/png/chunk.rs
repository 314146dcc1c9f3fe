//! A PNG's chunks, unchecked: their checksums are the library's to verify.

use std::borrow::Cow;

use crate::metadata::{Found, MAX_EXIF};

/// Longest iCCP chunk that is read, bytes: profiles end at 8 MiB, and packing makes them hardly longer.
const MAX_ICCP: usize = 9 << 20;

/// Kind and content of every chunk, up to the first that is cut.
pub(super) fn all(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first_chunk::<8>()?;
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let content = behind.get(..length)?;
        // Four bytes of checksum stand behind the content.
        rest = behind.get(length + 4..).unwrap_or_default();
        Some(([head[4], head[5], head[6], head[7]], content))
    })
}

/// The file without a profile or an EXIF block that is longer than any honest one, which the library would refuse it for; what is left
/// out is noted, of the profile in the words that come back.
pub(super) fn without_oversized<'a>(bytes: &'a [u8], found: &mut Found) -> (Cow<'a, [u8]>, Option<String>) {
    let is_oversized = |kind: &[u8; 4], content: &[u8]| match kind {
        b"iCCP" => content.len() > MAX_ICCP,
        b"eXIf" => content.len() > MAX_EXIF,
        _ => false,
    };
    let (mut kept, mut at, mut oddity) = (Vec::new(), 0, None);
    // Behind the signature; a chunk has eight bytes before its content and four behind it.
    let mut begin = 8;
    for (kind, content) in all(bytes) {
        let end = begin + 12 + content.len();
        if is_oversized(&kind, content) && end <= bytes.len() {
            kept.extend_from_slice(&bytes[at..begin]);
            at = end;
            if kind == *b"iCCP" {
                oddity = Some(format!(
                    "the ICC profile of {} packed bytes is larger than any honest one and was not read",
                    content.len()
                ));
            } else {
                found.takes("the EXIF block", content.len() as u64, MAX_EXIF);
            }
        }
        begin = end;
    }
    if at == 0 {
        return (Cow::Borrowed(bytes), None);
    }
    kept.extend_from_slice(&bytes[at..]);
    (Cow::Owned(kept), oddity)
}
