//! A look that ends: for `once`, until nothing is left that time alone would make ready.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sweep::{Presence, Sweeper};
use super::{Known, Report, RootSettings};

/// Longest wait before the flag to stop is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// A file that changes all the time is left waiting when nothing came to rest for so many rest periods.
const RESTS: u32 = 10;

/// Tells a look that still gets somewhere from one that a file without rest holds up.
struct Patience {
    limit: Duration,
    stable: u64,
    since: Duration,
}

impl Patience {
    fn is_over(&mut self, sweeper: &Sweeper<'_>) -> bool {
        if self.stable != sweeper.stable() {
            (self.stable, self.since) = (sweeper.stable(), sweeper.now());
        }
        sweeper.now().saturating_sub(self.since) > self.limit
    }
}

/// Looks until every file either rested and was reported, or waits for something other than rest (0 bytes, no marker,
/// unreadable), or changes without end. A root that is offline is reported and is no error. `stop` ends the look early.
pub fn sweep_until_settled(root: &RootSettings, known: Known, stop: &AtomicBool, sink: &mut dyn FnMut(Report)) -> io::Result<()> {
    let settings = RootSettings { path: std::path::absolute(&root.path)?, ..root.clone() };
    let mut sweeper = Sweeper::new(settings, known, false, stop, sink);
    let mut duration = Duration::ZERO;
    let mut patience = Patience { limit: (root.rest * RESTS).max(PAUSE), stable: 0, since: sweeper.now() };
    while sweeper.check_root() != Presence::Offline {
        duration += sweeper.sweep();
        settle_ready(&mut sweeper, stop);
        if sweeper.next_due().is_none() || stop.load(Ordering::Relaxed) || patience.is_over(&sweeper) {
            sweeper.tell_waiting_now();
            sweeper.tell_sweep(duration);
            break;
        }
        // Until all that this look found is settled; then one more look, for what came or was renamed meanwhile.
        while let Some(due) = sweeper.next_due().filter(|_| !stop.load(Ordering::Relaxed)) {
            if patience.is_over(&sweeper) {
                break;
            }
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
