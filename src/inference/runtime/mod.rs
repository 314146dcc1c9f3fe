//! Where the ONNX Runtime library is, and loading it once for the whole process.
//!
//! `setup` fetches it, `pins` says which bytes it must have. What is done with it is the sessions' business.

mod error;
mod pins;
mod setup;
mod tested;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

pub use error::RuntimeError;
pub use setup::{SetupProgress, SetupReport, setup};
pub use tested::{Standing, TESTED, Tested};

use super::ProviderChoice;
use super::error::with_cause;
use pins::Package;

/// Oldest ONNX Runtime whose interface this program was built for: 1.24.
const OLDEST_MINOR: u32 = 24;

/// Which build of ONNX Runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeKind {
    /// Package `onnxruntime`: the CPU provider.
    Cpu,
    /// Package `onnxruntime-gpu`: CUDA 13 and the CPU provider.
    Cuda,
}

impl std::fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

/// The library a process without a wish for a provider would load; see [`locate_for`].
pub fn locate() -> Result<PathBuf, RuntimeError> {
    locate_for(ProviderChoice::Auto)
}

/// The library to load: the one `ORT_DYLIB_PATH` names, else one that `setup` installed. Where both builds are installed
/// the CUDA build serves `cuda` and `auto`, the CPU build `cpu`; where only one is, it serves all.
///
/// An installed library is hashed, and refused when its bytes are not the pinned ones: a library is code. One named by
/// `ORT_DYLIB_PATH` is its owner's to vouch for.
pub fn locate_for(choice: ProviderChoice) -> Result<PathBuf, RuntimeError> {
    locate_in(env::var_os("ORT_DYLIB_PATH").map(PathBuf::from), data_directory, choice)
}

fn locate_in(
    named: Option<PathBuf>,
    directory: impl FnOnce() -> Result<PathBuf, RuntimeError>,
    choice: ProviderChoice,
) -> Result<PathBuf, RuntimeError> {
    if let Some(path) = named.filter(|path| !path.as_os_str().is_empty()) {
        return if path.is_file() { Ok(path) } else { Err(RuntimeError::Named { path }) };
    }
    let directory = directory()?;
    let kinds = match choice {
        ProviderChoice::Cuda | ProviderChoice::Auto => [RuntimeKind::Cuda, RuntimeKind::Cpu],
        ProviderChoice::Cpu => [RuntimeKind::Cpu, RuntimeKind::Cuda],
    };
    for package in kinds.into_iter().filter_map(|kind| Package::of(kind, env::consts::ARCH)) {
        let installed = directory.join(package.directory());
        if installed.is_dir() {
            package.verify(&installed)?;
            return Ok(installed.join(package.library().name));
        }
    }
    Err(RuntimeError::NotInstalled { directory })
}

/// Where `setup` puts libraries: `$AUTOCHROME_DATA/runtime`, else `$XDG_DATA_HOME/autochrome/runtime`, else
/// `~/.local/share/autochrome/runtime` (XDG Base Directory Specification 0.8: relative values count as unset).
fn data_directory() -> Result<PathBuf, RuntimeError> {
    data_directory_from(|name| env::var_os(name).map(PathBuf::from))
}

fn data_directory_from(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, RuntimeError> {
    let own = variable("AUTOCHROME_DATA").filter(|path| !path.as_os_str().is_empty());
    if let Some(own) = own {
        return Ok(own.join("runtime"));
    }
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    base.map(|base| base.join("autochrome/runtime")).ok_or(RuntimeError::NoHome)
}

/// Whether the library comes with the CUDA provider, which ONNX Runtime looks for beside itself.
pub(super) fn has_cuda(library: &Path) -> bool {
    // ONNX Runtime resolves links before it looks beside itself.
    let real = fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    real.parent().is_some_and(|directory| directory.join("libonnxruntime_providers_cuda.so").is_file())
}

/// The process's one environment and the library it came from. Kept to the end of the process: ONNX Runtime allows one
/// for its lifetime, whoever asks.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// A loaded runtime.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) environment: Environment,
    pub(super) library: PathBuf,
}

