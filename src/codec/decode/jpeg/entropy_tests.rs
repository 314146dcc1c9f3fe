//! JPEGs whose data was cut, overwritten or left out behind everybody's back: markers, sizes and the end are all in place.

use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};

use crate::codec::samples::picture;
use crate::codec::{Channels, DecodeError, DecodeLimits, decode};
use crate::imaging::{Samples, Size};

const SIZE: Size = Size::new(211, 147);

/// A picture with grain, in the ways that libjpeg writes.
fn made(channels: Channels, progressive: bool, subsampling: Subsampling, restart: u16) -> Vec<u8> {
    let image = picture(SIZE.width, SIZE.height, channels, 8);
    let Samples::U8(samples) = image.samples() else { panic!("made of 8 bits") };
    let pixels = if channels.is_rgb() { PixelFormat::Rgb } else { PixelFormat::Grayscale };
    let mut encoder = Encoder::new(samples, SIZE.width as usize, SIZE.height as usize, pixels).quality(90);
    encoder = encoder.subsampling(subsampling).progressive(progressive);
    if restart > 0 {
        encoder = encoder.restart_blocks(restart);
    }
    encoder.encode().unwrap()
}

/// Every way, with words for it.
fn all() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for channels in [Channels::Grey, Channels::Rgb] {
        for progressive in [false, true] {
            for subsampling in [Subsampling::S444, Subsampling::S420, Subsampling::S422] {
                for restart in [0, 5] {
                    let words = format!("{channels:?}, progressive {progressive}, {subsampling:?}, restart {restart}");
                    all.push((words, made(channels, progressive, subsampling, restart)));
                }
            }
        }
    }
    all
}

/// Where each scan's marker is, where its data begins, and where that ends.
fn scans(bytes: &[u8]) -> Vec<(usize, usize, usize)> {
    let (mut scans, mut at) = (Vec::new(), 2);
    while bytes[at + 1] != 0xD9 {
        let begin = at + 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at + 1] == 0xDA {
            let mut end = begin;
            while bytes[end] != 0xFF || matches!(bytes[end + 1], 0 | 0xD0..=0xD7) {
                end += 1;
            }
            scans.push((at, begin, end));
            at = end;
        } else {
            at = begin;
        }
    }
    scans
}

fn without(bytes: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    [&bytes[..range.start], &bytes[range.end..]].concat()
}

fn refused(bytes: &[u8]) -> Option<DecodeError> {
    decode(bytes, &DecodeLimits::default()).err()
}

#[test]
fn whole_pictures_pass_in_every_way_they_are_written() {
    for (words, bytes) in all() {
        let found = decode(&bytes, &DecodeLimits::default());
        assert_eq!(found.map(|scan| scan.image.size()).map_err(|error| error.to_string()), Ok(SIZE), "{words}");
    }
}

#[test]
fn a_scan_that_was_cut_is_found_wherever_it_stands() {
    for (words, bytes) in all() {
        for (number, (_, begin, end)) in scans(&bytes).into_iter().enumerate() {
            // Of some scans nearly nothing is there to be cut.
            for from in [begin + (end - begin) / 3, end - (end - begin).min(40) / 2].into_iter().filter(|&from| end - from > 4) {
                // A stuffed zero keeps its byte.
                let from = if bytes[from - 1] == 0xFF { from + 1 } else { from };
                let error = refused(&without(&bytes, from..end));
                let error = error.unwrap_or_else(|| panic!("{words}: scan {} cut at {from} of {begin}..{end}", number + 1));
                assert!(matches!(error, DecodeError::Truncated { .. } | DecodeError::Damaged { .. }), "{words}: {error}");
            }
        }
    }
}

#[test]
fn a_scan_that_was_left_out_is_missed_whichever_it_is() {
    for (words, bytes) in all() {
        let scans = scans(&bytes);
        for (number, &(at, _, end)) in scans.iter().enumerate() {
            let error = refused(&without(&bytes, at..end));
            assert!(error.is_some(), "{words}: without scan {} of {}", number + 1, scans.len());
        }
    }
}

#[test]
fn data_that_was_overwritten_or_is_too_long_is_found() {
    for (words, bytes) in all() {
        let (_, begin, end) = scans(&bytes)[0];
        let longer = [&bytes[..end], &[0x5A; 40], &bytes[end..]].concat();
        assert!(refused(&longer).is_some(), "{words}: longer");
        // A sector of zeros, as a bad disk leaves; where scans are short it overwrites markers as well.
        let mut zeros = bytes.clone();
        let middle = usize::midpoint(begin, end);
        let last = zeros.len() - 2;
        zeros[middle..(middle + 512).min(last)].fill(0);
        assert!(refused(&zeros).is_some(), "{words}: zeros");
    }
}

#[test]
fn restart_markers_come_in_turn() {
    for progressive in [false, true] {
        let mut bytes = made(Channels::Grey, progressive, Subsampling::S444, 5);
        let (_, begin, end) = scans(&bytes)[0];
        let marks: Vec<usize> = (begin..end).filter(|&at| bytes[at] == 0xFF && matches!(bytes[at + 1], 0xD0..=0xD7)).collect();
        bytes.swap(marks[1] + 1, marks[2] + 1);
        let error = refused(&bytes).unwrap();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("out of turn"), "{error:?}");
    }
}

#[test]
fn a_restart_marker_and_fill_bytes_may_stand_behind_the_last_interval() {
    let bytes = made(Channels::Grey, false, Subsampling::S444, 5);
    let (_, begin, end) = scans(&bytes)[0];
    let marks = (begin..end).filter(|&at| bytes[at] == 0xFF && matches!(bytes[at + 1], 0xD0..=0xD7)).count();
    for behind in [vec![0xFF, 0xD0 + (marks % 8) as u8], vec![0xFF], vec![0xFF, 0xD0 + (marks % 8) as u8, 0xFF, 0xFF]] {
        let filled = [&bytes[..end], &behind, &bytes[end..]].concat();
        assert!(refused(&filled).is_none(), "{behind:02X?}");
    }
}

#[test]
fn a_sequential_scan_comes_once() {
    let bytes = made(Channels::Grey, false, Subsampling::S444, 0);
    let (at, _, end) = scans(&bytes)[0];
    let twice = [&bytes[..end], &bytes[at..end], &bytes[end..]].concat();
    assert!(refused(&twice).is_some());
}

#[test]
fn some_zeros_before_the_end_are_padding() {
    let bytes = made(Channels::Grey, false, Subsampling::S444, 0);
    let (.., end) = scans(&bytes)[0];
    let padded = [&bytes[..end], &[0; 3], &bytes[end..]].concat();
    assert!(refused(&padded).is_none());
}
