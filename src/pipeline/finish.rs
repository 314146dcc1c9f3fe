//! From chroma to a verified file: recombine, encode, decode once more and compare.

use super::record::assemble::Facts;
use super::{StageError, Stopwatch};
use crate::codec::{self, Against, EncodeSettings, Format, Verified};
use crate::digest::Digest;
use crate::imaging::{
    self, ChromaPlanes, ColourSpace, Depth, Label, Lightness, Preprocessing, Recombination, Rect, Rendering, Rows as _, Size,
};
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
    /// The visible mark.
    pub label: Label,
    /// What became of the scan's metadata.
    pub metadata: Account,
    /// Share of pixels whose colour the derivative's colour space cannot hold: their chroma was reduced, or under parity their channels clipped.
    pub out_of_gamut_share: f64,
}

/// `chroma` shows the content of the extent, padding cropped away: the picture in the scan. Its borders stay without colour.
pub(super) fn finish(facts: &Facts<'_>, chroma: &ChromaPlanes, watch: &mut Stopwatch) -> Result<Finished, StageError> {
    let (profile, prepared, output) = (facts.profile, facts.prepared, facts.output);
    let scan = &prepared.scan;
    let lightness = prepared.lightness.as_ref().map_or(Lightness::Source, Lightness::Replaced);
    let format = output.format.of(scan.header.format);
    let depth = depth_of(format, scan.header.bit_depth);
    let recombination = || {
        let rendering = Rendering { saturation: profile.saturation, space: output.encode.colour_space };
        Recombination::new(&scan.image, prepared.area.rect, lightness, chroma, depth, rendering)
    };
    let whole = scan.image.size();
    let (label, size) = (output.label(format), reduced_size(whole, output.max_side));
    let scale = f64::from(size.width) / f64::from(whole.width);
    if profile.preprocessing == Preprocessing::Fit && label == Label::Off && size == whole {
        let (carried, metadata) = watch.time("metadata", || carry(facts, format, size, scale));
        let made = watch.time("recombine", recombination);
        let file = unaltered(&made, format, &output.encode, &carried, watch)?;
        return Ok(file.finished(size, label, metadata, made.out_of_gamut_share(), watch));
    }
    let recombined = watch.time("recombine", || match profile.preprocessing {
        Preprocessing::Fit => recombination().whole(),
        Preprocessing::Parity => imaging::parity_recombine(&scan.image, chroma, depth),
    });
    let image =
        if size == whole { recombined.image } else { watch.time("reduce", || imaging::reduced(&recombined.image, size, depth)) };
    let area = scaled(prepared.area.rect, scale, size);
    let image = watch.time("label", || imaging::labelled(image, area, label));
    // A strip below makes it higher.
    let (bit_depth, size) = (image.bit_depth(), image.size());
    let (carried, metadata) = watch.time("metadata", || carry(facts, format, size, scale));
    let bytes = watch.time("encode", || codec::encode(&image, format, &output.encode, &carried))?;
    // Clipping colours changes their lightness: that is the authors' way, and no fault of the file. A reduced or labelled picture has no
    // pixel by pixel to compare with.
    let against = Against::Encoded(output.encode.colour_space);
    let verified = watch.time("verify", || codec::verify(&bytes, image, format, against))?;
    let file = VerifiedFile { bytes, format, bit_depth, verified };
    Ok(file.finished(size, label, metadata, recombined.out_of_gamut_share, watch))
}

/// A JPEG has 8 bits: what is rounded once is not rounded twice.
pub fn depth_of(format: Format, scan_bits: u8) -> Depth {
    if format == Format::Jpeg { Depth::Eight } else { Depth::of(scan_bits) }
}

/// A file that was decoded once more.
#[derive(Debug)]
pub struct VerifiedFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    format: Format,
    bit_depth: u8,
    verified: Verified,
}

impl VerifiedFile {
    fn finished(self, size: Size, label: Label, metadata: Account, out_of_gamut_share: f64, watch: &mut Stopwatch) -> Finished {
        let Self { bytes, format, bit_depth, verified } = self;
        let digest = watch.time("hash", || Digest::of(&bytes));
        Finished { bytes, digest, format, size, bit_depth, verified, label, metadata, out_of_gamut_share }
    }
}

/// Encodes a picture of the scan's own size with nothing added, and decodes it once more. A TIFF is recombined while it is encoded, so
/// that its samples are never there as a whole.
pub fn unaltered(
    made: &Recombination<'_>,
    format: Format,
    settings: &EncodeSettings,
    carried: &Carried,
    watch: &mut Stopwatch,
) -> Result<VerifiedFile, StageError> {
    let bit_depth = made.bit_depth();
    if format == Format::Tiff {
        let file = watch.time("encode", || codec::encode_strips(made, settings, carried))?;
        let verified = watch.time("verify", || codec::verify_strips(&file, made))?;
        return Ok(VerifiedFile { bytes: file.bytes, format, bit_depth, verified });
    }
    let image = watch.time("recombine", || made.whole()).image;
    let bytes = watch.time("encode", || codec::encode(&image, format, settings, carried))?;
    let against = Against::Scan(made.scan(), made.lightness(), made.space());
    let verified = watch.time("verify", || codec::verify(&bytes, image, format, against))?;
    Ok(VerifiedFile { bytes, format, bit_depth, verified })
}

/// The size with no side longer than `max_side`.
fn reduced_size(size: Size, max_side: Option<u32>) -> Size {
    let longest = size.width.max(size.height);
    let Some(max_side) = max_side.filter(|&max_side| max_side < longest) else { return size };
    let side = |side: u32| (f64::from(side) * f64::from(max_side) / f64::from(longest)).round().max(1.0) as u32;
    Size::new(side(size.width), side(size.height))
}

/// A rectangle of a scan in its reduced picture.
fn scaled(rect: Rect, scale: f64, size: Size) -> Rect {
    let at = |position: u32, most: u32| ((f64::from(position) * scale).round() as u32).min(most);
    let (left, top) = (at(rect.left, size.width - 1), at(rect.top, size.height - 1));
    let (right, bottom) = (at(rect.left + rect.width, size.width), at(rect.top + rect.height, size.height));
    Rect { left, top, width: right.saturating_sub(left).max(1), height: bottom.saturating_sub(top).max(1) }
}

/// What the scan says of itself and what the derivative says of its making.
/// Of a reduced picture `scale` is how much smaller it is: the same inches have fewer pixels.
fn carry(facts: &Facts<'_>, format: Format, size: Size, scale: f64) -> (Carried, Account) {
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
        dpi: prepared.scan.dpi.map(|(x, y)| (x * scale, y * scale)),
        turned: prepared.scan.orientation != 1,
        is_srgb: facts.output.encode.colour_space == ColourSpace::Srgb,
    };
    metadata::carry(&prepared.scan.metadata, &origin, profile.metadata, format.room())
}
