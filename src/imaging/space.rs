//! The colour spaces that derivatives can have: primaries, white and curve, and the numbers that follow.
//!
//! Whatever a space's white is, its neutrals are the neutrals of Lab: those with another white than D65 are adapted (Bradford), as
//! profiles are.

use std::fmt;

use super::lab::{RGB_TO_XYZ, WHITE, divide_rows, invert, linear_to_srgb, narrow, srgb_to_linear};

/// A colour space of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourSpace {
    /// IEC 61966-2-1.
    #[default]
    Srgb,
    /// Adobe RGB (1998).
    AdobeRgb,
    /// The primaries of SMPTE EG 432-1 with the white and the curve of sRGB.
    DisplayP3,
    /// ROMM RGB (ISO 22028-2). A step of 8 bits is up to 0.8 L*: made for 16.
    ProPhoto,
}

impl ColourSpace {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Srgb, Self::AdobeRgb, Self::DisplayP3, Self::ProPhoto];

    /// The word for it in configuration and records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Srgb => "srgb",
            Self::AdobeRgb => "adobe-rgb",
            Self::DisplayP3 => "display-p3",
            Self::ProPhoto => "prophoto",
        }
    }

    /// Linear light in 0..=1 of an encoded value in 0..=1.
    pub fn linear(self, encoded: f64) -> f64 {
        self.curve().linear(encoded)
    }

    /// The encoded value in 0..=1 of linear light in 0..=1.
    pub fn encoded(self, linear: f64) -> f64 {
        self.curve().encoded(linear)
    }

    /// Linear red, green and blue to CIE XYZ adapted to D50: what a profile calls colorants, red in the first column.
    pub const fn colorants(self) -> [[f64; 3]; 3] {
        match self {
            Self::Srgb | Self::AdobeRgb | Self::DisplayP3 => product(adaptation(WHITE, D50), self.to_xyz()),
            Self::ProPhoto => PROPHOTO,
        }
    }

    /// Linear red, green and blue to CIE XYZ, D65.
    const fn to_xyz(self) -> [[f64; 3]; 3] {
        match self {
            Self::Srgb => RGB_TO_XYZ,
            Self::AdobeRgb => of_primaries([[0.64, 0.33], [0.21, 0.71], [0.15, 0.06]], WHITE),
            Self::DisplayP3 => of_primaries([[0.68, 0.32], [0.265, 0.69], [0.15, 0.06]], WHITE),
            Self::ProPhoto => product(adaptation(D50, WHITE), PROPHOTO),
        }
    }

    /// L*, a*, b* of an encoded colour in 0..=1.
    #[cfg(test)]
    pub(super) fn lab(self, rgb: [f64; 3]) -> [f64; 3] {
        let xyz = apply(self.to_xyz(), rgb.map(|value| self.linear(value)));
        super::lab::linear_to_lab(apply(invert(RGB_TO_XYZ), xyz))
    }

    pub(super) const fn curve(self) -> Curve {
        match self {
            Self::Srgb | Self::DisplayP3 => Curve::Srgb,
            Self::AdobeRgb => Curve::Adobe,
            Self::ProPhoto => Curve::ProPhoto,
        }
    }

    pub(super) const fn numbers(self) -> &'static Numbers {
        static NUMBERS: [Numbers; 4] = [
            Numbers::of(ColourSpace::Srgb),
            Numbers::of(ColourSpace::AdobeRgb),
            Numbers::of(ColourSpace::DisplayP3),
            Numbers::of(ColourSpace::ProPhoto),
        ];
        &NUMBERS[self as usize]
    }
}

impl fmt::Display for ColourSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What the row loops need of a space.
#[derive(Debug)]
pub(super) struct Numbers {
    /// From XYZ relative to white: channel = Y + `row[0]`·(X - Y) + `row[1]`·(Z - Y). Written so, neutrals are exactly equal.
    pub(super) from_relative: [[f32; 2]; 3],
    /// Weights of linear red, green and blue in relative luminance.
    pub(super) luminance: [f32; 3],
}

impl Numbers {
    const fn of(space: ColourSpace) -> Self {
        let to_xyz = space.to_xyz();
        let [red, green, blue] = invert(divide_rows(to_xyz, WHITE));
        let from_relative =
            [[red[0] as f32, red[2] as f32], [green[0] as f32, green[2] as f32], [blue[0] as f32, blue[2] as f32]];
        Self { from_relative, luminance: narrow(to_xyz[1]) }
    }
}

