//! `sheet`: a contact sheet of derivatives, before beside after, one HTML file that opens offline.

use std::path::Path;

use base64::Engine as _;

use super::look::open;
use super::{Exit, Failure, plain, print};
use crate::codec::{self, Carried, DecodeLimits, EncodeSettings, Format};
use crate::colour;
use crate::config::Settings;
use crate::imaging::{ScanImage, Size, thumbnail};
use crate::job::JobState;
use crate::provenance::Record;
use crate::publish;
use crate::store::{JobFilter, JobRow};

/// Height of the pictures on the sheet, pixels: three rows fit a screen.
const HEIGHT: u32 = 360;

pub(super) async fn sheet(settings: &Settings, output: &Path, collection: Option<String>, limit: u32) -> Result<(), Failure> {
    let filter = JobFilter { state: Some(JobState::Completed), collection, limit: Some(limit), after: None };
    let jobs = match open(settings).await? {
        Some(store) => store.jobs(&filter).await?,
        None => Vec::new(),
    };
    if jobs.is_empty() {
        let hint = "`autochrome once` makes derivatives; `autochrome jobs` lists what happened".to_owned();
        return Err(Failure::text(Exit::Failed, "there is no derivative to show yet", hint));
    }
    let mut rows = String::new();
    let mut lines = String::new();
    for job in jobs.iter().rev() {
        let row = row(settings, job)?;
        rows.push_str(&row.html);
        lines.push_str(&row.line);
    }
    let page = PAGE.replace("{{count}}", &jobs.len().to_string()).replace("{{rows}}", &rows);
    publish::replace_file(output, page.as_bytes()).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("{} cannot be written", plain(output.display())));
        Failure::new(Exit::Disk, error, "name a file in a directory that is there and can be written".to_owned())
    })?;
    print(&format!("{lines}\ncontact sheet: {}\n", std::path::absolute(output)?.display()))
}

struct Row {
    html: String,
    line: String,
}

fn row(settings: &Settings, job: &JobRow) -> Result<Row, Failure> {
    let record = job.record.as_deref().unwrap_or("{}");
    let record = Record::from_json(record.as_bytes()).map_err(|error| Failure::new(Exit::Disk, error, None))?;
    let collection = settings.collections.iter().find(|collection| collection.name == job.collection);
    let derivative = job.derivative.as_ref().zip(collection).map(|(path, collection)| collection.outputs[0].path.join(path));
    let before = collection.map(|collection| collection.ingest.join(&job.relative));
    let milliseconds: f64 = record.timings_ms.values().sum();
    let network = record.timings_ms.get("network").copied().unwrap_or(0.0);
    let name = plain(job.relative.display());
    let place =
        derivative.as_ref().map_or_else(|| "its collection is no longer configured".to_owned(), |path| plain(path.display()));
    let facts = [
        format!("{}: {}", record.route.scene, record.route.reason),
        format!("network {}×{} ({})", record.extent.width, record.extent.height, record.extent.rule),
        format!("{} asked, {} observed on {}", record.precision.requested, record.precision.observed, record.device.provider),
        format!("{milliseconds:.0} ms, of it the network {network:.0} ms"),
        format!("model {} {}", record.model.id, record.model.sha256.short(12)),
    ];
    let facts: String = facts.iter().map(|fact| format!("<li>{}</li>", escape(fact))).collect();
    let html = format!(
        "<figure><figcaption><b>{}</b></figcaption><div class=pair>{}{}</div><ul>{facts}</ul></figure>\n",
        escape(&name),
        picture(before.as_deref(), "before"),
        picture(derivative.as_deref(), "after"),
    );
    let line = format!(
        "{:<12} {:>9}  {:<4}  {milliseconds:>6.0} ms  {place}\n",
        record.route.scene,
        format!("{}×{}", record.extent.width, record.extent.height),
        record.precision.observed
    );
    Ok(Row { html, line })
}

/// The picture as a small JPEG inside the page, or words where it is gone.
fn picture(path: Option<&Path>, what: &str) -> String {
    let encoded = path.and_then(|path| {
        let bytes = std::fs::read(path).ok()?;
        let scan = codec::decode(&bytes, &DecodeLimits::default()).ok()?;
        let small = small(&scan.image);
        let colour_space = scan.declared.icc.as_deref().and_then(colour::space_of).unwrap_or_default();
        let settings = EncodeSettings { jpeg_quality: 85, colour_space, ..EncodeSettings::default() };
        codec::encode(&small, Format::Jpeg, &settings, &Carried::default()).ok()
    });
    match encoded {
        Some(jpeg) => {
            let data = base64::engine::general_purpose::STANDARD.encode(jpeg);
            format!("<img alt=\"{what}\" title=\"{what}\" src=\"data:image/jpeg;base64,{data}\">")
        }
        None => format!("<span class=gone>{what}: the file is not there any more</span>"),
    }
}

fn small(image: &ScanImage) -> ScanImage {
    let size = image.size();
    if size.height <= HEIGHT {
        return thumbnail(image, size);
    }
    let width = u64::from(size.width) * u64::from(HEIGHT) / u64::from(size.height);
    thumbnail(image, Size::new(u32::try_from(width.max(1)).unwrap_or(u32::MAX), HEIGHT))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>autochrome contact sheet</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem; background: #f4f2ee; color: #222 }
figure { margin: 0 0 2rem; padding: 1rem; background: #fff; border-radius: 6px; max-width: 1100px }
.pair { display: flex; gap: 8px; flex-wrap: wrap; margin: .5rem 0 }
img { height: 360px; max-width: 100%; object-fit: contain }
ul { margin: 0; padding-left: 1.2rem; color: #555 }
.gone { padding: 2rem; background: #eee }
</style></head><body>
<h1>Contact sheet</h1>
<p>{{count}} derivatives. Left the scan, right the AI-colorized interpretation: the colours are invented by a trained
model, the lightness is the scan's own. The originals are untouched.</p>
{{rows}}</body></html>
"#;
