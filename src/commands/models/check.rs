//! `models check`: a network on an array that was run elsewhere, and how far apart the results are.

use std::path::Path;

use serde_json::{Value, json};

use super::super::plain;
use super::{Exit, Failure, print, print_json};
use crate::cli::Check;
use crate::config::Settings;
use crate::inference::ddcolor::{Outputs, TRACED};
use crate::inference::{self, Array, ArrayError, Catalogue, CheckRequest, Checked, Difference};

/// The last tensor of the network.
const AB: &str = "ab";

pub(super) fn check(settings: &Settings, request: &Check) -> Result<(), Failure> {
    if !request.tolerance.is_finite() || request.tolerance < 0.0 {
        return Err(Failure::text(Exit::Usage, format!("a tolerance of {} is none", request.tolerance), None));
    }
    let rgb = picture(&request.input)?;
    let [_, _, height, width] = rgb.shape[..] else { unreachable!("a picture has four axes") };
    let mut expected = vec![Wanted::read(AB, &request.expect)?];
    expected[0].must_have(&[1, 2, height, width])?;
    for path in &request.trace {
        expected.push(Wanted::read(named(path)?, path)?);
    }
    let catalogue = Catalogue::open(&settings.models)?;
    let outputs = if request.trace.is_empty() { Outputs::Ab } else { Outputs::Traced };
    let run = CheckRequest { model: &request.id, rgb: &rgb, precision: request.precision, outputs };
    let checked = inference::check(&settings.engine, &catalogue, &run)?;
    let comparison = Comparison::new(checked, &expected, request)?;
    if request.form.json {
        print_json(&comparison.json())?;
    } else {
        print(&comparison.text())?;
    }
    comparison.verdict()
}

/// The network's input.
fn picture(path: &Path) -> Result<Array, ArrayError> {
    let array = Array::read(path)?;
    let is_extent = |side: usize| side > 0 && side.is_multiple_of(32);
    if !matches!(array.shape[..], [1, 3, height, width] if is_extent(height) && is_extent(width)) {
        let expected = "[1, 3, height, width] with sides that are multiples of 32".to_owned();
        return Err(ArrayError::Shape { path: path.to_owned(), found: array.shape, expected });
    }
    all(&array, path, "a value in 0..=1", |value| (0.0..=1.0).contains(&value))?;
    Ok(array)
}

/// A tensor as it was elsewhere.
struct Wanted<'a> {
    name: &'static str,
    path: &'a Path,
    array: Array,
}

impl<'a> Wanted<'a> {
    fn read(name: &'static str, path: &'a Path) -> Result<Self, ArrayError> {
        let array = Array::read(path)?;
        all(&array, path, "a finite value", f32::is_finite)?;
        Ok(Self { name, path, array })
    }

    fn must_have(&self, shape: &[usize]) -> Result<(), ArrayError> {
        if self.array.shape == shape {
            return Ok(());
        }
        let (path, found) = (self.path.to_owned(), self.array.shape.clone());
        Err(ArrayError::Shape { path, found, expected: format!("{shape:?}, the shape of {} here,", self.name) })
    }
}

fn all(array: &Array, path: &Path, expected: &'static str, suits: impl Fn(f32) -> bool) -> Result<(), ArrayError> {
    match array.values.iter().position(|&value| !suits(value)) {
        None => Ok(()),
        Some(index) => Err(ArrayError::Value { path: path.to_owned(), value: array.values[index], index, expected }),
    }
}

/// The tensor that a file is named after: its name without `.npy` ends with it.
fn named(path: &Path) -> Result<&'static str, Failure> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_named = |tensor: &&&str| {
        let before = stem.strip_suffix(**tensor);
        before.is_some_and(|before| !before.ends_with(|character: char| character.is_alphanumeric()))
    };
    TRACED.iter().find(is_named).copied().ok_or_else(|| {
        let message = format!("{} is named after no tensor of the network", plain(path.display()));
        Failure::text(Exit::Usage, message, format!("a traced file's name ends with one of {}", TRACED.join(", ")))
    })
}

