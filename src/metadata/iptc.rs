//! IPTC-IIM (version 4.2): the datasets of a caption, as picture desks and libraries still write them.

use super::Dropped;

/// First byte of a dataset.
const MARKER: u8 = 0x1C;

/// Photoshop's resource that holds IIM.
const IIM_RESOURCE: u16 = 0x0404;

/// Previews of the old picture (2:200 to 2:202): data, format, version.
const PREVIEW: std::ops::RangeInclusive<u8> = 200..=202;

/// One dataset: record, number, value.
struct Dataset<'a> {
    record: u8,
    number: u8,
    value: &'a [u8],
}

/// The datasets at the block's beginning, and whether something else follows them.
fn datasets(block: &[u8]) -> (Vec<Dataset<'_>>, bool) {
    let mut found = Vec::new();
    let mut rest = block;
    // A length with its highest bit set is that of a length field; nothing a caption needs is that long.
    while let [MARKER, record, number, high @ ..=0x7F, low, behind @ ..] = rest {
        let Some((value, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else { break };
        found.push(Dataset { record: *record, number: *number, value });
        rest = behind;
    }
    // Writers pad to whole words.
    let ended = rest.iter().all(|&byte| byte == 0);
    (found, !ended)
}

/// Those datasets that a derivative keeps: the coded character set, and of the application record everything but previews.
pub(super) fn kept(block: &[u8], dropped: &mut Dropped) -> Option<Vec<u8>> {
    let (found, more) = datasets(block);
    if more {
        dropped.say("the rest of IPTC-IIM behind its last whole dataset");
    }
    let mut kept = Vec::with_capacity(block.len());
    let mut others = 0;
    for Dataset { record, number, value } in found {
        match (record, number) {
            (2, number) if PREVIEW.contains(&number) => dropped.say("the preview in IPTC-IIM, which shows no colour"),
            (1, 90) | (2, _) => {
                let [high, low] = u16::try_from(value.len()).unwrap_or(0).to_be_bytes();
                kept.extend([MARKER, record, number, high, low]);
                kept.extend_from_slice(value);
            }
            _ => others += 1,
        }
    }
    if others > 0 {
        dropped.say(format!("{others} IPTC-IIM datasets of records that are for transmission"));
    }
    (!kept.is_empty()).then_some(kept)
}

/// IIM among Photoshop's image resources, which is where a JPEG keeps it.
pub fn iim_of_resources(resources: &[u8]) -> Option<Vec<u8>> {
    let mut rest = resources;
    while let Some(behind) = rest.strip_prefix(b"8BIM") {
        let (id, behind) = behind.split_first_chunk::<2>()?;
        // A Pascal string: its length, and padding to an even number with it.
        let name = usize::from(*behind.first()?) + 1;
        let (size, behind) = behind.get(name.next_multiple_of(2)..)?.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
        let value = behind.get(..size)?;
        if u16::from_be_bytes(*id) == IIM_RESOURCE {
            return Some(value.to_vec());
        }
        rest = behind.get(size.next_multiple_of(2)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(record: u8, number: u8, value: &[u8]) -> Vec<u8> {
        [&[MARKER, record, number, 0, value.len() as u8], value].concat()
    }

    #[test]
    fn captions_are_kept_and_previews_are_not() {
        let charset = dataset(1, 90, b"\x1B%G");
        let caption = dataset(2, 120, "Börse, 1908".as_bytes());
        let block = [charset.clone(), dataset(1, 0, b"\0\x04"), caption.clone(), dataset(2, 202, b"jpeg"), vec![0, 0]].concat();
        let mut dropped = Dropped::default();
        assert_eq!(kept(&block, &mut dropped), Some([charset, caption].concat()));
        let words = dropped.into_words();
        assert!(words.len() == 2 && words[0].contains("preview") && words[1].starts_with("1 IPTC-IIM"), "{words:?}");
    }

    #[test]
    fn what_is_cut_or_nonsense_ends_the_block_with_a_word() {
        for bad in [&b"no datasets"[..], &[MARKER, 2, 120, 0, 9, b'x'], &[MARKER, 2, 120, 0x80, 4, 0, 0, 0, 1, b'x']] {
            let mut dropped = Dropped::default();
            let block = [dataset(2, 80, b"Evans"), bad.to_vec()].concat();
            assert_eq!(kept(&block, &mut dropped), Some(dataset(2, 80, b"Evans")));
            assert_eq!(dropped.into_words().len(), 1);
            assert_eq!(kept(bad, &mut Dropped::default()), None);
        }
    }

    #[test]
    fn datasets_are_found_among_resources() {
        let resource = |id: u16, name: &[u8], value: &[u8]| {
            let mut bytes = b"8BIM".to_vec();
            bytes.extend(id.to_be_bytes());
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name);
            bytes.resize(bytes.len().next_multiple_of(2), 0);
            bytes.extend((value.len() as u32).to_be_bytes());
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len().next_multiple_of(2), 0);
            bytes
        };
        let all = [resource(0x03ED, b"", b"odd"), resource(0x0404, b"abc", b"iim"), resource(0x040C, b"", b"thumb")].concat();
        assert_eq!(iim_of_resources(&all), Some(b"iim".to_vec()));
        for cut in 0..all.len() {
            let _ = iim_of_resources(&all[..cut]);
        }
        assert_eq!(iim_of_resources(b"8BIM\x04\x04\0\0\xFF\xFF\xFF\xFFiim"), None);
    }
}
