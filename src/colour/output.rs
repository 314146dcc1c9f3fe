//! The profiles that derivatives carry.
//!
//! Written here, by ICC.1:2022: the library's own writer leaves tags unaligned and dates them today.

use std::sync::LazyLock;

use moxcms::{ColorProfile, Xyzd};

use crate::imaging::ColourSpace;

/// Length of the header, bytes.
const HEADER: usize = 128;
/// The PCS illuminant, D50, as every profile must have it (7.2.16), in 1/65536.
const D50: [i32; 3] = [0xF6D6, 0x1_0000, 0xD32D];
/// The date of every profile made here: the same picture must give the same bytes tomorrow.
const MADE: [u16; 6] = [2026, 1, 1, 0, 0, 0];
/// The sRGB curve (IEC 61966-2-1) as a parametric curve of type 3 (10.18): g, a, b, c, d.
const CURVE: [f64; 5] = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45];
/// That of ROMM RGB (ISO 22028-2): a power of 1.8 above a line of slope 16.
const PROPHOTO_CURVE: [f64; 5] = [1.8, 1.0, 0.0, 1.0 / 16.0, 1.0 / 32.0];
/// The power of Adobe RGB, 563/256, as a curve of one number in 1/256 (10.6).
const ADOBE_CURVE: u16 = 563;
/// The linearised Bradford matrix from D65 to D50, as profiles of sRGB have it (annex E).
const ADAPTATION: [f64; 9] =
    [1.047_811_2, 0.022_886_6, -0.050_127_0, 0.029_542_4, 0.990_484_4, -0.017_049_1, -0.009_234_5, 0.015_043_6, 0.752_131_6];

static PROFILES: [LazyLock<Vec<u8>>; 4] = [
    LazyLock::new(|| made(ColourSpace::Srgb)),
    LazyLock::new(|| made(ColourSpace::AdobeRgb)),
    LazyLock::new(|| made(ColourSpace::DisplayP3)),
    LazyLock::new(|| made(ColourSpace::ProPhoto)),
];

/// An ICC profile of sRGB (IEC 61966-2-1), version 4, some hundred bytes: generated, nobody's file.
pub fn srgb_profile() -> &'static [u8] {
    profile_of(ColourSpace::Srgb)
}

/// The ICC profile of a derivative's colour space, as [`srgb_profile`].
pub fn profile_of(space: ColourSpace) -> &'static [u8] {
    &PROFILES[space as usize]
}

/// The space whose profile, as it is made here, these bytes are.
pub fn space_of(profile: &[u8]) -> Option<ColourSpace> {
    ColourSpace::ALL.into_iter().find(|&space| profile_of(space) == profile)
}

fn made(space: ColourSpace) -> Vec<u8> {
    let curve = match space {
        ColourSpace::Srgb | ColourSpace::DisplayP3 => parametric(CURVE),
        ColourSpace::AdobeRgb => tag(*b"curv", &[&1_u32.to_be_bytes()[..], &ADOBE_CURVE.to_be_bytes()].concat()),
        ColourSpace::ProPhoto => parametric(PROPHOTO_CURVE),
    };
    let [red, green, blue] = colorants(space).map(|colorant| tag(*b"XYZ ", &colorant.map(fixed).concat()));
    let mut tags = vec![
        (*b"desc", text(name(space))),
        (*b"cprt", text("No copyright, use freely")),
        (*b"wtpt", tag(*b"XYZ ", &D50.map(i32::to_be_bytes).concat())),
    ];
    // Who has D50 for white himself was adapted from nowhere.
    if space != ColourSpace::ProPhoto {
        tags.push((*b"chad", tag(*b"sf32", &ADAPTATION.map(fixed).concat())));
    }
    tags.extend([(*b"rXYZ", red), (*b"gXYZ", green), (*b"bXYZ", blue)]);
    tags.extend([*b"rTRC", *b"gTRC", *b"bTRC"].map(|name| (name, curve.clone())));
    profile(&tags)
}

/// Red, green and blue, X, Y and Z of each under D50.
fn colorants(space: ColourSpace) -> [[f64; 3]; 3] {
    if space == ColourSpace::Srgb {
        // The digits that everybody's profiles of sRGB have.
        let ColorProfile { red_colorant, green_colorant, blue_colorant, .. } = ColorProfile::new_srgb();
        return [red_colorant, green_colorant, blue_colorant].map(|Xyzd { x, y, z }| [x, y, z]);
    }
    let rows = space.colorants();
    std::array::from_fn(|column| rows.map(|row| row[column]))
}

/// What readers show.
const fn name(space: ColourSpace) -> &'static str {
    match space {
        ColourSpace::Srgb => "sRGB IEC61966-2.1",
        // Not by their trade marks alone: these are no profiles of their owners'.
        ColourSpace::AdobeRgb => "Compatible with Adobe RGB (1998)",
        ColourSpace::DisplayP3 => "Display P3",
        ColourSpace::ProPhoto => "ROMM RGB (ProPhoto)",
    }
}

