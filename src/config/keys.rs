//! Every key: what it takes, its default, one line of meaning. The reference file is these tables, written out.

use super::duration;
use super::values::{Shape, Value};
use crate::metadata::SourceType;
use crate::routing::RoutingRules;

/// What holds when nobody says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) enum Preset {
    Text(&'static str),
    Integer(u64),
    Number(f64),
    Switch(bool),
    /// The routing room's own choice.
    Routing(fn(&RoutingRules) -> f32),
    /// Found out elsewhere, or required.
    Absent,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Sections and name, with dots.
    pub(super) path: &'static str,
    /// Its name inside a `[[collection]]` that wants another value, if one may.
    pub(super) own: Option<&'static str>,
    pub(super) shape: Shape,
    pub(super) preset: Preset,
    pub(super) meaning: &'static str,
}

impl Key {
    /// The default as a value; `None` when it is found out elsewhere or required.
    pub(super) fn default(&self) -> Option<Value> {
        Some(match self.preset {
            Preset::Text(text) => match self.shape {
                Shape::Duration { .. } => {
                    Value::Duration(duration::parse(text).expect("defaults in the key table are durations"))
                }
                _ => Value::Text(text.to_owned()),
            },
            Preset::Integer(value) => Value::Integer(value),
            Preset::Number(value) => Value::Number(value),
            Preset::Switch(value) => Value::Switch(value),
            Preset::Routing(choose) => Value::Number(widened(choose(&RoutingRules::default()))),
            Preset::Absent => return None,
        })
    }
}

/// The number a person would write for `value`: 0.45, not 0.449999988079071.
fn widened(value: f32) -> f64 {
    value.to_string().parse().expect("a printed number is a number")
}

const HEIGHT: Shape = Shape::Integer { min: 32, max: 4096 };
const PORTRAIT: &str = "colour network for portraits, an id of the catalogue";
const ARCHITECTURE: &str = "colour network for buildings and streets";
const OTHER: &str = "colour network for everything else";

macro_rules! key {
    ($path:literal, $own:expr, $shape:expr, $preset:expr, $meaning:expr) => {
        Key { path: $path, own: $own, shape: $shape, preset: $preset, meaning: $meaning }
    };
}

use Preset::{Absent, Integer, Number, Routing, Switch, Text};
use Shape::{Duration, Integer as Whole, Name, Number as Real, Path, Switch as Flag, Word};

