//! Why a scan is left alone, in words.

use std::fmt;

use crate::imaging::Size;

/// Why a scan is left alone; `Display` is for a registrar, and ends with the way out.
#[derive(Debug, Clone, PartialEq)]
pub enum Skip {
    /// There are too few pixels to recognise anything.
    TooSmall {
        /// Pixels as stored.
        size: Size,
        /// Pixels that the shorter side needs.
        least: u32,
    },
    /// The scan shows more than one tone.
    AlreadyColour {
        /// Chroma that no single tone explains, Lab units.
        residual: f32,
        /// Share of the picture that is coloured, 0..=1.
        share: f32,
        /// The threshold it passes, Lab units.
        threshold: f32,
    },
    /// It is a print of one tone with coloured places: somebody has coloured it by hand.
    HandTinted {
        /// Share of the picture that is tinted, 0..=1.
        share: f32,
        /// The threshold it passes.
        threshold: f32,
    },
    /// There is nothing on it.
    Blank {
        /// Deviation of lightness, L* units.
        deviation: f32,
        /// The threshold it does not reach, L* units.
        threshold: f32,
    },
    /// It is a page, not a photograph.
    Document {
        /// Score of the scene network, 0..=1.
        score: f32,
        /// The threshold it passes.
        threshold: f32,
    },
}

/// What a person who knows better can do about one scan.
const WAY_OUT: &str = "`autochrome route`, or a sidecar beside it, has this scan coloured";

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { size: Size { width, height }, least } => {
                write!(f, "too small: {width}x{height} pixels, at least {least} on each side are needed")
            }
            Self::AlreadyColour { residual, share, threshold } => write!(
                f,
                "already in colour: chroma of {residual:.1} Lab units that no single tone explains is above {threshold:.1} \
                 ({:.0} % of the picture is coloured)",
                share * 100.0
            ),
            Self::HandTinted { share, threshold } => write!(
                f,
                "looks hand-tinted: a print of one tone with colours of its own on {:.1} % of the picture, which is above {:.1} %",
                share * 100.0,
                threshold * 100.0
            ),
            Self::Blank { deviation, threshold } => {
                write!(f, "blank: lightness varies by {deviation:.1} L* units, which is below {threshold:.1}")
            }
            Self::Document { score, threshold } => write!(
                f,
                "looks like a printed or typed page (score {score:.2}, above {threshold:.2}): not coloured; set `scene = \"other\"` \
                 for the collection to colour it anyhow"
            ),
        }?;
        write!(f, "; {WAY_OUT}")
    }
}
