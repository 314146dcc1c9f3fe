//! `bench`: speed and memory of every stage on this machine, with generated pictures. Tables for people, JSON for machines.

mod grid;
mod large;
mod ledger;
mod line;
mod networks;
mod profiles;
mod pytorch;
mod quality;
mod scaling;
mod stages;

use std::path::Path;

use serde_json::{Value, json};

use super::scratch::Scratch;
use super::{Failure, plain, print, print_json, sample};
use crate::cli::{Form, NetworkGrid, WholeLine};
use crate::codec::{EncodeSettings, Format, TiffCompression};
use crate::config::Settings;
use crate::daemon;
use crate::failure::Exit;
use crate::imaging::Size;
use crate::publish;

use ledger::LedgerFigures;
use networks::NetworkFigures;
use profiles::ProfileFigures;
use scaling::ScalingFigures;
use stages::StageFigures;

/// 24 megapixels, three to two: a full-frame camera on a copy stand, or a 4×5 inch plate at 1000 dpi.
const PICTURE: Size = Size::new(6000, 4000);

/// One encoded picture.
struct Source {
    name: &'static str,
    format: Format,
    bytes: Vec<u8>,
    /// How the derivative is written.
    written: EncodeSettings,
}

/// Everything that was measured.
struct Figures {
    runs: u32,
    device: Value,
    stages: Vec<StageFigures>,
    networks: Vec<NetworkFigures>,
    scaling: ScalingFigures,
    profiles: ProfileFigures,
    ledger: LedgerFigures,
    scratch: String,
    peak_rss_mib: Option<f64>,
}

pub(super) async fn bench(settings: &Settings, runs: u32, form: Form) -> Result<(), Failure> {
    if runs == 0 {
        return Err(Failure::text(Exit::Usage, "--runs 0 measures nothing", "ask for at least one run".to_owned()));
    }
    let scratch = Scratch::beside_the_ledger(settings);
    let owned = settings.clone();
    let output = scratch.path().join("output");
    // Everything but the ledger blocks.
    let (device, stages, networks, scaling, profiles, recipe) = blocking(move || measure(&owned, runs, &output)).await?;
    tracing::info!("Measuring the ledger");
    let ledger = ledger::measure(&scratch.path().join("state"), &recipe).await?;
    let place = scratch.path().display().to_string();
    let figures =
        Figures { runs, device, stages, networks, scaling, profiles, ledger, scratch: place, peak_rss_mib: peak_rss_mib() };
    drop(scratch);
    if form.json { print_json(&to_json(&figures)) } else { print(&to_text(&figures)) }
}

/// The colour networks alone, side by side.
pub(super) async fn networks(settings: &Settings, request: NetworkGrid, runs: u32, form: Form) -> Result<(), Failure> {
    let owned = settings.clone();
    let grid = blocking(move || grid::measure(&owned, &request, runs)).await?;
    if form.json { print_json(&grid.to_json()) } else { print(&grid.to_text()) }
}

/// Whole scans by numbers of workers.
pub(super) async fn line(settings: &Settings, request: WholeLine, form: Form) -> Result<(), Failure> {
    let owned = settings.clone();
    let line = blocking(move || line::measure(&owned, &request)).await?;
    if form.json { print_json(&line.to_json()) } else { print(&line.to_text()) }
}

/// One scan of 200 megapixels.
pub(super) async fn large(settings: &Settings, form: Form) -> Result<(), Failure> {
    let owned = settings.clone();
    let large = blocking(move || large::measure(&owned)).await?;
    if form.json { print_json(&large.to_json()) } else { print(&large.to_text()) }
}

/// How near the colours come to known ones. Looks at no ledger.
pub(super) async fn quality(settings: &Settings, directory: &Path, csv: Option<&Path>, form: Form) -> Result<(), Failure> {
    let (owned, from) = (settings.clone(), directory.to_owned());
    let measured = blocking(move || quality::measure(&owned, &from)).await?;
    if let Some(file) = csv {
        publish::replace_file(file, measured.to_csv().as_bytes()).map_err(|error| {
            let error = anyhow::Error::new(error).context(format!("{} cannot be written", plain(file.display())));
            Failure::new(Exit::Disk, error, "name a file in a directory that is there and can be written".to_owned())
        })?;
    }
    if form.json { print_json(&measured.to_json()) } else { print(&measured.to_text()) }
}

/// Runs what blocks on a thread of its own; a measurement that panics has failed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::text(Exit::Failed, error, None))?
}

