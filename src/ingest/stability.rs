//! Pure: which files rest, judged from observations and a monotonic clock that comes in as `now`.
//!
//! A file rests when two observations at least the rest period apart show the same signature and none between them
//! another. There is no limit of tries: a slow copy waits as long as it takes.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::{FileSignature, WaitReason, WaitingFile};

/// What an observation showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The file may be hashed now.
    Rested,
    /// Not yet.
    Waits,
}

#[derive(Debug)]
struct Pending {
    signature: FileSignature,
    /// When this signature was first seen.
    since: Duration,
    /// Why the file waits, as of its last observation.
    reason: WaitReason,
    /// The full look that saw the file last.
    look: u64,
}

/// The files of one root that are not believed yet.
#[derive(Debug)]
pub(super) struct StabilityTracker {
    rest: Duration,
    pending: HashMap<Rc<Path>, Pending>,
    /// Every change of a signature in the order of time. An entry whose file has changed since is stale and skipped, so
    /// the next file due is found without looking through all of them.
    queue: VecDeque<(Duration, Rc<Path>)>,
    look: u64,
}

impl StabilityTracker {
    pub(super) fn new(rest: Duration) -> Self {
        Self { rest, pending: HashMap::new(), queue: VecDeque::new(), look: 0 }
    }

    /// Takes an observation. `now` never runs backwards. `hold` is a reason to wait that time does not cure.
    pub(super) fn observe(
        &mut self,
        relative: &Path,
        signature: FileSignature,
        hold: Option<WaitReason>,
        now: Duration,
    ) -> Verdict {
        let is_held = hold.is_some();
        let reason = hold.unwrap_or(WaitReason::Resting { rest: self.rest });
        let Some(pending) = self.pending.get_mut(relative) else {
            let relative: Rc<Path> = relative.into();
            self.queue.push_back((now, Rc::clone(&relative)));
            self.pending.insert(relative, Pending { signature, since: now, reason, look: self.look });
            return Verdict::Waits;
        };
        pending.look = self.look;
        pending.reason = reason;
        if pending.signature != signature {
            pending.signature = signature;
            pending.since = now;
            self.queue.push_back((now, relative.into()));
            return Verdict::Waits;
        }
        if !is_held && now.saturating_sub(pending.since) >= self.rest { Verdict::Rested } else { Verdict::Waits }
    }

    /// Takes out the files whose rest is over at `now` and that should be observed again, at most `limit` of them.
    pub(super) fn due(&mut self, now: Duration, limit: usize) -> Vec<Rc<Path>> {
        let mut due = Vec::new();
        while due.len() < limit && self.next_due().is_some_and(|at| at <= now) {
            due.extend(self.queue.pop_front().map(|(_, relative)| relative));
        }
        due
    }

    /// When the next file should be observed again.
    pub(super) fn next_due(&mut self) -> Option<Duration> {
        while let Some((since, relative)) = self.queue.front() {
            if self.pending.get(relative).is_some_and(|pending| pending.since == *since) {
                return Some(*since + self.rest);
            }
            self.queue.pop_front();
        }
        None
    }

    /// Lets a rested file wait after all, for a reason that time does not cure; the next look or event tries it again.
    pub(super) fn hold(&mut self, relative: &Path, reason: WaitReason) {
        if let Some(pending) = self.pending.get_mut(relative) {
            pending.reason = reason;
        }
    }

    /// The file was reported, or is gone.
    pub(super) fn forget(&mut self, relative: &Path) {
        self.pending.remove(relative);
    }

    /// Begins a full look: files that it does not observe are gone at its end.
    pub(super) fn begin_look(&mut self) {
        self.look += 1;
    }

