//! Which packages of ONNX Runtime this release uses, and the SHA-256 of every library taken from them.
//!
//! Taken from the packages of 1.31.1 as the package index served them in November 2026. A dlopened library is code, so
//! each is pinned like a dependency in a lock file.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{RuntimeError, RuntimeKind};
use crate::digest::Digest;

/// Version of every package below.
pub(super) const VERSION: &str = "1.31.1";

/// One file of a package that is installed.
#[derive(Debug)]
pub(super) struct PinnedFile {
    /// File name, in the package's `onnxruntime/capi/` and where it is installed.
    pub(super) name: &'static str,
    /// Length.
    pub(super) bytes: u64,
    /// SHA-256.
    pub(super) sha256: &'static str,
}

/// One package for one kind of machine.
#[derive(Debug)]
pub(super) struct Package {
    /// Which build.
    pub(super) kind: RuntimeKind,
    /// The machine, as Rust and Python name it.
    machine: &'static str,
    /// Name in the package index.
    pub(super) name: &'static str,
    /// Platform tag of the wheel.
    pub(super) platform: &'static str,
    /// Length of the wheel.
    pub(super) bytes: u64,
    /// SHA-256 of the wheel.
    pub(super) sha256: &'static str,
    /// What is taken out of it, the runtime itself first.
    pub(super) files: &'static [PinnedFile],
}

/// The shared part of all providers is the same file in both x86-64 packages.
const SHARED_X86_64: PinnedFile = PinnedFile {
    name: "libonnxruntime_providers_shared.so",
    bytes: 14_632,
    sha256: "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d",
};

/// Every package there is. `onnxruntime-gpu` has no wheel for aarch64.
const PACKAGES: &[Package] = &[
    Package {
        kind: RuntimeKind::Cpu,
        machine: "x86_64",
        name: "onnxruntime",
        platform: "manylinux_2_28_x86_64",
        bytes: 23_760_988,
        sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
        files: &[
            PinnedFile {
                name: "libonnxruntime.so.1.31.1",
                bytes: 29_352_200,
                sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
            },
            SHARED_X86_64,
        ],
    },
    Package {
        kind: RuntimeKind::Cpu,
        machine: "aarch64",
        name: "onnxruntime",
        platform: "manylinux_2_28_aarch64",
        bytes: 21_420_803,
        sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        files: &[
            PinnedFile {
                name: "libonnxruntime.so.1.31.1",
                bytes: 25_265_040,
                sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
            },
            PinnedFile {
                name: "libonnxruntime_providers_shared.so",
                bytes: 198_792,
                sha256: "3b6be288fbfb7dff8770d08a23defdde18e8f7e0f5a2b344a0e5e238c999ea88",
            },
        ],
    },
    Package {
        kind: RuntimeKind::Cuda,
        machine: "x86_64",
        name: "onnxruntime-gpu",
        platform: "manylinux_2_28_x86_64",
        bytes: 255_569_273,
        sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
        files: &[
            PinnedFile {
                name: "libonnxruntime.so.1.31.1",
                bytes: 29_421_832,
                sha256: "5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303",
            },
            SHARED_X86_64,
            PinnedFile {
                name: "libonnxruntime_providers_cuda.so",
                bytes: 284_014_752,
                sha256: "8387867e857499e045caff5d13ac6a5de29571c801562fa2dde0e45f1f31de52",
            },
        ],
    },
];

impl PinnedFile {
    /// The pin as a digest.
    pub(super) fn digest(&self) -> Digest {
        self.sha256.parse().expect("pins are 64 hexadecimal digits: a test parses each")
    }
}

impl Package {
    /// The package of a kind for a machine, as [`std::env::consts::ARCH`] names it.
    pub(super) fn of(kind: RuntimeKind, machine: &str) -> Option<&'static Self> {
        PACKAGES.iter().find(|package| package.kind == kind && package.machine == machine)
    }

    /// Name of the directory it is installed in: a new version never overwrites an old one that is in use.
    pub(super) fn directory(&self) -> String {
        format!("{}-{VERSION}", self.name)
    }

    /// The runtime itself.
    pub(super) fn library(&self) -> &'static PinnedFile {
        &self.files[0]
    }

    /// What pip is asked for.
    pub(super) fn requirement(&self) -> String {
        format!("{}=={VERSION}", self.name)
    }

    /// Hashes every installed file against its pin.
    pub(super) fn verify(&self, installed: &Path) -> Result<(), RuntimeError> {
        for file in self.files {
            let path = installed.join(file.name);
            let hashed = File::open(&path).and_then(Digest::of_reader);
            let (found, _) = hashed.map_err(|source: io::Error| RuntimeError::Disk { path: path.clone(), source })?;
            let expected = file.digest();
            if found != expected {
                return Err(RuntimeError::Altered { path, found, expected });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_a_digest_and_every_package_leads_with_the_runtime() {
        for package in PACKAGES {
            assert!(package.sha256.parse::<Digest>().is_ok(), "{}", package.name);
            assert!(package.platform.ends_with(package.machine), "{}", package.name);
            assert_eq!(package.library().name, format!("libonnxruntime.so.{VERSION}"));
            let unpacked: u64 = package.files.iter().map(|file| file.bytes).sum();
            assert!(package.bytes < unpacked, "a wheel is compressed");
            for file in package.files {
                assert_eq!(file.digest().to_string(), file.sha256, "{}", file.name);
                assert!(!file.name.contains('/'), "{}", file.name);
            }
        }
    }

    #[test]
    fn no_two_packages_of_a_machine_share_a_directory() {
        for machine in ["x86_64", "aarch64"] {
            let of_machine: Vec<_> = PACKAGES.iter().filter(|package| package.machine == machine).collect();
            let directories: std::collections::BTreeSet<_> = of_machine.iter().map(|package| package.directory()).collect();
            assert_eq!(directories.len(), of_machine.len());
        }
    }

    #[test]
    fn only_the_cuda_package_brings_the_cuda_provider() {
        for package in PACKAGES {
            let has = package.files.iter().any(|file| file.name == "libonnxruntime_providers_cuda.so");
            assert_eq!(has, package.kind == RuntimeKind::Cuda);
        }
        assert!(Package::of(RuntimeKind::Cuda, "aarch64").is_none());
        assert!(Package::of(RuntimeKind::Cpu, "riscv64").is_none());
    }
}
