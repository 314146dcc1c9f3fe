//! `setup`: fetches the pinned ONNX Runtime.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, print};
use crate::inference::runtime::{self, RuntimeKind, SetupProgress};

pub(super) fn setup(cuda: bool) -> Result<(), Failure> {
    let kind = if cuda { RuntimeKind::Cuda } else { RuntimeKind::Cpu };
    let bar = std::io::stderr().is_terminal().then(bar);
    let report = runtime::setup(kind, &mut |progress| show(bar.as_ref(), &progress));
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let report = report?;
    let what = if report.already_there { "already there" } else { "ready" };
    print(&format!("ONNX Runtime {} ({kind}) is {what}: {}\n", report.version, report.library.display()))?;
    report.note.map_or(Ok(()), |note| print(&format!("note: {note}\n")))
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes}");
    ProgressBar::new(0).with_style(style.expect("the template is well formed").progress_chars("=> "))
}

fn show(bar: Option<&ProgressBar>, progress: &SetupProgress) {
    if let Some(bar) = bar {
        bar.set_message(progress.step());
        bar.set_length(progress.total_bytes());
        bar.set_position(progress.done_bytes());
    }
}
