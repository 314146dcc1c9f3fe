//! `doctor`: what works, what does not, what to do. Looks at everything, changes nothing, never ends half-way.

mod line;
mod places;
mod report;

use std::panic::{AssertUnwindSafe, catch_unwind};

use report::{Check, Report};

use super::{Exit, Failure, print, print_json};
use crate::cli::Form;
use crate::config::{Loaded, Settings};
use crate::store::{Store, StoreError, StoreLock};

/// 2024-01-01T00:00:00Z, seconds: no machine that runs this has seen an earlier moment, unless its clock was lost.
const EARLIEST: i64 = 1_704_067_200;

pub(super) async fn doctor(loaded: Result<Loaded, Failure>, form: Form) -> Result<(), Failure> {
    let mut report = Report::default();
    report.add(clock());
    match loaded {
        Err(failure) => {
            report.add(Check::failed("configuration", failure.error, failure.hint));
            for name in ["ledger", "disks", "rights", "models", "runtime", "device", "versions", "picture"] {
                report.add(Check::skipped(name, "the configuration is not sound"));
            }
        }
        Ok(Loaded { settings, .. }) => {
            report.add(configuration(&settings));
            report.add(ledger(&settings).await);
            // Hashing, loading and running networks block.
            let rest = tokio::task::spawn_blocking(move || examine(&settings)).await;
            let rest = rest.unwrap_or_else(|error| vec![Check::failed("doctor", error, broken())]);
            rest.into_iter().for_each(|check| report.add(check));
        }
    }
    match form.json {
        true => print_json(&report.to_json())?,
        false => print(&report.to_text())?,
    }
    match report.failed() {
        failed if failed.is_empty() => Ok(()),
        failed => Err(Failure::text(Exit::Configuration, format!("not fit for work: {}", failed.join(", ")), None)),
    }
}

/// Checks that block, in an order in which the later rest on the earlier.
fn examine(settings: &Settings) -> Vec<Check> {
    let mut checks = guarded("disks", || places::disks(settings));
    checks.extend(guarded("rights", || places::rights(settings)));
    checks.extend(guarded("picture", || line::walk(settings)));
    checks
}

/// A check that breaks has failed; the others go on.
fn guarded(name: &'static str, check: impl FnOnce() -> Vec<Check>) -> Vec<Check> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        vec![Check::failed(name, format!("the check itself broke: {}", text.unwrap_or_default()), broken())]
    })
}

fn broken() -> Option<String> {
    Some("this is a defect of the program: please report it with this output".to_owned())
}

fn clock() -> Check {
    let now = jiff::Timestamp::now();
    let shown = format!("{now:.0}");
    if now.as_second() >= EARLIEST {
        return Check::ok("clock", shown);
    }
    let hint = "set the clock: records carry its time, and waiting jobs wait by it".to_owned();
    Check::failed("clock", format!("{shown} lies in the past"), Some(hint))
}

fn configuration(settings: &Settings) -> Check {
    let names: Vec<_> = settings.collections.iter().map(|one| one.name.as_str()).collect();
    match (&settings.file, names.is_empty()) {
        (Some(file), false) => {
            Check::ok("configuration", format!("{} is sound; collections: {}", file.display(), names.join(", ")))
        }
        (file, _) => {
            let what = match file {
                Some(file) => format!("{} is sound but names no collection", file.display()),
                None => "no file was found, so the defaults hold and there is no collection".to_owned(),
            };
            let hint = "write a [[collection]] with name, ingest and output; config/example-museum.toml shows how".to_owned();
            Check::warning("configuration", what, hint)
        }
    }
}

async fn ledger(settings: &Settings) -> Check {
    let holder = StoreLock::holder(&settings.state).map(|(pid, since)| format!("; process {pid} is at work since {since}"));
    let holder = holder.unwrap_or_default();
    let counted = match Store::open_read_only(&settings.state).await {
        Ok(store) => store.counts().await,
        Err(error) => Err(error),
    };
    match counted {
        Ok(counts) => Check::ok("ledger", format!("{} jobs in {}{holder}", counts.total(), settings.state.display())),
        Err(StoreError::Absent { .. }) => Check::ok("ledger", format!("none yet in {}{holder}", settings.state.display())),
        Err(error) => {
            let hint = error.hint().unwrap_or_else(|| "see RUNBOOK.md, The ledger".to_owned());
            Check::failed("ledger", anyhow::Error::from(error), Some(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_panics_has_failed_and_the_program_goes_on() {
        let checks = guarded("disks", || panic!("a number was odd"));
        assert_eq!(checks.len(), 1);
        let mut report = Report::default();
        checks.into_iter().for_each(|check| report.add(check));
        assert_eq!(report.failed(), ["disks"]);
        assert!(report.to_text().contains("a number was odd") && report.to_text().contains("hint:"));
    }
}