    /// Ends a full look.
    pub(super) fn end_look(&mut self) {
        let look = self.look;
        self.pending.retain(|_, pending| pending.look == look);
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Every waiting file and why, sorted by path.
    pub(super) fn waiting(&self) -> Vec<WaitingFile> {
        let file = |(relative, pending): (&Rc<Path>, &Pending)| WaitingFile {
            relative: relative.to_path_buf(),
            reason: pending.reason.clone(),
        };
        let mut files: Vec<_> = self.pending.iter().map(file).collect();
        files.sort_by(|a, b| a.relative.cmp(&b.relative));
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: u64 = 10;

    fn signature(version: i64) -> FileSignature {
        FileSignature { device: 1, inode: 2, size: 3, mtime_ns: version, ctime_ns: version }
    }

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn tracker() -> StabilityTracker {
        StabilityTracker::new(at(REST))
    }

    const FILE: &str = "a.jpg";

    fn see(tracker: &mut StabilityTracker, version: i64, second: u64) -> Verdict {
        tracker.observe(Path::new(FILE), signature(version), None, at(second))
    }

    #[test]
    fn a_file_rests_when_two_observations_a_rest_apart_agree() {
        use Verdict::{Rested, Waits};
        // (what is seen at which second, what follows)
        let stories: [&[(u64, i64, Verdict)]; 6] = [
            &[(0, 1, Waits), (10, 1, Rested)],
            &[(0, 1, Waits), (9, 1, Waits), (10, 1, Rested)],
            // A scanner that closes and opens the file again every four seconds.
            &[(0, 1, Waits), (4, 2, Waits), (8, 3, Waits), (12, 4, Waits), (14, 4, Waits), (21, 4, Waits), (22, 4, Rested)],
            // An old state that comes back is a new change.
            &[(0, 1, Waits), (5, 2, Waits), (10, 1, Waits), (15, 1, Waits), (20, 1, Rested)],
            // One observation is never enough, however late it comes.
            &[(1_000_000, 1, Waits), (1_000_010, 1, Rested)],
            // Days between two observations.
            &[(0, 1, Waits), (500_000, 2, Waits), (1_000_000, 2, Rested)],
        ];
        for story in stories {
            let mut tracker = tracker();
            for (second, version, verdict) in story {
                assert_eq!(see(&mut tracker, *version, *second), *verdict, "{story:?} at {second}");
            }
        }
    }

    #[test]
    fn every_part_of_the_signature_counts() {
        let base = signature(1);
        let others = [
            FileSignature { device: 9, ..base },
            FileSignature { inode: 9, ..base },
            FileSignature { size: 9, ..base },
            FileSignature { mtime_ns: 9, ..base },
            FileSignature { ctime_ns: 9, ..base },
        ];
        for other in others {
            let mut tracker = tracker();
            tracker.observe(Path::new(FILE), base, None, at(0));
            assert_eq!(tracker.observe(Path::new(FILE), other, None, at(10)), Verdict::Waits, "{other:?}");
        }
    }

    #[test]
    fn what_is_due_comes_once_and_in_time() {
        let mut tracker = tracker();
        assert_eq!(tracker.next_due(), None);
        see(&mut tracker, 1, 0);
        see(&mut tracker, 2, 3);
        tracker.observe(Path::new("b.jpg"), signature(1), None, at(5));
        assert_eq!(tracker.next_due(), Some(at(13)), "the last change counts");
        assert!(tracker.due(at(12), 9).is_empty());
        assert_eq!(tracker.due(at(15), 9), [Path::new(FILE).into(), Path::new("b.jpg").into()] as [Rc<Path>; 2]);
        assert!(tracker.due(at(99), 9).is_empty());
    }

    #[test]
    fn a_limit_leaves_the_rest_due() {
        let mut tracker = tracker();
        for name in ["a", "b", "c"] {
            tracker.observe(Path::new(name), signature(1), None, at(0));
        }
        assert_eq!(tracker.due(at(10), 2).len(), 2);
        assert_eq!(tracker.due(at(10), 2).len(), 1);
    }

    #[test]
    fn a_held_file_does_not_rest_until_the_reason_is_gone() {
        let mut tracker = tracker();
        let file = Path::new(FILE);
        tracker.observe(file, signature(1), Some(WaitReason::NoMarker), at(0));
        assert_eq!(tracker.observe(file, signature(1), Some(WaitReason::NoMarker), at(20)), Verdict::Waits);
        assert_eq!(tracker.waiting(), [WaitingFile { relative: file.into(), reason: WaitReason::NoMarker }]);
        assert_eq!(see(&mut tracker, 1, 21), Verdict::Rested, "it rested while the marker was missing");
    }

    #[test]
    fn a_marker_that_comes_early_still_leads_to_a_look_in_time() {
        let mut tracker = tracker();
        tracker.observe(Path::new(FILE), signature(1), Some(WaitReason::NoMarker), at(0));
        see(&mut tracker, 1, 2);
        assert_eq!(tracker.waiting()[0].reason, WaitReason::Resting { rest: at(REST) });
        assert_eq!(tracker.next_due(), Some(at(10)));
    }

    #[test]
    fn files_that_a_full_look_does_not_see_are_gone() {
        let mut tracker = tracker();
        see(&mut tracker, 1, 0);
        tracker.observe(Path::new("b.jpg"), signature(1), None, at(0));
        tracker.begin_look();
        see(&mut tracker, 1, 1);
        tracker.end_look();
        assert_eq!(tracker.len(), 1);
        assert_eq!(tracker.due(at(20), 9).len(), 1);
    }

    #[test]
    fn a_file_that_changes_all_the_time_costs_no_memory_for_ever() {
        let mut tracker = tracker();
        for second in 0..10_000 {
            see(&mut tracker, i64::try_from(second).unwrap(), second);
            tracker.due(at(second), 9);
        }
        assert!(tracker.queue.len() <= usize::try_from(REST).unwrap() + 1, "{}", tracker.queue.len());
    }
}
