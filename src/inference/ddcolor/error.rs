//! What can be wrong with a checkpoint.

use std::fmt;

use crate::job::Disposition;

/// Problems named in a message before the rest is only counted.
const LISTED: usize = 12;
/// Characters of a tensor name in a message: the longest key of DDColor has 87.
const NAME_CHARACTERS: usize = 120;

/// Why a file is not a set of DDColor weights.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a safetensors file, or not the whole of one.
    #[error("weights are not a whole safetensors file")]
    Format {
        /// What the format's reader says.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// The tensors of another network.
    #[error("not a DDColor network: {unknown} keys unknown, first {first}")]
    Foreign {
        /// How many keys DDColor does not have.
        unknown: usize,
        /// The first of them by name.
        first: String,
    },
    /// Tensors are missing, surplus, wrongly shaped or of a wrong type. All of them are in the list.
    #[error("weights do not fit DDColor: {problems}")]
    Mismatch {
        /// Everything that does not fit.
        problems: Problems,
    },
    /// A weight that is not a number, or is not one any more after folding.
    #[error("tensor {tensor} holds a value that is not finite")]
    NonFinite {
        /// Key of the first such tensor.
        tensor: String,
    },
    /// All tensors are there, but their sizes are outside what the graph can express.
    #[error("weights have {what}")]
    Unsupported {
        /// What is out of bounds, with the bound.
        what: String,
    },
}

impl CheckpointError {
    /// No scan can be coloured with such weights, and no scan is to blame.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Format { .. }
            | Self::Foreign { .. }
            | Self::Mismatch { .. }
            | Self::NonFinite { .. }
            | Self::Unsupported { .. } => Disposition::Fatal,
        }
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Format { .. } => Some("fetch the file again: it is cut short, damaged or not safetensors"),
            Self::Foreign { .. } | Self::Mismatch { .. } => {
                Some("only DDColor checkpoints with the official tensor names can be used")
            }
            Self::NonFinite { .. } => Some("fetch the file again, or export it again from the training run's last good state"),
            Self::Unsupported { .. } => None,
        }
    }
}

/// Tensors that do not fit, in the order missing and wrong ones (as the network goes), then surplus ones (by name).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// One tensor that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The network needs it and the file lacks it.
    Missing {
        /// Key.
        name: String,
    },
    /// The file has it and the network has no place for it.
    Surplus {
        /// Key.
        name: String,
    },
    /// It has another shape than the rest of the file asks for.
    Shape {
        /// Key.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that fits; 0 where the file does not tell.
        expected: Vec<usize>,
    },
    /// It is neither F32 nor F16 nor BF16.
    Kind {
        /// Key.
        name: String,
        /// Element type in the file.
        found: String,
    },
}

impl Problems {
    pub(super) const fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// Every problem, however many.
    pub fn all(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().take(LISTED).enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(f, "{} is missing", printable(name)),
            Self::Surplus { name } => write!(f, "{} is surplus", printable(name)),
            Self::Shape { name, found, expected } => {
                write!(f, "{} is {} instead of {}", printable(name), dimensions(found), dimensions(expected))
            }
            Self::Kind { name, found } => write!(f, "{} is of type {found}", printable(name)),
        }
    }
}

/// A key as one short line, whatever the file put into it.
pub(in crate::inference) fn printable(name: &str) -> String {
    let escaped = name.escape_debug().to_string();
    if escaped.chars().count() <= NAME_CHARACTERS {
        return escaped;
    }
    escaped.chars().take(NAME_CHARACTERS).chain(['…']).collect()
}

fn dimensions(shape: &[usize]) -> String {
    // A tensor has at most four dimensions here; a hostile one may claim thousands.
    let mut text =
        shape.iter().take(6).map(|&n| if n == 0 { "?".to_owned() } else { n.to_string() }).collect::<Vec<_>>().join("×");
    if shape.is_empty() {
        text.push_str("a scalar");
    } else if shape.len() > 6 {
        text.push_str("×…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let problems = Problems::new((0..40).map(|i| Problem::Missing { name: format!("tensor.{i}") }).collect());
        let text = problems.to_string();
        assert!(text.starts_with("tensor.0 is missing; tensor.1 is missing"), "{text}");
        assert!(text.ends_with("; and 28 more"), "{text}");
    }

    #[test]
    fn a_hostile_name_stays_one_short_line() {
        let text = Problem::Surplus { name: format!("a\nb\u{1b}[31m{}", "x".repeat(100_000)) }.to_string();
        assert!(!text.chars().any(char::is_control), "{text}");
        assert!(text.chars().count() < 140, "{text}");
    }
}
