//! Sums by which the samples of a picture are known again, row by row, without keeping the picture.

use crate::imaging::Samples;

/// CRC-32 of the samples of each row, in this machine's byte order: a row that an encoder or a decoder garbled passes once in four
/// thousand million times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checksums(Vec<u32>);

impl Checksums {
    /// Of rows of `row` samples.
    pub(super) fn of(samples: &Samples, row: usize) -> Self {
        Self(match samples {
            Samples::U8(samples) => samples.chunks(row).map(crc32fast::hash).collect(),
            Samples::U16(samples) => {
                let mut bytes = Vec::with_capacity(2 * row);
                let sum = |row: &[u16]| {
                    bytes.clear();
                    bytes.extend(row.iter().flat_map(|sample| sample.to_ne_bytes()));
                    crc32fast::hash(&bytes)
                };
                samples.chunks(row).map(sum).collect()
            }
        })
    }

    /// Adds those of the rows that follow.
    pub(super) fn append(&mut self, mut next: Self) {
        self.0.append(&mut next.0);
    }

    /// Rows whose sums differ, of two pictures of one height.
    pub(super) fn differing(&self, other: &Self) -> u64 {
        self.0.iter().zip(&other.0).filter(|(one, other)| one != other).count() as u64
    }
}

/// The samples in this machine's byte order.
pub(super) fn bytes_of(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::U8(samples) => samples,
        Samples::U16(samples) => samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_sample_changes_its_row_alone() {
        let samples: Vec<u16> = (0..600).map(|value| value * 97).collect();
        let whole = Checksums::of(&Samples::U16(samples.clone()), 20);
        let mut parts = Checksums::of(&Samples::U16(samples[..400].to_vec()), 20);
        parts.append(Checksums::of(&Samples::U16(samples[400..].to_vec()), 20));
        assert_eq!((&parts, parts.differing(&whole)), (&whole, 0));
        let mut changed = samples;
        changed[417] ^= 1;
        assert_eq!(Checksums::of(&Samples::U16(changed), 20).differing(&whole), 1);
        let (one, other) = (vec![7_u8; 40], [vec![7; 39], vec![8]].concat());
        assert_eq!(Checksums::of(&Samples::U8(one), 20).differing(&Checksums::of(&Samples::U8(other), 20)), 1);
    }
}
