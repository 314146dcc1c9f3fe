//! `bench --line`: whole scans from file to file by numbers of workers: pictures a second, how much of its time every part of the
//! line is busy, and which part holds the others up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::plain;
use super::super::sample;
use super::super::scratch::Scratch;
use super::{PICTURE, rounded};
use crate::cli::WholeLine;
use crate::codec::{self, Format};
use crate::config::Settings;
use crate::daemon;
use crate::digest::Digest;
use crate::failure::{Exit, Failure};
use crate::inference::CardMeter;
use crate::pipeline::{self, MemoryBudget, Outcome, Profile, ScanFile, Stopwatch, Workshop};
use crate::provenance::JobRecord;
use crate::publish::{self, Publication};

/// Different pictures that are generated where no directory is named.
const GENERATED: u64 = 8;
/// Pictures for each worker in a measurement: the first and the last of a worker run beside fewer others than the rest.
const EACH: usize = 8;
/// Stages in which a worker waits: for the inference thread, or for its share of the memory.
const ASKING: [&str; 4] = ["denoise", "network", "route", "memory"];
/// Share of its time above which a part counts as busy without a break.
const BUSY: f64 = 0.9;

/// What every worker works with.
struct Bench<'a> {
    shop: &'a Workshop,
    profile: &'a Profile,
    output: &'a Path,
    /// Memory that all workers share.
    budget: MemoryBudget,
}

/// One number of workers.
struct Row {
    workers: usize,
    pictures: usize,
    /// Left alone by the routing rules.
    skipped: usize,
    megapixels: f64,
    seconds: f64,
    /// Milliseconds of all workers together.
    stages: BTreeMap<String, f64>,
    /// Share of the time in which the inference thread was at work.
    inference: f64,
    /// Share of the time in which the card was, as its driver says.
    card: Option<f64>,
}

/// The table.
pub(super) struct Line {
    device: Value,
    cores: usize,
    from: String,
    to: String,
    rows: Vec<Row>,
}

pub(super) fn measure(settings: &Settings, request: &WholeLine) -> Result<Line, Failure> {
    let scratch = Scratch::beside_the_ledger(settings);
    let (catalogue, _) = daemon::profiles(settings)?;
    let mut profile = daemon::common_profile(settings, &catalogue)?;
    let directory = match request.line.as_ref().and_then(Option::as_ref) {
        Some(directory) => directory.clone(),
        None => {
            sample::fix_scene(&mut profile);
            generate(&scratch.path().join("scans"), profile.min_free_bytes)?
        }
    };
    let files = pictures(&directory, &profile)?;
    let (shop, device) = daemon::workshop(settings, &catalogue, [&profile])?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let output = scratch.path().join("output");
    // Sessions of every size are made, and memory is touched, before the clock runs.
    tracing::info!("Colouring {} pictures once", files.len());
    let bench = Bench { shop: &shop, profile: &profile, output: &output, budget: MemoryBudget::new(settings.workers.memory_mib) };
    run(&bench, &files, cores, files.len(), "warm-up")?;
    let workers = if request.workers.is_empty() { usual(cores) } else { request.workers.clone() };
    let mut rows = Vec::new();
    for count in workers {
        tracing::info!("Measuring {count} workers");
        rows.push(run(&bench, &files, count, files.len().max(EACH * count), &count.to_string())?);
    }
    let device = serde_json::from_str(&device).expect("the report was written as JSON");
    Ok(Line { device, cores, from: directory.display().to_string(), to: output.display().to_string(), rows })
}

/// 1, 2, 4 and so on, and as many as there are cores.
fn usual(cores: usize) -> Vec<usize> {
    (0..).map(|power| 1 << power).take_while(|&count| count < cores).chain([cores]).collect()
}

/// Writes pictures of 24 megapixels.
fn generate(directory: &Path, min_free_bytes: u64) -> Result<PathBuf, Failure> {
    tracing::info!("Generating {GENERATED} pictures of {PICTURE} pixels");
    for seed in 0..GENERATED {
        let bytes = sample::scan(PICTURE, Format::Jpeg, 8, seed).map_err(|error| Failure::new(Exit::Failed, error, None))?;
        write(directory, Path::new(&format!("{seed}.jpg")), &bytes, b"{}\n", min_free_bytes)?;
    }
    Ok(directory.to_owned())
}

/// As the daemon writes a derivative.
fn write(output_root: &Path, relative: &Path, image: &[u8], record: &[u8], min_free_bytes: u64) -> Result<(), Failure> {
    let publication = Publication { output_root, relative, image, record, fence: "bench", min_free_bytes };
    publish::publish(&publication).map_err(|error| Failure::new(Exit::Disk, error, None))
}

