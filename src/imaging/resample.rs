//! Copies of a scan at another size: grey for networks, 8-bit for people.
//!
//! Values are averaged as encoded, which is what the networks were trained on. A colour scan is resized in colour and
//! converted to grey afterwards: the order of the reference pipeline, and the conversion then costs a few hundred thousand
//! pixels instead of the whole scan. Rows are taken band by band, so that beside the scan there are never more than a few
//! dozen megabytes, however large it is.

use std::ops::Range;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, U16, U16x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::lab::Sample;
use super::{Channels, Depth, Plane, Rect, Samples, ScanImage, Size, rows, to_eight_bits};

/// Pixels of the scan that a band aims at, and rows of the copy it has at least, so that little is resampled twice.
const BAND_PIXELS: u32 = 1 << 21;
const BAND_ROWS: u32 = 16;

/// Grey copy at `size`, values 0..=1.
///
/// A pixel's grey is the neutral of the same CIE lightness: its relative luminance, encoded with the sRGB curve. Reducing
/// averages with a triangle filter as wide as the reduction asks; enlarging is bilinear; at the scan's own size the values
/// are converted and nothing is resampled. Alpha is ignored: what lies under transparent pixels counts.
pub fn grey_copy(image: &ScanImage, size: Size) -> Plane {
    grey_copy_of(image, Rect::whole(image.size()), size)
}

/// Grey copy at `size` of a part of the scan, as if nothing else were there: its edges are not mixed with what lies outside.
///
/// # Panics
/// When the part does not lie in the scan.
pub fn grey_copy_of(image: &ScanImage, part: Rect, size: Size) -> Plane {
    assert!(part.lies_in(image.size()), "{part:?} lies in the scan");
    let mut data = vec![0.0; usize::try_from(size.pixels()).expect("a plane's pixels fit in memory")];
    if size == part.size() {
        for (y, row) in data.chunks_exact_mut(part.width as usize).enumerate() {
            let samples = samples_of(image, part, y as u32);
            match image.samples() {
                Samples::U8(all) => grey_samples(image.channels(), &all[samples], row),
                Samples::U16(all) => grey_samples(image.channels(), &all[samples], row),
            }
        }
    } else if image.channels().is_rgb() {
        resize::<U16x3>(image, part, size, |first, band| {
            for (grey, pixels) in data[first..].chunks_mut(rows::RUN).zip(band.chunks(rows::RUN)) {
                let mut samples = [0_u16; 3 * rows::RUN];
                for (sample, pixel) in samples.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    *sample = pixel.0;
                }
                grey_samples(Channels::Rgb, &samples[..3 * pixels.len()], &mut grey[..pixels.len()]);
            }
        });
    } else {
        resize::<U16>(image, part, size, |first, band| {
            for (grey, pixel) in data[first..].iter_mut().zip(band) {
                *grey = f32::from(pixel.0) / 65535.0;
            }
        });
    }
    Plane::new(size, data).expect("the plane was made at this size")
}

/// A small 8-bit copy for people: grey stays grey, colour stays colour, alpha is dropped.
pub fn thumbnail(image: &ScanImage, size: Size) -> ScanImage {
    without_alpha(image, size, Depth::Eight)
}

/// A copy at another size and depth, values averaged as encoded: grey stays grey, colour stays colour, and alpha is averaged by itself.
pub fn reduced(image: &ScanImage, size: Size, depth: Depth) -> ScanImage {
    let colour = without_alpha(image, size, depth);
    if !image.channels().has_alpha() {
        return colour;
    }
    fn last<S: Copy>(samples: &[S], count: usize) -> Vec<S> {
        samples.iter().skip(count - 1).step_by(count).copied().collect()
    }
    fn joined<S: Copy>(colour: &[S], alpha: &[S]) -> Vec<S> {
        let count = colour.len() / alpha.len();
        colour.chunks_exact(count).zip(alpha).flat_map(|(pixel, &alpha)| pixel.iter().copied().chain([alpha])).collect()
    }
    let count = image.channels().count();
    let alpha = match image.samples() {
        Samples::U8(samples) => Samples::U8(last(samples, count)),
        Samples::U16(samples) => Samples::U16(last(samples, count)),
    };
    let alpha = ScanImage::new(image.size(), Channels::Grey, alpha).expect("every pixel has one");
    let alpha = without_alpha(&alpha, size, depth);
    let channels = if colour.channels().is_rgb() { Channels::Rgba } else { Channels::GreyAlpha };
    let samples = match (colour.samples(), alpha.samples()) {
        (Samples::U8(colour), Samples::U8(alpha)) => Samples::U8(joined(colour, alpha)),
        (Samples::U16(colour), Samples::U16(alpha)) => Samples::U16(joined(colour, alpha)),
        (Samples::U8(_), Samples::U16(_)) | (Samples::U16(_), Samples::U8(_)) => return colour,
    };
    ScanImage::new(colour.size(), channels, samples).expect("both copies have one size")
}

