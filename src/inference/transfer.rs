//! Copies of large arrays within this machine's memory, by several threads: between two runs the card waits for them.

use std::thread;

/// Numbers that one thread copies at least; starting a thread takes as long as copying a tenth of this.
const SHARE: usize = 1 << 19;
/// More threads gain nothing: memory is what they wait for.
const MOST: usize = 4;

/// Copies `from` into `to`, which has the same length.
pub(super) fn copy(from: &[f32], to: &mut [f32]) {
    let threads = (from.len() / SHARE).clamp(1, MOST);
    let share = from.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let mut shares = from.chunks(share).zip(to.chunks_mut(share));
        let own = shares.next();
        for (from, to) in shares {
            scope.spawn(|| to.copy_from_slice(from));
        }
        if let Some((from, to)) = own {
            to.copy_from_slice(from);
        }
    });
}

/// A copy of `from`. Memory that is new to the process is touched by all threads alike: that takes longer than the copying.
pub(super) fn copied(from: &[f32]) -> Vec<f32> {
    let mut to = vec![0.0; from.len()];
    copy(from, &mut to);
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_arrives_whatever_the_length() {
        for length in [0, 1, SHARE - 1, SHARE, 2 * SHARE + 1, 5 * SHARE + 3] {
            let from: Vec<f32> = (0..length).map(|i| i as f32).collect();
            assert!(copied(&from) == from, "{length}");
        }
    }
}