/// Loads the library, or gives back the one this process has already loaded.
///
/// `ort` panics when it has to look for a library by itself, so nothing of it is called before this has succeeded.
pub(super) fn load(library: &Path) -> Result<Loaded, RuntimeError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = &*loaded {
        return Ok(loaded.clone());
    }
    let environment = environment(library)?;
    Ok(loaded.insert(Loaded { environment, library: library.to_owned() }).clone())
}

fn environment(library: &Path) -> Result<Environment, RuntimeError> {
    let unusable = |detail: String| RuntimeError::Load { path: library.to_owned(), detail };
    let minor = ort::util::probe(library);
    if let Some(minor) = minor.filter(|minor| *minor < OLDEST_MINOR) {
        return Err(RuntimeError::TooOld { path: library.to_owned(), minor });
    }
    let builder = ort::init_from(library).map_err(|error| match error {
        ort::LoadDynamicError::Dlopen { error, .. } => unusable(with_cause(&error)),
        other => unusable(other.to_string()),
    })?;
    if minor.is_none() {
        return Err(unusable("it is no ONNX Runtime 1.x".to_owned()));
    }
    let environment = builder.with_name("autochrome").with_telemetry(false).build();
    let environment = environment.map_err(|error| unusable(error.to_string()))?;
    // At `ort`'s default every allocation is formatted before the subscriber drops it.
    environment.set_log_level(LogLevel::Warning);
    Ok(environment)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make and change their own files")]
mod tests {
    use super::*;
    use crate::inference::ProviderChoice::{Auto, Cpu, Cuda};

    #[test]
    fn a_named_library_that_is_not_there_is_an_error_that_names_it() {
        let nowhere = || -> Result<PathBuf, RuntimeError> { panic!("a named library is not looked for elsewhere") };
        let error = locate_in(Some("/nowhere/libonnxruntime.so".into()), nowhere, Auto).unwrap_err();
        assert!(error.to_string().contains("/nowhere/libonnxruntime.so"), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_named_library_is_taken_before_an_installed_one() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("mine.so");
        fs::write(&library, b"x").unwrap();
        assert_eq!(locate_in(Some(library.clone()), || Ok(dir.path().to_owned()), Cpu).unwrap(), library);
    }

    #[test]
    fn without_a_library_the_operator_is_sent_to_setup() {
        let dir = tempfile::tempdir().unwrap();
        for named in [None, Some(PathBuf::new())] {
            let error = locate_in(named, || Ok(dir.path().to_owned()), Cuda).unwrap_err();
            assert!(matches!(error, RuntimeError::NotInstalled { .. }), "{error}");
            assert!(error.hint().unwrap().contains("autochrome setup"));
        }
    }

    #[test]
    fn an_installed_library_of_other_bytes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let package = Package::of(RuntimeKind::Cpu, env::consts::ARCH).expect("tests run where there is a package");
        let installed = dir.path().join(package.directory());
        fs::create_dir(&installed).unwrap();
        for file in package.files {
            fs::write(installed.join(file.name), b"not a library").unwrap();
        }
        let error = locate_in(None, || Ok(dir.path().to_owned()), Cpu).unwrap_err();
        assert!(matches!(error, RuntimeError::Altered { .. }), "{error}");
    }

    #[test]
    fn libraries_live_where_the_environment_says() {
        let from = |pairs: &[(&str, &str)]| {
            data_directory_from(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| PathBuf::from(pair.1)))
        };
        let is = |pairs: &[(&str, &str)], path: &str| assert_eq!(from(pairs).unwrap(), Path::new(path));
        let home = ("HOME", "/home/a");
        is(&[home], "/home/a/.local/share/autochrome/runtime");
        is(&[home, ("XDG_DATA_HOME", "/data")], "/data/autochrome/runtime");
        is(&[home, ("XDG_DATA_HOME", "data")], "/home/a/.local/share/autochrome/runtime");
        is(&[home, ("XDG_DATA_HOME", "/data"), ("AUTOCHROME_DATA", "/srv")], "/srv/runtime");
        assert!(matches!(from(&[]), Err(RuntimeError::NoHome)));
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("libonnxruntime.so");
        fs::write(&library, b"text").unwrap();
        assert!(matches!(environment(&library), Err(RuntimeError::Load { .. })));
    }
}
