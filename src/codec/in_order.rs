//! The parts of one picture worked on by several threads, and what came of them handed over in order.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

/// Most threads for one picture; others work on other pictures.
const THREADS: usize = 8;

/// Threads that work on a picture here.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(THREADS)
}

/// Most parts that are worked on or wait to be taken, by so many threads: bounds what lies in memory.
pub(super) const fn in_flight(threads: usize) -> usize {
    2 * threads
}

/// Calls `work` for every part from 0 to `count`, and `take` in their order with what it made. What a thread keeps from part to part is
/// its own `S`. The first error ends it; a panic of `work` goes on in the caller.
pub(super) fn in_order<S: Default, T: Send, E: Send>(
    count: usize,
    work: impl Fn(&mut S, usize) -> Result<T, E> + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let threads = threads().min(count);
    if threads <= 1 {
        return alone(count, &work, &mut take);
    }
    let progress = Progress { counts: Mutex::new(Counts { next: 0, taken: 0, stopped: false }), changed: Condvar::new() };
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let mut spawned = 0;
        for number in 0..threads {
            let (sender, progress, work) = (sender.clone(), &progress, &work);
            let thread = thread::Builder::new().name(format!("bands-{number}"));
            let begun = thread.spawn_scoped(scope, move || {
                let mut own = S::default();
                while let Some(part) = progress.next(count, in_flight(threads)) {
                    // A part that never came would be waited for.
                    let made = catch_unwind(AssertUnwindSafe(|| work(&mut own, part)));
                    if sender.send((part, made)).is_err() {
                        return;
                    }
                }
            });
            spawned += usize::from(begun.is_ok());
        }
        drop(sender);
        if spawned == 0 {
            return alone(count, &work, &mut take);
        }
        let stop = Stop(&progress);
        let mut waiting = BTreeMap::new();
        let mut taken = 0;
        for (part, made) in receiver {
            waiting.insert(part, made);
            while let Some(made) = waiting.remove(&taken) {
                take(made.unwrap_or_else(|panic| resume_unwind(panic))?)?;
                taken += 1;
                progress.lock().taken = taken;
                progress.changed.notify_all();
            }
        }
        drop(stop);
        Ok(())
    })
}

/// The same on this thread.
fn alone<S: Default, T, E>(
    count: usize,
    work: &impl Fn(&mut S, usize) -> Result<T, E>,
    take: &mut impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    let mut own = S::default();
    (0..count).try_for_each(|part| take(work(&mut own, part)?))
}

struct Progress {
    counts: Mutex<Counts>,
    changed: Condvar,
}

struct Counts {
    next: usize,
    taken: usize,
    stopped: bool,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next part, once few enough wait to be taken.
    fn next(&self, count: usize, most: usize) -> Option<usize> {
        let waits = |counts: &mut Counts| !counts.stopped && counts.next < count && counts.next >= counts.taken + most;
        let mut counts = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let part = counts.next;
        let is_there = !counts.stopped && part < count;
        counts.next += usize::from(is_there);
        is_there.then_some(part)
    }
}

/// Lets the threads end however the one that takes does.
struct Stop<'a>(&'a Progress);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn parts_are_taken_in_their_order_and_few_wait() {
        let (begun, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let mut parts = Vec::new();
        let work = |_: &mut (), part: usize| {
            let ahead = begun.fetch_add(1, Ordering::SeqCst) + 1 - taken.load(Ordering::SeqCst).min(part);
            thread::sleep(Duration::from_micros(if part.is_multiple_of(7) { 500 } else { 10 }));
            Ok::<_, ()>((part, ahead))
        };
        let take = |(part, ahead)| {
            taken.fetch_add(1, Ordering::SeqCst);
            parts.push(part);
            // One more than may wait: what is being taken is counted after it is there.
            assert!(ahead <= in_flight(threads()) + 1, "{ahead} parts ahead");
            Ok(())
        };
        in_order(300, work, take).unwrap();
        assert_eq!(parts, (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_in_order_ends_it() {
        let mut taken = 0;
        let work = |_: &mut (), part| if part >= 20 { Err(part) } else { Ok(part) };
        let ended = in_order(1000, work, |_| {
            taken += 1;
            Ok(())
        });
        assert_eq!((ended, taken), (Err(20), 20));
        assert_eq!(in_order(1000, |_: &mut (), part| Ok(part), |part| if part == 7 { Err("full") } else { Ok(()) }), Err("full"));
        assert_eq!(in_order(0, |_: &mut (), _| Err(()), |(): ()| Ok(())), Ok(()));
    }

    #[test]
    fn a_panic_goes_on_in_the_caller() {
        let work = |_: &mut (), part| if part == 9 { panic!("a hostile file") } else { Ok::<_, ()>(()) };
        let caught = catch_unwind(AssertUnwindSafe(|| in_order(64, work, |()| Ok(()))));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"a hostile file"));
    }

    #[test]
    fn what_a_thread_keeps_is_its_own() {
        let work = |own: &mut usize, _| {
            *own += 1;
            Ok::<_, ()>(*own)
        };
        let mut most = 0;
        in_order(100, work, |count| {
            most = most.max(count);
            Ok(())
        })
        .unwrap();
        assert!(most >= 100 / threads().max(1), "{most}");
    }
}
