//! What an ICC profile costs: a picture's lightness with and without one.

use serde_json::{Value, json};

use super::super::sample;
use super::{PICTURE, median, rounded, timed};
use crate::colour::{Colour, Declared, profile_of};
use crate::imaging::{Channels, ColourSpace, Samples, ScanImage};

/// Milliseconds for 24 megapixels of RGB, 8 bits.
pub(super) struct ProfileFigures {
    srgb: f64,
    adobe: f64,
}

pub(super) fn measure(runs: u32) -> ProfileFigures {
    let Samples::U8(greys) = sample::photograph(PICTURE, 8, 24).into_samples() else { unreachable!("8 bits were asked for") };
    // A tint, so that no channel is like another.
    let samples = greys.iter().flat_map(|&grey| [grey, grey / 2 + 40, grey / 3 + 60]).collect();
    let image = ScanImage::new(PICTURE, Channels::Rgb, Samples::U8(samples)).expect("three samples for every pixel");
    let lightness = |space: ColourSpace| {
        let declared = Declared { icc: Some(profile_of(space).to_vec()), ..Declared::default() };
        let one = |_| {
            let image = image.clone();
            timed(|| Colour::of(&declared, Channels::Rgb, 8).lightness(image)).1
        };
        median((0..=runs).map(one).skip(1).collect())
    };
    ProfileFigures { srgb: lightness(ColourSpace::Srgb), adobe: lightness(ColourSpace::AdobeRgb) }
}

impl ProfileFigures {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "srgb_ms": rounded(self.srgb), "adobe_rgb_ms": rounded(self.adobe),
            "difference_ms": rounded(self.adobe - self.srgb),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self { srgb, adobe } = self;
        let difference = adobe - srgb;
        format!(
            "lightness of RGB, 8 bits, {PICTURE} pixels\n  sRGB       {srgb:>9.1} ms\n  Adobe RGB  {adobe:>9.1} ms  its profile {difference:+.1}\n"
        )
    }
}
