//! `bench --networks`: every colour network at several sizes and numbers of pictures, in both precisions, side by side.

use serde_json::{Value, json};

use super::super::plain;
use super::pytorch::{Compared, Ours, Pytorch};
use super::{median, rounded};
use crate::cli::{Cell, NetworkGrid, SessionKind};
use crate::commands::sample;
use crate::config::Settings;
use crate::failure::Failure;
use crate::imaging::{self, Plane, Size, lab, metrics};
use crate::inference::{
    Catalogue, DeviceReport, Difference, Gauge, GaugeRequest, Gauged, MemoryUse, ModelKind, Precision, Provider,
};

/// The sizes of the product, and a batch of the smallest.
const USUAL: [Cell; 3] = [
    Cell { size: Size::new(512, 512), pictures: 1 },
    Cell { size: Size::new(512, 512), pictures: 8 },
    Cell { size: Size::new(1280, 960), pictures: 1 },
];

/// One line of the table.
struct Row {
    model: String,
    cell: Cell,
    asked: Precision,
    memory: MemoryUse,
    gauged: Gauged,
    /// Against FP32 of the same pictures.
    apart: Option<Apart>,
}

/// How far FP16 is from FP32.
struct Apart {
    ab: Difference,
    /// CIEDE2000 at the network's size: mean, and 99.9th percentile.
    delta_e: (f64, f64),
}

/// The table.
pub(super) struct Grid {
    device: DeviceReport,
    runs: u32,
    rows: Vec<Row>,
    compared: Vec<Compared>,
}

pub(super) fn measure(settings: &Settings, request: &NetworkGrid, runs: u32) -> Result<Grid, Failure> {
    let catalogue = Catalogue::open(&settings.models)?;
    let models = if request.model.is_empty() {
        catalogue.entries().iter().filter(|entry| entry.kind == ModelKind::Colour).map(|entry| entry.id.clone()).collect()
    } else {
        request.model.clone()
    };
    let cells = if request.size.is_empty() { USUAL.to_vec() } else { request.size.clone() };
    let pytorch = if request.compare { Some(Pytorch::find(settings, &request.python)?) } else { None };
    let gauge = Gauge::open(&settings.engine, &catalogue)?;
    let (mut rows, mut compared) = (Vec::new(), Vec::new());
    for model in &models {
        for &cell in &cells {
            tracing::info!("Measuring {} at {}", plain(model), cell.size);
            rows.extend(one(&gauge, model, cell, request.only, runs)?);
        }
        let entry = catalogue.find(model, ModelKind::Colour)?;
        // A graph of others has no weights that PyTorch could read.
        if let Some(pytorch) = pytorch.as_ref().filter(|_| !entry.is_onnx()) {
            tracing::info!("Measuring {} in PyTorch", plain(model));
            let ours = |cell, precision| ours(&rows, model, cell, precision);
            compared.extend(pytorch.compare(model, &catalogue.path(entry), (gauge.device().provider, &cells, runs), ours)?);
        }
    }
    Ok(Grid { device: gauge.device().clone(), runs, rows, compared })
}

fn one(gauge: &Gauge, model: &str, cell: Cell, only: Option<SessionKind>, runs: u32) -> Result<Vec<Row>, Failure> {
    let pictures: Vec<Plane> = (0..cell.pictures).map(|index| picture(cell.size, 512 + index as u64)).collect();
    let kinds: &[SessionKind] = match (only, gauge.device().provider) {
        (Some(_), _) => only.as_slice(),
        // What takes least memory first: the process keeps some of what it took.
        (None, Provider::Cuda) => &[SessionKind::Fp16Small, SessionKind::Fp16, SessionKind::Fp32],
        // The processor computes FP16 in FP32: there is nothing to compare.
        (None, Provider::Cpu) => &[SessionKind::Fp32],
    };
    let mut rows = Vec::new();
    for &kind in kinds {
        let (asked, memory) = match kind {
            SessionKind::Fp16 => (Precision::Fp16, MemoryUse::Fast),
            SessionKind::Fp16Small => (Precision::Fp16, MemoryUse::Small),
            SessionKind::Fp32 => (Precision::Fp32, MemoryUse::Fast),
        };
        let request = GaugeRequest { model, pictures: &pictures, precision: asked, memory, runs };
        let gauged = gauge.measure(&request)?;
        rows.push(Row { model: model.to_owned(), cell, asked, memory, gauged, apart: None });
    }
    if let Some((full, halves)) = rows.split_last_mut()
        && full.asked == Precision::Fp32
    {
        for half in halves {
            let apart = half.gauged.apart(&full.gauged);
            half.apart = Some(Apart { ab: apart, delta_e: delta_e(&pictures, &half.gauged, &full.gauged) });
        }
    }
    Ok(rows)
}

/// The figures that PyTorch's in this precision are held to; on the processor everything is FP32.
fn ours(rows: &[Row], model: &str, cell: Cell, precision: Precision) -> Option<Ours> {
    let mut rows = rows.iter().filter(|row| row.model == model && row.cell == cell && row.memory == MemoryUse::Fast).rev();
    let row = rows.clone().find(|row| row.asked == precision).or_else(|| rows.find(|row| row.asked == Precision::Fp32))?;
    let (resident_ms, host_ms, _) = row.medians();
    let Gauged { card_mib, precision, .. } = &row.gauged;
    Some(Ours { precision: precision.observed, millis: row.each(resident_ms.unwrap_or(host_ms)), mib: *card_mib })
}

