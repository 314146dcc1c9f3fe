//! Generated grey pictures for `doctor` and `bench`: soft tones, hard edges, film grain; the same seed, the same picture.

use crate::codec::{self, Carried, EncodeError, EncodeSettings, Format};
use crate::imaging::{Channels, Samples, ScanImage, Size};
use crate::pipeline::Profile;
use crate::routing::Scene;

/// Deviation of the grain, as a share of the range: what a fast film shows at scanner resolution.
const GRAIN: f32 = 0.03;

/// Fixes the scene of generated pictures where the collection does not: they are patterns, and patterns may look like a page,
/// which would be left alone. The scene network is asked all the same.
pub(super) fn fix_scene(profile: &mut Profile) {
    profile.rules.scene_override.get_or_insert(Scene::Other);
}

/// A picture of `depth` 8 or 16 bits, encoded.
///
/// # Errors
/// The encoder refuses it.
pub(super) fn scan(size: Size, format: Format, depth: u8, seed: u64) -> Result<Vec<u8>, EncodeError> {
    scan_as(size, format, depth, seed, &EncodeSettings::default())
}

/// The same, encoded in a certain way.
///
/// # Errors
/// The encoder refuses it.
pub(super) fn scan_as(size: Size, format: Format, depth: u8, seed: u64, how: &EncodeSettings) -> Result<Vec<u8>, EncodeError> {
    codec::encode(&photograph(size, depth, seed), format, how, &Carried::default())
}

/// A picture of `depth` 8 or 16 bits; sides at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of the samples")]
pub(super) fn photograph(size: Size, depth: u8, seed: u64) -> ScanImage {
    let tones = tones(size, seed);
    let samples = match depth {
        16 => Samples::U16(tones.iter().map(|tone| (tone * 65_535.0).round() as u16).collect()),
        _ => Samples::U8(tones.iter().map(|tone| (tone * 255.0).round() as u8).collect()),
    };
    ScanImage::new(size, Channels::Grey, samples).expect("there is one tone for every pixel")
}

/// Tones in 0..=1, row by row.
#[expect(clippy::cast_precision_loss, reason = "sides of pictures are far below 2^24")]
fn tones(size: Size, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let phase = random.f32() * std::f32::consts::TAU;
    let (width, height) = (size.width as f32, size.height as f32);
    // Separable waves: one table a side instead of two sines a pixel.
    let across: Vec<f32> = (0..size.width).map(|x| (x as f32 / width * 13.0 + phase).sin()).collect();
    let down: Vec<f32> = (0..size.height).map(|y| (y as f32 / height * 9.0 - phase).cos()).collect();
    let (block_width, block_height) = ((size.width / 7).max(1), (size.height / 5).max(1));
    let blocks: Vec<f32> = (0..64).map(|_| random.f32() * 0.3 - 0.15).collect();
    let mut tones = Vec::with_capacity(across.len() * down.len());
    for (y, down) in (0..size.height).zip(&down) {
        let sky = 0.25 * (1.0 - y as f32 / height);
        for (x, across) in (0..size.width).zip(&across) {
            let block = blocks[(x / block_width + 8 * (y / block_height)) as usize % blocks.len()];
            tones.push((0.4 + sky + 0.18 * across * down + block + grain(&mut random)).clamp(0.0, 1.0));
        }
    }
    tones
}

/// Near enough to a normal distribution: four 16-bit uniform numbers, whose sum has deviation 1/√3 of their range.
#[expect(clippy::cast_precision_loss, reason = "16-bit numbers fit")]
fn grain(random: &mut fastrand::Rng) -> f32 {
    let bits = random.u64(..);
    let sum: f32 = [0, 16, 32, 48].iter().map(|shift| (bits >> shift & 0xFFFF) as f32 / 65_535.0).sum();
    (sum - 2.0) * GRAIN * 3.0_f32.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_picture_and_another_is_not() {
        let size = Size::new(97, 61);
        assert_eq!(photograph(size, 8, 1), photograph(size, 8, 1));
        assert_ne!(photograph(size, 8, 1), photograph(size, 8, 2));
        assert_eq!(photograph(size, 16, 1).bit_depth(), 16);
    }

    #[test]
    fn the_picture_is_neither_blank_nor_burnt_out() {
        let tones = tones(Size::new(400, 300), 7);
        let mean = tones.iter().sum::<f32>() / tones.len() as f32;
        let deviation = (tones.iter().map(|tone| (tone - mean).powi(2)).sum::<f32>() / tones.len() as f32).sqrt();
        let clipped = tones.iter().filter(|&&tone| tone <= 0.0 || tone >= 1.0).count();
        assert!((0.3..0.7).contains(&mean) && deviation > 0.08, "mean {mean}, deviation {deviation}");
        assert!(clipped < tones.len() / 50, "{clipped} of {} tones are clipped", tones.len());
    }

    #[test]
    fn a_side_of_one_pixel_is_a_picture_too() {
        assert_eq!(photograph(Size::new(1, 1), 8, 3).size(), Size::new(1, 1));
    }
}
