//! The whole line on this machine: models, runtime, device, and one picture from bytes to derivative, in memory.

use std::path::Path;
use std::time::Instant;

use super::report::Check;
#[cfg(test)]
use super::report::Report;
use crate::codec::Format;
use crate::commands::sample;
use crate::config::Settings;
use crate::daemon;
use crate::digest::Digest;
use crate::failure::Failure;
use crate::imaging::Size;
use crate::inference::runtime::{Standing, TESTED, Tested};
use crate::inference::{Catalogue, DeviceReport, Engine, Entry, FileState, InferenceError, Provider, ProviderChoice};
use crate::pipeline::{self, Outcome, Profile, ScanFile, Stopwatch, Workshop};
use crate::provenance::JobRecord;

/// Small enough for seconds on a processor, large enough to be reduced for the network.
const PICTURE: Size = Size::new(1200, 900);

/// What the models came to.
struct Bench {
    catalogue: Catalogue,
    /// What is used and matches its pin.
    sound: Vec<Entry>,
    profile: Profile,
    complete: bool,
}

pub(super) fn walk(settings: &Settings) -> Vec<Check> {
    let (mut checks, bench) = models(settings);
    let Some(bench) = bench else {
        for name in ["runtime", "device", "versions", "picture"] {
            checks.push(Check::skipped(name, "the models cannot be used"));
        }
        return checks;
    };
    match Engine::start(&settings.engine, &bench.catalogue, &bench.sound) {
        Ok(engine) => {
            checks.push(runtime(engine.device()));
            checks.push(device(engine.device(), settings.engine.provider));
            checks.push(versions(engine.device()));
            checks.push(match bench.complete {
                true => picture(&Workshop { engine }, &bench.profile),
                false => Check::skipped("picture", "not every model can be used"),
            });
        }
        Err(error) => checks.extend(not_started(error)),
    }
    checks
}

fn models(settings: &Settings) -> (Vec<Check>, Option<Bench>) {
    match gather(settings) {
        Ok((catalogue, profile, used)) => {
            let (mut checks, mut sound) = (Vec::new(), Vec::new());
            for entry in &used {
                match catalogue.file_state(entry) {
                    FileState::Ok => sound.push(entry.clone()),
                    other => {
                        let message = format!("{} ({}): {other}", entry.id, entry.file);
                        let hint =
                            format!("restore {} in {} from the package it came with", entry.file, settings.models.display());
                        checks.push(Check::failed("models", message, Some(hint)));
                    }
                }
            }
            if !sound.is_empty() {
                let names: Vec<_> = sound.iter().map(|entry| entry.id.as_str()).collect();
                let message = format!("in use and as pinned: {} ({})", names.join(", "), settings.models.display());
                checks.push(Check::ok("models", message));
            }
            checks.extend(idle(&catalogue, &used));
            let complete = sound.len() == used.len();
            (checks, Some(Bench { catalogue, sound, profile, complete }))
        }
        Err(failure) => (vec![Check::failed("models", failure.error, failure.hint)], None),
    }
}

/// Models that nobody uses but that are not what the catalogue says: no danger today.
fn idle(catalogue: &Catalogue, used: &[Entry]) -> Vec<Check> {
    let idle = catalogue.entries().iter().filter(|entry| !used.iter().any(|other| other.id == entry.id));
    let wrong = idle.filter_map(|entry| match catalogue.file_state(entry) {
        FileState::Ok => None,
        other => {
            Some(Check::warning("models", format!("{} is not in use and {other}", entry.id), "restore it before it is used"))
        }
    });
    wrong.collect()
}

/// The catalogue, the profile the picture goes through, and every model that some profile uses.
fn gather(settings: &Settings) -> Result<(Catalogue, Profile, Vec<Entry>), Failure> {
    let (catalogue, mut profiles) = daemon::profiles(settings)?;
    let used = match profiles.is_empty() {
        true => daemon::used_models(&catalogue, [&daemon::common_profile(settings, &catalogue)?])?,
        false => daemon::used_models(&catalogue, profiles.values())?,
    };
    let mut profile = match profiles.pop_first() {
        Some((_, profile)) => profile,
        None => daemon::common_profile(settings, &catalogue)?,
    };
    sample::fix_scene(&mut profile);
    Ok((catalogue, profile, used))
}

fn not_started(error: InferenceError) -> Vec<Check> {
    let hint = error.hint().map(str::to_owned);
    let (is_runtime, is_model) = (matches!(error, InferenceError::Runtime(_)), matches!(error, InferenceError::Catalogue(_)));
    let error = anyhow::Error::from(error);
    if is_runtime {
        let skipped = |name| Check::skipped(name, "the runtime cannot be used");
        return vec![Check::failed("runtime", error, hint), skipped("device"), skipped("versions"), skipped("picture")];
    }
    if is_model {
        let skipped = |name| Check::skipped(name, "a model cannot be used");
        return vec![
            Check::failed("models", error, hint),
            skipped("runtime"),
            skipped("device"),
            skipped("versions"),
            skipped("picture"),
        ];
    }
    let library = loaded_library().unwrap_or_else(|| "it was found".to_owned());
    let skipped = |name, what: String| Check::skipped(name, format!("{what}the networks do not start"));
    let versions = skipped("versions", format!("tested with {}; ", matrix(&TESTED)));
    vec![Check::ok("runtime", library), Check::failed("device", error, hint), versions, skipped("picture", String::new())]
}

fn runtime(device: &DeviceReport) -> Check {
    let version = device.runtime_version.as_deref().unwrap_or("of unknown version");
    let library = loaded_library().map(|path| format!(", {path}")).unwrap_or_default();
    Check::ok("runtime", format!("ONNX Runtime {version}{library}"))
}

