//! What files say of their samples, and which of it is believed.

use std::fmt;

use moxcms::{
    Chromaticity, CicpProfile, ColorPrimaries, ColorProfile, DataColorSpace, MatrixCoefficients, ProfileText, ToneReprCurve,
    TransferCharacteristics,
};

use crate::digest::Digest;

/// Largest profile that is read, bytes. Press profiles with fine tables end near 3 MiB.
const MAX_PROFILE: usize = 8 << 20;

/// Longest name that is kept of a profile, characters: it goes into records and onto screens.
const MAX_NAME: usize = 120;

/// Code points of ITU-T H.273, as PNG's cICP has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cicp {
    /// Colour primaries, table 2.
    pub primaries: u8,
    /// Transfer characteristics, table 3.
    pub transfer: u8,
    /// Whether black and white are the first and the last code.
    pub full_range: bool,
}

/// What a file says of its samples' colour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// The bytes of an ICC profile.
    pub icc: Option<Vec<u8>>,
    /// PNG's cICP.
    pub cicp: Option<Cicp>,
    /// Whether PNG's sRGB chunk is there.
    pub srgb: bool,
    /// PNG's gAMA: the exponent with which linear light was encoded, 0.45455 for a decoding gamma of 2.2.
    pub gamma: Option<f32>,
    /// PNG's cHRM: x and y of white, red, green, blue.
    pub chromaticities: Option<[[f32; 2]; 4]>,
    /// EXIF's ColorSpace: 1 is sRGB, 2 (not in the standard, but written) Adobe RGB, 65535 uncalibrated; the mark of DCF for Adobe RGB
    /// counts as 2.
    pub exif_colour_space: Option<u32>,
    /// Set where the samples were inks and have been turned into sRGB: by what. Nothing else counts then.
    pub separation: Option<Separation>,
    /// What was found and could not be used, in words; decoders add theirs.
    pub oddities: Vec<String>,
}

/// By what inks were turned into sRGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Separation {
    /// [`Basis::Icc`] or [`Basis::AssumedInks`].
    pub basis: Basis,
    /// The profile's own name.
    pub name: Option<String>,
    /// SHA-256 of the embedded profile, used or not.
    pub icc_sha256: Option<Digest>,
    /// What was found and could not be used.
    pub oddity: Option<String>,
}

/// Where the meaning of the samples was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// An embedded ICC profile.
    Icc,
    /// PNG's cICP.
    Cicp,
    /// PNG's sRGB chunk.
    PngSrgb,
    /// PNG's gAMA, and cHRM where it is there.
    PngGamma,
    /// EXIF's ColorSpace.
    Exif,
    /// Nothing: sRGB is assumed.
    Assumed,
    /// Nothing: ideal inks are assumed.
    AssumedInks,
}

impl Basis {
    /// The word for it in records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Icc => "icc",
            Self::Cicp => "cicp",
            Self::PngSrgb => "png-srgb",
            Self::PngGamma => "png-gamma",
            Self::Exif => "exif",
            Self::Assumed => "assumed-srgb",
            Self::AssumedInks => "assumed-inks",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How the samples of a scan were understood: what a record says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// Where it was taken from.
    pub basis: Basis,
    /// The profile's own name, or the name of what was meant.
    pub name: Option<String>,
    /// SHA-256 of the embedded profile, used or not.
    pub icc_sha256: Option<Digest>,
    /// What was found and could not be used.
    pub oddities: Vec<String>,
}

/// What is believed: its meaning, and a profile unless it is plain sRGB.
pub(super) fn choose(declared: &Declared, rgb: bool) -> (Meaning, Option<ColorProfile>) {
    let mut oddities = declared.oddities.clone();
    if let Some(Separation { basis, name, icc_sha256, oddity }) = declared.separation.clone() {
        oddities.extend(oddity);
        return (Meaning { basis, name, icc_sha256, oddities }, None);
    }
    let (basis, name, profile) = believed(declared, rgb, &mut oddities);
    (Meaning { basis, name, icc_sha256: declared.icc.as_deref().map(Digest::of), oddities }, profile)
}

