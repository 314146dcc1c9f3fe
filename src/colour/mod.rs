//! What the numbers of a scan mean: ICC profiles, PNG's own chunks, EXIF's ColorSpace; and the lightness that follows.
//!
//! Takes what a file says about its samples and gives a grey picture in sRGB's coding, whose L* is that of the scan under its
//! profile; everything behind works on that. A profile that is broken or does not fit the samples gives way to a stated
//! assumption, never to silence. Also makes the profiles that derivatives carry. Knows no file format and no job.

mod declared;
mod inks;
mod output;
mod reading;

pub use declared::{Basis, Cicp, Declared, Meaning, Separation};
pub use inks::Inks;
pub use output::{profile_of, space_of, srgb_profile};
pub use reading::Colour;
