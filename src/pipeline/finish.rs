//! From chroma to a verified file: recombine, encode, decode once more and compare.

use super::record::assemble::Facts;
use super::{StageError, Stopwatch};
use crate::codec::{self, Against, Format, Verified};
use crate::digest::Digest;
use crate::imaging::{self, ChromaPlanes, ColourSpace, Depth, Lightness, Preprocessing, Rendering, Size};
use crate::metadata::{self, Account, Carried, Origin};

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
    /// What became of the scan's metadata.
    pub metadata: Account,
    /// Share of pixels whose colour the derivative's colour space cannot hold: their chroma was reduced, or under parity their channels clipped.
    pub out_of_gamut_share: f64,
}

/// `chroma` shows the content of the extent, padding cropped away: the picture in the scan. Its borders stay without colour.
pub(super) fn finish(facts: &Facts<'_>, chroma: &ChromaPlanes, watch: &mut Stopwatch) -> Result<Finished, StageError> {
    let (profile, prepared) = (facts.profile, facts.prepared);
    let scan = &prepared.scan;
    let lightness = prepared.lightness.as_ref().map_or(Lightness::Source, Lightness::Replaced);
    let format = profile.format.of(scan.header.format);
    // A JPEG has 8 bits: what is rounded once is not rounded twice.
    let depth = if format == Format::Jpeg { Depth::Eight } else { Depth::of(scan.header.bit_depth) };
    let rendering = Rendering { saturation: profile.saturation, space: profile.encode.colour_space };
    let recombined = watch.time("recombine", || match profile.preprocessing {
        Preprocessing::Fit => imaging::recombine_within(&scan.image, prepared.area.rect, lightness, chroma, depth, rendering),
        Preprocessing::Parity => imaging::parity_recombine(&scan.image, chroma, depth),
    });
    let (bit_depth, size) = (recombined.image.bit_depth(), recombined.image.size());
    let (carried, metadata) = watch.time("metadata", || carry(facts, format, size));
    let bytes = watch.time("encode", || codec::encode(&recombined.image, format, &profile.encode, &carried))?;
    let against = match profile.preprocessing {
        Preprocessing::Fit => Against::Scan(&scan.image, lightness, profile.encode.colour_space),
        // Clipping colours changes their lightness: that is the authors' way, and no fault of the file.
        Preprocessing::Parity => Against::Encoded(profile.encode.colour_space),
    };
    let verified = watch.time("verify", || codec::verify(&bytes, recombined.image, format, against))?;
    let digest = watch.time("hash", || Digest::of(&bytes));
    let out_of_gamut_share = recombined.out_of_gamut_share;
    Ok(Finished { bytes, digest, format, size, bit_depth, verified, metadata, out_of_gamut_share })
}

/// What the scan says of itself and what the derivative says of its making.
fn carry(facts: &Facts<'_>, format: Format, size: Size) -> (Carried, Account) {
    let Facts { scan, profile, prepared, .. } = facts;
    let model = &profile.scene(prepared.route.scene).model;
    let origin = Origin {
        file_name: &scan.relative.file_name().unwrap_or_default().to_string_lossy(),
        source_sha256: scan.digest,
        recipe_sha256: profile.recipe.digest(),
        job: scan.job.id,
        made_at: &facts.made_at.to_string(),
        software: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
        model: &model.id,
        model_sha256: model.sha256,
        precision: &facts.precision.observed.to_string(),
        scene: prepared.route.scene.as_str(),
        media_type: format.media_type(),
        size: (size.width, size.height),
        dpi: prepared.scan.dpi,
        turned: prepared.scan.orientation != 1,
        is_srgb: profile.encode.colour_space == ColourSpace::Srgb,
    };
    metadata::carry(&prepared.scan.metadata, &origin, profile.metadata, format.room())
}
