//! One large picture, stage by stage, the way the pipeline strings them together.

use std::path::Path;

use serde_json::{Value, json};

use super::{PICTURE, Source, median, rounded, timed};
use crate::codec::{self, Carried, Keep};
use crate::digest::Digest;
use crate::failure::{Exit, Failure};
use crate::imaging::{self, Lightness, ModelExtent, Recombination, Rect, Rendering};
use crate::inference::ColorizeRequest;
use crate::pipeline::{self, Profile, Stopwatch, Workshop};
use crate::publish::{self, Publication};

/// Stages in the order of flow.
const STAGES: [&str; 14] = [
    "decode",
    "border",
    "features",
    "resize",
    "noise",
    "denoise",
    "route",
    "pad",
    "network",
    "recombine",
    "encode",
    "verify",
    "hash",
    "publish",
];

/// What one picture took.
pub(super) struct StageFigures {
    name: &'static str,
    bytes: usize,
    network: imaging::Size,
    millis: Vec<(&'static str, f64)>,
}

/// Milliseconds of each stage in one run, in the order of [`STAGES`].
struct Clock {
    spent: Vec<f64>,
}

impl Clock {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (value, millis) = timed(work);
        self.spent.push(millis);
        value
    }
}

pub(super) fn measure(
    shop: &Workshop,
    profile: &Profile,
    source: &Source,
    runs: u32,
    output: &Path,
) -> Result<StageFigures, Failure> {
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); STAGES.len()];
    let extent = profile.other.extent.extent(PICTURE);
    // One run more than asked for: the first builds the network's session and faults memory in.
    for run in 0..=runs {
        let spent = once(shop, profile, source, &extent, output, run)?;
        if run > 0 {
            all.iter_mut().zip(spent).for_each(|(all, spent)| all.push(spent));
        }
    }
    let millis = STAGES.into_iter().zip(all.into_iter().map(median)).collect();
    Ok(StageFigures { name: source.name, bytes: source.bytes.len(), network: extent.size(), millis })
}

fn once(
    shop: &Workshop,
    profile: &Profile,
    source: &Source,
    extent: &ModelExtent,
    output: &Path,
    run: u32,
) -> Result<Vec<f64>, Failure> {
    let failed = |error: anyhow::Error| Failure::new(Exit::Failed, error, None);
    let mut clock = Clock { spent: Vec::with_capacity(STAGES.len()) };
    let read =
        clock.time(|| codec::read(&source.bytes, &profile.limits, Keep::Lightness)).map_err(|error| failed(error.into()))?;
    clock.time(|| imaging::picture_area(&read.scan.image));
    let whole = Rect::whole(read.scan.image.size());
    clock.time(|| read.features(whole));
    let scan = read.scan;
    let grey = clock.time(|| imaging::grey_copy(&scan.image, extent.content()));
    let sigma = clock.time(|| imaging::estimate_noise(&grey));
    // Denoised whatever the noise: the figure is for those scans that need it.
    let noisy = grey.clone();
    let grey = match &profile.denoise.model {
        Some(_) => clock.time(|| shop.engine.denoise(noisy, sigma.max(profile.denoise.threshold)))?,
        None => clock.time(|| noisy),
    };
    let asked = grey.clone();
    clock.time(|| shop.engine.scene_scores(asked))?;
    let input = clock.time(|| imaging::network_input(&grey, extent));
    let request = ColorizeRequest::new(profile.other.model.id.clone(), input, profile.precision);
    let coloured = clock.time(|| shop.engine.colorize(request))?;
    let chroma = imaging::crop_chroma(coloured.chroma, extent);
    let depth = pipeline::depth_of(source.format, scan.header.bit_depth);
    let mut watch = Stopwatch::default();
    let made = watch
        .time("recombine", || Recombination::new(&scan.image, whole, Lightness::Source, &chroma, depth, Rendering::default()));
    let carried = Carried { dpi: scan.dpi, ..Carried::default() };
    let file = pipeline::unaltered(&made, source.format, &source.written, &carried, &mut watch);
    let encoded = file.map_err(|error| Failure::text(Exit::Failed, error.reason, error.hint))?.bytes;
    let millis = watch.into_millis();
    clock.spent.extend(["recombine", "encode", "verify"].map(|stage| millis[stage]));
    clock.time(|| Digest::of(&encoded));
    let name: String = source.name.chars().filter(char::is_ascii_alphanumeric).collect();
    let relative = format!("{name}-{run}.{}", source.format.extension());
    let publication = Publication {
        output_root: output,
        relative: Path::new(&relative),
        image: &encoded,
        record: b"{}\n",
        fence: "0-0",
        min_free_bytes: 0,
    };
    clock.time(|| publish::publish(&publication)).map_err(|error| failed(error.into()))?;
    Ok(clock.spent)
}

impl StageFigures {
    /// What most scans take besides the colour network. A scan of this size is seldom denoised: reducing it for the network
    /// takes its noise away.
    fn without_network(&self) -> f64 {
        let counted = |stage: &str| stage != "network" && stage != "denoise";
        self.millis.iter().filter(|(stage, _)| counted(stage)).map(|(_, millis)| millis).sum()
    }

    fn megapixels_per_second(&self) -> f64 {
        megapixels() / (self.without_network() / 1e3)
    }

    pub(super) fn to_json(&self) -> Value {
        let millis: serde_json::Map<_, _> =
            self.millis.iter().map(|(stage, millis)| ((*stage).to_owned(), json!(rounded(*millis)))).collect();
        json!({
            "name": self.name, "width": PICTURE.width, "height": PICTURE.height, "bytes": self.bytes,
            "network": { "width": self.network.width, "height": self.network.height },
            "stages_ms": millis, "without_network_ms": rounded(self.without_network()),
            "megapixels_per_second": rounded(self.megapixels_per_second()),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mebibytes = self.bytes >> 20;
        let mut text = format!("{}, {PICTURE} pixels, {mebibytes} MiB, milliseconds\n", self.name);
        for (stage, millis) in &self.millis {
            let remark = match *stage {
                "network" => format!("  at {}, not in the sum", self.network),
                "denoise" => "  of noisy scans only, not in the sum".to_owned(),
                _ => String::new(),
            };
            text.push_str(&format!("  {stage:<10} {millis:>9.1}{remark}\n"));
        }
        let (sum, speed) = (self.without_network(), self.megapixels_per_second());
        text + &format!("  {:<10} {sum:>9.1}  {speed:.1} megapixels a second\n", "sum")
    }
}

#[expect(clippy::cast_precision_loss, reason = "24 million")]
fn megapixels() -> f64 {
    PICTURE.pixels() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_leaves_out_what_is_measured_for_its_own_sake() {
        let millis = STAGES
            .into_iter()
            .map(|stage| (stage, if matches!(stage, "network" | "denoise") { 5_000.0 } else { 100.0 }))
            .collect();
        let figures = StageFigures { name: "x", bytes: 1 << 20, network: imaging::Size::new(768, 512), millis };
        assert!((figures.without_network() - 1_200.0).abs() < 1e-9);
        assert!((figures.megapixels_per_second() - 24.0 / 1.2).abs() < 1e-9);
        assert_eq!(figures.to_json()["without_network_ms"], 1_200.0);
        assert!(figures.to_text().contains("network       5000.0  at 768×512, not in the sum"), "{}", figures.to_text());
    }
}
