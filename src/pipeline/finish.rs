//! From chroma to a verified file: recombine, encode, decode once more and compare.

use super::prepare::Prepared;
use super::{Profile, StageError, Stopwatch};
use crate::codec::{self, Against, Format, Verified};
use crate::digest::Digest;
use crate::imaging::{self, ChromaPlanes, Depth, Lightness, Preprocessing, Size};

/// A derivative that may leave the house.
#[derive(Debug)]
pub struct Finished {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub digest: Digest,
    /// Format.
    pub format: Format,
    /// Pixels.
    pub size: Size,
    /// Bits a sample.
    pub bit_depth: u8,
    /// What decoding once more showed.
    pub verified: Verified,
    /// Share of pixels whose colour sRGB cannot hold: their chroma was reduced, or under parity their channels clipped.
    pub out_of_gamut_share: f64,
}

/// `chroma` shows the content of the extent, padding cropped away: the picture in the scan. Its borders stay without colour.
pub(super) fn finish(
    profile: &Profile,
    prepared: &Prepared,
    chroma: &ChromaPlanes,
    watch: &mut Stopwatch,
) -> Result<Finished, StageError> {
    let scan = &prepared.scan;
    let lightness = prepared.lightness.as_ref().map_or(Lightness::Source, Lightness::Replaced);
    let format = profile.format.of(scan.header.format);
    // A JPEG has 8 bits: what is rounded once is not rounded twice.
    let depth = if format == Format::Jpeg { Depth::Eight } else { Depth::of(scan.header.bit_depth) };
    let recombined = watch.time("recombine", || match profile.preprocessing {
        Preprocessing::Fit => imaging::recombine_within(&scan.image, prepared.area.rect, lightness, chroma, depth),
        Preprocessing::Parity => imaging::parity_recombine(&scan.image, chroma, depth),
    });
    let bytes = watch.time("encode", || codec::encode(&recombined.image, format, &profile.encode, &scan.carried))?;
    let bit_depth = if format == Format::Jpeg { 8 } else { recombined.image.bit_depth() };
    let size = recombined.image.size();
    let against = match profile.preprocessing {
        Preprocessing::Fit => Against::Scan(&scan.image, lightness),
        // Clipping colours changes their lightness: that is the authors' way, and no fault of the file.
        Preprocessing::Parity => Against::Encoded,
    };
    let verified = watch.time("verify", || codec::verify(&bytes, recombined.image, format, against))?;
    let digest = watch.time("hash", || Digest::of(&bytes));
    Ok(Finished { bytes, digest, format, size, bit_depth, verified, out_of_gamut_share: recombined.out_of_gamut_share })
}