/// How linear light is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    /// Of sRGB and Display P3.
    Srgb,
    /// A power of 563/256.
    Adobe,
    /// A power of 1.8 with a straight line of slope 16 near black.
    ProPhoto,
}

/// Adobe RGB (1998), 4.3.4.2.
const ADOBE_POWER: f64 = 563.0 / 256.0;
/// Linear light below which ROMM RGB is a straight line: 16^(1.8/(1 - 1.8)).
const PROPHOTO_LINE: f64 = 1.0 / 512.0;

impl Curve {
    pub(super) fn linear(self, encoded: f64) -> f64 {
        match self {
            Self::Srgb => srgb_to_linear(encoded),
            Self::Adobe => encoded.powf(ADOBE_POWER),
            Self::ProPhoto if encoded < 16.0 * PROPHOTO_LINE => encoded / 16.0,
            Self::ProPhoto => encoded.powf(1.8),
        }
    }

    pub(super) fn encoded(self, linear: f64) -> f64 {
        match self {
            Self::Srgb => linear_to_srgb(linear),
            Self::Adobe => linear.powf(1.0 / ADOBE_POWER),
            Self::ProPhoto if linear < PROPHOTO_LINE => linear * 16.0,
            Self::ProPhoto => linear.powf(1.0 / 1.8),
        }
    }
}

/// The white of profiles, D50 (ICC.1:2022, 7.2.16).
const D50: [f64; 3] = [0.9642, 1.0, 0.8249];

/// Linear ROMM RGB to XYZ, D50.
const PROPHOTO: [[f64; 3]; 3] = of_primaries([[0.7347, 0.2653], [0.1596, 0.8404], [0.0366, 0.0001]], D50);

/// The cone responses of Bradford (ICC.1:2022, annex E).
const BRADFORD: [[f64; 3]; 3] = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]];

/// Linear RGB to XYZ of primaries given by x and y, whose equal sum is `white`.
const fn of_primaries([[rx, ry], [gx, gy], [bx, by]]: [[f64; 2]; 3], white: [f64; 3]) -> [[f64; 3]; 3] {
    let unscaled =
        [[rx / ry, gx / gy, bx / by], [1.0, 1.0, 1.0], [(1.0 - rx - ry) / ry, (1.0 - gx - gy) / gy, (1.0 - bx - by) / by]];
    let scale = apply(invert(unscaled), white);
    product(unscaled, diagonal(scale))
}

/// XYZ under one white to XYZ under another.
pub(super) const fn adaptation(from: [f64; 3], to: [f64; 3]) -> [[f64; 3]; 3] {
    let (seen, wanted) = (apply(BRADFORD, from), apply(BRADFORD, to));
    let ratio = [wanted[0] / seen[0], wanted[1] / seen[1], wanted[2] / seen[2]];
    product(invert(BRADFORD), product(diagonal(ratio), BRADFORD))
}

const fn diagonal([a, b, c]: [f64; 3]) -> [[f64; 3]; 3] {
    [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]]
}

const fn apply(matrix: [[f64; 3]; 3], [x, y, z]: [f64; 3]) -> [f64; 3] {
    let [[a, b, c], [d, e, f], [g, h, i]] = matrix;
    [a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z]
}

const fn product(one: [[f64; 3]; 3], other: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let [[a, b, c], [d, e, f], [g, h, i]] = other;
    let [red, green, blue] = [apply(one, [a, d, g]), apply(one, [b, e, h]), apply(one, [c, f, i])];
    [[red[0], green[0], blue[0]], [red[1], green[1], blue[1]], [red[2], green[2], blue[2]]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_have_their_published_colorants() {
        // As in the profiles of their makers: D50, Bradford.
        for (space, published) in [
            (ColourSpace::Srgb, [[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]),
            (ColourSpace::AdobeRgb, [[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]]),
            (ColourSpace::DisplayP3, [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]),
            (ColourSpace::ProPhoto, [[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]]),
        ] {
            for (found, wanted) in space.colorants().iter().flatten().zip(published.iter().flatten()) {
                assert!((found - wanted).abs() < 3e-4, "{space:?}: {found} is not {wanted}");
            }
        }
    }

    #[test]
    fn curves_go_there_and_back_without_a_step() {
        for space in ColourSpace::ALL {
            for step in 0..=10_000 {
                let encoded = f64::from(step) / 1e4;
                assert!((space.encoded(space.linear(encoded)) - encoded).abs() < 3e-5, "{space:?} at {encoded}");
            }
            assert!((space.linear(1.0) - 1.0).abs() < 1e-12 && space.linear(0.0) == 0.0);
        }
    }
}
