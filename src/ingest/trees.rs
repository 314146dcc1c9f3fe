//! Refuses trees that would feed derivatives back into the program, or one file to two collections.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// Two trees of the configuration lie in each other's way.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Derivatives would be ingested as scans.
    #[error("output tree {} lies in ingest root {}", output.display(), ingest.display())]
    OutputInIngest {
        /// As configured.
        output: PathBuf,
        /// As configured.
        ingest: PathBuf,
    },
    /// Derivatives would be published between scans.
    #[error("ingest root {} lies in output tree {}", ingest.display(), output.display())]
    IngestInOutput {
        /// As configured.
        ingest: PathBuf,
        /// As configured.
        output: PathBuf,
    },
    /// One file would belong to two collections.
    #[error("ingest root {} lies in ingest root {} of another collection", inner.display(), outer.display())]
    IngestInIngest {
        /// As configured.
        inner: PathBuf,
        /// As configured.
        outer: PathBuf,
    },
}

impl TreeError {
    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OutputInIngest { .. } | Self::IngestInOutput { .. } => {
                Some("give scans and derivatives folders beside each other; links and mounts count as what they lead to")
            }
            Self::IngestInIngest { .. } => Some("give every collection an ingest root of its own, none inside another"),
        }
    }
}

/// Refuses an output tree in an ingest root, the reverse, and an ingest root in another, also through links and second
/// mounts. Each ingest root comes with the output trees of its collection. Paths need not exist yet. Several collections may share an
/// output tree.
pub fn check_trees(trees: &[(PathBuf, Vec<PathBuf>)]) -> Result<(), TreeError> {
    let ingests: Vec<_> = trees.iter().map(|(ingest, _)| Place::of(ingest)).collect();
    let outputs: Vec<_> = trees.iter().flat_map(|(_, outputs)| outputs).map(|output| Place::of(output)).collect();
    for (index, ingest) in ingests.iter().enumerate() {
        let mut others = ingests.iter().enumerate().filter(|(other, _)| *other != index);
        if let Some((_, outer)) = others.find(|(_, outer)| ingest.is_in(outer)) {
            return Err(TreeError::IngestInIngest { inner: ingest.shown.clone(), outer: outer.shown.clone() });
        }
        for output in &outputs {
            if output.is_in(ingest) {
                return Err(TreeError::OutputInIngest { output: output.shown.clone(), ingest: ingest.shown.clone() });
            }
            if ingest.is_in(output) {
                return Err(TreeError::IngestInOutput { ingest: ingest.shown.clone(), output: output.shown.clone() });
            }
        }
    }
    Ok(())
}

/// Where a configured path really leads.
struct Place {
    shown: PathBuf,
    /// Without links, as far as it exists; the rest as written.
    real: PathBuf,
    /// Device and inode of the path itself, if it exists.
    own: Option<(u64, u64)>,
    /// Device and inode of every existing directory on the way to it, itself included.
    way: Vec<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> Self {
        // Only an empty path or a lost working directory has no absolute form; both are refused elsewhere.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // As many links as the kernel follows before it says ELOOP.
        let real = resolve(&absolute, 40);
        let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        Self { shown: path.to_owned(), own: identity(&real), way: real.ancestors().filter_map(identity).collect(), real }
    }

    fn is_in(&self, other: &Self) -> bool {
        self.real.starts_with(&other.real) || other.own.is_some_and(|own| self.way.contains(&own))
    }
}

/// The path without links: its nearest existing ancestor canonical, what is missing appended as written. A link to what
/// does not exist yet is followed too.
fn resolve(path: &Path, links: u32) -> PathBuf {
    let mut missing: Vec<OsString> = Vec::new();
    for ancestor in path.ancestors() {
        if let Ok(found) = fs::canonicalize(ancestor) {
            return append(found, missing.iter().rev());
        }
        if links > 0
            && let (Ok(target), Some(parent)) = (fs::read_link(ancestor), ancestor.parent())
        {
            return append(resolve(&parent.join(target), links - 1), missing.iter().rev());
        }
        if let Some(last) = ancestor.components().next_back() {
            missing.push(last.as_os_str().to_owned());
        }
    }
    path.to_owned()
}