/// The order is that of PNG's third edition (4.3); other formats have ICC and EXIF only.
fn believed(declared: &Declared, rgb: bool, oddities: &mut Vec<String>) -> (Basis, Option<String>, Option<ColorProfile>) {
    if let Some(cicp) = declared.cicp {
        match cicp_profile(cicp) {
            Ok(profile) => {
                let name = format!("primaries {}, transfer {} of H.273", cicp.primaries, cicp.transfer);
                return (Basis::Cicp, Some(name), Some(profile));
            }
            Err(why) => oddities.push(why),
        }
    }
    if let Some(icc) = declared.icc.as_deref() {
        match icc_profile(icc, rgb) {
            Ok(profile) => return (Basis::Icc, profile_name(&profile), Some(profile)),
            Err(why) => oddities.push(why),
        }
    }
    let srgb = || Some("sRGB".to_owned());
    if declared.srgb {
        return (Basis::PngSrgb, srgb(), None);
    }
    if let Some(profile) = gamma_profile(declared, oddities) {
        return (Basis::PngGamma, Some(format!("gamma {:.4}", declared.gamma.unwrap_or_default())), Some(profile));
    }
    match declared.exif_colour_space {
        Some(1) => return (Basis::Exif, srgb(), None),
        Some(2) => return (Basis::Exif, Some("Adobe RGB".to_owned()), Some(ColorProfile::new_adobe_rgb())),
        // Beside a profile that could not be used that is what it has to say.
        Some(other) if oddities.is_empty() => oddities.push(format!("EXIF's ColorSpace is {other}: uncalibrated, or unknown")),
        _ => {}
    }
    (Basis::Assumed, None, None)
}

/// Reads a profile's bytes.
pub(super) fn open_profile(bytes: &[u8]) -> Result<ColorProfile, String> {
    if bytes.len() > MAX_PROFILE {
        return Err(format!("the ICC profile of {} bytes is larger than any honest one and was not read", bytes.len()));
    }
    ColorProfile::new_from_slice(bytes).map_err(|error| format!("the ICC profile is broken and was not used: {error}"))
}

/// The profile's own name.
pub(super) fn profile_name(profile: &ColorProfile) -> Option<String> {
    profile.description.as_ref().map(name_of).filter(|name| !name.is_empty())
}

/// The profile, when it is sound and its samples are of the kind that the picture has.
fn icc_profile(bytes: &[u8], rgb: bool) -> Result<ColorProfile, String> {
    let profile = open_profile(bytes)?;
    match (profile.color_space, rgb) {
        // A grey picture under a profile for RGB holds that profile's neutrals.
        (DataColorSpace::Gray, false) | (DataColorSpace::Rgb, _) => Ok(profile),
        (space, true) => Err(format!("the ICC profile is for {space:?} samples, not for RGB ones, and was not used")),
        (space, false) => Err(format!("the ICC profile is for {space:?} samples, not for grey ones, and was not used")),
    }
}

fn cicp_profile(cicp: Cicp) -> Result<ColorProfile, String> {
    let unknown = || format!("cICP names primaries {} and transfer {}, which are not used here", cicp.primaries, cicp.transfer);
    if !cicp.full_range {
        return Err("cICP says narrow range, as video has it, which is not used here".to_owned());
    }
    let color_primaries = cicp.primaries.try_into().map_err(|_| unknown())?;
    let transfer_characteristics: TransferCharacteristics = cicp.transfer.try_into().map_err(|_| unknown())?;
    // Of light in absolute units (PQ, HLG) there is no white for L* to count from.
    if matches!(transfer_characteristics, TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg) {
        return Err(unknown());
    }
    let profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    if profile.green_trc.is_some() { Ok(profile) } else { Err(unknown()) }
}

/// The profile that gAMA and cHRM amount to; nonsense is none.
fn gamma_profile(declared: &Declared, refused: &mut Vec<String>) -> Option<ColorProfile> {
    let encoding = declared.gamma?;
    // 0.1 to 1 are exponents of 10 to 1; the chunk can hold anything.
    if !(0.1..=1.0).contains(&encoding) {
        refused.push(format!("gAMA says {encoding}, which no encoder means"));
        return None;
    }
    let mut profile = ColorProfile::new_srgb();
    if let Some([white, red, green, blue]) = declared.chromaticities {
        let point = |[x, y]: [f32; 2]| Chromaticity { x, y };
        let plausible = |[x, y]: [f32; 2]| (0.0..1.0).contains(&x) && (0.001..1.0).contains(&y);
        if [white, red, green, blue].into_iter().all(plausible) {
            let primaries = ColorPrimaries { red: point(red), green: point(green), blue: point(blue) };
            profile.update_rgb_colorimetry(point(white).to_xyyb(), primaries);
        } else {
            refused.push("cHRM holds no chromaticities and was not used".to_owned());
        }
    }
    let curve = ToneReprCurve::Parametric(vec![1.0 / encoding]);
    for trc in [&mut profile.red_trc, &mut profile.green_trc, &mut profile.blue_trc] {
        *trc = Some(curve.clone());
    }
    profile.cicp = None;
    Some(profile)
}

/// A profile's description, without what would upset a screen or a record.
fn name_of(text: &ProfileText) -> String {
    let text = match text {
        ProfileText::PlainString(text) => text.as_str(),
        ProfileText::Localizable(all) => {
            let english = all.iter().find(|one| one.language == "en");
            english.or(all.first()).map_or("", |one| one.value.as_str())
        }
        ProfileText::Description(description) => description.ascii_string.as_str(),
    };
    let clean: String = text.chars().filter(|letter| !letter.is_control()).take(MAX_NAME).collect();
    clean.trim().to_owned()
}
