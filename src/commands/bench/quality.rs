//! `bench --quality`: colour photographs are greyed, coloured by the whole line, and compared with what they were.

mod report;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::super::plain;
use crate::codec::{self, Carried, EncodeSettings, Format, TiffCompression};
use crate::config::Settings;
use crate::daemon;
use crate::digest::Digest;
use crate::failure::{Exit, Failure};
use crate::imaging::lab::srgb_to_lab;
use crate::imaging::{self, ColourSpace, ScanImage, Size};
use crate::inference::{Catalogue, ModelKind, Precision};
use crate::job::Disposition;
use crate::pipeline::{self, Made, Outcome, OutputFormat, Profile, ScanFile, StageError, Stopwatch, Workshop};
use crate::provenance::JobRecord;

use report::{LeftOut, Row};

pub(super) use report::Measured;

/// Extensions of files that are tried, in lower case.
const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "tif", "tiff"];

/// Mean chroma (Lab units) below which a picture has no colour to compare with: one unit is about the smallest difference
/// that is seen, and a ratio to less is a ratio to noise.
const LEAST_CHROMA: f32 = 1.0;

/// Colours every photograph of the directory and compares.
pub(super) fn measure(settings: &Settings, directory: &Path) -> Result<Measured, Failure> {
    let files = photographs(directory)?;
    let catalogue = Catalogue::open(&settings.models)?;
    let mut profile = daemon::common_profile(settings, &catalogue)?;
    // Without loss, and quickly made: what is compared is the colour, not an encoder.
    for output in &mut profile.outputs {
        (output.format, output.encode) = (OutputFormat::Fixed(Format::Tiff), LOSSLESS);
    }
    let (shop, device) = daemon::workshop(settings, &catalogue, [&profile])?;
    let device = serde_json::from_str(&device).expect("the report was written as JSON");
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.strip_prefix(directory).unwrap_or(&file).to_string_lossy().into_owned();
        tracing::info!("Colouring {}", plain(&name));
        match caught(|| picture(&shop, &profile, &file, &name)) {
            Ok(row) => rows.push(*row),
            Err(Trouble::Picture(reason)) => {
                tracing::warn!("Left {} out: {}", plain(&name), plain(&reason));
                left_out.push(LeftOut { file: name, reason });
            }
            Err(Trouble::Everything(failure)) => return Err(failure),
        }
    }
    if rows.is_empty() {
        let reasons: Vec<_> = left_out.iter().map(|one| format!("{}: {}", plain(&one.file), plain(&one.reason))).collect();
        let message = format!("no picture of {} could be measured: {}", plain(directory.display()), reasons.join("; "));
        return Err(Failure::text(Exit::Failed, message, HINT.to_owned()));
    }
    let colour = catalogue.entries().iter().filter(|entry| entry.kind == ModelKind::Colour);
    let used: BTreeSet<_> = rows.iter().map(|row| row.model.clone()).collect();
    let models = colour.filter(|entry| used.contains(&entry.id)).map(|entry| (entry.id.clone(), entry.sha256)).collect();
    Ok(Measured { directory: directory.to_owned(), device, models, rows, left_out })
}

const LOSSLESS: EncodeSettings =
    EncodeSettings { jpeg_quality: 100, tiff_compression: TiffCompression::None, colour_space: ColourSpace::Srgb };
const HINT: &str = "name a directory with colour photographs: JPEG, PNG or TIFF";

/// Why a picture has no row.
enum Trouble {
    /// It is about this picture; words for a person.
    Picture(String),
    /// No picture can be measured.
    Everything(Failure),
}

impl From<StageError> for Trouble {
    fn from(error: StageError) -> Self {
        match error.disposition {
            Disposition::Fatal => Self::Everything(Failure::text(Exit::Failed, error.reason, error.hint)),
            Disposition::Permanent | Disposition::Transient => {
                Self::Picture(format!("in stage {}: {}", error.stage, error.reason))
            }
        }
    }
}

/// An error and its causes, about one picture.
fn about(error: impl Into<anyhow::Error>) -> Trouble {
    Trouble::Picture(format!("{:#}", error.into()))
}

/// Decoders may panic on hostile files; then that file is left out.
fn caught<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let panicked = |_| Err(Trouble::Picture("the program hit a defect in itself while working on it".to_owned()));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

/// Greys one photograph, takes it through the whole line, and compares at its own size.
fn picture(shop: &Workshop, profile: &Profile, file: &Path, name: &str) -> Result<Box<Row>, Trouble> {
    let bytes = fs::read(file).map_err(about)?;
    let truth = codec::decode(&bytes, &profile.limits).map_err(about)?.image;
    if imaging::features(&truth, srgb_to_lab).chroma_mean < LEAST_CHROMA {
        return Err(Trouble::Picture("it has no colour to compare with".to_owned()));
    }
    let grey = codec::encode(&imaging::greyed(&truth), Format::Tiff, &LOSSLESS, &Carried::default());
    let grey = grey.map_err(about)?;
    let job = JobRecord { id: None, claim: None, failures: 0, collection: None };
    let scan = ScanFile { root: None, relative: Path::new(name), length: grey.len() as u64, digest: Digest::of(&grey), job };
    let (coloured, made) = derive(shop, profile, &scan, grey.clone())?;
    let quality = imaging::quality(&truth, &coloured).expect("a derivative has its scan's size");
    let record = made.record;
    // What half precision did to the colours, on the same weights and the same device.
    let against_fp32 = if record.precision.observed == Precision::Fp16.to_string() {
        let (full, _) = derive(shop, &Profile { precision: Precision::Fp32, ..profile.clone() }, &scan, grey)?;
        imaging::metrics::colour_difference(&full, &coloured)
    } else {
        None
    };
    Ok(Box::new(Row {
        file: name.to_owned(),
        scene: record.route.scene,
        size: truth.size(),
        extent: Size::new(record.extent.width, record.extent.height),
        model: record.model.id,
        precision: record.precision.observed,
        quality,
        against_fp32,
    }))
}

/// Takes a scan through the whole line and reads the derivative back.
fn derive(shop: &Workshop, profile: &Profile, scan: &ScanFile<'_>, bytes: Vec<u8>) -> Result<(ScanImage, Box<Made>), Trouble> {
    let made = match pipeline::make(shop, profile, scan, bytes, scan.relative, &mut Stopwatch::default())? {
        Outcome::Derivative(made) => made,
        Outcome::Skipped(reason) => return Err(Trouble::Picture(format!("skipped: {reason}"))),
    };
    let picture = codec::decode(&made.finished.bytes, &profile.limits).map_err(about)?.image;
    Ok((picture, made))
}

/// Every picture of the directory and those below it, in the order of their names. Links to directories are not followed.
fn photographs(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut found, mut folders) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(folder) = folders.pop() {
        let unreadable = |error| {
            let error = anyhow::Error::new(error).context(format!("{} cannot be read", plain(folder.display())));
            Failure::new(Exit::Failed, error, HINT.to_owned())
        };
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase);
            if entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(path);
            } else if extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
                found.push(path);
            }
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err(Failure::text(Exit::Failed, format!("no picture lies in {}", plain(directory.display())), HINT.to_owned())),
        false => Ok(found),
    }
}
