//! Whether two workers do twice the work: the processor's share of a scan, side by side.

use serde_json::{Value, json};

use super::{Source, rounded, timed};
use crate::codec::{self, Against, Carried};
use crate::failure::{Exit, Failure};
use crate::imaging::{self, ChromaPlanes, ColourSpace, Depth, Lightness, Plane};
use crate::pipeline::Profile;

/// Times each picture is worked on: enough that two workers end at nearly the same moment.
const ROUNDS: usize = 2;

/// The same work, done by one worker and by two.
pub(super) struct ScalingFigures {
    pictures: usize,
    one_ms: f64,
    two_ms: f64,
}

pub(super) fn measure(profile: &Profile, sources: &[Source]) -> Result<ScalingFigures, Failure> {
    let work: Vec<&Source> = (0..ROUNDS).flat_map(|_| sources).collect();
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
    let scan = codec::decode(&source.bytes, &profile.limits).map_err(|error| failed(error.into()))?;
    let colour = scan.colour();
    let features = imaging::features(&scan.image, |rgb| colour.lab(rgb));
    let scan = scan.into_lightness(&colour);
    let extent = profile.other.extent.extent(scan.image.size());
    let grey = imaging::grey_copy(&scan.image, extent.content());
    let sigma = imaging::estimate_noise(&grey);
    let input = imaging::network_input(&grey, &extent);
    std::hint::black_box((features, sigma, input));
    // A warm tone: the work does not depend on which colours there are.
    let chroma = ChromaPlanes { a: Plane::filled(extent.content(), 8.0), b: Plane::filled(extent.content(), 16.0) };
    let image = imaging::recombine(&scan.image, Lightness::Source, &chroma, Depth::of(scan.header.bit_depth)).image;
    let bytes = codec::encode(&image, source.format, &source.written, &Carried { dpi: scan.dpi, ..Carried::default() })
        .map_err(|error| failed(error.into()))?;
    let against = Against::Scan(&scan.image, Lightness::Source, ColourSpace::Srgb);
    codec::verify(&bytes, image, source.format, against).map_err(|error| failed(error.into()))?;
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
