//! What waits for the inference thread, and what it takes next. Pure: no session, no device, no clock of its own.
//!
//! Colour work is ordered by network and size: a session that has just run has its plans at hand, and pictures of one kind can
//! share a run. What has waited too long goes first all the same.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longest time that a picture is passed over for others of the kind that ran last.
const FAIRNESS: Duration = Duration::from_secs(30);

/// Work that can share a run has equal keys.
#[derive(Debug)]
pub(super) struct Waiting<K, T> {
    kept: VecDeque<(Instant, K, T)>,
    /// The kind that ran last.
    last: Option<K>,
}

impl<K: Clone + PartialEq, T> Waiting<K, T> {
    pub(super) const fn new() -> Self {
        Self { kept: VecDeque::new(), last: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Puts work at the end.
    pub(super) fn push(&mut self, now: Instant, key: K, work: T) {
        self.kept.push_back((now, key, work));
    }

    /// Takes the next work: of the kind that ran last, unless the oldest has waited too long; at most as much of it as `most`
    /// allows, oldest first.
    pub(super) fn take(&mut self, now: Instant, most: impl FnOnce(&K, usize) -> usize) -> Vec<T> {
        let Some((since, oldest, _)) = self.kept.front() else { return Vec::new() };
        let is_late = now.saturating_duration_since(*since) >= FAIRNESS;
        let warm = self.last.as_ref().filter(|last| !is_late && self.kept.iter().any(|(_, key, _)| key == *last));
        let key = warm.unwrap_or(oldest).clone();
        let count = self.kept.iter().filter(|(_, other, _)| *other == key).count();
        let mut left = most(&key, count).clamp(1, count);
        let mut taken = Vec::with_capacity(left);
        let mut index = 0;
        while left > 0 {
            if self.kept[index].1 == key {
                taken.extend(self.kept.remove(index).map(|(_, _, work)| work));
                left -= 1;
            } else {
                index += 1;
            }
        }
        self.last = Some(key);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(work: &[(u64, char, u32)]) -> (Instant, Waiting<char, u32>) {
        let start = Instant::now();
        let mut waiting = Waiting::new();
        work.iter().for_each(|&(second, key, work)| waiting.push(start + Duration::from_secs(second), key, work));
        (start, waiting)
    }

    #[test]
    fn work_of_the_kind_that_ran_last_comes_first_and_in_its_order() {
        let (start, mut waiting) = waiting(&[(0, 'a', 1), (0, 'b', 2), (0, 'a', 3), (0, 'b', 4)]);
        let order: Vec<u32> = (0..4).flat_map(|_| waiting.take(start, |_, _| 1)).collect();
        assert_eq!(order, [1, 3, 2, 4]);
        assert!(waiting.is_empty() && waiting.take(start, |_, _| 1).is_empty());
    }

    #[test]
    fn a_run_takes_as_many_of_a_kind_as_it_may() {
        let (start, mut waiting) = waiting(&[(0, 'a', 1), (0, 'b', 2), (0, 'a', 3), (0, 'a', 4)]);
        assert_eq!(waiting.take(start, |_, count| count.min(2)), [1, 3]);
        assert_eq!(waiting.take(start, |_, count| count), [4]);
        assert_eq!(waiting.take(start, |_, _| 9), [2], "more than there are is what there is");
    }

    #[test]
    fn nothing_waits_longer_than_fairness_allows() {
        let (start, mut waiting) = waiting(&[(0, 'b', 0)]);
        let mut order = Vec::new();
        // A picture of kind a comes every second and would always be taken first; kind b came before all of them.
        waiting.last = Some('a');
        for second in 0..40 {
            let now = start + Duration::from_secs(second);
            waiting.push(now, 'a', 100);
            order.extend(waiting.take(now, |_, _| 1).into_iter().map(|work| (second, work)));
        }
        assert_eq!(order.iter().find(|(_, work)| *work == 0), Some(&(30, 0)));
    }
}
