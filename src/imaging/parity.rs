//! What the authors' Python pipeline does around its network, for museums that compare with what it once made for them.
//!
//! After `colorization_pipeline.py` of piddnad/DDColor (commit 2adb63f): the scan is squashed to a square without antialiasing,
//! its chroma comes back by nearest neighbour, and colours outside sRGB are clipped channel by channel, which changes their
//! lightness. Scans of 16 bits, which it never saw, are computed in floats from their 16 bits. Every other line of this program
//! does better; nothing here is ever the default.

use std::fmt;

use super::lab::Sample;
use super::opencv_lab::OpencvLab;
use super::recombine::{Recombined, tame};
use super::rows::Encode;
use super::{Channels, ChromaPlanes, Depth, Plane, Samples, ScanImage, Size};

/// What happens to a scan before the network, and to its chroma after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preprocessing {
    /// Aspect kept, antialiased, padded; chroma enlarged smoothly and reduced at fixed lightness where sRGB cannot hold it.
    Fit,
    /// What the authors' Python pipeline does.
    Parity,
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fit => "fit",
            Self::Parity => "parity",
        })
    }
}

/// The network's input, sRGB-encoded grey in 0..=1: the scan resampled bilinearly to `size` (`cv2.resize` with
/// `INTER_LINEAR`: pixel centres aligned, no antialiasing), each colour then replaced by the grey of its lightness.
///
/// Alpha is ignored. OpenCV's red, green and blue of a grey are apart by less than 1e-6, so one plane stands for all.
pub fn parity_input(scan: &ScanImage, size: Size) -> Plane {
    let data = match scan.samples() {
        Samples::U8(samples) => input(scan, samples, size),
        Samples::U16(samples) => input(scan, samples, size),
    };
    Plane::new(size, data).expect("every pixel was computed")
}

fn input<S: Sample>(scan: &ScanImage, samples: &[S], size: Size) -> Vec<f32> {
    let lab = OpencvLab::get();
    let (count, width) = (scan.channels().count(), scan.size().width as usize);
    let columns: Vec<_> = (0..size.width).map(|x| taps(x, size.width, scan.size().width)).collect();
    let mut data = Vec::with_capacity(columns.len() * size.height as usize);
    for y in 0..size.height {
        let (rows, below) = taps(y, size.height, scan.size().height);
        let colour = |row: usize, column: usize| encoded(scan.channels(), &samples[(row * width + column) * count..]);
        data.extend(columns.iter().map(|&(columns, right)| {
            let [upper, lower] = rows.map(|row| mix(colour(row, columns[0]), colour(row, columns[1]), right));
            let lightness = lab.lightness(mix(upper, lower, below));
            lab.rgb([lightness, 0.0, 0.0]).0[0]
        }));
    }
    data
}

/// Between which two samples of a scan's axis a pixel of the copy lies, and the weight of the second; in the single precision
/// of OpenCV.
fn taps(position: u32, copy: u32, scan: u32) -> ([usize; 2], f32) {
    let centre = ((f64::from(position) + 0.5) * (f64::from(scan) / f64::from(copy)) - 0.5) as f32;
    let last = scan - 1;
    match centre.max(0.0) as u32 {
        index if index >= last => ([last as usize; 2], 0.0),
        index => ([index as usize, index as usize + 1], (centre - index as f32).max(0.0)),
    }
}

fn mix(one: [f32; 3], other: [f32; 3], weight: f32) -> [f32; 3] {
    std::array::from_fn(|channel| one[channel] * (1.0 - weight) + other[channel] * weight)
}

/// Red, green and blue, 0..=1, of the pixel that begins here.
fn encoded<S: Sample>(channels: Channels, pixel: &[S]) -> [f32; 3] {
    let of = |channel: usize| f32::from(pixel[channel].widened()) / 65535.0;
    if channels.is_rgb() { [0, 1, 2].map(of) } else { [of(0); 3] }
}

/// Gives the scan's lightness, as OpenCV has it, the chroma of the small planes: nearest neighbour (`torch`'s
/// `interpolate` by default), each channel clipped to 0..=1 and rounded to the depth asked for. Alpha is passed through; a chroma
/// value that is not a number counts as 0. The share in the result is that of clipped pixels.
///
/// # Panics
/// When the two chroma planes differ in size or are empty.
pub fn parity_recombine(scan: &ScanImage, chroma: &ChromaPlanes, depth: Depth) -> Recombined {
    assert_eq!(chroma.a.size(), chroma.b.size(), "both chroma planes show one picture");
    assert!(chroma.a.size().pixels() > 0, "chroma planes have pixels");
    let (samples, clipped) = match depth {
        Depth::Eight => {
            let (samples, clipped) = all(scan, chroma);
            (Samples::U8(samples), clipped)
        }
        Depth::Sixteen => {
            let (samples, clipped) = all(scan, chroma);
            (Samples::U16(samples), clipped)
        }
    };
    let channels = if scan.channels().has_alpha() { Channels::Rgba } else { Channels::Rgb };
    let image = ScanImage::new(scan.size(), channels, samples).expect("every pixel was filled");
    Recombined { image, out_of_gamut_share: clipped as f64 / scan.size().pixels() as f64 }
}

