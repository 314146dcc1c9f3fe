//! `bench --large`: one scan of 200 megapixels through the whole line, and the memory that takes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};

use super::super::sample;
use super::{peak_rss_mib, rounded, timed};
use crate::codec::{self, Carried, EncodeSettings};
use crate::config::Settings;
use crate::daemon;
use crate::digest::Digest;
use crate::failure::{Exit, Failure};
use crate::imaging::{Channels, Rows, Samples, Size};
use crate::pipeline::{self, Outcome, ScanFile, Stopwatch};
use crate::provenance::JobRecord;

/// 200 megapixels, four to three: a plate of 10 × 8 inches at 1600 dpi.
const PICTURE: Size = Size::new(16_330, 12_250);

/// Rows after which the generated picture begins again: it need not be whole in memory either.
const REPEATED: u32 = 490;

/// What the scan took.
pub(super) struct LargeFigures {
    seconds: f64,
    stages: BTreeMap<String, f64>,
    file_mib: u64,
    share_mib: u64,
    peak_rss_mib: Option<f64>,
}

/// A grey picture in three channels of 16 bits.
struct Large {
    /// Its first rows.
    greys: Vec<u16>,
}

impl Large {
    fn new() -> Self {
        let first = sample::photograph(Size::new(PICTURE.width, REPEATED), 16, 24);
        match first.into_samples() {
            Samples::U16(greys) => Self { greys },
            Samples::U8(greys) => Self { greys: greys.into_iter().map(|grey| u16::from(grey) * 257).collect() },
        }
    }
}

impl Rows for Large {
    fn size(&self) -> Size {
        PICTURE
    }

    fn channels(&self) -> Channels {
        Channels::Rgb
    }

    fn bit_depth(&self) -> u8 {
        16
    }

    fn rows(&self, range: Range<u32>) -> Samples {
        let width = PICTURE.width as usize;
        let row = |y: u32| &self.greys[(y % REPEATED) as usize * width..][..width];
        Samples::U16(range.flat_map(row).flat_map(|&grey| [grey; 3]).collect())
    }
}

pub(super) fn measure(settings: &Settings) -> Result<LargeFigures, Failure> {
    let failed = |error: anyhow::Error| Failure::new(Exit::Failed, error, None);
    let (catalogue, _) = daemon::profiles(settings)?;
    let mut profile = daemon::common_profile(settings, &catalogue)?;
    sample::fix_scene(&mut profile);
    let (shop, _) = daemon::workshop(settings, &catalogue, [&profile])?;
    tracing::info!("Generating a picture of {PICTURE} pixels");
    let file = codec::encode_strips(&Large::new(), &EncodeSettings::default(), &Carried::default());
    let bytes = file.map_err(|error| failed(error.into()))?.bytes;
    let header = codec::read_header(&bytes, &profile.limits).map_err(|error| failed(error.into()))?;
    let share_mib = pipeline::cost_mib(&header, bytes.len() as u64, &profile);
    let file_mib = bytes.len() as u64 >> 20;
    let job = JobRecord { id: None, claim: None, failures: 0, collection: None };
    let relative = Path::new("large.tif");
    let scan = ScanFile { root: None, relative, length: bytes.len() as u64, digest: Digest::of(&bytes), job };
    let mut watch = Stopwatch::default();
    tracing::info!("Colouring it");
    let (made, millis) = timed(|| pipeline::make(&shop, &profile, &scan, bytes, relative, &mut watch));
    match made.map_err(|error| Failure::text(Exit::Failed, error.reason, error.hint))? {
        Outcome::Derivative(_) => {}
        Outcome::Skipped(reason) => return Err(Failure::text(Exit::Failed, format!("the picture was skipped: {reason}"), None)),
    }
    let stages = watch.into_millis();
    Ok(LargeFigures { seconds: millis / 1e3, stages, file_mib, share_mib, peak_rss_mib: peak_rss_mib() })
}

impl LargeFigures {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "width": PICTURE.width, "height": PICTURE.height, "channels": 3, "bit_depth": 16, "file_mib": self.file_mib,
            "seconds": rounded(self.seconds), "stages_ms": self.stages, "share_mib": self.share_mib,
            "peak_rss_mib": self.peak_rss_mib.map(rounded),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!("TIFF, 16 bits, RGB, {PICTURE} pixels, {} MiB, milliseconds\n", self.file_mib);
        for (stage, millis) in &self.stages {
            text.push_str(&format!("  {stage:<10} {millis:>9.1}\n"));
        }
        text.push_str(&format!("  all of it  {:>9.1}\n", self.seconds * 1e3));
        text.push_str(&format!("memory: {} MiB of the workers' budget", self.share_mib));
        match self.peak_rss_mib {
            Some(peak) => text + &format!(", peak of this process with its networks {peak:.0} MiB\n"),
            None => text + "\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_however_they_are_asked_for() {
        let large = Large { greys: (0..PICTURE.width * REPEATED).map(|index| (index % 60_000) as u16).collect() };
        let (Samples::U16(all), Samples::U16(one)) = (large.rows(480..500), large.rows(495..496)) else {
            panic!("16 bits were made")
        };
        let row = 3 * PICTURE.width as usize;
        assert_eq!((all.len(), &all[15 * row..16 * row]), (20 * row, &one[..]));
        assert_eq!(large.rows(0..1), large.rows(REPEATED..REPEATED + 1), "it begins again");
    }
}
