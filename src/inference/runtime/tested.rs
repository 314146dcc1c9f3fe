//! What this release was tested with on a card, and how another machine compares.

use std::cmp::Ordering;

/// A combination that `deploy/gpu-selftest` has passed on, versions as each part says them of itself.
#[derive(Debug, Clone, Copy)]
pub struct Tested {
    /// Name of the card.
    pub card: &'static str,
    /// NVIDIA's driver.
    pub driver: &'static str,
    /// CUDA runtime.
    pub cuda: &'static str,
    /// cuDNN.
    pub cudnn: &'static str,
    /// ONNX Runtime.
    pub runtime: &'static str,
    /// When.
    pub date: &'static str,
}

/// The one that was tested.
pub const TESTED: Tested = Tested {
    card: "NVIDIA H200",
    driver: "580.159.04",
    cuda: "13.0",
    cudnn: "9.19.0",
    runtime: super::pins::VERSION,
    date: "2026-11-29",
};

/// How a version compares with one that was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the one.
    AsTested,
    /// Later, of the same major version: expected to work.
    Newer,
    /// Earlier, of the same major version: not expected to fail, but nobody has looked.
    Older,
    /// Of another major version: the libraries are not made for it.
    Other,
    /// It does not say.
    Unknown,
}

impl Standing {
    /// Of `found` against `tested`: numbers between dots, the first of them the major version.
    pub fn of(found: Option<&str>, tested: &str) -> Self {
        let numbers = |text: &str| text.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>();
        let (Some(Ok(found)), Ok(tested)) = (found.map(numbers), numbers(tested)) else { return Self::Unknown };
        match (found.first() == tested.first(), found.cmp(&tested)) {
            (_, Ordering::Equal) => Self::AsTested,
            (true, Ordering::Greater) => Self::Newer,
            (true, Ordering::Less) => Self::Older,
            (false, _) => Self::Other,
        }
    }

    /// Of drivers, which also run what was made for earlier major versions.
    pub fn of_driver(found: Option<&str>, tested: &str) -> Self {
        let major = |text: &str| text.split('.').next().and_then(|number| number.parse::<u32>().ok());
        match Self::of(found, tested) {
            Self::Other if found.and_then(major) > major(tested) => Self::Newer,
            other => other,
        }
    }

    /// In words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AsTested => "as tested",
            Self::Newer => "newer than tested",
            Self::Older => "older than tested",
            Self::Other => "of another major version than tested",
            Self::Unknown => "not known",
        }
    }

    /// Whether somebody should look.
    pub const fn is_sound(self) -> bool {
        matches!(self, Self::AsTested | Self::Newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_numbers_and_not_by_letters() {
        assert_eq!(Standing::of(Some("9.19.0"), "9.19.0"), Standing::AsTested);
        assert_eq!(Standing::of(Some("9.20.0"), "9.19.0"), Standing::Newer);
        assert_eq!(Standing::of(Some("9.8.0"), "9.19.0"), Standing::Older);
        assert_eq!(Standing::of(Some("10.1.0"), "9.19.0"), Standing::Other);
        assert_eq!(Standing::of_driver(Some("580.82"), "580.159.04"), Standing::Older);
        assert_eq!(Standing::of_driver(Some("590.1"), "580.159.04"), Standing::Newer);
        assert_eq!(Standing::of_driver(Some("570.1"), "580.159.04"), Standing::Other);
        assert_eq!(Standing::of(None, "9.19.0"), Standing::Unknown);
        assert_eq!(Standing::of(Some("N/A"), "9.19.0"), Standing::Unknown);
    }
}
