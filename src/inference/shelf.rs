//! What has been loaded and may be needed again, under one bound of bytes: what was used longest ago goes first.
//!
//! Whoever uses a thing takes it off the shelf and puts it back, so that what is in use is never let go. Knows no network:
//! sizes are what it is told.

use std::fmt::Display;

use tracing::{info, warn};

/// Things by key, the one used last at the end.
#[derive(Debug)]
pub(super) struct Shelf<K, T> {
    /// Bytes that all things together may take, in use or not.
    bound: u64,
    kept: Vec<Kept<K, T>>,
    has_warned: bool,
}

#[derive(Debug)]
struct Kept<K, T> {
    key: K,
    thing: T,
    bytes: u64,
}

impl<K: Display + PartialEq, T> Shelf<K, T> {
    pub(super) const fn new(bound: u64) -> Self {
        Self { bound, kept: Vec::new(), has_warned: false }
    }

    /// The bound.
    pub(super) const fn bound(&self) -> u64 {
        self.bound
    }

    /// Bytes of everything that is kept.
    pub(super) fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.bytes).sum()
    }

    /// Everything that is kept.
    pub(super) fn things(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().map(|kept| &kept.thing)
    }

    /// Takes a thing into use.
    pub(super) fn take(&mut self, key: &K) -> Option<T> {
        let index = self.kept.iter().position(|kept| kept.key == *key)?;
        Some(self.kept.remove(index).thing)
    }

    /// Lets things go until `wanted` bytes, for what is in use and what is about to be made for `whom`, fit beside the rest. What
    /// alone is more than the bound is said once and let through: a large network on a small machine is slow, not impossible.
    pub(super) fn make_room(&mut self, wanted: u64, whom: &K) {
        while self.bytes().saturating_add(wanted) > self.bound && self.let_heavy_go() {}
        if wanted > self.bound && !self.has_warned {
            self.has_warned = true;
            let (wanted, bound) = (wanted >> 20, self.bound >> 20);
            warn!(model = %whom, wanted, bound, "{whom} needs {wanted} MiB, more than the {bound} MiB for colour networks: it runs alone");
        }
    }

    /// Lets the oldest of the things that `counts` go; whether there was one.
    pub(super) fn let_oldest_go(&mut self, counts: impl Fn(&K) -> bool) -> bool {
        let oldest = self.kept.iter().position(|kept| counts(&kept.key));
        oldest.into_iter().for_each(|index| self.let_go(index));
        oldest.is_some()
    }

    /// Lets the oldest of the things that `counts` go until fewer than `count` of them are kept.
    pub(super) fn keep_fewer_than(&mut self, count: usize, counts: impl Fn(&K) -> bool) {
        while self.count(&counts) >= count.max(1) {
            let oldest = self.kept.iter().position(|kept| counts(&kept.key));
            self.let_go(oldest.expect("there is at least one"));
        }
    }

    /// Keeps a thing that was just used, and shows it; others make room for it.
    pub(super) fn put(&mut self, key: K, thing: T, bytes: u64) -> &T {
        while self.bytes().saturating_add(bytes) > self.bound && self.let_heavy_go() {}
        self.kept.push(Kept { key, thing, bytes });
        &self.kept.last().expect("it was pushed just now").thing
    }

    /// Lets everything go.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }

    /// Lets the oldest thing go that takes any of these bytes: what lies on a card takes none. Whether there was one.
    fn let_heavy_go(&mut self) -> bool {
        let oldest = self.kept.iter().position(|kept| kept.bytes > 0);
        oldest.into_iter().for_each(|index| self.let_go(index));
        oldest.is_some()
    }

    /// How many of the things that `counts` are kept.
    pub(super) fn count(&self, counts: impl Fn(&K) -> bool) -> usize {
        self.kept.iter().filter(|kept| counts(&kept.key)).count()
    }

    fn let_go(&mut self, index: usize) {
        let Kept { key, bytes, .. } = self.kept.remove(index);
        let mebibytes = bytes >> 20;
        info!(model = %key, mebibytes, "Let {key} go, to make room");
    }

    /// Keys and bytes, the one used longest ago first.
    #[cfg(test)]
    pub(super) fn contents(&self) -> Vec<(String, u64)> {
        self.kept.iter().map(|kept| (kept.key.to_string(), kept.bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(shelf: &Shelf<&'static str, ()>) -> String {
        shelf.contents().into_iter().map(|(key, _)| key).collect()
    }

    fn shelf(bound: u64, things: &[(&'static str, u64)]) -> Shelf<&'static str, ()> {
        let mut shelf = Shelf::new(bound);
        for &(key, bytes) in things {
            shelf.put(key, (), bytes);
        }
        shelf
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut shelf = shelf(100, &[("a", 30), ("b", 30), ("c", 30)]);
        shelf.take(&"a").unwrap();
        shelf.put("a", (), 30);
        assert_eq!((keys(&shelf).as_str(), shelf.bytes()), ("bca", 90));
        shelf.put("d", (), 50);
        assert_eq!((keys(&shelf).as_str(), shelf.bytes()), ("ad", 80));
    }

    #[test]
    fn what_is_in_use_is_never_let_go_and_counts() {
        let mut shelf = shelf(100, &[("a", 40), ("b", 40)]);
        shelf.take(&"a").unwrap();
        // The 40 in use and 30 more: b has to go, a cannot.
        shelf.make_room(70, &"a");
        assert_eq!(keys(&shelf), "");
        shelf.put("a", (), 40);
        assert_eq!(keys(&shelf), "a");
    }

    #[test]
    fn a_thing_larger_than_the_bound_is_kept_alone() {
        let mut shelf = shelf(100, &[("a", 40)]);
        shelf.make_room(500, &"b");
        assert!(shelf.has_warned);
        shelf.put("b", (), 500);
        assert_eq!(keys(&shelf), "b");
        shelf.put("a", (), 40);
        assert_eq!(keys(&shelf), "a");
    }

    #[test]
    fn what_takes_no_room_here_makes_none_by_going() {
        let mut shelf = shelf(100, &[("card", 0), ("a", 60)]);
        shelf.make_room(90, &"b");
        assert_eq!(keys(&shelf), "card");
    }

    #[test]
    fn things_of_a_kind_are_bounded_in_number() {
        let mut shelf = shelf(100, &[("s1", 1), ("m", 1), ("s2", 1), ("s3", 1)]);
        shelf.keep_fewer_than(2, |key| key.starts_with('s'));
        assert_eq!(keys(&shelf), "ms3");
        shelf.keep_fewer_than(0, |key| key.starts_with('s'));
        assert_eq!(keys(&shelf), "m", "a bound of none counts as one: room for the next");
    }
}
