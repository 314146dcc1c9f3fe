//! A PNG's chunks, unchecked: the library has verified their checksums.

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
