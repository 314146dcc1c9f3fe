//! How long a colour network takes on this machine, how much of the card's memory, and what half precision does to its colours.

use std::time::Instant;

use half::f16;

use super::colour_model::{Batch, Grey, Model, Session, rounded};
use super::options::MemoryUse;
use super::session::Place;
use super::{
    Catalogue, DeviceReport, Difference, EngineSettings, InferenceError, ModelKind, Precision, PrecisionFacts, colorizer, device,
    runtime,
};
use crate::imaging::{ChromaPlanes, Plane};

/// Sessions of one model after the other, none kept.
#[derive(Debug)]
pub struct Gauge {
    place: Place,
    report: DeviceReport,
    catalogue: Catalogue,
    /// The card's memory in use before this process took any, bytes.
    used_before: Option<u64>,
}

/// One session to measure.
#[derive(Debug, Clone)]
pub struct GaugeRequest<'a> {
    /// Catalogue id of a colour network.
    pub model: &'a str,
    /// Grey copies of one size, sRGB-encoded, 0..=1: the pictures of a run. Sides are multiples of 32.
    pub pictures: &'a [Plane],
    /// Precision asked for.
    pub precision: Precision,
    /// How the card's memory is used.
    pub memory: MemoryUse,
    /// Runs to time, 1 or more.
    pub runs: u32,
}

/// What it took.
#[derive(Debug)]
pub struct Gauged {
    /// From the model in memory to the first result, milliseconds: the session is made and its plans are found.
    pub first_ms: f64,
    /// Of every run with input and output left on the card, milliseconds; `None` on the processor and for files of others.
    pub resident_ms: Option<Vec<f64>>,
    /// Of every run as the daemon's inference thread has it, from arrays in this machine's memory until a* and b* lie there,
    /// in the number format of the network, milliseconds.
    pub host_ms: Vec<f64>,
    /// The same with what the caller's thread does to either side: it rounds the picture and makes planes of a* and b*, milliseconds.
    pub whole_ms: Vec<f64>,
    /// Memory of the card that this process has then, CUDA's own context included, MiB.
    pub card_mib: Option<u64>,
    /// Precision and provider, read back from the session.
    pub precision: PrecisionFacts,
    /// What came out for every picture.
    pub chroma: Vec<ChromaPlanes>,
}

impl Gauge {
    /// Loads the runtime and decides on a device, as the daemon would.
    ///
    /// # Errors
    /// The runtime or the device cannot be used.
    pub fn open(settings: &EngineSettings, catalogue: &Catalogue) -> Result<Self, InferenceError> {
        let used_before = device::used_memory();
        let loaded = runtime::load(&runtime::locate_for(settings.provider)?)?;
        let (place, report) = device::choose(&loaded, settings)?;
        Ok(Self { place, report, catalogue: catalogue.clone(), used_before })
    }

    /// The device at work.
    pub const fn device(&self) -> &DeviceReport {
        &self.report
    }

    /// Makes a session and runs it.
    ///
    /// # Errors
    /// The model is not in the catalogue or not what is pinned, or a run fails.
    pub fn measure(&self, request: &GaugeRequest<'_>) -> Result<Gauged, InferenceError> {
        let entry = self.catalogue.find(request.model, ModelKind::Colour)?.clone();
        let (precision, unmet) = colorizer::attainable(request.precision, self.place.provider);
        let place = Place { memory: request.memory, ..self.place.clone() };
        let model = Model::read(&self.catalogue, &entry)?;
        let round = || request.pictures.iter().map(|plane| rounded(place.provider, precision, plane)).collect::<Vec<_>>();
        let halves = round();
        let pictures = greys(request.pictures, &halves);
        let batch = Batch::of(&pictures);
        let begun = Instant::now();
        let (mut session, _) = model.open(&place, &entry.id, batch, precision, false)?;
        let ran = session.run(&entry.id, &pictures)?;
        let first_ms = millis(begun);
        // Plans of the first run may be made in the second: one more before the clock.
        session.run(&entry.id, &pictures)?;
        let host_ms = timed(request.runs, || session.run(&entry.id, &pictures).map(drop))?;
        let whole_ms = timed(request.runs, || {
            let halves = round();
            let ran = session.run(&entry.id, &greys(request.pictures, &halves))?;
            ran.into_iter().for_each(|ran| drop(std::hint::black_box(ran.chroma.into_planes())));
            Ok(())
        })?;
        let resident_ms = resident(&mut session, request.runs)?;
        let card_mib = self.used_before.zip(device::used_memory()).map(|(before, now)| now.saturating_sub(before) >> 20);
        let precision = colorizer::facts(request.precision, unmet, session.stored(), ran[0].observed, None);
        let chroma = ran.into_iter().map(|ran| ran.chroma.into_planes()).collect();
        Ok(Gauged { first_ms, resident_ms, host_ms, whole_ms, card_mib, precision, chroma })
    }
}

impl Gauged {
    /// How far the colours are from those of another measurement, value by value, a* and b* alike.
    pub fn apart(&self, other: &Self) -> Difference {
        let values = |gauged: &Self| {
            gauged.chroma.iter().flat_map(|planes| [planes.a.data(), planes.b.data()]).flatten().copied().collect()
        };
        let (got, want): (Vec<f32>, Vec<f32>) = (values(self), values(other));
        Difference::between(&got, &want)
    }
}

fn greys<'a>(planes: &'a [Plane], halves: &'a [Option<Vec<f16>>]) -> Vec<Grey<'a>> {
    planes.iter().zip(halves).map(|(plane, half)| Grey { plane, rounded: half.as_deref() }).collect()
}

fn resident(session: &mut Session, runs: u32) -> Result<Option<Vec<f64>>, InferenceError> {
    let Some(resident) = session.resident() else { return Ok(None) };
    timed(runs, || resident.run_again()).map(Some)
}

/// What every run took, milliseconds.
fn timed(runs: u32, mut run: impl FnMut() -> Result<(), InferenceError>) -> Result<Vec<f64>, InferenceError> {
    let one = |_| {
        let begun = Instant::now();
        run().map(|()| millis(begun))
    };
    (0..runs.max(1)).map(one).collect()
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
