//! Named places at which a test may stop the process; nothing at all in a build without the `faults` feature.
//!
//! `AUTOCHROME_FAULT=point:action[,point:action…]`; actions are `kill` (SIGKILL to this process, as a power cut to it
//! would), `panic`, `pause` (sleeps a minute, so that a test can send a signal at exactly this place), and `nap` (sleeps two
//! seconds, so that a test can take something away while the work goes on). Where a place has a bound, the action is its number.

/// Does what the environment asks for at this place; usually nothing.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &str) {}

/// Does what the environment asks for at this place; usually nothing.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    let Ok(plan) = std::env::var("AUTOCHROME_FAULT") else { return };
    for step in plan.split(',') {
        let Some((place, action)) = step.rsplit_once(':') else { continue };
        if place != name {
            continue;
        }
        tracing::warn!(fault.point = name, fault.action = action, "Fault injected at {name}: {action}");
        match action {
            "kill" => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
            "pause" => std::thread::sleep(std::time::Duration::from_secs(60)),
            "nap" => std::thread::sleep(std::time::Duration::from_secs(2)),
            "panic" => panic!("fault injected at {name}"),
            other => panic!("unknown fault action {other:?}"),
        }
    }
}

/// A bound that a test sets at this place, usually none.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn bound(_name: &str) -> Option<u64> {
    None
}

/// A bound that a test sets at this place, usually none.
#[cfg(feature = "faults")]
pub fn bound(name: &str) -> Option<u64> {
    let plan = std::env::var("AUTOCHROME_FAULT").ok()?;
    let number = |step: &str| step.rsplit_once(':').filter(|(place, _)| *place == name)?.1.parse().ok();
    plan.split(',').find_map(number)
}
