//! The profile that derivatives carry.
//!
//! Written here, by ICC.1:2022: the library's own writer leaves tags unaligned and dates them today.

use std::sync::LazyLock;

use moxcms::{ColorProfile, Xyzd};

/// Length of the header, bytes.
const HEADER: usize = 128;
/// The PCS illuminant, D50, as every profile must have it (7.2.16), in 1/65536.
const D50: [i32; 3] = [0xF6D6, 0x1_0000, 0xD32D];
/// The date of every profile made here: the same picture must give the same bytes tomorrow.
const MADE: [u16; 6] = [2026, 1, 1, 0, 0, 0];
/// The sRGB curve (IEC 61966-2-1) as a parametric curve of type 3 (10.18): g, a, b, c, d.
const CURVE: [f64; 5] = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45];
/// The linearised Bradford matrix from D65 to D50, as profiles of sRGB have it (annex E).
const ADAPTATION: [f64; 9] =
    [1.047_811_2, 0.022_886_6, -0.050_127_0, 0.029_542_4, 0.990_484_4, -0.017_049_1, -0.009_234_5, 0.015_043_6, 0.752_131_6];

static SRGB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let ColorProfile { red_colorant, green_colorant, blue_colorant, .. } = ColorProfile::new_srgb();
    let colorant = |Xyzd { x, y, z }: Xyzd| tag(*b"XYZ ", &[x, y, z].map(fixed).concat());
    let curve = tag(*b"para", &[vec![0, 3, 0, 0], CURVE.map(fixed).concat()].concat());
    profile(&[
        (*b"desc", text("sRGB IEC61966-2.1")),
        (*b"cprt", text("No copyright, use freely")),
        (*b"wtpt", tag(*b"XYZ ", &D50.map(i32::to_be_bytes).concat())),
        (*b"chad", tag(*b"sf32", &ADAPTATION.map(fixed).concat())),
        (*b"rXYZ", colorant(red_colorant)),
        (*b"gXYZ", colorant(green_colorant)),
        (*b"bXYZ", colorant(blue_colorant)),
        (*b"rTRC", curve.clone()),
        (*b"gTRC", curve.clone()),
        (*b"bTRC", curve),
    ])
});

/// An ICC profile of sRGB (IEC 61966-2-1), version 4, some hundred bytes: generated, nobody's file.
pub fn srgb_profile() -> &'static [u8] {
    &SRGB
}

/// A number of type s15Fixed16.
fn fixed(value: f64) -> [u8; 4] {
    ((value * 65_536.0).round() as i32).to_be_bytes()
}

fn tag(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    [&kind[..], &[0; 4], content].concat()
}

/// A text of one language (multiLocalizedUnicodeType).
fn text(text: &str) -> Vec<u8> {
    let letters: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let number = |value: usize| (value as u32).to_be_bytes();
    // One record of 12 bytes, whose text begins 28 bytes into the tag.
    let head = [&number(1)[..], &number(12), b"enUS", &number(letters.len()), &number(28)].concat();
    tag(*b"mluc", &[head, letters].concat())
}

/// A display profile of RGB; tags of the same content are stored once.
fn profile(tags: &[([u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let first = HEADER + 4 + 12 * tags.len();
    let mut data: Vec<u8> = Vec::new();
    let mut stored: Vec<(&[u8], usize)> = Vec::new();
    for (name, content) in tags {
        let known = stored.iter().find(|(other, _)| other == content).map(|&(_, at)| at);
        let at = known.unwrap_or_else(|| {
            let at = first + data.len();
            data.extend(content);
            // Every tag begins at a multiple of four (7.3.1).
            data.resize(data.len().next_multiple_of(4), 0);
            stored.push((content, at));
            at
        });
        table.extend(name);
        table.extend((at as u32).to_be_bytes());
        table.extend((content.len() as u32).to_be_bytes());
    }
    let mut header = vec![0; HEADER];
    header[..4].copy_from_slice(&((first + data.len()) as u32).to_be_bytes());
    header[8..12].copy_from_slice(&[4, 0x30, 0, 0]);
    header[12..24].copy_from_slice(b"mntrRGB XYZ ");
    header[24..36].copy_from_slice(&MADE.map(u16::to_be_bytes).concat());
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&D50.map(i32::to_be_bytes).concat());
    [header, table, data].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_srgb_and_always_the_same() {
        let profile = ColorProfile::new_from_slice(srgb_profile()).unwrap();
        let wanted = ColorProfile::new_srgb();
        for (found, wanted) in [
            (profile.red_colorant, wanted.red_colorant),
            (profile.green_colorant, wanted.green_colorant),
            (profile.blue_colorant, wanted.blue_colorant),
        ] {
            assert!((found.x - wanted.x).abs() + (found.y - wanted.y).abs() + (found.z - wanted.z).abs() < 1e-4);
        }
        assert_eq!(u16::from_be_bytes([srgb_profile()[24], srgb_profile()[25]]), 2026);
        assert!(srgb_profile().len() < 1000, "{} bytes", srgb_profile().len());
    }

    /// What strict readers (libpng) look at.
    #[test]
    fn the_profile_is_well_formed() {
        let bytes = srgb_profile();
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(number(0), bytes.len());
        assert_eq!(bytes[68..80], [0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D]);
        for index in 0..number(HEADER) {
            let (at, length) = (number(HEADER + 4 + 12 * index + 4), number(HEADER + 4 + 12 * index + 8));
            assert!(at.is_multiple_of(4) && at + length <= bytes.len(), "tag {index}");
        }
        // The colorants of a profile add up to its white.
        let profile = ColorProfile::new_from_slice(bytes).unwrap();
        let sum = profile.red_colorant.x + profile.green_colorant.x + profile.blue_colorant.x;
        assert!((sum - 0.9642).abs() < 2e-4, "{sum}");
        let at_middle = profile.green_trc.unwrap().make_linear_evaluator().unwrap().evaluate_value(0.5);
        assert!((at_middle - 0.214_041).abs() < 1e-4, "{at_middle}");
    }
}