/// Keys outside `[[collection]]`, in the order in which they are shown.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key!("state", None, Path, Text("state"), "database, lock and spool; on a local disk, never on a share"),
    key!("models", None, Path, Absent, "directory of models.toml and the weights it pins; default: the bundled models"),

    key!("ingest.rest", Some("rest"), Duration { min: "50ms", max: "1d" }, Text("10s"), "a file is believed when it has not changed for this long"),
    key!("ingest.rescan", Some("rescan"), Duration { min: "100ms", max: "7d" }, Text("5m"), "every root is looked through at least this often, whatever the kernel reports"),

    key!("device.provider", None, Word(&["auto", "cuda", "cpu"]), Text("auto"), "auto: CUDA if it works, else the CPU, and every record says which; cuda: that or an error; cpu"),
    key!("device.precision", Some("precision"), Word(&["fp16", "fp32"]), Text("fp16"), "number format asked of the colour network; records say what was observed"),
    key!("device.memory_mib", None, Whole { min: 0, max: 1 << 20 }, Integer(0), "memory of the card that all colour networks together may take, MiB, besides CUDA's own 0.6 to 1 GiB; what does not fit runs in a slower form that needs less, on smaller copies, or (provider auto) on the CPU, and records name what was tried; 0: what the card has"),
    key!("device.threads", None, Whole { min: 0, max: 256 }, Integer(0), "threads of one network run on the CPU; 0: as many as there are cores"),
    key!("device.sessions", None, Whole { min: 0, max: 64 }, Integer(0), "colour networks kept ready, one for each model, size and precision; 0: four on the processor, on the card as many as its memory holds"),

    key!("guard.chroma_min", None, Real { min: 0.0, max: 10.0 }, Number(0.5), "chroma, Lab units, that some pixels of a picture that is not blank must reach (mean and three spreads), else it is run again in FP32: 0.5 is below any visible difference, and vanished chroma is how an overflow shows that later layers absorbed"),
    key!("guard.ab_max", None, Real { min: 110.0, max: 65_504.0 }, Number(300.0), "largest a* or b* that is believed, either sign: sRGB ends at 108, and the authors' weights reach 180 on sound pictures"),

    key!("scene.portrait.model", Some("portrait.model"), Name, Text("ddcolor-starter"), PORTRAIT),
    key!("scene.portrait.height.min", Some("portrait.height.min"), HEIGHT, Integer(460), "smallest height of the network's copy of a portrait, pixels"),
    key!("scene.portrait.height.max", Some("portrait.height.max"), HEIGHT, Integer(680), "largest height of it"),
    key!("scene.architecture.model", Some("architecture.model"), Name, Text("ddcolor-starter"), ARCHITECTURE),
    key!("scene.architecture.height.min", Some("architecture.height.min"), HEIGHT, Integer(960), "smallest height of the network's copy of a building or street, pixels"),
    key!("scene.architecture.height.max", Some("architecture.height.max"), HEIGHT, Integer(1280), "largest height of it"),
    key!("scene.other.model", Some("other.model"), Name, Text("ddcolor-starter"), OTHER),
    key!("scene.other.height.min", Some("other.height.min"), HEIGHT, Integer(512), "smallest height of the network's copy of everything else, pixels"),
    key!("scene.other.height.max", Some("other.height.max"), HEIGHT, Integer(512), "largest height of it"),

    key!("extent.enlarge", Some("extent.enlarge"), Flag, Switch(true), "whether scans smaller than the smallest height are enlarged to it for the network"),
    key!("extent.max_megapixels", Some("extent.max_megapixels"), Real { min: 0.25, max: 32.0 }, Number(2.5), "largest area of the network's copy; memory grows with it: DDColor-L in FP16 takes 1.7 GB of a card at 1.2"),

    key!("network.preprocessing", Some("preprocessing"), Word(&["fit", "parity"]), Text("fit"), "fit: aspect kept, antialiased; parity: as the authors' Python pipeline does, squashed to a square of height.max (theirs is 512), for comparison with its results; needs denoise.apply_to = \"off\""),
    key!("network.border", Some("border"), Word(&["auto", "off"]), Text("auto"), "auto: rebate, mounts and the scanner's bed around a picture are not shown to the networks and stay without colour; nothing is cropped; off: the whole scan counts as picture, as it always does under parity"),
    key!("network.levels", Some("levels"), Word(&["auto", "off"]), Text("auto"), "auto: where a scan is very dark, very bright or faded, the colour network sees its tones stretched to all between black and white; the published lightness is the scan's all the same; off: it sees them as they are, as it always does under parity"),

    key!("routing.min_score", Some("routing.min_score"), Real { min: 0.0, max: 1.0 }, Routing(|rules| rules.min_score), "a best score below this sends the picture to `other`"),
    key!("routing.colour_chroma", Some("routing.colour_chroma"), Real { min: 0.0, max: 100.0 }, Routing(|rules| rules.colour_chroma), "chroma (Lab units) beside an even tone, above which a scan counts as already in colour"),
    key!("routing.tinted_share", Some("routing.tinted_share"), Real { min: 0.0, max: 1.0 }, Routing(|rules| rules.tinted_share), "share of a print of one tone that has colours of its own, above which it counts as tinted by hand and is skipped; 1: none is"),
    key!("routing.blank_deviation", Some("routing.blank_deviation"), Real { min: 0.0, max: 50.0 }, Routing(|rules| rules.blank_deviation), "deviation of lightness (L* units) below which a scan counts as blank"),
    key!("routing.document_score", Some("routing.document_score"), Real { min: 0.0, max: 1.0 }, Routing(|rules| rules.document_score), "document score above which a scan counts as a printed or typed page and is skipped; 1: none is"),
    key!("routing.min_side", Some("routing.min_side"), Whole { min: 1, max: 4096 }, Integer(crate::routing::MIN_SIDE as u64), "pixels that the shorter side of a scan needs; a smaller one is skipped"),

    key!("denoise.apply_to", Some("denoise.apply_to"), Word(&["network", "output", "off"]), Text("network"), "network: only the network's copy; output: the published lightness too, recorded as a change; off"),
    key!("denoise.threshold", Some("denoise.threshold"), Real { min: 0.0, max: 255.0 }, Number(7.0), "noise of the network's copy (standard deviation, 8-bit steps) above which the denoiser runs"),

    key!("output.format", Some("format"), Word(&["source", "jpeg", "png", "tiff"]), Text("source"), "format of derivatives; source: that of the scan"),
    key!("output.jpeg_quality", Some("jpeg_quality"), Whole { min: 1, max: 100 }, Integer(92), "quality of JPEG derivatives"),
    key!("output.tiff_compression", Some("tiff_compression"), Word(&["none", "lzw", "deflate"]), Text("none"), "compression of TIFF derivatives, lossless"),
    key!("output.max_side", Some("max_side"), Whole { min: 0, max: 300_000 }, Integer(0), "longest side of derivatives, pixels: larger pictures are reduced, and their resolution with them; 0: the scan's own size"),
    key!("output.label", Some("label"), Word(&["auto", "off", "corner", "strip"]), Text("auto"), "visible mark \"AI-colorized\": in a corner of the picture, or on a strip added below it; auto: in a corner of JPEGs that max_side reduces, off for all others"),
    key!("output.colour_space", Some("colour_space"), Word(&["srgb", "adobe-rgb", "display-p3", "prophoto"]), Text("srgb"), "colour space of derivatives, whose profile they carry; colours that it cannot hold lose chroma. prophoto is made for 16 bits: of 8 its steps are up to 0.8 L*, twice sRGB's, so it needs format = \"tiff\" or \"png\""),
    key!("output.saturation", Some("saturation"), Real { min: 0.0, max: 1.5 }, Number(1.0), "factor on the chroma that the network gave, before colours that the derivative's colour space cannot hold lose some; 0 leaves greys"),
    key!("output.strip_gps", Some("strip_gps"), Flag, Switch(false), "whether the place where a picture was taken (GPS in EXIF and XMP) is left out of derivatives"),
    key!("output.digital_source_type", Some("digital_source_type"), Word(&[SourceType::Composite.word(), SourceType::Enhanced.word()]), Text(SourceType::Composite.word()), "what derivatives and records call themselves, of IPTC's Digital Source Types; the first is the conservative one for colour that a network made up"),
    key!("output.min_free_mib", Some("min_free_mib"), Whole { min: 0, max: 1 << 40 }, Integer(2048), "room that stays free on an output volume, MiB; below it no scan is begun"),

    key!("limits.max_megapixels", Some("limits.max_megapixels"), Whole { min: 1, max: 10_000 }, Integer(400), "a scan with more pixels is refused from its header, before it is decoded"),
    key!("limits.max_file_mib", Some("limits.max_file_mib"), Whole { min: 1, max: 1 << 20 }, Integer(4096), "a larger file is refused before it is read"),

    key!("workers.count", None, Whole { min: 0, max: 256 }, Integer(0), "scans worked on at once; 0: one for each core, fewer where memory is short"),
    key!("workers.memory_mib", None, Whole { min: 0, max: 1 << 30 }, Integer(0), "memory that all of them share, MiB; 0: half of the machine's"),

    key!("retry.attempts", None, Whole { min: 1, max: 100 }, Integer(3), "charged failures after which a job is given up"),
    key!("retry.base", None, Duration { min: "1ms", max: "1d" }, Text("5s"), "longest wait after the first failure; doubles with each further one"),
    key!("retry.cap", None, Duration { min: "1ms", max: "7d" }, Text("30m"), "longest wait of all"),

    key!("shutdown.deadline", None, Duration { min: "1s", max: "1d" }, Text("30s"), "time that running scans get to finish after the first signal"),
];

