//! The profile that derivatives carry.

use std::sync::LazyLock;

use moxcms::ColorProfile;

/// Where an ICC header has its date (ICC.1:2022, table 17): bytes 24 to 35, six numbers of 16 bits.
const DATE: std::ops::Range<usize> = 24..36;

/// The date of every profile made here: the same picture must give the same bytes tomorrow.
const MADE: [u16; 6] = [2026, 1, 1, 0, 0, 0];

static SRGB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = ColorProfile::new_srgb().encode().expect("a profile made of constants can be written");
    bytes[DATE].copy_from_slice(&MADE.map(u16::to_be_bytes).concat());
    bytes
});

/// An ICC profile of sRGB (IEC 61966-2-1), version 4, some hundred bytes: generated, nobody's file.
pub fn srgb_profile() -> &'static [u8] {
    &SRGB
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
}
