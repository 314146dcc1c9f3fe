//! From a scan's metadata to its derivative's.

use exif::{Tag, Value};

use super::fields::{self, Directory, Field};
use super::origin::{ExifForm, Origin, Policy, Room};
use super::{Found, iptc, printable, xmp};

/// What is written into the derivative.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// Pixels an inch, horizontally and vertically, of the upright picture. Absent when the scan does not say or says nonsense.
    pub dpi: Option<(f64, f64)>,
    /// Fields of EXIF and of TIFF's directory.
    pub exif: Vec<Field>,
    /// The same as a block, from its TIFF header on; empty for none, and for formats that have directories.
    pub exif_block: Vec<u8>,
    /// The datasets of IPTC-IIM.
    pub iptc: Option<Vec<u8>>,
    /// The XMP packet.
    pub xmp: Option<Vec<u8>>,
}

/// What a record says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// EXIF fields of the scan that went on.
    pub exif_fields: usize,
    /// Bytes of IPTC-IIM that went on.
    pub iptc_bytes: usize,
    /// Bytes of the derivative's XMP packet.
    pub xmp_bytes: usize,
    /// What did not go on, in words.
    pub dropped: Vec<String>,
}

/// The derivative's metadata.
pub fn carry(found: &Found, origin: &Origin<'_>, policy: Policy, room: Room) -> (Carried, Account) {
    let mut dropped = found.dropped.clone();
    let mut kept = fields::kept(found.exif.iter().cloned(), &mut dropped);
    if policy.strip_gps {
        let before = kept.len();
        kept.retain(|field| Directory::of(field) != Some(Directory::Gps));
        if kept.len() < before {
            dropped.say("the place of EXIF's GPS, as the collection asks");
        }
    }
    let exif_fields = kept.len();
    let xmp = xmp::merged(found.xmp.as_deref(), origin, policy, room.xmp, &mut dropped);
    let iptc = found.iptc.as_deref().and_then(|block| iptc::kept(block, &mut dropped));
    let iptc = iptc.filter(|block| {
        let fits = block.len() <= room.iptc;
        if !fits {
            dropped.say(format!("IPTC-IIM: {} bytes are more than the format holds", block.len()));
        }
        fits
    });
    kept.extend(own_fields(origin, room.exif));
    let exif_block = match room.exif {
        ExifForm::LumaBlock(most) | ExifForm::Block(most) => fields::block(kept.clone(), most, &mut dropped),
        ExifForm::Directories => Vec::new(),
    };
    let account = Account {
        exif_fields,
        iptc_bytes: iptc.as_ref().map_or(0, Vec::len),
        xmp_bytes: xmp.len(),
        dropped: dropped.into_words(),
    };
    (Carried { dpi: origin.dpi, exif: kept, exif_block, iptc, xmp: Some(xmp) }, account)
}

/// What EXIF says of the derivative itself.
fn own_fields(origin: &Origin<'_>, form: ExifForm) -> Vec<Field> {
    let field = |tag: Tag, value| Field { tag, ifd_num: fields::FIRST, value };
    let mut own = vec![
        field(Tag::Orientation, Value::Short(vec![1])),
        field(Tag::Software, fields::text(&printable(origin.software))),
        // Version 2.32, and sRGB or uncalibrated, which sends readers to the profile (CIPA DC-008, 4.6.6).
        field(Tag::ExifVersion, Value::Undefined(b"0232".to_vec(), 0)),
        field(Tag::FlashpixVersion, Value::Undefined(b"0100".to_vec(), 0)),
        field(Tag::ColorSpace, Value::Short(vec![if origin.is_srgb { 1 } else { 65_535 }])),
    ];
    if form != ExifForm::Directories {
        own.extend([
            field(Tag::PixelXDimension, Value::Long(vec![origin.size.0])),
            field(Tag::PixelYDimension, Value::Long(vec![origin.size.1])),
        ]);
    }
    if matches!(form, ExifForm::LumaBlock(_)) {
        // What EXIF requires of a JPEG: luma and chroma in this order, centred.
        own.extend([
            field(Tag::ComponentsConfiguration, Value::Undefined(vec![1, 2, 3, 0], 0)),
            field(Tag::YCbCrPositioning, Value::Short(vec![1])),
        ]);
    }
    if let Some((x, y)) = origin.dpi {
        let ratio = |dpi: f64| Value::Rational(vec![fields::rational(dpi)]);
        own.extend([
            field(Tag::XResolution, ratio(x)),
            field(Tag::YResolution, ratio(y)),
            field(Tag::ResolutionUnit, Value::Short(vec![2])),
        ]);
    }
    own
}
