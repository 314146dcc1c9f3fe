//! What can be wrong with somebody else's ONNX file.

use crate::job::Disposition;

/// Why an ONNX file is not a colour network that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// Not an ONNX file, or not the whole of one.
    #[error("this is not a whole ONNX file: {what}")]
    Format {
        /// What is wrong.
        what: String,
    },
    /// A network, but not from RGB to ab.
    #[error("this ONNX network is not of DDColor's shape: {what}")]
    Shape {
        /// What differs, with what should be there.
        what: String,
    },
    /// Some of its numbers lie in another file, which no pin covers.
    #[error("tensor {tensor} refers to file {file} outside itself")]
    External {
        /// The tensor.
        tensor: String,
        /// The file that is named.
        file: String,
    },
}

impl ForeignError {
    /// No scan can be coloured with such a file, and no scan is to blame.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Format { .. } | Self::Shape { .. } | Self::External { .. } => Disposition::Fatal,
        }
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Format { .. } => Some("fetch the file again: it is cut short, damaged or not ONNX"),
            Self::Shape { .. } => {
                Some("it must take one picture [1, 3, height, width] in 0..=1 and give [1, 2, height, width] in Lab units")
            }
            Self::External { .. } => Some("save the model again with its weights inside (onnx.save without external data)"),
        }
    }
}
