//! The colour network at the sizes of the product: square, portrait, architecture.

use serde_json::{Value, json};

use super::{median, rounded, timed};
use crate::commands::sample;
use crate::failure::Failure;
use crate::imaging::{self, ExtentRules, Size, Sizing};
use crate::inference::{ColorizeRequest, PrecisionFacts};
use crate::pipeline::{Profile, SceneProfile, Workshop};

/// What the network took at one size.
pub(super) struct NetworkFigures {
    scene: &'static str,
    model: String,
    size: Size,
    /// The first picture of this size, which waits for the session to be built; of later ones, the median.
    first_ms: f64,
    median_ms: f64,
    precision: PrecisionFacts,
}

pub(super) fn measure(shop: &Workshop, profile: &Profile, runs: u32) -> Result<Vec<NetworkFigures>, Failure> {
    let cases = [
        ("other", &profile.other, Size::new(512, 512)),
        ("portrait", &profile.portrait, Size::new(512, 680)),
        ("architecture", &profile.architecture, Size::new(1280, 960)),
    ];
    cases.into_iter().map(|(scene, colour, wanted)| one(shop, profile, scene, colour, wanted, runs)).collect()
}

fn one(
    shop: &Workshop,
    profile: &Profile,
    scene: &'static str,
    colour: &SceneProfile,
    wanted: Size,
    runs: u32,
) -> Result<NetworkFigures, Failure> {
    let rules = ExtentRules { min_height: wanted.height, max_height: wanted.height, enlarge: true, max_area: u64::MAX };
    let sizing = match colour.extent {
        Sizing::Bounded(_) => Sizing::Bounded(rules),
        fixed @ Sizing::Fixed { .. } => fixed,
    };
    let extent = sizing.extent(wanted);
    let picture = sample::photograph(wanted, 8, 512);
    let input = imaging::network_input(&imaging::grey_copy(&picture, extent.content()), &extent);
    let ask = || ColorizeRequest::new(colour.model.id.clone(), input.clone(), profile.precision);
    let request = ask();
    let (first, first_ms) = timed(|| shop.engine.colorize(request));
    let precision = first?.precision;
    let mut later = Vec::new();
    for _ in 0..runs {
        let request = ask();
        let (coloured, millis) = timed(|| shop.engine.colorize(request));
        coloured?;
        later.push(millis);
    }
    let model = colour.model.id.clone();
    Ok(NetworkFigures { scene, model, size: extent.size(), first_ms, median_ms: median(later), precision })
}

impl NetworkFigures {
    pub(super) fn to_json(&self) -> Value {
        let precision = &self.precision;
        json!({
            "scene": self.scene, "model": self.model, "width": self.size.width, "height": self.size.height,
            "first_ms": rounded(self.first_ms), "median_ms": rounded(self.median_ms),
            "precision": {
                "requested": precision.requested.to_string(), "observed": precision.observed.to_string(), "reason": precision.reason,
            },
            "provider": precision.provider.to_string(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let Self { model, size, first_ms, median_ms, precision, .. } = self;
        let size = size.to_string();
        format!(
            "  {size:<10} {median_ms:>9.1} ms  first {first_ms:.0} ms  {model}, {} on {}\n",
            precision.observed, precision.provider
        )
    }
}
