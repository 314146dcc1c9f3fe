//! What the arithmetic on a 24-megapixel scan costs on one core.
//!
//! `cargo bench --bench imaging`; the figures to hold are in ARCHITECTURE.md.

use std::hint::black_box;
use std::time::Duration;

use autochrome::imaging::lab::srgb_to_lab;
use autochrome::imaging::metrics::lightness_difference;
use autochrome::imaging::{
    Channels, ChromaPlanes, Depth, Lightness, Plane, Samples, ScanImage, Size, estimate_noise, features, grey_copy, recombine,
};
use criterion::{Criterion, criterion_group, criterion_main};

const SCAN: Size = Size::new(6000, 4000);
/// The network's copy of such a scan.
const COPY: Size = Size::new(1020, 680);

/// Waves with grain: every code occurs, and neighbours differ as they do in a photograph.
fn grey(x: u32, y: u32, random: &mut fastrand::Rng) -> f32 {
    let wave = (x as f32 / 97.0).sin() * (y as f32 / 61.0).cos();
    (0.5 + 0.4 * wave + 0.06 * (random.f32() - 0.5)).clamp(0.0, 1.0)
}

fn scan(channels: Channels, wide: bool) -> ScanImage {
    let mut random = fastrand::Rng::with_seed(1);
    let mut codes = Vec::with_capacity(SCAN.pixels() as usize * channels.count());
    for y in 0..SCAN.height {
        for x in 0..SCAN.width {
            let value = grey(x, y, &mut random);
            codes.extend((0..channels.count()).map(|channel| value * (1.0 - 0.05 * channel as f32)));
        }
    }
    let samples = if wide {
        Samples::U16(codes.iter().map(|value| (value * 65535.0) as u16).collect())
    } else {
        Samples::U8(codes.iter().map(|value| (value * 255.0) as u8).collect())
    };
    ScanImage::new(SCAN, channels, samples).expect("every pixel was made")
}

/// Chroma up to `strength` Lab units, as smooth as a network's.
fn chroma(strength: f32) -> ChromaPlanes {
    let plane = |phase: f32| {
        let value = |x: u32, y: u32| strength * (x as f32 / 83.0 + phase).sin() * (y as f32 / 51.0 + phase).cos();
        let data = (0..COPY.height).flat_map(|y| (0..COPY.width).map(move |x| value(x, y))).collect();
        Plane::new(COPY, data).expect("every pixel was made")
    };
    ChromaPlanes { a: plane(0.3), b: plane(1.4) }
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("24 MP");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    let (usual, strong) = (chroma(25.0), chroma(110.0));
    for (channels, colour) in [(Channels::Grey, "grey"), (Channels::Rgb, "rgb")] {
        for (wide, depth, target) in [(false, "u8", Depth::Eight), (true, "u16", Depth::Sixteen)] {
            let scan = scan(channels, wide);
            let name = |stage: &str| format!("{stage} {colour} {depth}");
            group.bench_function(name("features"), |bencher| bencher.iter(|| features(black_box(&scan), srgb_to_lab)));
            group.bench_function(name("grey_copy"), |bencher| bencher.iter(|| grey_copy(black_box(&scan), COPY)));
            group.bench_function(name("recombine"), |bencher| {
                bencher.iter(|| recombine(black_box(&scan), Lightness::Source, &usual, target));
            });
            group.bench_function(name("recombine strong"), |bencher| {
                bencher.iter(|| recombine(black_box(&scan), Lightness::Source, &strong, target));
            });
            let coloured = recombine(&scan, Lightness::Source, &usual, target).image;
            group.bench_function(name("lightness_difference"), |bencher| {
                bencher.iter(|| lightness_difference(black_box(&scan), &coloured));
            });
        }
    }
    let copy = grey_copy(&scan(Channels::Grey, false), COPY);
    group.bench_function("estimate_noise of the copy", |bencher| bencher.iter(|| estimate_noise(black_box(&copy))));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
