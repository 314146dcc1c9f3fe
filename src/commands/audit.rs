//! `audit show`: which model, which precision, which scan.

use std::path::Path;

use serde_json::Value;

use super::look::{jobs_of_file, nothing_known, open};
use super::{Exit, Failure, plain, print, print_json};
use crate::cli::Form;
use crate::config::Settings;
use crate::digest::Digest;
use crate::provenance::Record;

/// FILE is a derivative or a source. The ledger knows both by their bytes; a derivative that left the ledger's reach
/// still has its record beside it.
pub(super) async fn show(settings: &Settings, file: &Path, form: Form) -> Result<(), Failure> {
    let mut known = Vec::new();
    let mut without = Vec::new();
    if let Some(store) = open(settings).await? {
        for job in jobs_of_file(&store, file).await? {
            match job.record.zip(job.derivative_digest) {
                Some((record, digest)) => known.push((digest, record)),
                None => without.push(format!("job {} is {}", job.id, job.state)),
            }
            known.extend(store.further(job.id).await?.into_iter().map(|one| (one.derivative.digest, one.derivative.record)));
        }
    }
    // A derivative has its own record; a source those of all its derivatives.
    let own = if known.len() > 1 { digest_of(file) } else { None };
    if known.iter().any(|(digest, _)| Some(*digest) == own) {
        known.retain(|(digest, _)| Some(*digest) == own);
    }
    let mut records: Vec<String> = known.into_iter().map(|(_, record)| record).collect();
    if records.is_empty() {
        records.extend(sidecar(file)?);
    }
    if records.is_empty() && !without.is_empty() {
        let message = format!("{} has no derivative: {}", plain(file.display()), without.join("; "));
        return Err(Failure::text(Exit::Failed, message, "`autochrome show FILE` says why".to_owned()));
    }
    if records.is_empty() {
        return Err(nothing_known(&file.to_string_lossy()));
    }
    if form.json {
        let parsed: Result<Vec<Value>, _> = records.iter().map(|record| serde_json::from_str(record)).collect();
        let mut parsed = parsed.map_err(|error| Failure::new(Exit::Disk, error, None))?;
        return print_json(&if parsed.len() == 1 { parsed.remove(0) } else { parsed.into() });
    }
    let mut text = String::new();
    for record in &records {
        let record = Record::from_json(record.as_bytes()).map_err(|error| Failure::new(Exit::Disk, error, None))?;
        text.push_str(&describe(&record));
    }
    print(&text)
}

/// The digest of a file that can be read.
fn digest_of(file: &Path) -> Option<Digest> {
    Digest::of_reader(std::fs::File::open(file).ok()?).ok().map(|(digest, _)| digest)
}

/// The record beside a derivative, believed only when it names the file's own digest.
fn sidecar(file: &Path) -> Result<Option<String>, Failure> {
    let mut name = file.as_os_str().to_owned();
    name.push(".json");
    let Ok(text) = std::fs::read_to_string(Path::new(&name)) else { return Ok(None) };
    let Ok(record) = Record::from_json(text.as_bytes()) else { return Ok(None) };
    let derivative = std::fs::File::open(file).and_then(Digest::of_reader);
    let (digest, _) = derivative.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("{} cannot be read", plain(file.display())));
        Failure::new(Exit::Failed, error, "its record lies beside it and can be read as it is".to_owned())
    })?;
    if digest == record.derivative.sha256 {
        return Ok(Some(text));
    }
    let message = format!("{} does not have the digest that its record names", plain(file.display()));
    let hint = "the file was changed after it was published; the record speaks of other bytes".to_owned();
    Err(Failure::text(Exit::Failed, message, hint))
}

fn describe(record: &Record) -> String {
    let mut text = format!("{}\n", plain(&record.derivative.path.path));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<11} {}\n", plain(value)));
    let size = |width: u32, height: u32, depth: u8| format!("{width}×{height}, {depth} bit");
    line(
        "derivative",
        format!(
            "{} {}",
            record.derivative.format,
            size(record.derivative.width, record.derivative.height, record.derivative.bit_depth)
        ),
    );
    line("", record.derivative.sha256.to_string());
    line(
        "source",
        format!("{} ({})", record.source.path.path, size(record.source.width, record.source.height, record.source.bit_depth)),
    );
    line("", record.source.sha256.to_string());
    line("scene", format!("{}: {}", record.route.scene, record.route.reason));
    // Upright, as the border's rectangle is.
    let (width, height) = (record.source.width, record.source.height);
    let whole = if record.source.orientation >= 5 { (height, width) } else { (width, height) };
    if let Some(border) = record.border.as_ref().filter(|border| (border.width, border.height) != whole) {
        let (left, top, sure) = (border.left, border.top, border.confidence * 100.0);
        line(
            "picture",
            format!(
                "{}×{} in the scan, {left} from the left, {top} from the top ({sure:.0} % sure)",
                border.width, border.height
            ),
        );
    }
    line("size", format!("{}×{} ({})", record.extent.width, record.extent.height, record.extent.rule));
    line("noise", format!("σ {:.1}, denoised: {}", record.denoise.noise_sigma, record.denoise.applied_to));
    if let Some(sigma) = record.denoise.lightness_sigma {
        line("", format!("σ {sigma:.1} at the scan's own size"));
    }
    if let Some(levels) = record.levels.as_ref().filter(|levels| levels.applied) {
        let [black, white] = [levels.black, levels.white].map(|tone| 100.0 * tone.unwrap_or_default());
        line("levels", format!("grey of {black:.0} to {white:.0} % shown to the colour network as black to white"));
    }
    line("model", format!("{} ({}, {})", record.model.id, record.model.architecture, record.model.licence));
    line("", record.model.sha256.to_string());
    line("precision", format!("{} asked, {} observed", record.precision.requested, record.precision.observed));
    if let Some(reason) = &record.precision.reason {
        line("", reason.clone());
    }
    if let Some(fallback) = &record.precision.fallback {
        line("", format!("re-run from {} to {}: {}", fallback.from, fallback.to, fallback.reason));
    }
    line("made", record.made_at.clone());
    line("device", format!("{} {}", record.device.provider, record.device.name.as_deref().unwrap_or("")));
    for setback in &record.device.setbacks {
        line("", format!("no memory for {}: {}", setback.tried, setback.found));
    }
    let numbers = &record.numerics;
    line(
        "numerics",
        format!(
            "{} non-finite, ab {:.1}..{:.1}, chroma mean {:.1}, p99 {:.1}, {:.2} % out of gamut",
            numbers.non_finite,
            numbers.ab_min,
            numbers.ab_max,
            numbers.chroma_mean,
            numbers.chroma_p99,
            numbers.out_of_gamut_share * 100.0
        ),
    );
    line("recipe", record.recipe.sha256.to_string());
    line("software", format!("{} {}", record.software.name, record.software.version));
    text
}
