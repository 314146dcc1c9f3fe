//! EXIF fields: which ones a derivative keeps, and the block they are written as.
//!
//! A whitelist, because the rest would be wrong or dangerous on another picture: thumbnails that stay grey, makers' notes whose
//! offsets no longer hold, sizes and strips of the old file.

use exif::experimental::Writer;
use exif::{Context, In, Rational, Tag, Value};

pub use exif::Field;

/// The first picture of a block; the second is a thumbnail.
pub(super) const FIRST: In = In::PRIMARY;

use super::Dropped;

/// Longest text of a field that is kept, bytes; captions of libraries end far below.
const MAX_TEXT: usize = 32 << 10;

/// Longest other value that is kept, bytes.
const MAX_VALUE: usize = 4 << 10;

/// Fields of the picture's own directory (TIFF 6.0, EXIF 3.0): what it shows, who made it, with what.
const PICTURE: &[u16] = &[
    0x010D, // DocumentName
    0x010E, // ImageDescription
    0x010F, // Make
    0x0110, // Model
    0x011D, // PageName
    0x0132, // DateTime
    0x013B, // Artist
    0x013C, // HostComputer
    0x4746, // Rating
    0x8298, // Copyright
];

/// Fields of the EXIF directory: dates, camera and exposure.
const CAMERA: &[u16] = &[
    0x829A, 0x829D, 0x8822, 0x8827, 0x8830, 0x8831, 0x8832, 0x8833, // exposure and sensitivity
    0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292, // dates, their fractions and offsets
    0x9201, 0x9202, 0x9203, 0x9204, 0x9205, 0x9206, 0x9207, 0x9208, 0x9209, 0x920A, // shutter to focal length
    0x9286, // UserComment
    0xA217, 0xA300, 0xA402, 0xA403, 0xA405, 0xA406, // sensing, source, modes
    0xA430, 0xA431, 0xA432, 0xA433, 0xA434, 0xA435, 0xA436, 0xA437, 0xA438, 0xA439, // owner, body, lens, title, people
];

/// Last field of the GPS directory (EXIF 3.0, 4.6.7).
const GPS_LAST: u16 = 0x1F;

/// The directory a field stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directory {
    /// The picture's own.
    Picture,
    /// EXIF's.
    Camera,
    /// GPS's.
    Gps,
}

impl Directory {
    const fn context(self) -> Context {
        match self {
            Self::Picture => Context::Tiff,
            Self::Camera => Context::Exif,
            Self::Gps => Context::Gps,
        }
    }

    /// The directory of a field.
    pub const fn of(field: &Field) -> Option<Self> {
        match field.tag.0 {
            Context::Tiff => Some(Self::Picture),
            Context::Exif => Some(Self::Camera),
            Context::Gps => Some(Self::Gps),
            _ => None,
        }
    }

    /// Whether a field of this number is kept.
    pub fn keeps(self, number: u16) -> bool {
        match self {
            Self::Picture => PICTURE.contains(&number),
            Self::Camera => CAMERA.contains(&number),
            Self::Gps => number <= GPS_LAST,
        }
    }
}

/// A field of the first picture.
pub fn field(directory: Directory, number: u16, value: Value) -> Field {
    Field { tag: Tag(directory.context(), number), ifd_num: In::PRIMARY, value }
}

/// To a thousandth, which is finer than any scanner's resolution is known.
pub fn rational(value: f64) -> Rational {
    let thousandths = (value * 1000.0).round().clamp(0.0, f64::from(u32::MAX)) as u32;
    if thousandths.is_multiple_of(1000) {
        Rational { num: thousandths / 1000, denom: 1 }
    } else {
        Rational { num: thousandths, denom: 1000 }
    }
}

/// A text; several are never needed.
pub fn text(value: &str) -> Value {
    Value::Ascii(vec![value.as_bytes().to_vec()])
}

