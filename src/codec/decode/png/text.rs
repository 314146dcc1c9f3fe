//! Metadata among a PNG's texts: XMP, IPTC-IIM in the way of ImageMagick and ExifTool, and the registered keywords.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::chunk;
use crate::metadata::{self, Directory, Found, MAX_IPTC, MAX_XMP};

/// Keyword of an XMP packet (XMP part 3, 1.1.5).
const XMP: &[u8] = b"XML:com.adobe.xmp";

/// Keywords of IIM, written as hexadecimal digits behind a name and a length; in Photoshop's resources or by itself.
const RAW_IPTC: &[u8] = b"Raw profile type iptc";

/// Longest plain text that is read, bytes.
const MAX_TEXT: usize = 32 << 10;

/// Registered keywords (PNG, 11.3.3.2) and the fields of TIFF that mean the same.
const KEYWORDS: &[(&[u8], u16)] = &[(b"Description", 0x010E), (b"Author", 0x013B), (b"Copyright", 0x8298)];

/// What the texts say. Only what is used is unpacked, and no more of it than is used.
pub(super) fn metadata(bytes: &[u8], found: &mut Found) {
    for (kind, content) in chunk::all(bytes) {
        if !matches!(&kind, b"tEXt" | b"zTXt" | b"iTXt") {
            continue;
        }
        let Some(end) = content.iter().position(|&byte| byte == 0) else { continue };
        let (keyword, value) = (&content[..end], &content[end + 1..]);
        let field = KEYWORDS.iter().find(|(known, _)| *known == keyword).map(|(_, number)| *number);
        let limit = match keyword {
            XMP => MAX_XMP,
            // Two digits a byte, and some lines' ends.
            RAW_IPTC => 3 * MAX_IPTC,
            _ if field.is_some() => MAX_TEXT,
            _ => continue,
        };
        let shown = String::from_utf8_lossy(keyword);
        let text = match text_of(kind, value, limit) {
            Ok(text) => text,
            Err(why) => {
                found.dropped.say(format!("the PNG text {shown:?}: {why}"));
                continue;
            }
        };
        if keyword == XMP {
            found.xmp.get_or_insert(text);
        } else if keyword == RAW_IPTC {
            match raw_profile(&text) {
                Some(iim) => {
                    found.iptc.get_or_insert(iim);
                }
                None => found.dropped.say(format!("the PNG text {shown:?}: it holds no profile")),
            }
        } else if let Some(number) = field {
            // Latin-1 unless the chunk is international.
            let text = if kind == *b"iTXt" {
                String::from_utf8_lossy(&text).into_owned()
            } else {
                text.iter().map(|&byte| byte as char).collect()
            };
            found.exif.push(metadata::field(Directory::Picture, number, metadata::text(&text)));
        }
    }
}

/// A text, unpacked within `limit` bytes.
fn text_of(kind: [u8; 4], value: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    const CUT: &str = "it is cut";
    let (packed, text) = match &kind {
        b"tEXt" => (false, value),
        b"zTXt" => (true, value.get(1..).ok_or(CUT)?),
        _ => {
            let [packed, _method, rest @ ..] = value else { return Err(CUT.to_owned()) };
            // Language and translated keyword come before the text.
            let mut parts = rest.splitn(3, |&byte| byte == 0);
            (*packed == 1, parts.nth(2).ok_or(CUT)?)
        }
    };
    let too_long = || format!("it is longer than {limit} bytes");
    if !packed {
        return if text.len() > limit { Err(too_long()) } else { Ok(text.to_vec()) };
    }
    let mut unpacked = Vec::new();
    let read = ZlibDecoder::new(text).take(limit as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|error| format!("it does not unpack: {error}"))?;
    if unpacked.len() > limit { Err(too_long()) } else { Ok(unpacked) }
}

/// The bytes of a raw profile: a line with a name, one with a number of bytes, and that many as hexadecimal digits on further ones.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let (_name, text) = text.trim_start().split_once('\n')?;
    let (length, text) = text.split_once('\n')?;
    let length: usize = length.trim().parse().ok()?;
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if length > MAX_IPTC || digits.len() != 2 * length {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    let bytes: Option<Vec<u8>> = digits.chunks_exact(2).map(|two| Some((digit(two[0])? * 16 + digit(two[1])?) as u8)).collect();
    let bytes = bytes?;
    if bytes.starts_with(b"8BIM") { metadata::iim_of_resources(&bytes) } else { Some(bytes) }
}
