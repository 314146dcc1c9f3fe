//! Makes the sizes of colour networks ready that most scans will have, before the first one waits for them: on the card the first
//! run of a size takes seconds.

use std::time::Duration;

use tracing::{info, warn};

use crate::imaging::Size;
use crate::inference::{Engine, InferenceError, Precision, Readiness};
use crate::pipeline::Profile;

/// Runs every usual size of the profiles' networks once; whether `signal` came meanwhile, and what is left was left.
pub(super) async fn warm_up<'p>(
    engine: &Engine,
    profiles: impl Iterator<Item = &'p Profile>,
    signal: impl Future<Output = &'static str>,
) -> bool {
    let mut signal = std::pin::pin!(signal);
    let (mut count, mut left, mut total) = (0_usize, 0_usize, Duration::ZERO);
    for (model, size, precision) in usual(profiles) {
        let (engine, id) = (engine.clone(), model.clone());
        let run = tokio::task::spawn_blocking(move || engine.warm_up(&id, size, precision));
        let ran = tokio::select! {
            ran = run => ran.unwrap_or(Err(InferenceError::Ended)),
            name = &mut signal => {
                info!(signal = name, "{name} while networks were made ready: ending");
                return true;
            }
        };
        match ran {
            Ok(Readiness::NothingGained) => return false,
            Ok(Readiness::NoRoom) => left += 1,
            Ok(Readiness::After(took)) => {
                let millis = took.as_millis() as u64;
                info!(model, width = size.width, height = size.height, millis, "{model} is ready for {size}");
                (count, total) = (count + 1, total + took);
            }
            // The first picture of that size finds out what can be done about it.
            Err(error) => {
                warn!(model, width = size.width, height = size.height, error = %error, "{model} cannot be made ready for {size}");
            }
        }
    }
    if count > 0 {
        info!(
            count,
            seconds = total.as_secs_f64(),
            "{count} sizes of colour networks are ready after {:.0} s",
            total.as_secs_f64()
        );
    }
    if left > 0 {
        info!(left, "{left} sizes have no room on the card beside the others: they are made ready when a scan needs them");
    }
    false
}

/// What is wanted, once each: the scene of most scans first.
fn usual<'p>(profiles: impl Iterator<Item = &'p Profile>) -> Vec<(String, Size, Precision)> {
    let mut wanted = Vec::new();
    for profile in profiles {
        for scene in [&profile.other, &profile.portrait, &profile.architecture] {
            for size in scene.extent.usual() {
                let one = (scene.model.id.clone(), size, profile.precision);
                if !wanted.contains(&one) {
                    wanted.push(one);
                }
            }
        }
    }
    wanted
}
