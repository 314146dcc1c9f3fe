//! Pixels in, pixels out: pure arithmetic on pictures already in memory.
//!
//! Knows nothing of files, containers, models or colour profiles. Samples are sRGB-encoded (IEC 61966-2-1) throughout.

pub mod image;

pub use image::{Channels, ChromaPlanes, Plane, Samples, ScanImage, Size};
