//! Ink coverage of a press to sRGB: CMYK scans are separations of a print, and nothing behind works on inks.

use moxcms::{DataColorSpace, Layout};

use super::declared::{Basis, Separation, open_profile, profile_name};
use super::reading::{Executor, executor, run};
use crate::digest::Digest;
use crate::imaging::Samples;

/// Pixels converted at once.
const RUN: usize = 1024;

/// How inks are understood: cyan, magenta, yellow and black of every pixel, 0 for none and the largest value for full coverage.
pub struct Inks {
    executor: Option<Executor>,
    separation: Separation,
}

impl Inks {
    /// By the profile, paper counting as white; without one that can be used as ideal inks, which take away red, green, blue and all, and
    /// the words say so.
    pub fn of(icc: Option<&[u8]>) -> Self {
        let icc_sha256 = icc.map(Digest::of);
        let read = icc.map(|icc| {
            let profile = open_profile(icc)?;
            if profile.color_space != DataColorSpace::Cmyk {
                return Err(format!(
                    "the ICC profile is for {:?} samples, not for CMYK ones, and was not used",
                    profile.color_space
                ));
            }
            let executor = executor(&profile, Layout::Rgba).ok_or("the ICC profile has no tables that can be used")?;
            Ok((profile_name(&profile), executor))
        });
        let (name, executor, oddity) = match read {
            Some(Ok((name, executor))) => (name, Some(executor), None),
            Some(Err(why)) => (None, None, Some(why)),
            None => (None, None, Some("CMYK without a profile was taken for ideal inks: its lightness is a guess".to_owned())),
        };
        let basis = if executor.is_some() { Basis::Icc } else { Basis::AssumedInks };
        Self { executor, separation: Separation { basis, name, icc_sha256, oddity } }
    }

    /// What a record says of it.
    pub fn separation(&self) -> Separation {
        self.separation.clone()
    }

    /// sRGB of pixels of four inks.
    pub fn to_srgb(&self, inks: &Samples) -> Samples {
        let convert = |from: &[f32], to: &mut [f32]| match &self.executor {
            Some(executor) => run(executor, from, to),
            None => {
                for ([cyan, magenta, yellow, black], rgb) in from.as_chunks::<4>().0.iter().zip(to.as_chunks_mut::<3>().0) {
                    *rgb = [cyan, magenta, yellow].map(|ink| (1.0 - ink) * (1.0 - black));
                }
            }
        };
        match inks {
            Samples::U8(inks) => Samples::U8(through(inks, 255.0, convert, |value| value as u8)),
            Samples::U16(inks) => Samples::U16(through(inks, 65_535.0, convert, |value| value as u16)),
        }
    }
}

fn through<T: Copy + Into<f32>>(inks: &[T], most: f32, convert: impl Fn(&[f32], &mut [f32]), code: impl Fn(f32) -> T) -> Vec<T> {
    let mut rgb = Vec::with_capacity(inks.len() / 4 * 3);
    let (mut from, mut to) = (vec![0.0_f32; 4 * RUN], vec![0.0_f32; 3 * RUN]);
    for pixels in inks.chunks(4 * RUN) {
        let (from, to) = (&mut from[..pixels.len()], &mut to[..pixels.len() / 4 * 3]);
        from.iter_mut().zip(pixels).for_each(|(from, &ink)| *from = ink.into() / most);
        convert(from, to);
        // What is no number becomes 0 in the cast; it can only come from a broken table.
        rgb.extend(to.iter().map(|value| code((value.clamp(0.0, 1.0) * most).round())));
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ideal_inks_take_away_what_they_are_named_for_and_that_is_said() {
        let inks = Samples::U8([[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255], [0, 0, 0, 51]].concat());
        let (ideal, separation) = (Inks::of(None), Inks::of(None).separation());
        let rgb = ideal.to_srgb(&inks);
        assert_eq!(rgb, Samples::U8([[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0], [204; 3]].concat()));
        assert_eq!((separation.basis, separation.icc_sha256), (Basis::AssumedInks, None));
        assert!(separation.oddity.unwrap().contains("without a profile"));
        let rgb = ideal.to_srgb(&Samples::U16(vec![0, 0, 0, 13_107]));
        assert_eq!(rgb, Samples::U16(vec![52_428; 3]));
    }

    #[test]
    fn a_profile_that_is_none_or_for_other_samples_gives_way_with_a_word() {
        for (icc, word) in [(&b"nonsense"[..], "broken"), (super::super::srgb_profile(), "not for CMYK")] {
            let separation = Inks::of(Some(icc)).separation();
            assert_eq!((separation.basis, separation.icc_sha256), (Basis::AssumedInks, Some(Digest::of(icc))));
            assert!(separation.oddity.as_deref().unwrap().contains(word), "{separation:?}");
        }
    }
}