/// What came of it.
struct Comparison {
    checked: Checked,
    /// By tensor, in the order of the network; the last one is `ab`.
    differences: Vec<(&'static str, Difference)>,
    tolerance: f32,
    is_traced: bool,
}

impl Comparison {
    fn new(checked: Checked, expected: &[Wanted<'_>], request: &Check) -> Result<Self, ArrayError> {
        let mut differences = Vec::new();
        for (name, got) in &checked.tensors {
            // A tensor may be given more than once: every file has its line.
            for wanted in expected.iter().filter(|wanted| wanted.name == *name) {
                wanted.must_have(&got.shape)?;
                differences.push((*name, Difference::between(&got.values, &wanted.array.values)));
            }
        }
        // What decides comes last, whatever was traced.
        let ab = differences.iter().position(|(name, _)| *name == AB).expect("ab is always asked for");
        let ab = differences.remove(ab);
        differences.push(ab);
        Ok(Self { checked, differences, tolerance: request.tolerance, is_traced: !request.trace.is_empty() })
    }

    fn ab(&self) -> Difference {
        self.differences.last().expect("ab is always compared").1
    }

    fn exceeds(&self, difference: &Difference) -> bool {
        difference.max > self.tolerance
    }

    /// The first tensor in the order of the network that differs.
    fn first(&self) -> Option<usize> {
        self.differences.iter().position(|(_, difference)| self.exceeds(difference))
    }

    fn json(&self) -> Value {
        let (ab, precision) = (self.ab(), &self.checked.precision);
        let mut value = json!({
            "max_abs": number(ab.max), "mean_abs": ab.mean, "p999_abs": number(ab.p999), "non_finite": ab.non_finite,
            "precision": {
                "requested": precision.requested.to_string(), "observed": precision.observed.to_string(),
                "reason": precision.reason,
            },
            "provider": precision.provider.to_string(), "tolerance": number(self.tolerance), "agrees": !self.exceeds(&ab),
            "model": { "id": self.checked.entry.id, "sha256": self.checked.entry.sha256 },
        });
        if self.is_traced {
            let line = |(name, difference): &(&str, Difference)| json!({ "tensor": name, "max_abs": number(difference.max), "mean_abs": difference.mean });
            value["trace"] = self.differences.iter().map(line).collect();
            value["first_difference"] = json!(self.first().map(|first| self.differences[first].0));
        }
        value
    }

    fn text(&self) -> String {
        let (ab, precision) = (self.ab(), &self.checked.precision);
        let reason = precision.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let mut text = format!(
            "{}  {} on {}{reason}\nmax {:.3e}  mean {:.3e}  p99.9 {:.3e}  tolerance {:e}: {}\n",
            self.checked.entry.id,
            precision.observed,
            precision.provider,
            ab.max,
            ab.mean,
            ab.p999,
            self.tolerance,
            if self.exceeds(&ab) { "differs" } else { "agrees" },
        );
        if self.is_traced {
            text.push_str(&format!("\n{:<15}  {:>9}  {:>9}\n", "tensor", "max", "mean"));
            for (index, (name, difference)) in self.differences.iter().enumerate() {
                let mark = if self.first() == Some(index) { "  first difference here" } else { "" };
                text.push_str(&format!("{name:<15}  {:>9.3e}  {:>9.3e}{mark}\n", difference.max, difference.mean));
            }
        }
        text
    }

    fn verdict(&self) -> Result<(), Failure> {
        let ab = self.ab();
        if !self.exceeds(&ab) {
            return Ok(());
        }
        let message = format!("ab differs by {:.3e}, above the tolerance of {:e}", ab.max, self.tolerance);
        let hint = "give arrays of inner tensors with --trace to see where the difference begins";
        Err(Failure::text(Exit::Failed, message, (!self.is_traced).then(|| hint.to_owned())))
    }
}

/// 0.001 as a person writes it, not the nearest f32 written out. JSON has no infinity: a difference to what is no number is
/// null, and `non_finite` says why.
fn number(value: f32) -> Value {
    json!(value.to_string().parse::<f64>().ok().filter(|value| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!(number(1e-3).to_string(), "0.001");
        assert_eq!((number(f32::INFINITY), number(f32::NAN)), (Value::Null, Value::Null));
    }

    #[test]
    fn files_are_named_after_tensors() {
        let name = |path: &str| named(Path::new(path)).ok();
        assert_eq!(name("golden/tiny_256x320_color_embed.npy"), Some("color_embed"));
        assert_eq!(name("encoder.norm2.npy"), Some("encoder.norm2"));
        assert_eq!(name("large-decoder.0.npy"), Some("decoder.0"));
        assert_eq!(name("tiny_256x320_ab.npy"), Some("ab"));
        for other in ["grab.npy", "my_color_embedding.npy", "encoder.norm4.npy", ".npy", ""] {
            assert_eq!(name(other), None, "{other}");
        }
        let refused = named(Path::new("x.npy")).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.hint.unwrap().contains("encoder.norm0"));
    }
}
