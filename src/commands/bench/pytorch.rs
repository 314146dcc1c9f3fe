//! `bench --networks --compare`: PyTorch on the same weights, right after our own sessions, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::plain;
use super::rounded;
use crate::cli::Cell;
use crate::config::Settings;
use crate::failure::{Exit, Failure};
use crate::inference::{Precision, Provider};

/// Of every row, in this order. Our own FP32 may round products to TF32, as `tf32` does for convolutions; `fp32` does nowhere. The last
/// needs a compiler on the machine.
const MODES: &str = "fp32,tf32,half,compile";

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Report {
    torch: String,
    rows: Vec<Timed>,
}

/// One row of it.
#[derive(Debug, Clone, Deserialize)]
struct Timed {
    mode: String,
    width: u32,
    height: u32,
    batch: usize,
    ms_per_picture: Option<f64>,
    process_mib: Option<f64>,
    #[serde(default)]
    error: Option<String>,
}

/// Our own figures for a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours {
    pub(super) precision: Precision,
    /// Milliseconds a picture.
    pub(super) millis: f64,
    /// Of the card.
    pub(super) mib: Option<u64>,
}

/// One row beside ours.
#[derive(Debug)]
pub(super) struct Compared {
    model: String,
    torch: String,
    theirs: Timed,
    ours: Option<Ours>,
}

/// The script and the interpreter it runs in.
#[derive(Debug)]
pub(super) struct Pytorch {
    script: PathBuf,
    python: PathBuf,
}

impl Pytorch {
    /// The script beside the models, or beside the program's sources.
    pub(super) fn find(settings: &Settings, python: &Path) -> Result<Self, Failure> {
        let places = [settings.models.join("training"), PathBuf::from("models/training")];
        let script = places.iter().map(|place| place.join("compare_pytorch.py")).find(|script| script.is_file());
        let script = script.ok_or_else(|| {
            let text = format!("--compare needs compare_pytorch.py, and neither {} holds it", plain(places[0].display()));
            Failure::text(Exit::Usage, text, "run it in a checkout of autochrome, whose models/training has it".to_owned())
        })?;
        Ok(Self { script, python: python.to_owned() })
    }

    /// Times the network of a weights file at some sizes. `ours` finds our own figures by what PyTorch was asked for.
    pub(super) fn compare(
        &self,
        model: &str,
        weights: &Path,
        (provider, cells, runs): (Provider, &[Cell], u32),
        ours: impl Fn(Cell, Precision) -> Option<Ours>,
    ) -> Result<Vec<Compared>, Failure> {
        let sizes: Vec<_> =
            cells.iter().map(|cell| format!("{}x{}x{}", cell.size.width, cell.size.height, cell.pictures)).collect();
        let mut command = Command::new(&self.python);
        command.arg(&self.script).arg(weights).args(["--modes", MODES, "--json", "--sizes", &sizes.join(",")]);
        command.args(["--runs", &runs.to_string(), "--device", &provider.to_string()]);
        let output = command.stderr(Stdio::inherit()).output().map_err(|error| {
            let text = format!("{} cannot be started: {error}", plain(self.python.display()));
            Failure::text(Exit::Failed, text, "name a Python with PyTorch, NumPy, Pillow and safetensors by --python".to_owned())
        })?;
        // It ends with 1 when a row could not be measured, and says so in the row.
        let report: Report = serde_json::from_slice(&output.stdout).map_err(|error| {
            let text = format!("{} ended with {} and no table: {error}", plain(self.script.display()), output.status);
            Failure::text(Exit::Failed, text, "what it said stands above; --python names another Python".to_owned())
        })?;
        let beside = |theirs: Timed| {
            let cell = cells
                .iter()
                .find(|cell| (cell.size.width, cell.size.height, cell.pictures) == (theirs.width, theirs.height, theirs.batch));
            let precision = if theirs.mode.ends_with("32") { Precision::Fp32 } else { Precision::Fp16 };
            let ours = cell.and_then(|&cell| ours(cell, precision));
            Compared { model: model.to_owned(), torch: report.torch.clone(), theirs, ours }
        };
        Ok(report.rows.into_iter().map(beside).collect())
    }
}