/// The library as the kernel has mapped it, whatever was asked for.
fn loaded_library() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    library_in(&maps).map(str::to_owned)
}

fn library_in(maps: &str) -> Option<&str> {
    let paths = maps.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    paths.into_iter().find(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("libonnxruntime.so")))
}

fn device(device: &DeviceReport, asked: ProviderChoice) -> Check {
    let facts = [("driver", &device.driver), ("CUDA", &device.cuda), ("cuDNN", &device.cudnn)];
    let facts: String = facts.iter().filter_map(|(name, value)| Some(format!(", {name} {}", value.as_ref()?))).collect();
    let message = format!("{}: {}{facts}", device.provider, device.name.as_deref().unwrap_or("a device without a name"));
    match (&device.reason, asked) {
        (Some(reason), ProviderChoice::Auto) if device.provider == Provider::Cpu => {
            let hint = "if a GPU is meant to work here, see to this; else write device.provider = \"cpu\"";
            Check::warning("device", format!("{message}; {reason}"), hint)
        }
        _ => Check::ok("device", message),
    }
}

fn matrix(Tested { card, driver, cuda, cudnn, runtime, date }: &Tested) -> String {
    format!("{card}, driver {driver}, CUDA {cuda}, cuDNN {cudnn}, ONNX Runtime {runtime} ({date})")
}

/// What this release was tested with on a card, and where this machine stands.
fn versions(device: &DeviceReport) -> Check {
    let tested = &TESTED;
    let matrix = matrix(tested);
    let Tested { card, driver, cuda, cudnn, runtime, .. } = tested;
    if device.provider == Provider::Cpu {
        return Check::ok("versions", format!("tested with {matrix}; no card is at work here"));
    }
    let stands = [
        ("driver", Standing::of_driver(device.driver.as_deref(), driver)),
        ("CUDA", Standing::of(device.cuda.as_deref(), cuda)),
        ("cuDNN", Standing::of(device.cudnn.as_deref(), cudnn)),
        ("ONNX Runtime", Standing::of(device.runtime_version.as_deref(), runtime)),
    ];
    let words: Vec<_> = stands.iter().map(|(part, standing)| format!("{part} {}", standing.word())).collect();
    let card = if device.name.as_deref() == Some(*card) { "card as tested" } else { "another card than tested" };
    let message = format!("tested with {matrix}\nhere: {card}, {}", words.join(", "));
    if stands.iter().all(|(_, standing)| standing.is_sound()) {
        return Check::ok("versions", message);
    }
    Check::warning("versions", message, "run deploy/gpu-selftest, or bring the part that differs to the tested version")
}

fn picture(shop: &Workshop, profile: &Profile) -> Check {
    let bytes = match sample::scan(PICTURE, Format::Jpeg, 8, 1908) {
        Ok(bytes) => bytes,
        Err(error) => {
            let hint = error.hint().map(str::to_owned);
            return Check::failed("picture", anyhow::Error::from(error), hint);
        }
    };
    let job = JobRecord { id: None, claim: None, failures: 0, collection: None };
    let scan =
        ScanFile { root: None, relative: Path::new("doctor.jpg"), length: bytes.len() as u64, digest: Digest::of(&bytes), job };
    let mut watch = Stopwatch::default();
    let start = Instant::now();
    match pipeline::make(shop, profile, &scan, bytes, Path::new("doctor.jpg"), &mut watch) {
        Ok(Outcome::Derivative(made)) => {
            let record = &made.record;
            let network = record.timings_ms.get("network").copied().unwrap_or_default();
            let message = format!(
                "{PICTURE} pixels through the whole line in {:.0} ms, of it the network {network:.0} ms at {}×{} ({}), {} on {}",
                start.elapsed().as_secs_f64() * 1e3,
                record.extent.width,
                record.extent.height,
                record.route.scene,
                record.precision.observed,
                record.device.provider,
            );
            Check::ok("picture", message)
        }
        Ok(Outcome::Skipped(reason)) => {
            let hint = "look at the thresholds in [routing]: the generated picture is grey and not blank".to_owned();
            Check::failed("picture", format!("the picture was left alone: {reason}"), Some(hint))
        }
        Err(error) => Check::failed("picture", format!("in stage {}: {}", error.stage, error.reason), error.hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_the_one_the_kernel_mapped() {
        let maps =
            "7f00-7f01 r--p 0 fd:01 1 /usr/lib/libc.so.6\n7f02-7f03 r-xp 0 fd:01 2 /data/my lib/libonnxruntime.so.1.31.1\n";
        assert_eq!(library_in(maps), Some("/data/my lib/libonnxruntime.so.1.31.1"));
        assert_eq!(library_in("7f00-7f01 r--p 0 00:00 0\n"), None);
    }

    #[test]
    fn an_older_library_than_tested_is_a_warning_and_a_newer_one_is_not() {
        let tested = &TESTED;
        let text = |version: &str| Some(version.to_owned());
        let here = |cudnn| DeviceReport {
            provider: Provider::Cuda,
            reason: None,
            name: text(tested.card),
            driver: text(tested.driver),
            runtime_version: text(tested.runtime),
            cuda: text(tested.cuda),
            cudnn,
        };
        let shown = |cudnn| {
            let mut report = Report::default();
            report.add(versions(&here(cudnn)));
            report.to_text()
        };
        assert!(shown(text("9.99.0")).starts_with("ok "), "{}", shown(text("9.99.0")));
        assert!(shown(text("9.1.0")).contains("cuDNN older than tested"), "{}", shown(text("9.1.0")));
        assert!(shown(text("9.1.0")).starts_with("warning"));
        assert!(shown(None).contains("cuDNN not known"));
    }
}
