//! The facts of an EXIF block that change a derivative: orientation, resolution and colour space.
//!
//! A block that is not understood is as good as none: it decorates a scan, and the scan is sound without it.

use exif::{In, Reader, Tag, Value};

use super::orientation::UPRIGHT;
use crate::metadata::{self, Directory, Field, Found, MAX_EXIF};

/// Most memory that the values of a block may take, bytes: texts take more than their letters.
const MAX_VALUES: usize = 16 << 20;

/// Most samples an inch that are believed. Drum scanners end near 12 000.
const MAX_DPI: f64 = 100_000.0;

/// Centimetres an inch.
pub(super) const CM_PER_INCH: f64 = 2.54;

/// What an EXIF block says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ExifFacts {
    /// 1..=8, nonsense left out.
    pub(super) orientation: Option<u8>,
    /// Pixels an inch, horizontally and vertically, as stored.
    pub(super) dpi: Option<(f64, f64)>,
    /// Tag 0xA001 as it stands: 1 is sRGB.
    pub(super) colour_space: Option<u32>,
}

/// Unit of a resolution, by its number in EXIF and TIFF (ResolutionUnit, tag 296).
pub(super) fn dpi_of(x: Option<f64>, y: Option<f64>, unit: u32) -> Option<(f64, f64)> {
    let scale = match unit {
        2 => 1.0,
        3 => CM_PER_INCH,
        _ => return None,
    };
    let x = x.or(y)?;
    plausible(x * scale, y.unwrap_or(x) * scale)
}

/// The pair, when both can be a scan's resolution in pixels an inch.
pub(super) fn plausible(x: f64, y: f64) -> Option<(f64, f64)> {
    let believed = |value: f64| (1.0..=MAX_DPI).contains(&value);
    (believed(x) && believed(y)).then_some((x, y))
}

/// The orientation, when it is one of the eight.
pub(super) fn orientation_of(value: u32) -> Option<u8> {
    u8::try_from(value).ok().filter(|value| (UPRIGHT..=8).contains(value))
}

/// Reads a block that begins with its TIFF header; its fields, and what cannot be read, are noted in `found`.
pub(super) fn read(block: &[u8], found: &mut Found) -> ExifFacts {
    if !found.takes("the EXIF block", block.len() as u64, MAX_EXIF) {
        return ExifFacts::default();
    }
    let mut damaged = None;
    let parsed = Reader::new().continue_on_error(true).read_raw(block.to_vec());
    let parsed = parsed.or_else(|error| error.distill_partial_result(|errors| damaged = errors.first().map(ToString::to_string)));
    let exif = match parsed {
        Ok(exif) => exif,
        Err(error) => {
            found.dropped.say(format!("the EXIF block: {error}"));
            return ExifFacts::default();
        }
    };
    if let Some(error) = damaged {
        found.dropped.say(format!("damaged parts of the EXIF block: {error}"));
    }
    // Values are made when they are looked at, and many fields may point at the same bytes: what they take together is bounded.
    let mut taken = 0;
    for field in exif.fields() {
        taken += metadata::memory_of(&field.value);
        if taken > MAX_VALUES {
            found.dropped.say("the rest of the EXIF block: its fields claim more than it holds");
            break;
        }
        let keeps = Directory::of(field).is_some_and(|directory| directory.keeps(field.tag.number()));
        // Of the others the name is enough.
        let value = if keeps { field.value.clone() } else { Value::Byte(Vec::new()) };
        found.exif.push(Field { tag: field.tag, ifd_num: field.ifd_num, value });
    }
    let number = |tag| exif.get_field(tag, In::PRIMARY)?.value.get_uint(0);
    let ratio = |tag| match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Rational(values) => values.first().map(|value| f64::from(value.num) / f64::from(value.denom)),
        _ => None,
    };
    // Without a unit EXIF means inches (CIPA DC-008, 4.6.5.A).
    let unit = number(Tag::ResolutionUnit).unwrap_or(2);
    ExifFacts {
        orientation: number(Tag::Orientation).and_then(orientation_of),
        dpi: dpi_of(ratio(Tag::XResolution), ratio(Tag::YResolution), unit),
        colour_space: match number(Tag::ColorSpace) {
            // The interoperability index of DCF 2.0's optional colour space is how cameras mark Adobe RGB.
            Some(65_535) if interoperability(&exif) == Some(b"R03") => Some(2),
            space => space,
        },
    }
}

/// Tag 1 of the interoperability directory, without what ends it.
fn interoperability(exif: &exif::Exif) -> Option<&[u8]> {
    match &exif.get_field(Tag::InteroperabilityIndex, In::PRIMARY)?.value {
        Value::Ascii(texts) => texts.first().map(|text| text.strip_suffix(b"\0").unwrap_or(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::exif_block;

    fn read(block: &[u8]) -> ExifFacts {
        super::read(block, &mut Found::default())
    }

    #[test]
    fn orientation_and_resolution_are_found() {
        let facts = read(&exif_block(6, Some((300, 400))));
        assert_eq!(facts, ExifFacts { orientation: Some(6), dpi: Some((300.0, 400.0)), colour_space: None });
    }

    #[test]
    fn nonsense_is_no_fact() {
        assert_eq!(read(&exif_block(0, None)).orientation, None);
        assert_eq!(read(&exif_block(9, None)).orientation, None);
        assert_eq!(read(&exif_block(6, Some((0, 0)))).dpi, None);
        assert_eq!(read(b"no block at all"), ExifFacts::default());
        assert_eq!(read(&exif_block(6, None)[..9]), ExifFacts::default());
    }

    #[test]
    fn a_block_beyond_a_mebibyte_is_ignored() {
        let mut block = exif_block(6, None);
        block.resize(MAX_EXIF, 0);
        assert_eq!(read(&block).orientation, Some(6));
        block.push(0);
        let mut found = Found::default();
        assert_eq!(super::read(&block, &mut found).orientation, None);
        assert_eq!(found.dropped.into_words().len(), 1);
    }

    #[test]
    fn resolution_units_are_inches_centimetres_or_nothing() {
        assert_eq!(dpi_of(Some(100.0), Some(200.0), 3), Some((254.0, 508.0)));
        assert_eq!(dpi_of(Some(100.0), None, 2), Some((100.0, 100.0)));
        assert_eq!(dpi_of(Some(100.0), Some(100.0), 1), None);
        assert_eq!(dpi_of(Some(f64::NAN), Some(100.0), 2), None);
        assert_eq!(dpi_of(Some(f64::INFINITY), Some(100.0), 2), None);
    }
}
