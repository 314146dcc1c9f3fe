//! Decoding, encoding and verifying a scan of 24 megapixels, on one thread.

use std::hint::black_box;
use std::time::Duration;

use autochrome::codec::{self, Against, Carried, Channels, DecodeLimits, EncodeSettings, Format};
use autochrome::imaging::{ColourSpace, Samples, ScanImage, Size};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const SIZE: Size = Size::new(6000, 4000);

/// A soft picture under strong grain: what compresses badly, as scans do.
fn scan(channels: Channels, depth: u8) -> ScanImage {
    let mut random = fastrand::Rng::with_seed(24);
    let waves: Vec<f32> = (0..SIZE.width).map(|x| (x as f32 / 170.0).sin()).collect();
    let mut values = Vec::with_capacity(SIZE.pixels() as usize * channels.count());
    for y in 0..SIZE.height {
        let fade = (y as f32 / 230.0).cos();
        for wave in &waves {
            let grey = 30_000.0 + 18_000.0 * wave * fade + (random.f32() - 0.5) * 6_000.0;
            values.extend((0..channels.count()).map(|channel| (grey * (1.0 - 0.08 * channel as f32)) as u16));
        }
    }
    let samples = match depth {
        8 => Samples::U8(values.into_iter().map(|value| (value >> 8) as u8).collect()),
        _ => Samples::U16(values),
    };
    ScanImage::new(SIZE, channels, samples).expect("every pixel was given its samples")
}

fn encode(image: &ScanImage, format: Format) -> Vec<u8> {
    codec::encode(image, format, &EncodeSettings::default(), &Carried::default()).expect("the picture fits every format")
}

fn codecs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("24 MP");
    group.sample_size(10).measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    let kinds = [
        ("jpeg rgb8", Format::Jpeg, Channels::Rgb, 8),
        ("jpeg grey8", Format::Jpeg, Channels::Grey, 8),
        ("tiff rgb16", Format::Tiff, Channels::Rgb, 16),
        ("png rgb8", Format::Png, Channels::Rgb, 8),
    ];
    for (name, format, channels, depth) in kinds {
        let image = scan(channels, depth);
        let bytes = encode(&image, format);
        println!("{name}: {:.1} MB", bytes.len() as f64 / 1e6);
        group.bench_function(format!("encode {name}"), |bencher| bencher.iter(|| encode(black_box(&image), format)));
        let limits = DecodeLimits::default();
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| codec::decode(black_box(&bytes), &limits).expect("what was encoded can be decoded"));
        });
        if format != Format::Jpeg {
            group.bench_function(format!("verify {name}"), |bencher| {
                let input = || image.clone();
                let work = |image| codec::verify(black_box(&bytes), image, format, Against::Encoded(ColourSpace::Srgb));
                bencher.iter_batched(input, |image| work(image).expect("lossless formats are exact"), BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, codecs);
criterion_main!(benches);
