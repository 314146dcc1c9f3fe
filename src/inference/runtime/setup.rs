//! Fetches the pinned ONNX Runtime package with pip and installs the libraries it holds.
//!
//! pip brings what an archive's machine already has: proxies, mirrors and certificates in its configuration. The package
//! is pinned for pip, and each library once more after unpacking; only then does the directory get its name, so what is
//! installed is whole or not there. Whether it is there is asked by hashing it: 30 MB, or 310 MB for CUDA, take less than a
//! second, and a stamp would vouch for bytes nobody looked at.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::pins::{Package, VERSION};
use super::{RuntimeError, RuntimeKind, data_directory};
use crate::digest::Digest;

/// How often the growing file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the CUDA build needs besides itself, for whoever reads the report.
const CUDA_NOTE: &str = "the CUDA build also needs an NVIDIA driver, and CUDA 13 and cuDNN 9 libraries where the loader finds them \
                         (system packages, or their directories in LD_LIBRARY_PATH)";

/// Copies the named members of a wheel's `onnxruntime/capi/` into a directory; arguments: wheel, directory, members.
const UNPACK: &str = "import os, shutil, sys, zipfile
wheel, directory, *names = sys.argv[1:]
with zipfile.ZipFile(wheel) as package:
    for name in names:
        with package.open('onnxruntime/capi/' + name) as source, open(os.path.join(directory, name), 'xb') as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
";

/// Progress of [`setup`].
#[derive(Debug, Clone, Copy)]
pub struct SetupProgress {
    step: &'static str,
    total_bytes: u64,
    done_bytes: u64,
}

impl SetupProgress {
    /// What is being done, in a word or two.
    pub const fn step(&self) -> &'static str {
        self.step
    }

    /// Bytes the step has to do.
    pub const fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes of them that are done; 0 while pip takes the package from its cache.
    pub const fn done_bytes(&self) -> u64 {
        self.done_bytes
    }
}

/// What [`setup`] came to.
#[derive(Debug)]
pub struct SetupReport {
    /// Nothing had to be done: every installed library matched its pin.
    pub already_there: bool,
    /// Version of ONNX Runtime.
    pub version: String,
    /// The library, `libonnxruntime.so.…`.
    pub library: PathBuf,
    /// What else has to be on the machine, if anything.
    pub note: Option<&'static str>,
}

/// Installs the pinned package in the per-user data directory, unless it is there. Safe to run twice, also at once.
pub fn setup(kind: RuntimeKind, progress: &mut dyn FnMut(SetupProgress)) -> Result<SetupReport, RuntimeError> {
    let name = if kind == RuntimeKind::Cuda { "onnxruntime-gpu" } else { "onnxruntime" };
    let package = Package::of(kind, env::consts::ARCH);
    let package = package.ok_or(RuntimeError::NoPackage { package: name, machine: env::consts::ARCH })?;
    install(package, &data_directory()?, progress)
}

fn install(package: &Package, root: &Path, progress: &mut dyn FnMut(SetupProgress)) -> Result<SetupReport, RuntimeError> {
    let home = root.join(package.directory());
    let report = |already_there| SetupReport {
        already_there,
        version: VERSION.to_owned(),
        library: home.join(package.library().name),
        note: (package.kind == RuntimeKind::Cuda).then_some(CUDA_NOTE),
    };
    DirBuilder::new().recursive(true).create(root).map_err(disk(root))?;
    let _lock = lock(root)?;
    if home.is_dir() && package.verify(&home).is_ok() {
        return Ok(report(true));
    }
    let work = Workplace::new(root)?;
    let wheel = download(package, &work, progress)?;
    let unpacked = work.directory("unpacked")?;
    unpack(package, &wheel, &unpacked, progress)?;
    package.verify(&unpacked)?;
    replace(&unpacked, &home, &work)?;
    Ok(report(false))
}

fn disk(path: &Path) -> impl FnOnce(io::Error) -> RuntimeError {
    let path = path.to_owned();
    move |source| RuntimeError::Disk { path, source }
}

