//! Bytes to pixels and back: JPEG, PNG and TIFF; WebP and JPEG 2000 are read only.
//!
//! The format is told by content, never by name. Sizes are checked from the header before a pixel is decoded or memory
//! moves. Anything short, damaged or not understood is an error that says so: no decoder here fills a gap with grey.
//! Pictures come out upright (EXIF orientation applied once), with what their file says of their colour; what that means is the business
//! of [`crate::colour`].
//! Blocks of metadata are found and written here; what they say is the business of [`crate::metadata`]. Files, names and jobs are left to
//! others.

mod checksums;
mod decode;
mod encode;
mod error;
mod exif;
mod format;
mod header;
mod in_order;
mod orientation;
mod verify;

#[cfg(test)]
mod samples;

pub use crate::imaging::Channels;
pub use crate::metadata::Carried;
pub use checksums::Checksums;
pub use decode::{DecodedScan, Keep, ReadScan, decode, decode_cost_bytes, read, read_cost_bytes, read_header};
pub use encode::{EncodeSettings, InStrips, TiffCompression, encode, encode_strips, strips_bytes};
pub use error::{DecodeError, EncodeError};
pub use format::{Format, UnknownWord};
pub use header::{DecodeLimits, ScanHeader};
pub use verify::{Against, Verified, verify, verify_strips};