fn append<'a>(mut path: PathBuf, names: impl Iterator<Item = &'a OsString>) -> PathBuf {
    for name in names {
        match Path::new(name).components().next() {
            Some(Component::ParentDir) => drop(path.pop()),
            _ => path.push(name),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn museum() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["in/glass", "in/paper", "out"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        dir
    }

    fn check(dir: &tempfile::TempDir, trees: &[(&str, &str)]) -> Result<(), TreeError> {
        let trees: Vec<_> = trees.iter().map(|(a, b)| (dir.path().join(a), vec![dir.path().join(b)])).collect();
        check_trees(&trees)
    }

    #[test]
    fn trees_beside_each_other_are_fine_even_when_they_do_not_exist_yet() {
        let dir = museum();
        check(&dir, &[("in/glass", "out/glass"), ("in/paper", "out/paper")]).unwrap();
        check(&dir, &[("in/glass", "out"), ("in/paper", "out")]).unwrap();
        check(&dir, &[("later/in", "later/out")]).unwrap();
        check(&dir, &[("in/glass", "in/glass-coloured")]).unwrap();
    }

    #[test]
    fn derivatives_never_land_where_scans_are_found() {
        let dir = museum();
        let inside =
            [("in/glass", "in/glass"), ("in/glass", "in/glass/not/yet"), ("in/glass", "out/../in/glass/x"), ("later", "later/x")];
        for pair in inside {
            let error = check(&dir, &[pair]).unwrap_err();
            assert!(matches!(error, TreeError::OutputInIngest { .. }), "{pair:?}: {error}");
            assert!(!error.to_string().contains('\n') && error.hint().is_some());
        }
        assert!(matches!(check(&dir, &[("in/glass", "in")]), Err(TreeError::IngestInOutput { .. })));
        let across = check(&dir, &[("in/glass", "out"), ("in/paper", "in/glass/x")]);
        assert!(matches!(across, Err(TreeError::OutputInIngest { .. })));
    }

    #[test]
    fn one_file_never_belongs_to_two_collections() {
        let dir = museum();
        for pair in [("in/glass", "in/glass"), ("in", "in/glass"), ("in/glass", "in")] {
            let error = check(&dir, &[(pair.0, "out"), (pair.1, "out")]);
            assert!(matches!(error, Err(TreeError::IngestInIngest { .. })), "{pair:?}");
        }
    }

    #[test]
    fn links_count_as_what_they_lead_to() {
        let dir = museum();
        symlink(dir.path().join("in/glass"), dir.path().join("link")).unwrap();
        symlink("in/glass/later", dir.path().join("dangling")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        for output in ["link", "link/not/yet", "dangling", "dangling/x"] {
            assert!(matches!(check(&dir, &[("in/glass", output)]), Err(TreeError::OutputInIngest { .. })), "{output}");
        }
        assert!(matches!(check(&dir, &[("link", "in/glass/x")]), Err(TreeError::OutputInIngest { .. })));
        check(&dir, &[("in/glass", "loop/x")]).unwrap();
    }

    #[test]
    fn a_second_mount_of_the_same_directory_counts_as_the_directory() {
        let dir = museum();
        let mounted = Command::new("mount").arg("--bind").arg(dir.path().join("in/glass")).arg(dir.path().join("out")).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("NOT TESTED: mounting needs rights that this user does not have");
            return;
        }
        let error = check(&dir, &[("in/glass", "out/x")]);
        assert!(Command::new("umount").arg(dir.path().join("out")).status().unwrap().success());
        assert!(matches!(error, Err(TreeError::OutputInIngest { .. })), "{error:?}");
    }
}
