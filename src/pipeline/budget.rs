//! Shares of memory, so that many large scans at once wait for each other instead of for the kernel.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A counting budget in MiB. Blocking, because it is asked from worker threads.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    total: u64,
    used: Mutex<u64>,
    changed: Condvar,
}

/// A share, given back when dropped.
#[derive(Debug)]
pub struct Share {
    inner: Arc<Inner>,
    mebibytes: u64,
}

impl MemoryBudget {
    /// A budget of `total` MiB.
    pub fn new(total: u64) -> Self {
        Self { inner: Arc::new(Inner { total, used: Mutex::new(0), changed: Condvar::new() }) }
    }

    /// Waits for a share of `mebibytes`. One scan that needs more than the whole budget gets all of it, alone.
    pub fn acquire(&self, mebibytes: u64) -> Share {
        let wanted = mebibytes.min(self.inner.total);
        let used = self.inner.used.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |used: &mut u64| *used + wanted > self.inner.total;
        let mut used = self.inner.changed.wait_while(used, fits).unwrap_or_else(PoisonError::into_inner);
        *used += wanted;
        Share { inner: Arc::clone(&self.inner), mebibytes: wanted }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *self.inner.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.mebibytes;
        self.inner.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_second_large_scan_waits_for_the_first() {
        let budget = MemoryBudget::new(100);
        let first = budget.acquire(70);
        let (sender, receiver) = mpsc::channel();
        let waiting = {
            let budget = budget.clone();
            std::thread::spawn(move || {
                let share = budget.acquire(70);
                sender.send(()).unwrap();
                drop(share);
            })
        };
        drop(budget.acquire(30));
        assert!(receiver.try_recv().is_err(), "the second must not have its share yet");
        drop(first);
        receiver.recv().unwrap();
        waiting.join().unwrap();
    }

    #[test]
    fn a_scan_larger_than_the_budget_still_runs_alone() {
        let budget = MemoryBudget::new(10);
        drop(budget.acquire(1_000));
        drop(budget.acquire(1_000));
    }
}