/// Waits until no other `setup` is at work on the directory.
fn lock(root: &Path) -> Result<File, RuntimeError> {
    let path = root.join(".setup.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(disk(&path))?;
    file.lock().map_err(disk(&path))?;
    Ok(file)
}

/// A directory of our own beside the place of installation, gone when we are; on the same volume, so that the last step is
/// a rename.
struct Workplace(PathBuf);

impl Workplace {
    /// Under the lock nobody else has one: what an interrupted run left is cleared away.
    fn new(root: &Path) -> Result<Self, RuntimeError> {
        let path = root.join(".setup");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(&path)(error)),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&path).map_err(disk(&path))?;
        Ok(Self(path))
    }

    fn directory(&self, name: &str) -> Result<PathBuf, RuntimeError> {
        let path = self.0.join(name);
        DirBuilder::new().create(&path).map_err(disk(&path))?;
        Ok(path)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What stays is cleared by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Has pip fetch the wheel; gives back where it is.
fn download(package: &Package, work: &Workplace, progress: &mut dyn FnMut(SetupProgress)) -> Result<PathBuf, RuntimeError> {
    let wheels = work.directory("wheels")?;
    let requirements = work.0.join("requirements.txt");
    write(&requirements, &format!("{} --hash=sha256:{}\n", package.requirement(), package.sha256))?;
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:"]);
    command.args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]);
    // The wheel's tags, whatever Python this machine has: only the libraries in it are used.
    command.args(["--platform", package.platform, "--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"]);
    command.arg("-d").arg(&wheels).arg("-r").arg(&requirements);
    // pip downloads into its temporary directory and moves the file when it is whole; here both are on one volume, and the
    // growing file can be watched.
    command.env("TMPDIR", work.directory("tmp")?);
    let (status, said) = watch(&mut command, &work.0, "pip", &mut || {
        let done_bytes = bytes_below(&work.0).min(package.bytes);
        progress(SetupProgress { step: "download", total_bytes: package.bytes, done_bytes });
    })?;
    if !status.success() {
        return Err(pip_error(package, &said));
    }
    let found = fs::read_dir(&wheels).map_err(disk(&wheels))?.filter_map(Result::ok).map(|entry| entry.path());
    let wheel = found.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let wheel = wheel.ok_or_else(|| RuntimeError::Download {
        package: package.requirement(),
        detail: "pip ended well but left no wheel".to_owned(),
    })?;
    // pip has compared the digest; a pip that does not know --require-hashes would not have.
    let (found, _) = File::open(&wheel).and_then(Digest::of_reader).map_err(disk(&wheel))?;
    if found.to_string() != package.sha256 {
        return Err(RuntimeError::Package { package: package.requirement() });
    }
    Ok(wheel)
}

/// What pip's output means.
fn pip_error(package: &Package, said: &str) -> RuntimeError {
    if said.contains("No module named pip") {
        return RuntimeError::Pip;
    }
    let requirement = package.requirement();
    if said.contains("DO NOT MATCH THE HASHES") {
        return RuntimeError::Package { package: requirement };
    }
    RuntimeError::Download { package: requirement, detail: last_line(said, "ERROR:") }
}

/// The last line that starts with `mark`, without it, else the last line of all.
fn last_line(said: &str, mark: &str) -> String {
    let lines = || said.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let marked = lines().find_map(|line| line.strip_prefix(mark)).map(str::trim);
    marked.or_else(|| lines().next()).unwrap_or("it said nothing").to_owned()
}

fn unpack(package: &Package, wheel: &Path, target: &Path, progress: &mut dyn FnMut(SetupProgress)) -> Result<(), RuntimeError> {
    let total_bytes = package.files.iter().map(|file| file.bytes).sum();
    let mut command = Command::new("python3");
    command.args(["-I", "-c", UNPACK]).arg(wheel).arg(target).args(package.files.iter().map(|file| file.name));
    let logs = target.parent().expect("the target is inside the workplace");
    let (status, said) = watch(&mut command, logs, "unpack", &mut || {
        progress(SetupProgress { step: "unpack", total_bytes, done_bytes: bytes_below(target).min(total_bytes) });
    })?;
    match status.success() {
        true => Ok(()),
        false => Err(RuntimeError::Unpack { package: package.requirement(), detail: last_line(&said, "OSError:") }),
    }
}