/// A grey copy as the line makes it.
fn picture(size: Size, seed: u64) -> Plane {
    imaging::grey_copy(&sample::photograph(size, 8, seed), size)
}

/// CIEDE2000 between the colours of two measurements over the same lightness: mean, and 99.9th percentile.
fn delta_e(pictures: &[Plane], one: &Gauged, other: &Gauged) -> (f64, f64) {
    let mut differences = Vec::new();
    for (grey, (left, right)) in pictures.iter().zip(one.chroma.iter().zip(&other.chroma)) {
        for (pixel, &value) in grey.data().iter().enumerate() {
            let lightness = lab::lightness_of_luminance(lab::srgb_to_linear(f64::from(value))) as f32;
            let [left, right] = [left, right].map(|planes| [lightness, planes.a.data()[pixel], planes.b.data()[pixel]]);
            differences.push(metrics::delta_e_2000(left, right));
        }
    }
    let mean = differences.iter().map(|&value| f64::from(value)).sum::<f64>() / differences.len().max(1) as f64;
    let rank = (differences.len() * 999).div_ceil(1000).saturating_sub(1);
    let (_, &mut p999, _) = differences.select_nth_unstable_by(rank, f32::total_cmp);
    (mean, f64::from(p999))
}

impl Grid {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "runs": self.runs,
            "device": self.device,
            "networks": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "compared": self.compared.iter().map(Compared::to_json).collect::<Vec<_>>(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let DeviceReport { provider, name, runtime_version, .. } = &self.device;
        let word = |word: &Option<String>| plain(word.as_deref().unwrap_or("unknown"));
        let mut text = format!(
            "device: {provider} ({}), ONNX Runtime {}; medians, runs: {}\n",
            word(name),
            word(runtime_version),
            self.runs
        );
        text.push_str("milliseconds a picture: on the device alone; from memory to memory; and with rounding before and widening after, which other threads do. card: MiB of this process\n\n");
        text.push_str("model                size        pictures  precision     device    memory     whole     first   card  a*b* max    mean  dE2000 mean  p99.9\n");
        self.rows.iter().for_each(|row| text.push_str(&row.to_text()));
        if !self.compared.is_empty() {
            text.push_str(Compared::HEAD);
        }
        self.compared.iter().for_each(|row| text.push_str(&row.to_text()));
        text
    }
}

impl Row {
    fn each(&self, millis: f64) -> f64 {
        millis / self.cell.pictures as f64
    }

    /// Of a run with input and output on the card, where there is one; of a run from memory to memory; and with what comes
    /// before and after.
    fn medians(&self) -> (Option<f64>, f64, f64) {
        let Gauged { resident_ms, host_ms, whole_ms, .. } = &self.gauged;
        (resident_ms.clone().map(median), median(host_ms.clone()), median(whole_ms.clone()))
    }

    fn memory(&self) -> &'static str {
        match self.memory {
            MemoryUse::Fast => "fast",
            MemoryUse::Small => "small",
        }
    }

    fn to_json(&self) -> Value {
        let Gauged { first_ms, card_mib, precision, .. } = &self.gauged;
        let (resident_ms, host_ms, whole_ms) = self.medians();
        let per_picture = |millis: f64| rounded(self.each(millis));
        json!({
            "model": self.model, "width": self.cell.size.width, "height": self.cell.size.height, "pictures": self.cell.pictures,
            "memory": self.memory(),
            "precision": { "requested": self.asked.to_string(), "observed": precision.observed.to_string(), "reason": precision.reason },
            "provider": precision.provider.to_string(),
            "device_ms": resident_ms.map(per_picture), "host_ms": per_picture(host_ms), "whole_ms": per_picture(whole_ms),
            "first_ms": rounded(*first_ms),
            "pictures_per_second": rounded(1e3 / self.each(host_ms)),
            "card_mib": card_mib,
            "against_fp32": self.apart.as_ref().map(|Apart { ab, delta_e: (mean, p999) }| json!({
                "max_abs": ab.max, "mean_abs": ab.mean, "delta_e_mean": mean, "delta_e_p999": p999,
            })),
        })
    }

    fn to_text(&self) -> String {
        let Gauged { first_ms, card_mib, precision, .. } = &self.gauged;
        let (resident_ms, host_ms, whole_ms) = self.medians();
        let size = self.cell.size.to_string();
        let kind = format!("{} {}", precision.observed, self.memory());
        let device = resident_ms.map_or_else(|| "-".to_owned(), |millis| format!("{:.2}", self.each(millis)));
        let [host, whole] = [host_ms, whole_ms].map(|millis| format!("{:.2}", self.each(millis)));
        let card = card_mib.map_or_else(|| "-".to_owned(), |mib| mib.to_string());
        let model = plain(&self.model);
        let mut line = format!(
            "{model:<20} {size:<10} {:>9}  {kind:<12} {device:>7} {host:>9} {whole:>9} {first_ms:>9.0} {card:>6}",
            self.cell.pictures
        );
        if let Some(Apart { ab, delta_e: (mean, p999) }) = &self.apart {
            line.push_str(&format!("  {:>8.4} {:>7.5}  {mean:>11.4} {p999:>6.3}", ab.max, ab.mean));
        }
        line.push('\n');
        line
    }
}
