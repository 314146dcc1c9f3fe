//! `colorize`: pictures through the whole line, now: no ledger and no daemon, the record beside each result.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Exit, Failure, plain, print};
use crate::cli::Colorize;
use crate::codec::{self, Format};
use crate::config::{OutputChoice, Settings};
use crate::daemon;
use crate::digest::Digest;
use crate::imaging::ColourSpace;
use crate::ingest::{self, Named};
use crate::job::Disposition;
use crate::pipeline::{self, Outcome, Profile, ScanFile, StageError, Stopwatch, Workshop};
use crate::provenance::JobRecord;
use crate::publish::{self, Existing, Publication};

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Named as derivatives are, in this directory.
    Directory(PathBuf),
    /// Under this name, of one scan.
    File { directory: PathBuf, name: PathBuf },
}

/// What came of one scan.
enum Made {
    Written {
        path: PathBuf,
        scene: String,
    },
    /// This scan was coloured by this recipe before.
    There(PathBuf),
    Skipped(String),
}

pub(super) async fn colorize(mut settings: Settings, request: &Colorize) -> Result<(), Failure> {
    let place = place(request)?;
    apply(&mut settings, request, &place)?;
    // What is typed now goes before what was written then.
    let sidecars = request.scene.is_none();
    let request = request.files.clone();
    // Networks load and pictures are computed on threads that may block.
    let work = tokio::task::spawn_blocking(move || all(&settings, &request, &place, sidecars));
    work.await.map_err(|_| Failure::text(Exit::Failed, "the program hit a defect in itself", None))?
}

/// A directory, unless one scan is to become a file of another name.
fn place(request: &Colorize) -> Result<Place, Failure> {
    let Some(output) = &request.output else { return Ok(Place::Directory(PathBuf::from("."))) };
    let ends_as_directory = output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if output.is_dir() || ends_as_directory || request.files.len() > 1 && !output.exists() {
        return Ok(Place::Directory(output.clone()));
    }
    if request.files.len() > 1 {
        let text = format!("-o {}: is a file, and {} scans were named", plain(output.display()), request.files.len());
        return Err(Failure::text(Exit::Usage, text, "name a directory".to_owned()));
    }
    let name = output.file_name().ok_or_else(|| {
        let text = format!("-o {}: is neither a file's name nor a directory that is there", plain(output.display()));
        Failure::text(Exit::Usage, text, "end a directory's name with a slash to have it made".to_owned())
    })?;
    let directory = output.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    Ok(Place::File { directory: directory.to_owned(), name: PathBuf::from(name) })
}

/// What the command line says goes before the configuration.
fn apply(settings: &mut Settings, request: &Colorize, place: &Place) -> Result<(), Failure> {
    let profile = &mut settings.profile;
    let by_name = match place {
        Place::File { name, .. } => Some(format_of_name(name)?),
        Place::Directory(_) => None,
    };
    if let (Some(wanted), Some(named)) = (request.format, by_name)
        && wanted != named
    {
        let text = format!("--format {wanted} and -o {}, which is {named}, contradict each other", plain_place(place));
        return Err(Failure::text(Exit::Usage, text, "leave one of them out".to_owned()));
    }
    if let Some(format) = request.format.or(by_name) {
        profile.writing.format = OutputChoice::Fixed(format);
    }
    let may_be_jpeg = matches!(profile.writing.format, OutputChoice::Source | OutputChoice::Fixed(Format::Jpeg));
    if profile.writing.encode.colour_space == ColourSpace::ProPhoto && may_be_jpeg {
        let text = "the steps of prophoto are too coarse for a JPEG";
        return Err(Failure::text(
            Exit::Usage,
            text,
            "name a file .tif or .png, or set output.colour_space to another".to_owned(),
        ));
    }
    if let Some(height) = request.height {
        for scene in [&mut profile.portrait, &mut profile.architecture, &mut profile.other] {
            (scene.extent.min_height, scene.extent.max_height) = (height, height);
        }
    }
    profile.precision = request.precision.unwrap_or(profile.precision);
    profile.rules.scene_override = request.scene.or(profile.rules.scene_override);
    Ok(())
}

fn plain_place(place: &Place) -> String {
    match place {
        Place::Directory(path) => plain(path.display()),
        Place::File { directory, name } => plain(directory.join(name).display()),
    }
}

/// The format that a file's name promises.
fn format_of_name(name: &Path) -> Result<Format, Failure> {
    let extension = name.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase);
    match extension.as_deref() {
        Some("jpg" | "jpeg") => Ok(Format::Jpeg),
        Some("png") => Ok(Format::Png),
        Some("tif" | "tiff") => Ok(Format::Tiff),
        _ => {
            let text = format!("-o {}: the name does not say a format", plain(name.display()));
            Err(Failure::text(Exit::Usage, text, "end it with .jpg, .png or .tif, or name a directory".to_owned()))
        }
    }
}

