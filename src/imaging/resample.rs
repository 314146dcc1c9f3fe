//! stub
use super::{Plane, ScanImage, Size};
/// Grey copy (equal CIE lightness, sRGB-encoded, 0..=1) at `size`, antialiased when reducing.
pub fn grey_copy(_image: &ScanImage, _size: Size) -> Plane { todo!() }
/// A small 8-bit copy for people, same channels without alpha.
pub fn thumbnail(_image: &ScanImage, _size: Size) -> ScanImage { todo!() }