/// Those fields that a derivative keeps, in a fixed order, cleaned of control characters; the others are named.
pub(super) fn kept(fields: impl IntoIterator<Item = Field>, dropped: &mut Dropped) -> Vec<Field> {
    let mut kept: Vec<Field> = Vec::new();
    let (mut thumbnail, mut others) = (false, 0_u32);
    for mut field in fields {
        if field.ifd_num != In::PRIMARY {
            thumbnail = true;
            continue;
        }
        let keeps = Directory::of(&field).is_some_and(|directory| directory.keeps(field.tag.number()));
        if !keeps {
            if field.tag == Tag::MakerNote {
                dropped.say("the maker's note of EXIF");
            } else if !is_structural(field.tag) {
                others += 1;
            }
            continue;
        }
        if field.tag == Tag::UserComment && matches!(&field.value, Value::Undefined(bytes, _) if bytes.starts_with(b"UNICODE")) {
            dropped.say("EXIF's UserComment in Unicode, whose byte order nothing tells");
            continue;
        }
        clean(&mut field.value, field.tag == Tag::Copyright);
        let (length, bound) = match &field.value {
            Value::Ascii(texts) => (texts.iter().map(Vec::len).sum::<usize>(), MAX_TEXT),
            Value::Unknown(..) => continue,
            value => (bytes_of(value), MAX_VALUE),
        };
        if length > bound {
            dropped.say(format!("EXIF's {} of {length} bytes", name(field.tag)));
        } else if length > 0 && !kept.iter().any(|other| other.tag == field.tag) {
            kept.push(field);
        }
    }
    if thumbnail {
        dropped.say("the embedded thumbnail, which shows no colour");
    }
    if others > 0 {
        dropped.say(format!("{others} EXIF fields that say nothing of another picture"));
    }
    kept.sort_by_key(|field| (Directory::of(field).map(|directory| directory as u8), field.tag.number()));
    kept
}

/// What every block has or what describes the old file only: not worth a word.
fn is_structural(tag: Tag) -> bool {
    const DESCRIBING: &[u16] = &[
        0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x010A, 0x0111, 0x0112, 0x0115, 0x0116, 0x0117, 0x011A, 0x011B,
        0x011C, 0x0128, 0x0131, 0x013D, 0x013E, 0x013F, 0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x0152, 0x0153, 0x0201, 0x0202,
        0x0211, 0x0212, 0x0213, 0x0214, 0x02BC, 0x83BB, 0x8649, 0x8769, 0x8773, 0x8825, 0xA005, 0x9000, 0x9101, 0x9102, 0xA000,
        0xA001, 0xA002, 0xA003,
    ];
    DESCRIBING.contains(&tag.number()) || tag.0 == Context::Interop
}

/// A field's name where the library knows it, else its number.
pub(super) fn name(tag: Tag) -> String {
    if tag.description().is_some() { tag.to_string() } else { format!("tag 0x{:04X}", tag.number()) }
}

/// Texts have no control characters; an empty one is none. Of Copyright the first of two is the photographer's, which may be a blank, and
/// the second the editor's (EXIF 3.0, 4.6.5.D).
fn clean(value: &mut Value, is_copyright: bool) {
    let Value::Ascii(texts) = value else { return };
    for text in &mut *texts {
        text.retain(|&byte| byte >= 0x20 && byte != 0x7F || matches!(byte, b'\t' | b'\n' | b'\r'));
        while text.len() > usize::from(is_copyright) && text.last() == Some(&b' ') {
            text.pop();
        }
    }
    let is_pair = is_copyright && texts.len() == 2 && !texts[1].is_empty();
    if !is_pair {
        texts.retain(|text| !text.is_empty() && text.as_slice() != b" ");
    }
}

/// Memory that a value takes, bytes: every text is a list of its own.
pub fn memory_of(value: &Value) -> usize {
    match value {
        Value::Ascii(texts) => texts.iter().map(|text| text.len() + size_of::<Vec<u8>>()).sum(),
        other => bytes_of(other),
    }
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Byte(values) | Value::Undefined(values, _) => values.len(),
        Value::Ascii(texts) => texts.iter().map(|text| text.len() + 1).sum(),
        Value::Short(values) => 2 * values.len(),
        Value::Long(values) => 4 * values.len(),
        Value::Rational(values) => 8 * values.len(),
        Value::SByte(values) => values.len(),
        Value::SShort(values) => 2 * values.len(),
        Value::SLong(values) => 4 * values.len(),
        Value::SRational(values) => 8 * values.len(),
        Value::Float(values) => 4 * values.len(),
        Value::Double(values) => 8 * values.len(),
        Value::Unknown(..) => 0,
    }
}

/// The block of a JPEG's APP1 segment or PNG's eXIf chunk, from its TIFF header on; fields that would make it longer than `limit` bytes
/// are left out, the longest first, and named.
pub(super) fn block(mut fields: Vec<Field>, limit: usize, dropped: &mut Dropped) -> Vec<u8> {
    loop {
        let written = write(&fields);
        if written.len() <= limit {
            return written;
        }
        let longest = (0..fields.len()).max_by_key(|&index| bytes_of(&fields[index].value));
        let Some(longest) = longest else { return written };
        let field = fields.remove(longest);
        dropped.say(format!("EXIF's {}: the block would have been longer than {limit} bytes", name(field.tag)));
    }
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut block = std::io::Cursor::new(Vec::new());
    // Its errors are of writing, of no field at all and of sizes beyond 4 GiB; an empty block stands for none.
    if fields.is_empty() || writer.write(&mut block, false).is_err() {
        return Vec::new();
    }
    block.into_inner()
}