fn without_alpha(image: &ScanImage, size: Size, depth: Depth) -> ScanImage {
    let size = Size::new(size.width.max(1), size.height.max(1));
    let channels = if image.channels().is_rgb() { Channels::Rgb } else { Channels::Grey };
    let whole = Rect::whole(image.size());
    let mut wide: Vec<u16> = Vec::with_capacity(size.pixels() as usize * channels.count());
    if channels == Channels::Rgb {
        resize::<U16x3>(image, whole, size, |_, band| wide.extend(band.iter().flat_map(|pixel| pixel.0)));
    } else {
        resize::<U16>(image, whole, size, |_, band| wide.extend(band.iter().map(|pixel| pixel.0)));
    }
    let samples = match depth {
        Depth::Sixteen => Samples::U16(wide),
        Depth::Eight => Samples::U8(wide.into_iter().map(to_eight_bits).collect()),
    };
    ScanImage::new(size, channels, samples).expect("bands fill the copy")
}

/// A plane at another size; the same filters.
pub(super) fn resize_plane(plane: &Plane, size: Size) -> Plane {
    let pixels: Vec<F32> = plane.data().iter().map(|&value| F32::new(value)).collect();
    let source = TypedImageRef::new(plane.size().width, plane.size().height, &pixels).expect("a plane is full");
    let mut target = TypedImage::<F32>::new(size.width, size.height);
    let options = ResizeOptions::new().resize_alg(FILTER);
    Resizer::new().resize_typed(&source, &mut target, &options).expect("the whole plane lies inside itself");
    Plane::new(size, target.pixels().iter().map(|pixel| pixel.0).collect()).expect("the target has this size")
}

/// A triangle as wide as the reduction, or of one pixel when enlarging: antialiased and bilinear in one.
const FILTER: ResizeAlg = ResizeAlg::Convolution(FilterType::Bilinear);

fn grey_samples<S: Sample>(channels: Channels, samples: &[S], out: &mut [f32]) {
    if !channels.is_rgb() {
        for (grey, pixel) in out.iter_mut().zip(samples.chunks_exact(channels.count())) {
            *grey = f32::from(pixel[0].widened()) / 65535.0;
        }
        return;
    }
    for (grey, samples) in out.chunks_mut(rows::RUN).zip(samples.chunks(rows::RUN * channels.count())) {
        rows::luminance(channels, samples, grey);
        rows::encode_run(grey);
    }
}

/// A pixel of the intermediate image: 16 bits, so that averages keep more than the source's 8.
trait Wide: PixelTrait {
    fn read<S: Sample>(pixel: &[S]) -> Self;
}

impl Wide for U16 {
    #[inline(always)]
    fn read<S: Sample>(pixel: &[S]) -> Self {
        Self::new(pixel[0].widened())
    }
}

impl Wide for U16x3 {
    #[inline(always)]
    fn read<S: Sample>(pixel: &[S]) -> Self {
        Self::new([pixel[0].widened(), pixel[1].widened(), pixel[2].widened()])
    }
}

