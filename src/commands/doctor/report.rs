//! What was found, for people and machines.

use std::fmt;

use serde_json::{Value, json};

use crate::commands::plain;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// Work goes on, but somebody should know.
    Warning,
    /// Without this no scan is worked on.
    Failed,
    /// It rests on something that failed.
    Skipped,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Debug, Clone)]
pub(super) struct Check {
    name: &'static str,
    state: State,
    message: String,
    hint: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, state: State::Ok, message: message.into(), hint: None }
    }

    pub(super) fn warning(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Warning, message: message.into(), hint: Some(hint.into()) }
    }

    /// `error` is shown with its causes. A failure without a hint leaves a person alone, so there is always one.
    pub(super) fn failed(name: &'static str, error: impl fmt::Display, hint: Option<String>) -> Self {
        let hint = hint.unwrap_or_else(|| "deploy/RUNBOOK.md has more on this".to_owned());
        Self { name, state: State::Failed, message: format!("{error:#}"), hint: Some(hint) }
    }

    pub(super) fn skipped(name: &'static str, reason: impl Into<String>) -> Self {
        Self { name, state: State::Skipped, message: reason.into(), hint: None }
    }
}

/// All checks, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Names of what failed, each once.
    pub(super) fn failed(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.checks.iter().filter(|check| check.state == State::Failed).map(|check| check.name).collect();
        names.dedup();
        names
    }

    pub(super) fn to_json(&self) -> Value {
        let checks: Vec<_> = self
            .checks
            .iter()
            .map(|check| json!({ "name": check.name, "state": check.state.word(), "message": check.message, "hint": check.hint }))
            .collect();
        json!({ "checks": checks })
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let mut lines = check.message.lines().map(plain);
            let first = lines.next().unwrap_or_default();
            text.push_str(&format!("{:<8} {:<13} {first}\n", check.state.word(), check.name));
            lines.for_each(|line| text.push_str(&format!("{:23}{line}\n", "")));
            if let Some(hint) = &check.hint {
                text.push_str(&format!("{:23}hint: {}\n", "", plain(hint)));
            }
        }
        let count = |state: State| self.checks.iter().filter(|check| check.state == state).count();
        let verdict = match (count(State::Failed), count(State::Warning)) {
            (0, 0) => "everything works".to_owned(),
            (0, warnings) => format!("it works; {warnings} to look at"),
            (failed, warnings) => format!("{failed} failed, {} skipped, {warnings} to look at", count(State::Skipped)),
        };
        text + "\n" + &verdict + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(checks: impl IntoIterator<Item = Check>) -> Report {
        Report { checks: checks.into_iter().collect() }
    }

    #[test]
    fn whatever_failed_has_a_hint() {
        let report = report([Check::failed("runtime", "it is not there", None)]);
        assert!(report.to_json()["checks"][0]["hint"].is_string());
    }

    #[test]
    fn a_warning_is_no_failure_and_a_skipped_check_is_none_either() {
        let checks = [Check::ok("clock", "now"), Check::warning("device", "slow", "look"), Check::skipped("picture", "because")];
        let found = report(checks);
        assert!(found.failed().is_empty());
        let states: Vec<_> = found.to_json()["checks"].as_array().unwrap().iter().map(|check| check["state"].clone()).collect();
        assert_eq!(states, ["ok", "warning", "skipped"]);
        assert!(found.to_text().ends_with("it works; 1 to look at\n"));
    }

    #[test]
    fn many_problems_of_one_check_stand_below_each_other() {
        let text = report([Check::failed("configuration", "x.toml: 2 problems\n  one\n  two", None)]).to_text();
        assert!(text.lines().take(3).all(|line| line.len() > 23), "{text}");
        assert!(text.contains("\n                         one\n"), "{text}");
    }
}