/// Files of a directory that can be read as scans.
fn pictures(directory: &Path, profile: &Profile) -> Result<Vec<PathBuf>, Failure> {
    let listed = std::fs::read_dir(directory).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("{} cannot be listed", plain(directory.display())));
        Failure::new(Exit::Usage, error, "name a directory of scans".to_owned())
    })?;
    let mut files: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.retain(|path| std::fs::read(path).is_ok_and(|bytes| codec::read_header(&bytes, &profile.limits).is_ok()));
    files.sort();
    if files.is_empty() {
        let text = format!("{} holds no scan that can be read", plain(directory.display()));
        return Err(Failure::text(Exit::Usage, text, "name a directory of JPEG, PNG or TIFF files".to_owned()));
    }
    Ok(files)
}

/// `total` pictures by `workers` of them at a time.
fn run(bench: &Bench<'_>, files: &[PathBuf], workers: usize, total: usize, label: &str) -> Result<Row, Failure> {
    let shop = bench.shop;
    let next = AtomicUsize::new(0);
    let (busy, meter, begun) = (shop.engine.busy(), CardMeter::start(), Instant::now());
    let one_worker = || {
        let mut done = Done::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= total {
                return Ok::<_, Failure>(done);
            }
            done.add(bench, &files[index % files.len()], &format!("{label}-{index}"))?;
        }
    };
    let done = thread::scope(|scope| {
        let started: Vec<_> = (0..workers).map(|_| scope.spawn(one_worker)).collect();
        let panicked = |_| Err(Failure::text(Exit::Failed, "a worker panicked", None));
        started.into_iter().map(|worker| worker.join().unwrap_or_else(panicked)).collect::<Result<Vec<_>, _>>()
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let inference = (shop.engine.busy() - busy).as_secs_f64() / seconds;
    let card = meter.and_then(CardMeter::stop);
    let mut stages = BTreeMap::new();
    for (stage, millis) in done.iter().flat_map(|done| done.watch.clone().into_millis()) {
        *stages.entry(stage).or_default() += millis;
    }
    let pixels: u64 = done.iter().map(|done| done.pixels).sum();
    let skipped = done.iter().map(|done| done.skipped).sum();
    Ok(Row { workers, pictures: total, skipped, megapixels: pixels as f64 / 1e6, seconds, stages, inference, card })
}

/// What one worker did.
#[derive(Default)]
struct Done {
    watch: Stopwatch,
    pixels: u64,
    skipped: usize,
}

impl Done {
    /// One scan, as the daemon does it, but for the ledger.
    fn add(&mut self, bench: &Bench<'_>, file: &Path, name: &str) -> Result<(), Failure> {
        let Bench { shop, profile, output, budget } = bench;
        let bytes = self.watch.time("read", || std::fs::read(file))?;
        let digest = self.watch.time("hash", || Digest::of(&bytes));
        let own = file.file_name().map_or(file, Path::new);
        let header = codec::read_header(&bytes, &profile.limits).map_err(|error| Failure::new(Exit::Failed, error, None))?;
        self.pixels += header.size.pixels();
        let relative = PathBuf::from(format!("{name}.{}", profile.main().format.of(header.format).extension()));
        let cost = pipeline::cost_mib(&header, bytes.len() as u64, profile);
        let _share = self.watch.time("memory", || budget.acquire(cost));
        let job = JobRecord { id: None, claim: None, failures: 0, collection: None };
        let scan = ScanFile { root: None, relative: own, length: bytes.len() as u64, digest, job };
        let mut watch = Stopwatch::default();
        let made = pipeline::make(shop, profile, &scan, bytes, &relative, &mut watch)
            .map_err(|error| Failure::text(Exit::Failed, format!("{}: {}", plain(file.display()), error.reason), error.hint))?;
        watch.into_millis().into_iter().for_each(|(stage, millis)| self.watch.add(&stage, millis));
        let Outcome::Derivative(made) = made else {
            self.skipped += 1;
            return Ok(());
        };
        let record = made.record.to_json();
        self.watch.time("publish", || write(output, &relative, &made.finished.bytes, record.as_bytes(), profile.min_free_bytes))
    }
}

impl Row {
    fn pictures_per_second(&self) -> f64 {
        self.pictures as f64 / self.seconds
    }

    /// Share of all workers' time.
    fn share(&self, millis: f64) -> f64 {
        millis / (self.seconds * 1e3 * self.workers as f64)
    }

    /// Stages by the share of the workers' time that they take, the largest first.
    fn shares(&self) -> Vec<(&str, f64)> {
        let mut shares: Vec<_> = self.stages.iter().map(|(stage, &millis)| (stage.as_str(), self.share(millis))).collect();
        shares.sort_by(|one, other| other.1.total_cmp(&one.1));
        shares
    }

    /// Which part has no time left.
    fn bottleneck(&self, cores: usize) -> String {
        let own: Vec<_> = self.shares().into_iter().filter(|(stage, _)| !ASKING.contains(stage)).collect();
        let working: f64 = own.iter().map(|(_, share)| share).sum();
        let (largest, most) = own.first().copied().unwrap_or(("nothing", 0.0));
        if self.inference >= BUSY {
            format!("the inference thread, busy {:.0} % of the time", self.inference * 100.0)
        } else if self.workers < cores {
            format!("the number of workers: {} for {cores} cores", self.workers)
        } else if working >= BUSY {
            let (working, most) = (working * 100.0, most * 100.0);
            format!("the processor, busy {working:.0} % of the time, most of all with {largest} ({most:.0} %)")
        } else {
            let (inference, working) = (self.inference * 100.0, working * 100.0);
            format!("none is busy all the time: inference thread {inference:.0} %, workers {working:.0} %")
        }
    }

    fn to_json(&self, cores: usize) -> Value {
        let shares: serde_json::Map<_, _> =
            self.shares().into_iter().map(|(stage, share)| (stage.to_owned(), json!(rounded(share)))).collect();
        json!({
            "workers": self.workers, "pictures": self.pictures, "skipped": self.skipped, "seconds": rounded(self.seconds),
            "pictures_per_second": rounded(self.pictures_per_second()),
            "megapixels_per_second": rounded(self.megapixels / self.seconds),
            "utilisation": { "inference_thread": rounded(self.inference), "card": self.card.map(rounded), "workers": shares },
            "bottleneck": self.bottleneck(cores),
        })
    }

    fn to_text(&self, cores: usize) -> String {
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let mut text = format!(
            "{:>7} {:>11.2} {:>13.0} {:>10} {:>6}  {}\n",
            self.workers,
            self.pictures_per_second(),
            self.megapixels / self.seconds,
            percent(self.inference),
            self.card.map_or_else(|| "-".to_owned(), percent),
            self.bottleneck(cores),
        );
        let shares: Vec<_> = self.shares().iter().map(|(stage, share)| format!("{stage} {}", percent(*share))).collect();
        text.push_str(&format!("        workers: {}\n", shares.join(", ")));
        if self.skipped > 0 {
            text.push_str(&format!("        {} of {} were left alone\n", self.skipped, self.pictures));
        }
        text
    }
}

impl Line {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"), "device": self.device, "cores": self.cores,
            "from": self.from, "to": self.to,
            "line": self.rows.iter().map(|row| row.to_json(self.cores)).collect::<Vec<_>>(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let word = |key: &str| plain(self.device[key].as_str().unwrap_or("unknown")).to_string();
        let mut text = format!("device: {} ({}); {} cores\n", word("provider"), word("name"), self.cores);
        text.push_str(&format!("from {} to {}\n\n", plain(&self.from), plain(&self.to)));
        text.push_str("workers  pictures/s  megapixels/s  inference   card  what holds it up\n");
        self.rows.iter().for_each(|row| text.push_str(&row.to_text(self.cores)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(workers: usize, inference: f64, decode_ms: f64, network_ms: f64) -> Row {
        let stages = BTreeMap::from([("decode".to_owned(), decode_ms), ("network".to_owned(), network_ms)]);
        Row { workers, pictures: 10, skipped: 0, megapixels: 240.0, seconds: 2.0, stages, inference, card: None }
    }

    #[test]
    fn the_part_without_time_left_is_named() {
        // Four workers have 8 s of time.
        assert!(row(4, 0.95, 2000.0, 6000.0).bottleneck(4).starts_with("the inference thread, busy 95 %"));
        assert_eq!(
            row(4, 0.2, 7600.0, 400.0).bottleneck(4),
            "the processor, busy 95 % of the time, most of all with decode (95 %)"
        );
        assert_eq!(row(2, 0.2, 3800.0, 200.0).bottleneck(4), "the number of workers: 2 for 4 cores");
        assert!(row(4, 0.5, 4000.0, 4000.0).bottleneck(4).starts_with("none is busy all the time"));
    }

    #[test]
    fn shares_are_of_all_workers_time() {
        let row = row(4, 0.2, 2000.0, 6000.0);
        assert_eq!(row.shares(), [("network", 0.75), ("decode", 0.25)]);
        assert!((row.pictures_per_second() - 5.0).abs() < 1e-9);
        assert_eq!(row.to_json(4)["utilisation"]["workers"]["network"], 0.75);
    }

    #[test]
    fn numbers_of_workers_double_up_to_the_cores() {
        assert_eq!(usual(1), [1]);
        assert_eq!(usual(6), [1, 2, 4, 6]);
        assert_eq!(usual(16), [1, 2, 4, 8, 16]);
    }
}
