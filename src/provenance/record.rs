//! The provenance record as data, and its JSON form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::border::BorderRecord;
use super::levels::LevelsRecord;
use super::parts::{
    DenoiseRecord, DerivativeRecord, DeviceRecord, ExtentRecord, JobRecord, MetadataRecord, ModelRecord, NumericsRecord,
    PrecisionRecord, RecipeRecord, RouteRecord, SoftwareRecord, SourceRecord,
};

/// Name and version of the record's schema.
pub const SCHEMA: &str = "autochrome-provenance/1";

/// Everything an auditor may ask of one derivative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: String,
    /// IPTC Digital Source Type of the derivative.
    pub digital_source_type: String,
    /// When the derivative was made: RFC 3339, UTC, whole seconds.
    #[serde(default)]
    pub made_at: String,
    /// The job; its id is null for `colorize`, which keeps no ledger.
    pub job: JobRecord,
    /// The scan.
    pub source: SourceRecord,
    /// What was made of it.
    pub derivative: DerivativeRecord,
    /// What kind of picture it was taken for.
    pub route: RouteRecord,
    /// Noise found and what was done about it.
    pub denoise: DenoiseRecord,
    /// The picture in the scan; absent in records of older versions, which took the whole scan for picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border: Option<BorderRecord>,
    /// Levels of the colour network's copy; absent in records of older versions, which gave it none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<LevelsRecord>,
    /// Size of the network's copy.
    pub extent: ExtentRecord,
    /// The colour network.
    pub model: ModelRecord,
    /// Precision asked for and observed.
    pub precision: PrecisionRecord,
    /// Where it ran.
    pub device: DeviceRecord,
    /// What of the scan's metadata went on; absent in records of older versions, which carried the resolution only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataRecord>,
    /// What the network's output looked like.
    pub numerics: NumericsRecord,
    /// Everything that decided the pixels.
    pub recipe: RecipeRecord,
    /// The program.
    pub software: SoftwareRecord,
    /// Duration of each stage, milliseconds.
    pub timings_ms: BTreeMap<String, f64>,
    /// For every null above: its path and why it is null.
    #[serde(default)]
    pub absent: BTreeMap<String, String>,
}

impl Record {
    /// Notes for every null why it is null. `why` gives the reason of a path such as `device.cudnn`.
    #[must_use]
    pub fn explain_absent(mut self, why: impl Fn(&str) -> &'static str) -> Self {
        let value = serde_json::to_value(&self).expect("a record always serialises");
        let mut paths = Vec::new();
        collect_nulls(&value, "", &mut paths);
        self.absent = paths.into_iter().map(|path| (path.clone(), why(&path).to_owned())).collect();
        self
    }

    /// The sidecar's bytes: JSON for people, two spaces of indentation, a final newline.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a record always serialises") + "\n"
    }

    /// Reads a sidecar back.
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

fn collect_nulls(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Null => found.push(path.to_owned()),
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                // The recipe says with its own nulls what was not asked for.
                if below != "recipe" {
                    collect_nulls(field, &below, found);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_found_at_every_depth() {
        let value = serde_json::json!({ "a": null, "b": { "c": null, "d": 1 }, "recipe": { "x": null } });
        let mut found = Vec::new();
        collect_nulls(&value, "", &mut found);
        assert_eq!(found, ["a", "b.c"]);
    }
}
