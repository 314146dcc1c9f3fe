//! A look that ends: for `once`, until nothing is left that time alone would make ready.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sweep::{Presence, Sweeper};
use super::{Known, Report, RootSettings};

/// Longest wait before the flag to stop is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until every file either rested and was reported, or waits for something other than rest (0 bytes, no marker,
/// unreadable). A root that is offline is reported and is no error. `stop` ends the look early.
pub fn sweep_until_settled(root: &RootSettings, known: Known, stop: &AtomicBool, sink: &mut dyn FnMut(Report)) -> io::Result<()> {
    let settings = RootSettings { path: std::path::absolute(&root.path)?, ..root.clone() };
    let mut sweeper = Sweeper::new(settings, known, false, stop, sink);
    let mut duration = Duration::ZERO;
    while sweeper.check_root() != Presence::Offline {
        duration += sweeper.sweep();
        settle_ready(&mut sweeper, stop);
        if sweeper.next_due().is_none() || stop.load(Ordering::Relaxed) {
            sweeper.tell_waiting_now();
            sweeper.tell_sweep(duration);
            break;
        }
        // Until all that this look found is settled; then one more look, for what came or was renamed meanwhile.
        while let Some(due) = sweeper.next_due().filter(|_| !stop.load(Ordering::Relaxed)) {
            std::thread::sleep(due.saturating_sub(sweeper.now()).min(PAUSE));
            settle_ready(&mut sweeper, stop);
        }
    }
    Ok(())
}

/// Settles everything whose rest is over, as long as the root is there.
fn settle_ready(sweeper: &mut Sweeper<'_>, stop: &AtomicBool) {
    while sweeper.next_due().is_some_and(|due| due <= sweeper.now()) && !stop.load(Ordering::Relaxed) {
        if sweeper.check_root() == Presence::Offline {
            return;
        }
        sweeper.settle(PAUSE);
        sweeper.tell_waiting();
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests;
