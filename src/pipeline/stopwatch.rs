//! Durations of stages, by name.

use std::collections::BTreeMap;
use std::time::Instant;

/// Sums the time spent in each named stage.
#[derive(Debug, Default, Clone)]
pub struct Stopwatch {
    stages: BTreeMap<String, f64>,
}

impl Stopwatch {
    /// Runs `work` and adds its wall time to `stage`.
    pub fn time<T>(&mut self, stage: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let value = work();
        self.add(stage, start.elapsed().as_secs_f64() * 1e3);
        value
    }

    /// Adds `millis` to `stage`.
    pub fn add(&mut self, stage: &str, millis: f64) {
        *self.stages.entry(stage.to_owned()).or_default() += millis;
    }

    /// Milliseconds by stage, rounded to a microsecond.
    pub fn into_millis(self) -> BTreeMap<String, f64> {
        self.stages.into_iter().map(|(stage, millis)| (stage, (millis * 1e3).round() / 1e3)).collect()
    }
}