/// Resizes a part of the scan band by band, handing each over with the index of its first pixel; the result does not depend on the bands.
fn resize<P: Wide>(image: &ScanImage, part: Rect, size: Size, mut take: impl FnMut(usize, &[P])) {
    if size.pixels() == 0 {
        return;
    }
    let scan = part.size();
    let scale = f64::from(scan.height) / f64::from(size.height);
    let budget = f64::from(BAND_PIXELS) / f64::from(scan.width) / scale;
    let band_rows = (budget as u32).max(BAND_ROWS).min(size.height);
    // The triangle reaches one pixel of the coarser of both grids to each side.
    let reach = scale.max(1.0).ceil() as u32 + 1;
    let mut resizer = Resizer::new();
    let mut source = Vec::new();
    for top in (0..size.height).step_by(band_rows as usize) {
        let bottom = (top + band_rows).min(size.height);
        let (from, to) = (f64::from(top) * scale, (f64::from(bottom) * scale).min(f64::from(scan.height)));
        let first = (from as u32).saturating_sub(reach);
        let last = (to.ceil() as u32).saturating_add(reach).min(scan.height);
        read_rows(image, part, first..last, &mut source);
        let view = TypedImageRef::new(scan.width, last - first, &source).expect("whole rows were read");
        let from = from - f64::from(first);
        let options = ResizeOptions::new().resize_alg(FILTER).use_alpha(false).crop(
            0.0,
            from,
            f64::from(scan.width),
            (to - f64::from(first)).min(f64::from(last - first)) - from,
        );
        let mut band = TypedImage::<P>::from_pixels(
            size.width,
            bottom - top,
            vec![P::default(); size.width as usize * (bottom - top) as usize],
        )
        .expect("the band is full");
        resizer.resize_typed(&view, &mut band, &options).expect("the band's rows lie inside those read");
        take(top as usize * size.width as usize, band.pixels());
    }
}

/// Where in the scan's samples a row of a part lies.
fn samples_of(image: &ScanImage, part: Rect, y: u32) -> Range<usize> {
    let first = (part.top + y) as usize * image.size().width as usize + part.left as usize;
    let count = image.channels().count();
    first * count..(first + part.width as usize) * count
}

fn read_rows<P: Wide>(image: &ScanImage, part: Rect, rows: Range<u32>, into: &mut Vec<P>) {
    let count = image.channels().count();
    into.clear();
    for samples in rows.map(|y| samples_of(image, part, y)) {
        match image.samples() {
            Samples::U8(all) => widen(&all[samples], count, into),
            Samples::U16(all) => widen(&all[samples], count, into),
        }
    }
}

