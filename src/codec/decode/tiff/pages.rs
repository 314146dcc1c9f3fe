//! The pages of a TIFF: which one is the scan, and what the others are.

use std::collections::BTreeSet;

use tiff::Directory;
use tiff::tags::{IfdPointer, Tag};

use super::{Open, failed};
use crate::codec::{DecodeError, Format};
use crate::imaging::Size;

/// Most pages that are looked through: a loop of pages would have no end.
const MAX_PAGES: usize = 1000;

/// Most pages that are named each by itself.
const MAX_NAMED: usize = 20;

/// Bits of NewSubfileType (tag 254): a reduced copy of another page; a mask.
const REDUCED: u32 = 1;
const MASK: u32 = 4;

/// Goes to the first page that is neither a reduced copy nor a mask. Its number, counted from 0, and the others in words.
pub(super) fn choose(decoder: &mut Open<'_>) -> Result<(usize, Vec<String>), DecodeError> {
    let mut pages: Vec<(Option<Size>, u32, u64)> = Vec::new();
    let (mut next, mut seen, mut more) = (decoder.ifd_pointer(), BTreeSet::new(), None);
    while let Some(IfdPointer(at)) = next {
        if pages.len() == MAX_PAGES || !seen.insert(at) {
            more = Some("its chain of pages has no end, or more than are looked through".to_owned());
            break;
        }
        let page = match decoder.read_directory(IfdPointer(at)) {
            Ok(page) => page,
            // The first was read when the file was opened; a later one is no reason to refuse it.
            Err(error) => {
                more = Some(format!("page {}: {error}", pages.len() + 1));
                break;
            }
        };
        pages.push(describe(decoder, &page));
        next = page.next();
    }
    let chosen = pages.iter().position(|(_, kind, _)| kind & (REDUCED | MASK) == 0);
    let chosen = chosen.ok_or_else(|| {
        DecodeError::unsupported(
            Format::Tiff,
            "its first page is a reduced copy and no other is the picture (as in camera raw files)",
        )
    })?;
    if chosen != 0 {
        decoder.seek_to_image(chosen).map_err(failed)?;
    }
    let mut others = Vec::new();
    for (index, (size, kind, _)) in pages.iter().enumerate().filter(|(index, _)| *index != chosen).take(MAX_NAMED) {
        let size = size.map_or_else(|| "of unknown size".to_owned(), |size| format!("{size} pixels"));
        let kind = match kind {
            kind if kind & REDUCED != 0 => ", a reduced copy",
            kind if kind & MASK != 0 => ", a mask",
            _ => "",
        };
        others.push(format!("page {}: {size}{kind}", index + 1));
    }
    if pages.len() > MAX_NAMED + 1 {
        others.push(format!("{} more pages", pages.len() - MAX_NAMED - 1));
    }
    let levels = pages[chosen].2;
    if levels > 0 {
        others.push(format!("{levels} reduced copies in directories below its page, as pyramids have them"));
    }
    others.extend(more);
    Ok((chosen, others))
}

/// Size, kind, and number of directories below.
fn describe(decoder: &mut Open<'_>, page: &Directory) -> (Option<Size>, u32, u64) {
    let below = page.get(Tag::SubIfd).map_or(0, |entry| entry.count());
    let mut number = |tag| decoder.read_directory_tags(page).find_tag_unsigned::<u32>(tag).ok().flatten();
    let size = number(Tag::ImageWidth).zip(number(Tag::ImageLength)).map(|(width, height)| Size::new(width, height));
    (size, number(Tag::NewSubfileType).unwrap_or(0), below)
}
