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

/// What a file says of its resolution: pixels an inch, horizontally and vertically. `None` where it says nothing, or no more than what
/// shape its pixels have; words where what it says cannot be a scan's.
pub(super) type Resolution = Result<Option<(f64, f64)>, String>;

/// What is said, if it can be used; if not, `what` it is and why not are noted in `found`.
pub(super) fn usable<T>(said: Result<Option<T>, String>, what: &str, found: &mut Found) -> Option<T> {
    said.unwrap_or_else(|why| {
        found.dropped.say(format!("{what}: {why}"));
        None
    })
}

/// The resolution by what stands in EXIF or TIFF, not a number where that is none, and the number of its unit there (ResolutionUnit,
/// tag 296).
pub(super) fn dpi_of(x: Option<f64>, y: Option<f64>, unit: u32) -> Resolution {
    let Some(x) = x.or(y) else { return Ok(None) };
    let y = y.unwrap_or(x);
    match unit {
        1 => Ok(None),
        2 => plausible(x, y),
        3 => plausible(x * CM_PER_INCH, y * CM_PER_INCH),
        other => Err(unknown_unit(other)),
    }
}

/// The words for a unit that the standard does not have.
pub(super) fn unknown_unit(number: u32) -> String {
    format!("it is given in unit {number}, which does not exist")
}

/// The pair, when both can be a scan's resolution in pixels an inch.
pub(super) fn plausible(x: f64, y: f64) -> Resolution {
    let believed = |value: f64| (1.0..=MAX_DPI).contains(&value);
    if believed(x) && believed(y) {
        return Ok(Some((x, y)));
    }
    let shown = |value: f64| match value {
        value if !value.is_finite() => "(no number)".to_owned(),
        value if value != 0.0 && value.abs() < 0.01 => "almost 0".to_owned(),
        value if value.abs() >= 1e9 => "more than a thousand million".to_owned(),
        value => ((value * 100.0).round() / 100.0).to_string(),
    };
    let (x, y) = (shown(x), shown(y));
    let sides = if x == y { x } else { format!("{x} × {y}") };
    Err(format!("{sides} pixels an inch cannot be a scan's"))
}

/// The orientation that a file gives, when it is one of the eight; `None` stands for what is no number.
pub(super) fn orientation_of(value: Option<u32>) -> Result<Option<u8>, String> {
    let what = match value {
        Some(value) => match u8::try_from(value) {
            Ok(known) if (UPRIGHT..=8).contains(&known) => return Ok(Some(known)),
            _ => format!("{value} is none of the eight"),
        },
        None => "it is no number".to_owned(),
    };
    Err(format!("{what}; the picture was left as it is stored"))
}

/// The first number of a value; none of the kinds that hold numbers is not a number.
fn first_number(value: &Value) -> f64 {
    let first = match value {
        Value::Rational(values) => values.first().map(|value| f64::from(value.num) / f64::from(value.denom)),
        Value::SRational(values) => values.first().map(|value| f64::from(value.num) / f64::from(value.denom)),
        Value::Float(values) => values.first().map(|&value| f64::from(value)),
        Value::Double(values) => values.first().copied(),
        other => other.get_uint(0).map(f64::from),
    };
    first.unwrap_or(f64::NAN)
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
    let side = |tag| exif.get_field(tag, In::PRIMARY).map(|field| first_number(&field.value));
    let orientation =
        exif.get_field(Tag::Orientation, In::PRIMARY).map_or(Ok(None), |field| orientation_of(field.value.get_uint(0)));
    // Without a unit EXIF means inches (CIPA DC-008, 4.6.5.A).
    let unit = number(Tag::ResolutionUnit).unwrap_or(2);
    ExifFacts {
        orientation: usable(orientation, "EXIF's orientation", found),
        dpi: usable(dpi_of(side(Tag::XResolution), side(Tag::YResolution), unit), "EXIF's resolution", found),
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
        assert_eq!(dpi_of(Some(100.0), Some(200.0), 3), Ok(Some((254.0, 508.0))));
        assert_eq!(dpi_of(Some(100.0), None, 2), Ok(Some((100.0, 100.0))));
        assert_eq!(dpi_of(Some(100.0), Some(100.0), 1), Ok(None));
        assert_eq!(dpi_of(None, None, 77), Ok(None));
        assert!(dpi_of(Some(100.0), Some(100.0), 77).unwrap_err().contains("unit 77"));
        for (x, y, words) in [
            (0.0, 0.0, "0"),
            (f64::NAN, 100.0, "(no number) × 100"),
            (f64::INFINITY, -300.0, "(no number) × -300"),
            (4e9, 1e-9, "more than a thousand million × almost 0"),
            (600.0, 0.5, "600 × 0.5"),
        ] {
            let told = dpi_of(Some(x), Some(y), 2).unwrap_err();
            assert_eq!(told, format!("{words} pixels an inch cannot be a scan's"));
        }
    }

    #[test]
    fn what_cannot_be_used_is_told_and_what_is_not_there_is_not() {
        let told = |orientation: u16, dpi: Option<(u32, u32)>| {
            let mut found = Found::default();
            super::read(&exif_block(orientation, dpi), &mut found);
            found.dropped.into_words()
        };
        assert_eq!(told(1, None), [""; 0]);
        assert_eq!(told(8, Some((300, 300))), [""; 0]);
        assert_eq!(told(9, None), ["EXIF's orientation: 9 is none of the eight; the picture was left as it is stored"]);
        assert_eq!(told(1, Some((0, 300))), ["EXIF's resolution: 0 × 300 pixels an inch cannot be a scan's"]);
    }

    #[test]
    fn numbers_of_every_kind_are_read_and_texts_are_none() {
        use exif::{Rational, SRational};
        let numbers = [
            Value::Short(vec![600]),
            Value::Long(vec![600, 1]),
            Value::Rational(vec![Rational { num: 1200, denom: 2 }]),
            Value::SRational(vec![SRational { num: -600, denom: -1 }]),
            Value::Float(vec![600.0]),
            Value::Double(vec![600.0]),
        ];
        assert!(numbers.iter().all(|value| first_number(value) == 600.0), "{numbers:?}");
        let none =
            [Value::Ascii(vec![b"600".to_vec()]), Value::Short(Vec::new()), Value::Rational(vec![Rational { num: 0, denom: 0 }])];
        assert!(none.iter().all(|value| first_number(value).is_nan()), "{none:?}");
    }
}