fn all(settings: &Settings, files: &[PathBuf], place: &Place, sidecars: bool) -> Result<(), Failure> {
    let (catalogue, _) = daemon::profiles(settings)?;
    let profile = daemon::common_profile(settings, &catalogue)?;
    let bar = std::io::stderr().is_terminal().then(|| progress(files.len()));
    let say = |text: &str| {
        if let Some(bar) = &bar {
            bar.set_message(text.to_owned());
        }
    };
    say("loading the networks");
    let (shop, _) = daemon::workshop(settings, &catalogue, [&profile])?;
    let (mut failed, mut exit) = (0, Exit::Failed);
    for file in files {
        say(&plain(file.display()));
        let begun = Instant::now();
        let name = plain(file.display());
        let line = match pipeline::caught(|| one(&shop, &profile, file, place, sidecars)) {
            Ok(Made::Written { path, scene }) => {
                let seconds = begun.elapsed().as_secs_f64();
                format!("coloured  {name} -> {} ({scene}, {seconds:.1} s)\n", plain(path.display()))
            }
            Ok(Made::There(path)) => format!("unchanged {name} -> {}\n", plain(path.display())),
            Ok(Made::Skipped(reason)) => format!("skipped   {name}: {}\n", plain(reason)),
            Err(error) => {
                failed += 1;
                if error.stage == "publish" && error.disposition == Disposition::Fatal {
                    exit = Exit::Disk;
                }
                let hint = error.hint.map(|hint| format!(" (hint: {})", plain(hint))).unwrap_or_default();
                format!("failed    {name}: {}{hint}\n", plain(error.reason))
            }
        };
        match &bar {
            Some(bar) => bar.suspend(|| print(&line))?,
            None => print(&line)?,
        }
        if let Some(bar) = &bar {
            bar.inc(1);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::text(exit, format!("{failed} of {} scans were not coloured", files.len()), None)),
    }
}

fn progress(files: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} of {len}, {elapsed}: {msg}");
    let bar = ProgressBar::new(files as u64).with_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

/// One scan, file to file. `sidecars`: what a person wrote beside the scan is obeyed.
fn one(shop: &Workshop, profile: &Profile, file: &Path, place: &Place, sidecars: bool) -> Result<Made, StageError> {
    let decided;
    let profile = match sidecars.then(|| ingest::sidecar_beside(file)).flatten() {
        None => profile,
        Some(Err(reason)) => return Err(StageError::sidecar(reason)),
        Some(Ok(decision)) => match decision.verdict.scene() {
            None => return Ok(Made::Skipped(decision.to_string())),
            Some(scene) => {
                decided = profile.decided(scene, &decision);
                &decided
            }
        },
    };
    let bytes = read(file, profile.max_file_bytes)?;
    let digest = Digest::of(&bytes);
    let header = codec::read_header(&bytes, &profile.limits)?;
    let (output_root, relative) = match place {
        Place::File { directory, name } => (directory, name.clone()),
        Place::Directory(directory) => {
            let extension = profile.main().format.of(header.format).extension();
            let name = file.file_name().map_or_else(|| PathBuf::from("scan"), PathBuf::from);
            (directory, publish::derivative_path(&name, &digest, &profile.recipe.digest(), extension))
        }
    };
    let path = output_root.join(&relative);
    if pipeline::adopt(output_root, &relative, &digest, &profile.recipe.digest())?.is_some() {
        return Ok(Made::There(path));
    }
    // Publishing replaces a record without its picture as the remains of a crash. Here it may be anybody's file.
    if publish::existing(output_root, &relative)? != Existing::Nothing {
        let hint = "name another file, or move what is there away; nothing is ever overwritten".to_owned();
        return Err(StageError::refused("publish", format!("{} or its record is there already", path.display()), hint));
    }
    let job = JobRecord { id: None, claim: None, failures: 0, collection: None };
    let scan = ScanFile { root: None, relative: file, length: bytes.len() as u64, digest, job };
    let made = match pipeline::make(shop, profile, &scan, bytes, &relative, &mut Stopwatch::default())? {
        Outcome::Derivative(made) => made,
        Outcome::Skipped(reason) => return Ok(Made::Skipped(reason)),
    };
    publish::publish(&Publication {
        output_root,
        relative: &relative,
        image: &made.finished.bytes,
        record: made.record.to_json().as_bytes(),
        // No job has the number 0; chance keeps two of these apart, on whatever hosts they run.
        fence: &format!("0-{}", fastrand::u64(..)),
        min_free_bytes: profile.min_free_bytes,
    })?;
    Ok(Made::Written { path, scene: made.record.route.scene })
}

