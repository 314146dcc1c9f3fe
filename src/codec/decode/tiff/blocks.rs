//! Metadata in a TIFF's first page: its own tags, the EXIF and GPS directories, IPTC-IIM and XMP.

use tiff::Directory as Ifd;
use tiff::tags::{ByteOrder, IfdPointer, Tag, Type, ValueBuffer};

use super::Open;
use crate::metadata::{self, Directory, Found, MAX_IPTC, MAX_XMP};

const XMP: Tag = Tag::Unknown(700);
const IPTC: Tag = Tag::Unknown(33_723);
const RESOURCES: Tag = Tag::Unknown(34_377);

/// Longest value of a field that is read, bytes; what is longer is no text of a caption.
const MAX_FIELD: u64 = 64 << 10;

/// What the page says beside its samples.
pub(super) fn read(decoder: &mut Open<'_>) -> Found {
    let mut found = Found::default();
    // The library lends the open page's directory only together with itself.
    let page = match decoder.ifd_pointer().map(|at| decoder.read_directory(at)) {
        Some(Ok(page)) => page,
        Some(Err(error)) => {
            found.dropped.say(format!("the page's tags: {error}"));
            return found;
        }
        None => return found,
    };
    fields(decoder, &page, Directory::Picture, &mut found);
    for (tag, directory, name) in [(Tag::ExifDirectory, Directory::Camera, "EXIF"), (Tag::GpsDirectory, Directory::Gps, "GPS")] {
        let at = decoder.find_tag_unsigned::<u64>(tag).ok().flatten();
        match at.map(|at| decoder.read_directory(IfdPointer(at))) {
            None => {}
            Some(Ok(own)) => fields(decoder, &own, directory, &mut found),
            Some(Err(error)) => found.dropped.say(format!("the {name} directory: {error}")),
        }
    }
    found.xmp = block(decoder, &page, XMP, MAX_XMP, "the XMP packet", &mut found);
    let iptc = block(decoder, &page, IPTC, MAX_IPTC, "IPTC-IIM", &mut found).map(straight);
    let resources = block(decoder, &page, RESOURCES, super::VALUE_BYTES, "Photoshop's resources", &mut found);
    found.iptc = iptc.or_else(|| metadata::iim_of_resources(&resources?));
    found
}

/// The fields of a directory that a derivative could keep.
fn fields(decoder: &mut Open<'_>, ifd: &Ifd, directory: Directory, found: &mut Found) {
    for (tag, entry) in ifd.iter() {
        let number = tag.to_u16();
        if !directory.keeps(number) {
            continue;
        }
        if entry.count() > MAX_FIELD {
            found.dropped.say(format!("tag {number}: {} values are more than any text has", entry.count()));
            continue;
        }
        match value(decoder, ifd, tag) {
            Ok(value) => found.exif.extend(value.map(|value| metadata::field(directory, number, value))),
            Err(error) => found.dropped.say(format!("tag {number}: {error}")),
        }
    }
}

/// A value in the words of EXIF; kinds that it does not have are none.
fn value(decoder: &mut Open<'_>, ifd: &Ifd, tag: Tag) -> tiff::TiffResult<Option<metadata::Value>> {
    use metadata::Value;
    let mut buffer = ValueBuffer::empty(Type::BYTE);
    if decoder.read_directory_tags(ifd).find_tag_buf(tag, &mut buffer)?.is_none() {
        return Ok(None);
    }
    buffer.set_byte_order(ByteOrder::native());
    let bytes = buffer.as_bytes();
    let shorts = || bytes.as_chunks::<2>().0.iter().map(|&two| u16::from_ne_bytes(two));
    let longs = || bytes.as_chunks::<4>().0.iter().map(|&four| u32::from_ne_bytes(four));
    let pairs = || {
        bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|&[a, b, c, d, e, f, g, h]| (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])))
    };
    Ok(Some(match buffer.data_type() {
        Type::BYTE => Value::Byte(bytes.to_vec()),
        Type::ASCII => Value::Ascii(bytes.split(|&byte| byte == 0).filter(|text| !text.is_empty()).map(<[u8]>::to_vec).collect()),
        Type::UNDEFINED => Value::Undefined(bytes.to_vec(), 0),
        Type::SHORT => Value::Short(shorts().collect()),
        Type::LONG => Value::Long(longs().collect()),
        Type::RATIONAL => Value::Rational(pairs().map(|(num, denom)| metadata::Rational { num, denom }).collect()),
        Type::SSHORT => Value::SShort(shorts().map(u16::cast_signed).collect()),
        Type::SLONG => Value::SLong(longs().map(u32::cast_signed).collect()),
        Type::SRATIONAL => {
            let signed = |(num, denom): (u32, u32)| metadata::SRational { num: num.cast_signed(), denom: denom.cast_signed() };
            Value::SRational(pairs().map(signed).collect())
        }
        _ => return Ok(None),
    }))
}

/// The bytes of a tag as they lie in the file, at most `limit`.
fn block(decoder: &mut Open<'_>, ifd: &Ifd, tag: Tag, limit: usize, name: &str, found: &mut Found) -> Option<Vec<u8>> {
    let entry = ifd.get(tag)?;
    let width = match entry.field_type() {
        Type::BYTE | Type::SBYTE | Type::ASCII | Type::UNDEFINED => 1,
        Type::SHORT | Type::SSHORT => 2,
        Type::LONG | Type::SLONG => 4,
        _ => return None,
    };
    let length = entry.count().saturating_mul(width);
    if !found.takes(name, length, limit) {
        return None;
    }
    let mut buffer = ValueBuffer::empty(Type::BYTE);
    match decoder.read_directory_tags(ifd).find_tag_buf(tag, &mut buffer) {
        Ok(Some(_)) => Some(buffer.as_bytes().to_vec()),
        Ok(None) => None,
        Err(error) => {
            found.dropped.say(format!("{name}: {error}"));
            None
        }
    }
}

/// IIM that its writer took for numbers of four bytes of the other byte order, set straight.
fn straight(mut iim: Vec<u8>) -> Vec<u8> {
    if iim.first() != Some(&0x1C) && iim.get(3) == Some(&0x1C) {
        iim.as_chunks_mut::<4>().0.iter_mut().for_each(|four| four.reverse());
    }
    iim
}
