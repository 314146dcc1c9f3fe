//! `run` and `once`: the daemon in the foreground, and one full look.

use std::io::IsTerminal as _;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Exit, Failure, plain, print};
use crate::config::Settings;
use crate::daemon::{self, Ended, Mode};
use crate::job::JobState;
use crate::pipeline::Settled;

pub(super) async fn run(settings: Settings) -> Result<(), Failure> {
    let ended = daemon::run(settings, Mode::Run, |_| {}).await?;
    finish(&ended)
}

pub(super) async fn once(settings: Settings) -> Result<(), Failure> {
    let bar = std::io::stderr().is_terminal().then(spinner);
    let start = Instant::now();
    let mut tally = Tally::default();
    let ended = daemon::run(settings, Mode::Once, |settled| {
        tally.count(settled);
        let line = line(settled);
        match &bar {
            Some(bar) => {
                bar.suspend(|| print(&line)).unwrap_or_default();
                bar.inc(1);
            }
            None => print(&line).unwrap_or_default(),
        }
    })
    .await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let ended = ended?;
    print(&tally.summary(&ended, start.elapsed().as_secs_f64()))?;
    finish(&ended)
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} scans settled, {elapsed}");
    let bar = ProgressBar::new_spinner().with_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

fn line(settled: &Settled) -> String {
    let again = settled.again.map(|again| format!(", again not before {again}")).unwrap_or_default();
    let name = plain(settled.relative.display());
    let hint = settled.hint.as_ref().map(|hint| format!(" (hint: {})", plain(hint))).unwrap_or_default();
    match (&settled.derivative, &settled.reason) {
        (Some(path), _) => format!("{:<9}  {name} -> {}\n", settled.state, plain(path.display())),
        (None, Some(reason)) => format!("{:<9}  {name}{again}: {}{hint}\n", settled.state, plain(reason)),
        (None, None) => format!("{:<9}  {name}\n", settled.state),
    }
}

/// What came of the scans of this look.
#[derive(Default)]
struct Tally {
    completed: u64,
    skipped: u64,
    exceptions: Vec<String>,
}

impl Tally {
    fn count(&mut self, settled: &Settled) {
        match settled.state {
            JobState::Completed => self.completed += 1,
            JobState::Skipped => self.skipped += 1,
            JobState::Rejected | JobState::Exhausted => self.exceptions.push(line(settled)),
            // Not settled for good: it comes again.
            JobState::Pending | JobState::Running | JobState::Cancelled => {}
        }
    }

    fn summary(&self, ended: &Ended, seconds: f64) -> String {
        let failed = self.exceptions.len();
        let mut text =
            format!("\n{} completed, {} skipped, {failed} given up, in {seconds:.1} s\n", self.completed, self.skipped);
        if ended.intake.known > 0 {
            text.push_str(&format!("known already, so without a second derivative: {}\n", ended.intake.known));
        }
        if ended.left > 0 {
            text.push_str(&format!("left for another start: {}\n", ended.left));
        }
        for line in &self.exceptions {
            text.push_str(&format!("  {line}"));
        }
        for (collection, files) in ended.intake.waiting.iter().filter(|(_, files)| !files.is_empty()) {
            text.push_str(&format!("waiting in {collection}: {}\n", files.len()));
            for (path, reason) in files.iter().take(20) {
                text.push_str(&format!("  {}: {}\n", plain(path.display()), plain(reason)));
            }
        }
        text
    }
}

/// A tidy end is success; a condition that stopped the work, or a root that is not there, is not.
fn finish(ended: &Ended) -> Result<(), Failure> {
    if let Some(error) = &ended.blocked {
        return Err(Failure::text(Exit::Failed, &error.reason, error.hint.clone()));
    }
    if ended.mode == Mode::Once && !ended.intake.offline.is_empty() {
        let roots: Vec<_> = ended.intake.offline.iter().map(|(collection, reason)| format!("{collection}: {reason}")).collect();
        let hint = "nothing was concluded from it; bring the directory or its mount back and run again, or, if it was replaced on purpose, see \"Moving\" in the runbook".to_owned();
        return Err(Failure::text(Exit::Failed, format!("ingest root offline: {}", roots.join("; ")), hint));
    }
    if ended.mode == Mode::Once && !ended.stopped && ended.left > 0 {
        let hint = "`autochrome jobs --state pending` says what they wait for; run again when it is there".to_owned();
        return Err(Failure::text(Exit::Failed, format!("{} scans are not finished", ended.left), hint));
    }
    Ok(())
}
