//! Whether two workers do twice the work: the processor's share of a scan, side by side.

use serde_json::{Value, json};

use super::{Source, rounded, timed};
use crate::codec::{self, Carried, Format, Keep};
use crate::failure::{Exit, Failure};
use crate::imaging::{self, ChromaPlanes, Lightness, Plane, Recombination, Rect, Rendering};
use crate::pipeline::{self, Profile, Stopwatch};

/// Times each picture is worked on: enough that two workers end at nearly the same moment.
const ROUNDS: usize = 4;

/// The same work, done by one worker and by two.
pub(super) struct ScalingFigures {
    pictures: usize,
    one_ms: f64,
    two_ms: f64,
}

pub(super) fn measure(profile: &Profile, sources: &[Source]) -> Result<ScalingFigures, Failure> {
    // One worker keeps more than one core busy with a TIFF.
    let alone = || sources.iter().filter(|source| source.format != Format::Tiff);
    let work: Vec<&Source> = (0..ROUNDS).flat_map(|_| alone()).collect();
    // Each worker gets every kind of picture equally often.
    let (first, second) = work.split_at(work.len() / 2);
    let (done, one_ms) = timed(|| work.iter().try_for_each(|source| process(profile, source)));
    done?;
    let (done, two_ms) = timed(|| {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| second.iter().try_for_each(|source| process(profile, source)));
            let mine = first.iter().try_for_each(|source| process(profile, source));
            let other = other.join().unwrap_or_else(|_| Err(Failure::text(Exit::Failed, "a worker panicked", None)));
            mine.and(other)
        })
    });
    done?;
    Ok(ScalingFigures { pictures: work.len(), one_ms, two_ms })
}

/// All that a scan asks of the processor besides the networks.
fn process(profile: &Profile, source: &Source) -> Result<(), Failure> {
    let failed = |error: anyhow::Error| Failure::new(Exit::Failed, error, None);
    let read = codec::read(&source.bytes, &profile.limits, Keep::Lightness).map_err(|error| failed(error.into()))?;
    let whole = Rect::whole(read.scan.image.size());
    let (features, scan) = (read.features(whole), read.scan);
    let extent = profile.other.extent.extent(scan.image.size());
    let grey = imaging::grey_copy(&scan.image, extent.content());
    let sigma = imaging::estimate_noise(&grey);
    let input = imaging::network_input(&grey, &extent);
    std::hint::black_box((features, sigma, input));
    // A warm tone: the work does not depend on which colours there are.
    let chroma = ChromaPlanes { a: Plane::filled(extent.content(), 8.0), b: Plane::filled(extent.content(), 16.0) };
    let depth = pipeline::depth_of(source.format, scan.header.bit_depth);
    let made = Recombination::new(&scan.image, whole, Lightness::Source, &chroma, depth, Rendering::default());
    let carried = Carried { dpi: scan.dpi, ..Carried::default() };
    let file = pipeline::unaltered(&made, source.format, &source.written, &carried, &mut Stopwatch::default());
    file.map_err(|error| Failure::text(Exit::Failed, error.reason, error.hint))?;
    Ok(())
}

impl ScalingFigures {
    fn ratio(&self) -> f64 {
        self.one_ms / self.two_ms
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "pictures": self.pictures, "one_worker_ms": rounded(self.one_ms), "two_workers_ms": rounded(self.two_ms),
            "ratio": rounded(self.ratio()),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self { pictures, one_ms, two_ms } = self;
        let ratio = self.ratio();
        format!(
            "workers, {pictures} of these pictures without the networks\n  1 worker   {one_ms:>9.0} ms\n  2 workers  {two_ms:>9.0} ms  {ratio:.2} times as fast\n"
        )
    }
}