/// Reads a file once, within the bound.
fn read(file: &Path, max_bytes: u64) -> Result<Vec<u8>, StageError> {
    let failed = |error: std::io::Error| {
        let hint = "name a scan that you may read".to_owned();
        StageError::refused("read", format!("it cannot be read: {error}"), hint)
    };
    let (opened, length) = match ingest::open_named(file).map_err(failed)? {
        Named::File { file, length } => (file, length),
        Named::Directory => {
            let hint = "name its scans, or make it a collection's ingest root and use `autochrome once`".to_owned();
            return Err(StageError::refused("read", "it is a directory".to_owned(), hint));
        }
        Named::Other => {
            let hint = "save the scan as a file and name that; pipes, sockets and devices are not read".to_owned();
            return Err(StageError::refused("read", "it is no regular file".to_owned(), hint));
        }
    };
    ingest::read_at_most(&opened, length, max_bytes).map_err(failed)?.ok_or_else(|| {
        let hint = "raise limits.max_file_mib if such scans are expected".to_owned();
        StageError::refused("read", format!("it is larger than {} MiB", max_bytes >> 20), hint)
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::inference::Precision;
    use crate::routing::Scene;

    fn request(words: &[&str]) -> Colorize {
        match Cli::try_parse_from([&["autochrome", "colorize"], words].concat()).unwrap().command {
            Command::Colorize(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn settings() -> Settings {
        Settings::load(None, std::iter::empty()).unwrap().settings
    }

    fn placed(words: &[&str]) -> Result<(Settings, Place), String> {
        let (request, mut settings) = (request(words), settings());
        let place = place(&request).map_err(|error| error.to_string())?;
        apply(&mut settings, &request, &place).map_err(|error| error.to_string())?;
        Ok((settings, place))
    }

    #[test]
    fn results_go_where_they_are_sent() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().to_str().unwrap();
        let place = |words: &[&str]| placed(words).unwrap().1;
        assert_eq!(place(&["a.jpg"]), Place::Directory(".".into()));
        assert_eq!(place(&["a.jpg", "-o", there]), Place::Directory(there.into()));
        assert_eq!(place(&["a.jpg", "-o", "new/"]), Place::Directory("new/".into()));
        assert_eq!(place(&["a.jpg", "b.jpg", "-o", "new"]), Place::Directory("new".into()));
        assert_eq!(place(&["a.jpg", "-o", "b.PNG"]), Place::File { directory: ".".into(), name: "b.PNG".into() });
        let file = format!("{there}/b.tif");
        assert_eq!(place(&["a.jpg", "-o", &file]), Place::File { directory: there.into(), name: "b.tif".into() });
    }

    #[test]
    fn the_command_line_goes_before_the_configuration() {
        let words = ["a.jpg", "-o", "b.tiff", "--scene", "portrait", "--height", "640", "--precision", "fp32"];
        let profile = placed(&words).unwrap().0.profile;
        assert_eq!(profile.writing.format, OutputChoice::Fixed(Format::Tiff));
        assert_eq!((profile.rules.scene_override, profile.precision), (Some(Scene::Portrait), Precision::Fp32));
        for scene in [&profile.portrait, &profile.architecture, &profile.other] {
            assert_eq!((scene.extent.min_height, scene.extent.max_height), (640, 640));
        }
        assert_eq!(placed(&["a.jpg"]).unwrap().0.profile, settings().profile);
    }

    #[test]
    fn what_is_no_regular_file_is_refused_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo.png"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::os::unix::fs::symlink(at("fifo.png"), at("link.png")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket.png")).unwrap();
        let names = [at("fifo.png"), at("link.png"), at("socket.png"), PathBuf::from("/dev/zero")];
        let (tell, told) = std::sync::mpsc::channel();
        // A thread of its own: waiting for a FIFO's writer would never end.
        std::thread::spawn(move || names.iter().try_for_each(|name| tell.send(read(name, 1 << 20).unwrap_err())));
        for _ in 0..4 {
            let error = told.recv_timeout(std::time::Duration::from_secs(60)).expect("it is waited for");
            assert!(error.reason.contains("no regular file") && error.hint.is_some(), "{}", error.reason);
        }
    }

    #[test]
    fn contradictions_are_told_before_anything_is_loaded() {
        let told = |words: &[&str]| placed(words).unwrap_err();
        assert!(told(&["a.jpg", "-o", "b.png", "--format", "tiff"]).contains("contradict"));
        assert!(told(&["a.jpg", "-o", "b"]).contains("does not say a format"));
        let file = tempfile::NamedTempFile::with_suffix(".png").unwrap();
        assert!(told(&["a.jpg", "b.jpg", "-o", file.path().to_str().unwrap()]).contains("2 scans were named"));
        assert!(Cli::try_parse_from(["autochrome", "colorize", "a.jpg", "--scene", "document"]).is_err());
        assert!(Cli::try_parse_from(["autochrome", "colorize"]).is_err());
    }
}
