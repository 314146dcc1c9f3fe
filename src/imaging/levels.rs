//! Levels for the colour network's copy of scans that are dark, bright or faded.
//!
//! Such a copy uses few of the tones between black and white, and the network, which learned from pictures that use most of them, guesses
//! worse. So the tones that are there are stretched to all of them. The scan's own lightness has nothing of it. Where tones are few, and why
//! ordinary pictures are left alone, was measured: `ARCHITECTURE.md`, *Tone for the network*.

use std::fmt;

use super::Plane;

/// Whether the colour network's copy gets levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Levels {
    /// It does where its tones are few.
    Auto,
    /// It keeps the scan's tones.
    Off,
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Off => "off",
        })
    }
}

/// Share of a copy's pixels darker than its black point, and likewise lighter than its white point.
const BEYOND: f64 = 0.01;
/// The same for the darkest and the lightest tone that count: dust and scratches are fewer. A dark door in a pale field is more, and says
/// that the field is pale by itself and nothing has faded; with the black and white points it would be passed over.
const DUST: f64 = 0.002;
/// Distance between the darkest and the lightest tone, of the way from 0 to 1, below which tones are few.
const FEW: f32 = 0.5;
/// Tones that are told apart.
const TONES: usize = 4096;

/// The tones of a grey copy, sRGB-encoded, each 0..=1 and none below the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tones {
    /// The darkest but for 0.2 % of the pixels.
    pub darkest: f32,
    /// The first percentile: what levels make black.
    pub black: f32,
    /// The 99th percentile: what levels make white.
    pub white: f32,
    /// The lightest but for 0.2 % of the pixels.
    pub lightest: f32,
}

impl Tones {
    /// Those of a grey copy in 0..=1, to 1/4095; values outside count as 0 and 1.
    pub fn of(grey: &Plane) -> Self {
        let mut counts = vec![0_u64; TONES];
        let last = (TONES - 1) as f32;
        for value in grey.data() {
            // A value that is not a number counts as black.
            counts[(value.clamp(0.0, 1.0) * last).round() as usize] += 1;
        }
        let darkest = |beyond: f64| tone(counts.iter(), beyond);
        let lightest = |beyond: f64| last - tone(counts.iter().rev(), beyond);
        let tones = [darkest(DUST), darkest(BEYOND), lightest(BEYOND), lightest(DUST)];
        let [darkest, black, white, lightest] = tones.map(|tone| tone / last);
        Self { darkest, black, white, lightest }
    }

    /// Whether the copy is better shown with levels: it was measured for tones of less than half the way from 0 to 1, and there
    /// must be more than one to stretch.
    pub fn are_few(self) -> bool {
        self.black < self.white && self.lightest - self.darkest < FEW
    }

    /// Stretches what lies between black and white to 0..=1; what lies beyond becomes 0 or 1.
    ///
    /// # Panics
    /// When black is white.
    pub fn stretch(self, grey: &mut Plane) {
        let range = self.white - self.black;
        assert!(range > 0.0, "one tone cannot be stretched");
        for value in grey.data_mut() {
            *value = ((*value - self.black) / range).clamp(0.0, 1.0);
        }
    }
}

/// How many of the tones, from the first on, come before the one that is passed by more than the share `beyond` of all pixels.
fn tone<'a>(counts: impl Iterator<Item = &'a u64> + Clone, beyond: f64) -> f32 {
    let allowed = counts.clone().sum::<u64>() as f64 * beyond;
    let mut passed = 0;
    let before = counts.take_while(|count| {
        passed += *count;
        passed as f64 <= allowed
    });
    before.count() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Size;

    /// Every tone from `black` to `white` once, and `specks` black and as many white ones in ten thousand.
    fn ramp(black: f32, white: f32, specks: usize) -> Plane {
        let tones = (0..10_000_u16 - 2 * specks as u16).map(|step| f32::from(step) / f32::from(9_999 - 2 * specks as u16));
        let mut data: Vec<f32> = tones.map(|tone| black + (white - black) * tone).collect();
        data.extend(vec![0.0; specks]);
        data.extend(vec![1.0; specks]);
        Plane::new(Size::new(100, 100), data).unwrap()
    }

    #[test]
    fn black_and_white_are_the_first_and_the_99th_percentile() {
        let Tones { darkest, black, white, lightest } = Tones::of(&ramp(0.3, 0.7, 0));
        for (found, wanted) in [(darkest, 0.3008), (black, 0.304), (white, 0.696), (lightest, 0.6992)] {
            assert!((found - wanted).abs() < 0.0005, "{found} is not {wanted}");
        }
    }

    #[test]
    fn dark_bright_and_faded_copies_get_levels_and_ordinary_ones_none() {
        for (black, white) in [(0.0, 0.35), (0.55, 1.0), (0.25, 0.74)] {
            assert!(Tones::of(&ramp(black, white, 0)).are_few(), "{black} to {white}");
        }
        for (black, white) in [(0.0, 1.0), (0.0, 0.55), (0.45, 1.0), (0.2, 0.75)] {
            assert!(!Tones::of(&ramp(black, white, 0)).are_few(), "{black} to {white}");
        }
    }

    /// Black and white points are the same with sixty specks as with none; what has faded has no black doors.
    #[test]
    fn dust_and_scratches_hide_no_fading_and_a_few_deep_shadows_show_that_there_is_none() {
        assert!(Tones::of(&ramp(0.4, 0.7, 10)).are_few());
        let shadows = Tones::of(&ramp(0.4, 0.7, 60));
        assert!(shadows.black > 0.4 && shadows.white < 0.7 && !shadows.are_few(), "{shadows:?}");
    }

    #[test]
    fn a_stretched_copy_reaches_from_black_to_white_and_keeps_the_order_of_its_tones() {
        let mut grey = ramp(0.4, 0.6, 0);
        Tones::of(&grey).stretch(&mut grey);
        let stretched = Tones::of(&grey);
        assert!(stretched.black < 0.001 && stretched.white > 0.999, "{stretched:?}");
        assert!(grey.data().is_sorted());
        assert!((grey.data()[5_000] - 0.5).abs() < 0.001, "{}", grey.data()[5_000]);
        assert!(grey.data().iter().all(|value| (0.0..=1.0).contains(value)));
    }

    #[test]
    fn one_tone_alone_is_not_stretched() {
        let tones = Tones::of(&Plane::filled(Size::new(64, 64), 0.4));
        assert!(!tones.are_few(), "{tones:?}");
    }
}