fn all<T: Encode>(scan: &ScanImage, chroma: &ChromaPlanes) -> (Vec<T>, u64) {
    match scan.samples() {
        Samples::U8(samples) => colour(scan, samples, chroma),
        Samples::U16(samples) => colour(scan, samples, chroma),
    }
}

fn colour<S: Sample, T: Encode>(scan: &ScanImage, samples: &[S], chroma: &ChromaPlanes) -> (Vec<T>, u64) {
    let lab = OpencvLab::get();
    let (channels, size, small) = (scan.channels(), scan.size(), chroma.a.size());
    let columns: Vec<usize> = (0..size.width).map(|x| nearest(x, size.width, small.width)).collect();
    let count = if channels.has_alpha() { 4 } else { 3 };
    let mut out = Vec::with_capacity(samples.len() / channels.count() * count);
    let mut clipped = 0;
    for (y, row) in samples.chunks_exact(size.width as usize * channels.count()).enumerate() {
        let y = nearest(y as u32, size.height, small.height) as u32;
        let (a, b) = (chroma.a.row(y), chroma.b.row(y));
        for (pixel, &x) in row.chunks_exact(channels.count()).zip(&columns) {
            let lightness = lab.lightness(encoded(channels, pixel));
            let (rgb, outside) = lab.rgb([lightness, tame(a[x]), tame(b[x])]);
            clipped += u64::from(outside);
            out.extend(rgb.map(T::nearest));
            if channels.has_alpha() {
                out.push(T::narrowed(pixel[pixel.len() - 1].widened()));
            }
        }
    }
    (out, clipped)
}

/// The sample of a small axis that a pixel of the large one shows; in the single precision of `torch`.
fn nearest(position: u32, large: u32, small: u32) -> usize {
    let index = position as f32 * (small as f32 / large as f32);
    (index as u32).min(small - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(size: Size) -> ScanImage {
        let samples = (0..size.pixels()).map(|index| (index * 13 % 251) as u8).collect();
        ScanImage::new(size, Channels::Grey, Samples::U8(samples)).unwrap()
    }

    #[test]
    fn a_reduction_picks_where_others_average() {
        // 40 to 10: each copy pixel lies between the second and third of its four, and sees no other.
        let stripes: Vec<u8> = (0..40 * 40).map(|index| if matches!(index % 4, 1 | 2) { 200 } else { 0 }).collect();
        let scan = ScanImage::new(Size::new(40, 40), Channels::Grey, Samples::U8(stripes)).unwrap();
        let copy = parity_input(&scan, Size::new(10, 10));
        assert!(copy.data().iter().all(|&value| (value - 200.0 / 255.0).abs() < 0.003), "{:?}", copy.row(0));
    }

    #[test]
    fn grey_chroma_gives_the_scan_back() {
        let scan = ramp(Size::new(37, 29));
        let none = Plane::filled(Size::new(32, 32), 0.0);
        let back = parity_recombine(&scan, &ChromaPlanes { a: none.clone(), b: none }, Depth::of(scan.bit_depth()));
        let (Samples::U8(was), Samples::U8(is)) = (scan.samples(), back.image.samples()) else { panic!("8 bits") };
        // What OpenCV's table of lightness does to a grey: up to 0.25 L*.
        assert!(is.as_chunks::<3>().0.iter().zip(was).all(|(rgb, &was)| rgb.iter().all(|&code| code.abs_diff(was) <= 1)));
        assert_eq!(back.out_of_gamut_share, 0.0);
    }

    #[test]
    fn sixteen_bits_and_alpha_are_kept() {
        let size = Size::new(5, 4);
        let samples = (0..40).map(|index| if index % 2 == 0 { index * 1600 } else { index }).collect();
        let scan = ScanImage::new(size, Channels::GreyAlpha, Samples::U16(samples)).unwrap();
        let chroma = |value| Plane::filled(Size::new(2, 2), value);
        let made =
            parity_recombine(&scan, &ChromaPlanes { a: chroma(f32::NAN), b: chroma(f32::INFINITY) }, Depth::of(scan.bit_depth()))
                .image;
        assert_eq!((made.channels(), made.bit_depth(), made.size()), (Channels::Rgba, 16, size));
        let Samples::U16(made) = made.samples() else { panic!("16 bits") };
        assert!(made.as_chunks::<4>().0.iter().enumerate().all(|(index, pixel)| usize::from(pixel[3]) == 2 * index + 1));
    }

    #[test]
    fn degenerate_sizes_are_squashed() {
        for (width, height) in [(1, 1), (1, 300), (300, 1), (2, 3)] {
            let copy = parity_input(&ramp(Size::new(width, height)), Size::new(32, 32));
            assert!(copy.data().iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
}