impl Compared {
    /// How many times as long as we PyTorch takes, and how many times as much of the card.
    fn ratios(&self) -> (Option<f64>, Option<f64>) {
        let Self { theirs, ours, .. } = self;
        let time = theirs.ms_per_picture.zip(*ours).map(|(theirs, ours)| theirs / ours.millis);
        let memory = theirs.process_mib.zip(ours.and_then(|ours| ours.mib)).map(|(theirs, ours)| theirs / ours as f64);
        (time, memory)
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { model, torch, theirs, ours } = self;
        let (time, memory) = self.ratios();
        json!({
            "model": model, "width": theirs.width, "height": theirs.height, "pictures": theirs.batch,
            "pytorch": {
                "version": torch, "mode": theirs.mode, "ms": theirs.ms_per_picture.map(rounded),
                "process_mib": theirs.process_mib, "error": theirs.error,
            },
            "ours": ours.map(|Ours { precision, millis, mib }| json!({
                "precision": precision.to_string(), "ms": rounded(millis), "process_mib": mib,
            })),
            "times_as_fast": time.map(rounded), "times_the_memory": memory.map(rounded),
        })
    }

    /// The head of the table.
    pub(super) const HEAD: &str = "\nPyTorch on the same weights, and how many times as long and as much of the card it takes\n\
         model                size       pictures  mode         ms     MiB     ours  times  memory\n";

    pub(super) fn to_text(&self) -> String {
        let Self { model, theirs, ours, .. } = self;
        let (time, memory) = self.ratios();
        let number =
            |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
        let size = format!("{}×{}", theirs.width, theirs.height);
        let model = plain(model);
        let mut line = format!(
            "{model:<20} {size:<10} {:>8}  {:<8} {:>6} {:>7} {:>8} {:>6} {:>7}\n",
            theirs.batch,
            theirs.mode,
            number(theirs.ms_per_picture, 2),
            number(theirs.process_mib, 0),
            number(ours.map(|ours| ours.millis), 2),
            number(time, 1),
            number(memory, 1),
        );
        if let Some(error) = &theirs.error {
            line.push_str(&format!("    not measured: {}\n", plain(error)));
        }
        line
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make and change their own files")]
mod tests {
    use super::*;
    use crate::imaging::Size;

    const CELL: Cell = Cell { size: Size::new(512, 512), pictures: 1 };

    /// A Python that prints `table` whatever it is asked, and ends as the script does when a row failed.
    fn pretended(table: &str) -> (tempfile::TempDir, Pytorch) {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let python = dir.path().join("python");
        std::fs::write(&python, format!("#!/bin/sh\ncat <<'END'\n{table}\nEND\nexit 1\n")).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let script = dir.path().join("compare_pytorch.py");
        (dir, Pytorch { script, python })
    }

    fn compared(table: &str) -> Result<Vec<Compared>, Failure> {
        let (dir, pytorch) = pretended(table);
        let ours = |_, precision| Some(Ours { precision, millis: 2.0, mib: Some(1000) });
        pytorch.compare("m", &dir.path().join("w"), (Provider::Cuda, &[CELL], 3), ours)
    }

    #[test]
    fn ratios_are_theirs_over_ours_and_a_row_that_failed_says_why() {
        let rows = r#"{"torch": "2.11.0", "rows": [
            {"mode": "half", "width": 512, "height": 512, "batch": 1, "ms_per_picture": 15.0, "process_mib": 2500.0},
            {"mode": "compile", "width": 512, "height": 512, "batch": 1, "ms_per_picture": null, "process_mib": null,
             "error": "no compiler"}]}"#;
        let compared = compared(rows).unwrap();
        assert_eq!(compared[0].ratios(), (Some(7.5), Some(2.5)));
        assert_eq!(compared[0].to_json()["times_as_fast"], 7.5);
        assert_eq!(compared[1].ratios(), (None, None));
        assert!(compared[1].to_text().contains("not measured: no compiler"), "{}", compared[1].to_text());
    }

    #[test]
    fn a_script_that_prints_no_table_is_an_error_with_a_hint() {
        let error = compared("Traceback").unwrap_err();
        assert!(error.to_string().contains("no table"), "{error}");
    }
}
