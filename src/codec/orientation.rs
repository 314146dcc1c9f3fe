//! Turns a stored picture upright, by the eight values of EXIF and TIFF tag 274.
//!
//! Moves pixels, changes none.

use image::metadata::Orientation;
use image::{ImageBuffer, Luma, LumaA, Pixel, Rgb, Rgba, imageops};

use super::Channels;
use crate::imaging::{Samples, ScanImage, Size};

/// The value that means: leave it as it is.
pub(super) const UPRIGHT: u8 = 1;

/// The picture as it is meant to be seen. `orientation` is 1..=8; any other value counts as 1.
pub(super) fn upright(image: ScanImage, orientation: u8) -> ScanImage {
    let orientation = Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms);
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let (size, channels) = (image.size(), image.channels());
    let (size, samples) = match image.into_samples() {
        Samples::U8(data) => {
            let (size, data) = match channels {
                Channels::Grey => turn::<Luma<u8>>(size, data, orientation),
                Channels::GreyAlpha => turn::<LumaA<u8>>(size, data, orientation),
                Channels::Rgb => turn::<Rgb<u8>>(size, data, orientation),
                Channels::Rgba => turn::<Rgba<u8>>(size, data, orientation),
            };
            (size, Samples::U8(data))
        }
        Samples::U16(data) => {
            let (size, data) = match channels {
                Channels::Grey => turn::<Luma<u16>>(size, data, orientation),
                Channels::GreyAlpha => turn::<LumaA<u16>>(size, data, orientation),
                Channels::Rgb => turn::<Rgb<u16>>(size, data, orientation),
                Channels::Rgba => turn::<Rgba<u16>>(size, data, orientation),
            };
            (size, Samples::U16(data))
        }
    };
    ScanImage::new(size, channels, samples).expect("turning keeps the number of samples")
}

fn turn<P: Pixel + 'static>(size: Size, data: Vec<P::Subpixel>, orientation: Orientation) -> (Size, Vec<P::Subpixel>) {
    let picture: ImageBuffer<P, Vec<P::Subpixel>> =
        ImageBuffer::from_raw(size.width, size.height, data).expect("a scan's samples fill its size");
    let turned = match orientation {
        Orientation::NoTransforms => picture,
        Orientation::FlipHorizontal => flipped(picture, imageops::flip_horizontal_in_place),
        Orientation::FlipVertical => flipped(picture, imageops::flip_vertical_in_place),
        Orientation::Rotate180 => flipped(picture, imageops::rotate180_in_place),
        Orientation::Rotate90 => imageops::rotate90(&picture),
        Orientation::Rotate270 => imageops::rotate270(&picture),
        Orientation::Rotate90FlipH => flipped(imageops::rotate90(&picture), imageops::flip_horizontal_in_place),
        Orientation::Rotate270FlipH => flipped(imageops::rotate270(&picture), imageops::flip_horizontal_in_place),
    };
    (Size::new(turned.width(), turned.height()), turned.into_raw())
}

fn flipped<I>(mut picture: I, flip: impl Fn(&mut I)) -> I {
    flip(&mut picture);
    picture
}

/// Whether width and height change places.
pub(super) const fn swaps_sides(orientation: u8) -> bool {
    matches!(orientation, 5..=8)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Where the eight orientations put the pixels of a 3 × 2 picture that reads 1 2 3 / 4 5 6 as stored (EXIF 2.32, figure
    /// of tag 0x0112).
    pub(in crate::codec) const TURNED: [(u8, u32, [u8; 6]); 8] = [
        (1, 3, [1, 2, 3, 4, 5, 6]),
        (2, 3, [3, 2, 1, 6, 5, 4]),
        (3, 3, [6, 5, 4, 3, 2, 1]),
        (4, 3, [4, 5, 6, 1, 2, 3]),
        (5, 2, [1, 4, 2, 5, 3, 6]),
        (6, 2, [4, 1, 5, 2, 6, 3]),
        (7, 2, [6, 3, 5, 2, 4, 1]),
        (8, 2, [3, 6, 2, 5, 1, 4]),
    ];

    #[test]
    fn each_orientation_puts_every_pixel_in_its_place() {
        for (orientation, width, expected) in TURNED {
            let stored = ScanImage::new(Size::new(3, 2), Channels::Grey, Samples::U8(vec![1, 2, 3, 4, 5, 6])).unwrap();
            let seen = upright(stored, orientation);
            assert_eq!(seen.size(), Size::new(width, 6 / width), "{orientation}");
            assert_eq!(swaps_sides(orientation), width == 2);
            assert_eq!(seen.samples(), &Samples::U8(expected.to_vec()), "{orientation}");
        }
    }

    #[test]
    fn samples_of_a_pixel_stay_together() {
        for channels in [Channels::GreyAlpha, Channels::Rgb, Channels::Rgba] {
            let count = channels.count() as u16;
            let pixel = |value: u8| (0..count).map(move |sample| u16::from(value) * 1000 + sample);
            for (orientation, width, expected) in TURNED {
                let samples = (1..=6).flat_map(pixel).collect();
                let stored = ScanImage::new(Size::new(3, 2), channels, Samples::U16(samples)).unwrap();
                let wanted = expected.into_iter().flat_map(pixel).collect();
                let wanted = ScanImage::new(Size::new(width, 6 / width), channels, Samples::U16(wanted)).unwrap();
                assert_eq!(upright(stored, orientation), wanted, "{channels:?} {orientation}");
            }
        }
    }
}