/// A parametric curve of type 3.
fn parametric(curve: [f64; 5]) -> Vec<u8> {
    tag(*b"para", &[vec![0, 3, 0, 0], curve.map(fixed).concat()].concat())
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
    use crate::colour::{Colour, Declared};
    use crate::imaging::{
        Channels, ChromaPlanes, Depth, Lightness, Plane, Rect, Rendering, Samples, ScanImage, Size, recombine_within,
    };

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
    fn profiles_are_well_formed() {
        for space in ColourSpace::ALL {
            let bytes = profile_of(space);
            let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            assert_eq!(number(0), bytes.len());
            assert_eq!(bytes[68..80], [0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D]);
            for index in 0..number(HEADER) {
                let (at, length) = (number(HEADER + 4 + 12 * index + 4), number(HEADER + 4 + 12 * index + 8));
                assert!(at.is_multiple_of(4) && at + length <= bytes.len(), "{space:?}, tag {index}");
            }
            // The colorants of a profile add up to its white.
            let profile = ColorProfile::new_from_slice(bytes).unwrap();
            let colorants = [profile.red_colorant, profile.green_colorant, profile.blue_colorant];
            let sums = [0, 1, 2].map(|axis| colorants.iter().map(|xyz| [xyz.x, xyz.y, xyz.z][axis]).sum::<f64>());
            let apart = sums.iter().zip([0.9642, 1.0, 0.8249]).map(|(sum, white)| (sum - white).abs());
            assert!(apart.clone().all(|apart| apart < 4e-4), "{space:?}: {sums:?}");
            for trc in [&profile.red_trc, &profile.green_trc, &profile.blue_trc] {
                let evaluator = trc.as_ref().unwrap().make_linear_evaluator().unwrap();
                for step in 0..=100_u8 {
                    let encoded = f64::from(step) / 100.0;
                    let found = f64::from(evaluator.evaluate_value(encoded as f32));
                    assert!((found - space.linear(encoded)).abs() < 1e-4, "{space:?} at {encoded}: {found}");
                }
            }
            assert_eq!(space_of(bytes), Some(space));
        }
    }

    #[test]
    fn profiles_have_the_primaries_of_their_spaces() {
        // The same colours by the library's own profiles.
        for (space, wanted) in [
            (ColourSpace::AdobeRgb, ColorProfile::new_adobe_rgb()),
            (ColourSpace::DisplayP3, ColorProfile::new_display_p3()),
            (ColourSpace::ProPhoto, ColorProfile::new_pro_photo_rgb()),
        ] {
            let found = ColorProfile::new_from_slice(profile_of(space)).unwrap();
            for (found, wanted) in [
                (found.red_colorant, wanted.red_colorant),
                (found.green_colorant, wanted.green_colorant),
                (found.blue_colorant, wanted.blue_colorant),
            ] {
                let apart = (found.x - wanted.x).abs().max((found.y - wanted.y).abs()).max((found.z - wanted.z).abs());
                assert!(apart < 6e-4, "{space:?}: {found:?} is not {wanted:?}");
            }
        }
    }

    /// A colour, written in each space and read by the profile that goes with it, is the same colour.
    #[test]
    fn a_picture_is_the_same_colour_in_every_space() {
        let size = Size::new(64, 48);
        let grey: Vec<u16> = (0..64 * 48).map(|index| 9_000 + (index % 64) * 800).collect();
        let scan = ScanImage::new(size, Channels::Grey, Samples::U16(grey)).unwrap();
        // Small enough for every space to hold.
        let plane = |phase: f32| Plane::new(Size::new(8, 6), (0..48).map(|i| 12.0 * (i as f32 + phase).sin()).collect()).unwrap();
        let chroma = ChromaPlanes { a: plane(0.0), b: plane(2.0) };
        let seen = |space: ColourSpace| {
            let rendering = Rendering { space, ..Rendering::default() };
            let part = Rect::whole(size);
            let made = recombine_within(&scan, part, Lightness::Source, &chroma, Depth::Sixteen, rendering).image;
            let declared = Declared { icc: Some(profile_of(space).to_vec()), ..Declared::default() };
            let colour = Colour::of(&declared, Channels::Rgb, 16);
            let Samples::U16(samples) = made.into_samples() else { panic!("16 bits were made") };
            let lab = |rgb: &[u16; 3]| colour.lab(rgb.map(|code| f64::from(code) / 65_535.0));
            samples.as_chunks::<3>().0.iter().map(lab).collect::<Vec<_>>()
        };
        let wanted = seen(ColourSpace::Srgb);
        for space in ColourSpace::ALL {
            for (found, wanted) in seen(space).into_iter().zip(&wanted) {
                let apart = found.iter().zip(wanted).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
                assert!(apart < 0.06, "{space:?}: {found:?} is not {wanted:?}");
            }
        }
    }
}
