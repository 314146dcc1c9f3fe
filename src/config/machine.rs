//! What the machine has: cores, memory, and the models that came with the program.

use std::path::{Path, PathBuf};

/// Where a package puts the bundled models.
const INSTALLED: &str = "/usr/share/autochrome/models";

/// Facts about the machine that defaults depend on.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) cores: usize,
    /// Memory that this process may use, MiB: the machine's, or what its control group allows.
    pub(super) memory_mib: u64,
    /// Directory of the bundled models.
    pub(super) models: PathBuf,
}

impl Machine {
    pub(super) fn this() -> Self {
        let information = rustix::system::sysinfo();
        let memory_mib = u64::from(information.mem_unit).saturating_mul(information.totalram) >> 20;
        // Version 2 of control groups; "max" and a file that is not there mean no bound.
        let allowed = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let allowed = allowed.and_then(|text| text.trim().parse::<u64>().ok()).map_or(u64::MAX, |bytes| bytes >> 20);
        let has_catalogue = |directory: &Path| directory.join("models.toml").is_file();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_mib.min(allowed),
            models: bundled_models(std::env::current_exe().ok().as_deref(), has_catalogue),
        }
    }
}

/// The models that came with the program: beside it, in `share/` of the tree it is installed in, or in the checkout it was
/// built in; else where a package puts them.
fn bundled_models(executable: Option<&Path>, has_catalogue: impl Fn(&Path) -> bool) -> PathBuf {
    // target/debug/deps/autochrome lies three levels below a checkout.
    let nearby = executable.into_iter().flat_map(|path| path.ancestors().skip(1).take(4)).filter(|path| path.parent().is_some());
    let candidates = nearby.flat_map(|directory| [directory.join("models"), directory.join("share/autochrome/models")]);
    let mut found = candidates.filter(|directory| has_catalogue(directory));
    found.next().unwrap_or_else(|| PathBuf::from(INSTALLED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(executable: &str, models: &'static str) -> PathBuf {
        bundled_models(Some(Path::new(executable)), |directory| directory == Path::new(models))
    }

    #[test]
    fn the_models_are_found_beside_the_program_however_it_is_laid_out() {
        for (executable, models) in [
            ("/opt/autochrome/autochrome", "/opt/autochrome/models"),
            ("/usr/local/bin/autochrome", "/usr/local/share/autochrome/models"),
            ("/home/ada/checkout/target/release/autochrome", "/home/ada/checkout/models"),
        ] {
            assert_eq!(found(executable, models), Path::new(models), "{executable}");
        }
        assert_eq!(found("/usr/bin/autochrome", "/elsewhere"), Path::new(INSTALLED));
        assert_eq!(bundled_models(None, |_| true), Path::new(INSTALLED));
    }

    #[test]
    fn this_machine_has_cores_and_memory() {
        let machine = Machine::this();
        assert!(machine.cores >= 1 && machine.memory_mib > 64, "{machine:?}");
    }
}