type Measured = (Value, Vec<StageFigures>, Vec<NetworkFigures>, ScalingFigures, ProfileFigures, crate::job::Recipe);

fn measure(settings: &Settings, runs: u32, output: &Path) -> Result<Measured, Failure> {
    let (catalogue, _) = daemon::profiles(settings)?;
    let mut profile = daemon::common_profile(settings, &catalogue)?;
    sample::fix_scene(&mut profile);
    let (shop, device) = daemon::workshop(settings, &catalogue, [&profile])?;
    let device = serde_json::from_str(&device).expect("the report was written as JSON");
    tracing::info!("Generating pictures of {PICTURE} pixels");
    let mut sources = Vec::new();
    let tiff = |tiff_compression| EncodeSettings { tiff_compression, ..EncodeSettings::default() };
    let plain = EncodeSettings::default();
    for (name, format, depth, read, written) in [
        ("JPEG, 8 bits", Format::Jpeg, 8, plain, plain),
        ("TIFF, 16 bits", Format::Tiff, 16, plain, plain),
        ("TIFF, 16 bits, LZW in, Deflate out", Format::Tiff, 16, tiff(TiffCompression::Lzw), tiff(TiffCompression::Deflate)),
    ] {
        let bytes = sample::scan_as(PICTURE, format, depth, 24, &read);
        sources.push(Source { name, format, bytes: bytes.map_err(|error| Failure::new(Exit::Failed, error, None))?, written });
    }
    let mut stages = Vec::new();
    for source in &sources {
        tracing::info!("Measuring {}", source.name);
        stages.push(stages::measure(&shop, &profile, source, runs, output)?);
    }
    tracing::info!("Measuring the networks");
    let networks = networks::measure(&shop, &profile, runs)?;
    tracing::info!("Measuring workers side by side");
    let scaling = scaling::measure(&profile, &sources)?;
    tracing::info!("Measuring profiles");
    let profiles = profiles::measure(runs);
    Ok((device, stages, networks, scaling, profiles, profile.recipe))
}

/// The middle value; of an even number the mean of the middle two. 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (count, middle) if count % 2 == 1 => values[middle],
        (_, middle) => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Runs `work` and says how many milliseconds it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = std::time::Instant::now();
    let value = work();
    (value, start.elapsed().as_secs_f64() * 1e3)
}

/// Rounded for people who compare, not for those who count atoms.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Largest resident memory of this process so far, MiB (`VmHWM`, proc_pid_status(5)).
fn peak_rss_mib() -> Option<f64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

fn to_json(figures: &Figures) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "runs": figures.runs,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "device": figures.device,
        "pictures": figures.stages.iter().map(StageFigures::to_json).collect::<Vec<_>>(),
        "networks": figures.networks.iter().map(NetworkFigures::to_json).collect::<Vec<_>>(),
        "workers": figures.scaling.to_json(),
        "profiles": figures.profiles.to_json(),
        "ledger": figures.ledger.to_json(),
        "scratch": figures.scratch,
        "peak_rss_mib": figures.peak_rss_mib.map(rounded),
    })
}

fn to_text(figures: &Figures) -> String {
    let word = |key: &str| figures.device[key].as_str().unwrap_or("unknown");
    let mut text = format!(
        "device: {} ({}), ONNX Runtime {}; medians, runs: {}\n",
        plain(word("provider")),
        plain(word("name")),
        plain(word("runtime_version")),
        figures.runs,
    );
    for stages in &figures.stages {
        text.push('\n');
        text.push_str(&stages.to_text());
    }
    text.push_str("\nnetwork\n");
    for network in &figures.networks {
        text.push_str(&network.to_text());
    }
    text.push('\n');
    text.push_str(&figures.scaling.to_text());
    text.push('\n');
    text.push_str(&figures.profiles.to_text());
    text.push('\n');
    text.push_str(&figures.ledger.to_text());
    text.push_str(&format!("  measured in {}\n", plain(&figures.scratch)));
    if let Some(peak) = figures.peak_rss_mib {
        text.push_str(&format!("\npeak memory of this process: {peak:.0} MiB\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_one_slow_run_does_not_move_it() {
        assert!((median(vec![3.0, 900.0, 1.0]) - 3.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).abs() < 1e-9);
    }

    #[test]
    fn peak_memory_is_read_in_mebibytes() {
        assert_eq!(peak_in("VmPeak:\t  9 kB\nVmHWM:\t  204800 kB\n"), Some(200.0));
        assert_eq!(peak_in("VmPeak:\t 9 kB\n"), None);
    }
}
