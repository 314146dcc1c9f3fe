//! Pixels in, pixels out: pure arithmetic on pictures already in memory.
//!
//! Knows nothing of files, containers, models or colour profiles. Samples are sRGB-encoded (IEC 61966-2-1) throughout, but for those of
//! derivatives in another [`ColourSpace`].

mod border;
mod ciede2000;
mod colour_copy;
mod extent;
mod features;
mod gamut;
mod grey;
mod guide;
pub mod image;
pub mod lab;
mod label;
mod levels;
pub mod metrics;
mod noise;
mod opencv_lab;
mod parity;
mod quality;
mod recombine;
mod resample;
mod rows;
mod space;
mod tensor;

pub use border::{Border, PictureArea, picture_area};
pub use colour_copy::{ColourCells, ColourCopy, ColourPart, ColourSums};
pub use extent::{ExtentRule, ExtentRules, ModelExtent, Sizing};
pub use features::{Features, features, features_of};
pub use grey::{LuminanceTables, grey_of_codes, grey_of_luminance, grey_of_srgb, grey_through, srgb_weights};
pub use image::{Channels, ChromaPlanes, Depth, Plane, Rect, Rows, Samples, ScanImage, Size, to_eight_bits};
pub use label::{Label, labelled};
pub use levels::{Levels, Tones};
pub use noise::estimate_noise;
pub use parity::{Preprocessing, parity_input, parity_recombine};
pub use quality::{Quality, QualityOfSet, SquaredChroma, greyed, quality, quality_of_set};
pub use recombine::{Lightness, Recombination, Recombined, Rendering, recombine, recombine_within};
pub use resample::{grey_copy, grey_copy_of, reduced, thumbnail};
pub use space::ColourSpace;
pub use tensor::{crop_chroma, network_input};