/// Pixels of `count` samples; a number that the compiler knows makes it vector code.
fn widen<P: Wide, S: Sample>(samples: &[S], count: usize, into: &mut Vec<P>) {
    fn all<P: Wide, S: Sample, const COUNT: usize>(samples: &[S], into: &mut Vec<P>) {
        into.extend(samples.as_chunks::<COUNT>().0.iter().map(|pixel| P::read(pixel)));
    }
    match count {
        1 => all::<P, S, 1>(samples, into),
        2 => all::<P, S, 2>(samples, into),
        3 => all::<P, S, 3>(samples, into),
        _ => all::<P, S, 4>(samples, into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::lab::{linear_to_srgb, srgb_to_linear};

    fn grey(size: Size, value: impl Fn(u32, u32) -> u8) -> ScanImage {
        let samples = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))).map(|(x, y)| value(x, y));
        ScanImage::new(size, Channels::Grey, Samples::U8(samples.collect())).unwrap()
    }

    #[test]
    fn a_copy_at_the_same_size_is_the_scan_itself() {
        let scan = grey(Size::new(37, 19), |x, y| (x * 7 + y) as u8);
        let copy = grey_copy(&scan, scan.size());
        let Samples::U8(samples) = scan.samples() else { panic!("made of 8 bits") };
        assert!(copy.data().iter().zip(samples).all(|(value, &code)| (value - f32::from(code) / 255.0).abs() < 1e-6));
    }

    #[test]
    fn the_grey_of_a_colour_has_its_lightness() {
        let [red, green, blue] = [200_u8, 40, 90];
        let size = Size::new(1, 1);
        let scan = ScanImage::new(size, Channels::Rgba, Samples::U8(vec![red, green, blue, 0])).unwrap();
        let linear = [red, green, blue].map(|code| srgb_to_linear(f64::from(code) / 255.0));
        let wanted = linear_to_srgb(0.212_672_9 * linear[0] + 0.715_152_2 * linear[1] + 0.072_175_0 * linear[2]);
        for copy in [grey_copy(&scan, size), grey_copy(&scan, Size::new(3, 2))] {
            assert!(copy.data().iter().all(|&value| (f64::from(value) - wanted).abs() < 2e-5), "{copy:?} for {wanted}");
        }
    }

    #[test]
    fn a_copy_of_a_part_sees_nothing_of_what_lies_outside() {
        let (size, part) = (Size::new(300, 200), Rect { left: 31, top: 17, width: 240, height: 150 });
        let inside = |x: u32, y: u32| (31..271).contains(&x) && (17..167).contains(&y);
        let value = |x: u32, y: u32| if inside(x, y) { (x * 3 + y) as u8 } else { 255 };
        let cut = grey(part.size(), |x, y| value(x + 31, y + 17));
        for channels in [Channels::Grey, Channels::Rgb] {
            let of = |scan: &ScanImage| {
                let Samples::U8(samples) = scan.samples() else { panic!("made of 8 bits") };
                let samples = samples.iter().flat_map(|&value| std::iter::repeat_n(value, channels.count())).collect();
                ScanImage::new(scan.size(), channels, Samples::U8(samples)).unwrap()
            };
            let (scan, cut) = (of(&grey(size, value)), of(&cut));
            for size in [part.size(), Size::new(60, 40), Size::new(480, 300)] {
                assert_eq!(grey_copy_of(&scan, part, size), grey_copy(&cut, size), "{channels:?} at {size}");
            }
        }
    }

    #[test]
    fn reducing_averages_instead_of_picking() {
        let stripes = grey(Size::new(1200, 900), |x, _| if x % 2 == 0 { 0 } else { 255 });
        let copy = grey_copy(&stripes, Size::new(100, 75));
        assert!(copy.data().iter().all(|&value| (value - 0.5).abs() < 0.02));
    }

    #[test]
    fn bands_leave_no_seams() {
        // Tall enough for several bands; a ramp shows any shift of a band against its neighbour.
        let size = Size::new(4096, 3000);
        let ramp = ScanImage::new(
            size,
            Channels::Grey,
            Samples::U16((0..size.height).flat_map(|y| std::iter::repeat_n((y * 21) as u16, size.width as usize)).collect()),
        )
        .unwrap();
        for rows in [333, 2000, 3001] {
            let copy = grey_copy(&ramp, Size::new(8, rows));
            let scale = 3000.0 / rows as f32;
            for y in 8..rows - 8 {
                let wanted = ((y as f32 + 0.5) * scale - 0.5) * 21.0 / 65535.0;
                assert!((copy.row(y)[3] - wanted).abs() < 2e-5, "row {y} of {rows}: {} is not {wanted}", copy.row(y)[3]);
            }
        }
    }

    #[test]
    fn degenerate_sizes_are_resized() {
        for (from, to) in
            [((1, 1), (32, 32)), ((1, 5000), (1, 680)), ((5000, 1), (2048, 1)), ((7, 7), (460, 460)), ((9, 9), (1, 1))]
        {
            let copy = grey_copy(&grey(Size::new(from.0, from.1), |_, _| 99), Size::new(to.0, to.1));
            assert!(copy.data().iter().all(|&value| (value - 99.0 / 255.0).abs() < 1e-4), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn a_reduced_picture_keeps_its_alpha() {
        let size = Size::new(50, 40);
        let rgba = ScanImage::new(size, Channels::Rgba, Samples::U16([51_400_u16, 257, 0, 771].repeat(2000))).unwrap();
        let small = Size::new(10, 8);
        let wanted = |samples: &[u8]| ScanImage::new(small, Channels::Rgba, Samples::U8(samples.repeat(80))).unwrap();
        assert_eq!(reduced(&rgba, small, Depth::Eight), wanted(&[200, 1, 0, 3]));
        let grey = ScanImage::new(size, Channels::GreyAlpha, Samples::U8([77, 9].repeat(2000))).unwrap();
        let reduced = reduced(&grey, small, Depth::Eight);
        assert_eq!((reduced.channels(), reduced.samples()), (Channels::GreyAlpha, &Samples::U8([77, 9].repeat(80))));
    }

    #[test]
    fn a_thumbnail_has_8_bits_and_no_alpha() {
        let size = Size::new(50, 40);
        let samples = [51_400_u16, 257, 0, 7].repeat(2000);
        let scan = ScanImage::new(size, Channels::Rgba, Samples::U16(samples)).unwrap();
        for size in [size, Size::new(10, 8)] {
            let small = thumbnail(&scan, size);
            assert_eq!(
                small,
                ScanImage::new(size, Channels::Rgb, Samples::U8([200, 1, 0].repeat(size.pixels() as usize))).unwrap()
            );
        }
        let grey = ScanImage::new(size, Channels::GreyAlpha, Samples::U8([77, 0].repeat(2000))).unwrap();
        assert_eq!(thumbnail(&grey, size).channels(), Channels::Grey);
    }
}