/// Puts the verified directory where it is looked for. An altered one that is there steps aside first.
fn replace(unpacked: &Path, home: &Path, work: &Workplace) -> Result<(), RuntimeError> {
    #[expect(clippy::disallowed_methods, reason = "installing a library is a rename inside the program's own data directory")]
    let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(disk(to));
    sync(unpacked)?;
    if home.exists() {
        rename(home, &work.0.join("old"))?;
    }
    rename(unpacked, home)?;
    sync(home.parent().expect("the installation is inside the data directory"))
}

fn sync(directory: &Path) -> Result<(), RuntimeError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(disk(directory))
}

fn write(path: &Path, text: &str) -> Result<(), RuntimeError> {
    let create = || File::options().create_new(true).write(true).open(path);
    create().and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes())).map_err(disk(path))
}

/// Runs a child to its end, calling `look` now and then; gives back its output, both streams in one.
fn watch(command: &mut Command, logs: &Path, name: &str, look: &mut dyn FnMut()) -> Result<(ExitStatus, String), RuntimeError> {
    let path = logs.join(format!("{name}.log"));
    // A file instead of a pipe: nobody has to drain it.
    let log = File::options().create_new(true).append(true).open(&path).map_err(disk(&path))?;
    let twin = log.try_clone().map_err(disk(&path))?;
    let child = command.stdin(Stdio::null()).stdout(log).stderr(twin).spawn();
    let mut child = Reaped(child.map_err(|source| RuntimeError::Python { source })?);
    let status = loop {
        look();
        match child.0.try_wait().map_err(|source| RuntimeError::Python { source })? {
            Some(status) => break status,
            None => thread::sleep(LOOK_AGAIN),
        }
    };
    look();
    let said = fs::read(&path).map_err(disk(&path))?;
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

/// A child that does not outlive us, whatever happens between.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Bytes of all files below a directory; files that come and go meanwhile do not matter.
fn bytes_below(directory: &Path) -> u64 {
    let files = walkdir::WalkDir::new(directory).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make and change their own files")]
mod tests {
    use super::*;

    fn package() -> &'static Package {
        Package::of(RuntimeKind::Cpu, "x86_64").unwrap()
    }

    #[test]
    fn pip_s_complaints_become_errors_an_operator_can_act_on() {
        assert!(matches!(pip_error(package(), "/usr/bin/python3: No module named pip\n"), RuntimeError::Pip));
        let mismatch =
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    Expected sha256 1\n         Got 2\n";
        assert!(matches!(pip_error(package(), mismatch), RuntimeError::Package { .. }));
        let offline = "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution found for onnxruntime==1.31.1\n\n";
        let error = pip_error(package(), offline);
        assert_eq!(
            error.to_string(),
            "onnxruntime==1.31.1 cannot be fetched: No matching distribution found for onnxruntime==1.31.1"
        );
        assert!(pip_error(package(), "").to_string().ends_with("it said nothing"));
    }

    #[test]
    fn an_installation_steps_in_place_of_an_altered_one() {
        let dir = tempfile::tempdir().unwrap();
        let work = Workplace::new(dir.path()).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(home.join("old"), b"altered").unwrap();
        let unpacked = work.directory("unpacked").unwrap();
        fs::write(unpacked.join("new"), b"pinned").unwrap();
        replace(&unpacked, &home, &work).unwrap();
        assert!(home.join("new").is_file() && !home.join("old").exists());
        drop(work);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["home"]);
    }

    #[test]
    fn a_wheel_without_the_libraries_is_an_error_with_python_s_reason() {
        let dir = tempfile::tempdir().unwrap();
        let (work, wheel) = (Workplace::new(dir.path()).unwrap(), dir.path().join("x.whl"));
        // An empty zip archive is its end record alone (APPNOTE 4.3.16).
        fs::write(&wheel, [b"PK\x05\x06".as_slice(), &[0; 18]].concat()).unwrap();
        let target = work.directory("unpacked").unwrap();
        let error = unpack(package(), &wheel, &target, &mut |_| {}).unwrap_err();
        assert!(matches!(&error, RuntimeError::Unpack { detail, .. } if detail.contains("no item named")), "{error}");
    }

    #[test]
    fn bytes_are_counted_below_directories() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b"), [0; 10]).unwrap();
        fs::write(dir.path().join("c"), [0; 5]).unwrap();
        assert_eq!(bytes_below(dir.path()), 15);
    }
}