/// Keys of the top level that a `[[collection.output]]` may have for itself, beside its `path`.
pub(super) const OUTPUT_KEYS: &[&str] = &[
    "output.format",
    "output.jpeg_quality",
    "output.tiff_compression",
    "output.colour_space",
    "output.max_side",
    "output.label",
];

/// What only a `[[collection.output]]` has.
pub(super) const OUTPUT_PATH: Key = key!("path", None, Path, Absent, "required: where its derivatives and their records go");

/// Keys that only a `[[collection]]` has. The keys above with a name of their own follow.
#[rustfmt::skip]
pub(super) const COLLECTION_KEYS: &[Key] = &[
    key!("name", None, Name, Absent, "required, unique: what the collection is called in reports and records"),
    key!("ingest", None, Path, Absent, "required: where its scans arrive; only ever read"),
    key!("output", None, Path, Absent, "required: where its derivatives and their records go; for several derivatives of every scan write [[collection.output]] instead, each with a path and, where it differs, format, jpeg_quality, tiff_compression, max_side and label"),
    key!("scene", None, Shape::Scene, Text("auto"), "auto: the scene network decides; or one scene for the whole collection"),
    key!("ready", None, Word(&["stable", "marker"]), Text("stable"), "stable: a scan is ready when it rests; marker: when a file NAME.done lies beside it as well"),
    key!("poll", None, Flag, Switch(false), "true: never rely on notifications of the kernel, which network shares do not give"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::Given;

    #[test]
    fn every_default_obeys_its_own_rule() {
        for key in KEYS.iter().chain(COLLECTION_KEYS) {
            let Some(default) = key.default() else { continue };
            let given = match &default {
                Value::Text(text) => Given::Text(text.clone()),
                Value::Duration(value) => Given::Text(duration::write(*value)),
                Value::Integer(value) => Given::Integer(i64::try_from(*value).unwrap()),
                Value::Number(value) => Given::Number(*value),
                Value::Switch(value) => Given::Switch(*value),
            };
            assert_eq!(key.shape.check(&given), Ok(default), "{}", key.path);
        }
    }

    #[test]
    fn no_key_is_also_a_section() {
        let paths: Vec<_> = KEYS.iter().map(|key| key.path).collect();
        for path in &paths {
            let inside = paths.iter().filter(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
            assert_eq!(inside.count(), 0, "{path}");
            assert_eq!(paths.iter().filter(|other| other == &path).count(), 1, "{path} stands there twice");
        }
    }
}
