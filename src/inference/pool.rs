//! Keeps the sessions used last, and steps back once when the device is full.
//!
//! Sessions cost seconds to make and hundreds of megabytes to keep, so the number kept is bounded. Knows no network: what is
//! kept and how it is made comes from outside.

use super::InferenceError;

/// Sessions by key, the one used last at the end.
#[derive(Debug)]
pub(super) struct Pool<K, N> {
    capacity: usize,
    kept: Vec<(K, N)>,
}

impl<K: Clone + PartialEq, N> Pool<K, N> {
    /// Keeps at most `capacity` sessions, and at least one.
    pub(super) const fn new(capacity: usize) -> Self {
        Self { capacity: if capacity == 0 { 1 } else { capacity }, kept: Vec::new() }
    }

    /// Runs with the session of `key`, which is opened if it is not kept.
    ///
    /// A session whose run failed is not used again. When the device had no room, every session goes, and one fresh try is
    /// made: the runtime never returns what a session has taken (onnxruntime issue 11740).
    pub(super) fn run<R>(
        &mut self,
        key: &K,
        mut open: impl FnMut() -> Result<N, InferenceError>,
        mut run: impl FnMut(&mut N) -> Result<R, InferenceError>,
    ) -> Result<R, InferenceError> {
        match self.try_run(key, &mut open, &mut run) {
            Err(error @ InferenceError::OutOfMemory { .. }) => {
                tracing::warn!(error = %error, "The device is full: its sessions go, and one fresh try is made");
                self.clear();
                self.try_run(key, &mut open, &mut run)
            }
            other => other,
        }
    }

    fn try_run<R>(
        &mut self,
        key: &K,
        open: &mut impl FnMut() -> Result<N, InferenceError>,
        run: &mut impl FnMut(&mut N) -> Result<R, InferenceError>,
    ) -> Result<R, InferenceError> {
        let mut session = match self.kept.iter().position(|(kept, _)| kept == key) {
            Some(index) => self.kept.remove(index).1,
            None => {
                // Room is made before a session is opened, not after: both would have to fit.
                let surplus = (self.kept.len() + 1).saturating_sub(self.capacity);
                self.kept.drain(..surplus);
                open()?
            }
        };
        let result = run(&mut session)?;
        self.kept.push((key.clone(), session));
        Ok(result)
    }

    /// Lets every session go; whether there was one.
    pub(super) fn clear(&mut self) -> bool {
        let had = !self.kept.is_empty();
        self.kept.clear();
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn full() -> InferenceError {
        InferenceError::OutOfMemory { network: "n".into(), detail: "full".into() }
    }

    /// Which keys were opened, in order.
    fn opened(capacity: usize, keys: &[u32]) -> Vec<u32> {
        let opened = RefCell::new(Vec::new());
        let mut pool = Pool::new(capacity);
        for key in keys {
            let open = || {
                opened.borrow_mut().push(*key);
                Ok(*key)
            };
            let ran = pool.run(key, open, |session| Ok(*session)).unwrap();
            assert_eq!(ran, *key);
        }
        opened.into_inner()
    }

    #[test]
    fn the_session_unused_for_longest_goes_first() {
        assert_eq!(opened(2, &[1, 2, 1, 3, 1, 2]), [1, 2, 3, 2]);
        assert_eq!(opened(3, &[1, 2, 3, 1, 2, 3]), [1, 2, 3]);
    }

    #[test]
    fn a_pool_of_none_keeps_one() {
        assert_eq!(opened(0, &[1, 1, 2, 1]), [1, 2, 1]);
    }

    #[test]
    fn a_full_device_is_cleared_and_tried_once_more() {
        let mut pool = Pool::new(3);
        pool.run(&1, || Ok("one"), |_| Ok(())).unwrap();
        let (mut opens, mut runs) = (0, 0);
        let ran = pool.run(
            &2,
            || {
                opens += 1;
                Ok("two")
            },
            |_| {
                runs += 1;
                if runs == 1 { Err(full()) } else { Ok(runs) }
            },
        );
        assert_eq!(ran.unwrap(), 2);
        assert_eq!(opens, 2, "a session that ran out of memory is not used again");
        assert_eq!(pool.kept, [(2, "two")], "the others made room");
    }

    #[test]
    fn a_device_that_stays_full_is_an_error_after_two_tries() {
        let mut pool: Pool<u32, ()> = Pool::new(2);
        let mut opens = 0;
        let ran = pool.run(
            &1,
            || {
                opens += 1;
                Err(full())
            },
            |()| Ok(()),
        );
        assert!(matches!(ran, Err(InferenceError::OutOfMemory { .. })));
        assert_eq!(opens, 2);
    }

    #[test]
    fn another_failure_is_not_repeated_but_its_session_goes() {
        let mut pool = Pool::new(2);
        let mut runs = 0;
        let ran = pool.run(
            &1,
            || Ok(()),
            |()| {
                runs += 1;
                Err::<(), _>(InferenceError::Ended)
            },
        );
        assert!(matches!(ran, Err(InferenceError::Ended)));
        assert_eq!(runs, 1);
        assert!(pool.kept.is_empty());
    }
}
