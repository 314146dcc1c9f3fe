//! Decides where the sessions of an engine run, and says what that device is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nvml_wrapper::Nvml;
use serde::Serialize;
use tracing::{info, warn};

use super::error::with_cause;
use super::options::MemoryUse;
use super::runtime::{self, Loaded};
use super::session::Place;
use super::{EngineSettings, InferenceError, Provider, ProviderChoice, native, trial};

/// What the device says of itself.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceReport {
    /// Provider at work.
    pub provider: Provider,
    /// Why, when it was not named in the configuration.
    pub reason: Option<String>,
    /// Name of the card or the processor.
    pub name: Option<String>,
    /// Version of the NVIDIA driver.
    pub driver: Option<String>,
    /// Version of ONNX Runtime.
    pub runtime_version: Option<String>,
    /// Version of the CUDA runtime.
    pub cuda: Option<String>,
    /// Version of cuDNN.
    pub cudnn: Option<String>,
}

impl DeviceReport {
    /// The processor of the same machine, for what the card had no memory for.
    #[must_use]
    pub fn of_processor(&self) -> Self {
        processor_report(Some("the card had no memory for this picture".to_owned()), self.runtime_version.clone())
    }
}

/// Decides on a provider. CUDA is believed only after a trial run has given the right result on it.
pub(super) fn choose(loaded: &Loaded, settings: &EngineSettings) -> Result<(Place, DeviceReport), InferenceError> {
    let place = Place {
        environment: loaded.environment.clone(),
        provider: Provider::Cpu,
        threads: settings.threads,
        limit: None,
        memory: MemoryUse::default(),
        tf32: true,
    };
    let works = match settings.provider {
        ProviderChoice::Cpu => None,
        ProviderChoice::Cuda | ProviderChoice::Auto => Some(try_cuda(&loaded.library, &place)),
    };
    let (provider, reason) = decide(settings.provider, works)?;
    let report = report(provider, reason, &loaded.library);
    let name = report.name.as_deref().unwrap_or("a device that does not say its name");
    info!(provider = %provider, device = name, reason = report.reason.as_deref(), "Networks run on {name} ({provider})");
    Ok((Place { provider, ..place }, report))
}

/// `works`: how the trial on CUDA went, if there was one.
fn decide(choice: ProviderChoice, works: Option<Result<(), String>>) -> Result<(Provider, Option<String>), InferenceError> {
    match (choice, works) {
        (ProviderChoice::Cuda, Some(Ok(()))) => Ok((Provider::Cuda, None)),
        (ProviderChoice::Auto, Some(Ok(()))) => {
            Ok((Provider::Cuda, Some("auto: a trial run on CUDA gave the right result".into())))
        }
        (ProviderChoice::Auto, Some(Err(detail))) => {
            Ok((Provider::Cpu, Some(format!("auto: CUDA does not work here: {detail}"))))
        }
        (ProviderChoice::Cuda, Some(Err(detail))) => Err(InferenceError::Cuda { detail }),
        (ProviderChoice::Cpu, _) | (_, None) => Ok((Provider::Cpu, None)),
    }
}

/// Everything CUDA needs, in the order in which it is most usefully missed.
fn try_cuda(library: &Path, place: &Place) -> Result<(), String> {
    if !runtime::has_cuda(library) {
        return Err(format!("{} is the CPU build of ONNX Runtime", library.display()));
    }
    preload();
    // ONNX Runtime opens cuDNN only when an operator needs it, and has slower ways without: a card that works but is slow
    // would look well.
    ort::util::preload_dylib("libcudnn.so.9").map_err(|error| format!("cuDNN 9 cannot be loaded: {}", with_cause(&error)))?;
    trial::cuda(place)
}

/// Loads the NVIDIA libraries from the directories of `LD_LIBRARY_PATH`, so that all come from the place that was meant.
/// Where they are not all there, the loader goes on looking in its own way.
fn preload() {
    let path = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let directory_of = |name: &str| env::split_paths(&path).find(|directory: &PathBuf| directory.join(name).is_file());
    let (cuda, cudnn) = (directory_of("libcudart.so.13"), directory_of("libcudnn.so.9"));
    for (cuda, cudnn) in [(cuda.as_deref(), None), (None, cudnn.as_deref())] {
        if let Err(error) = ort::ep::cuda::preload_dylibs(cuda, cudnn) {
            warn!(error = %error, "NVIDIA's libraries in LD_LIBRARY_PATH are incomplete: the loader looks elsewhere");
        }
    }
}

fn report(provider: Provider, reason: Option<String>, library: &Path) -> DeviceReport {
    let runtime_version = native::runtime_version(library);
    match provider {
        Provider::Cpu => processor_report(reason, runtime_version),
        Provider::Cuda => {
            // Without the management library the card still works; the record says that its name is not known.
            let nvml = Nvml::init().ok();
            let nvml = nvml.as_ref();
            DeviceReport {
                provider,
                reason,
                name: nvml.and_then(|nvml| card(nvml)?.name().ok()),
                driver: nvml.and_then(|nvml| nvml.sys_driver_version().ok()),
                runtime_version,
                cuda: native::cuda_version().map(|version| format!("{}.{}", version / 1000, version % 1000 / 10)),
                cudnn: native::cudnn_version()
                    .map(|version| format!("{}.{}.{}", version / 10_000, version / 100 % 100, version % 100)),
            }
        }
    }
}

/// The card that CUDA counts first.
fn card(nvml: &Nvml) -> Option<nvml_wrapper::Device<'_>> {
    match native::cuda_bus_id() {
        Some(address) => nvml.device_by_pci_bus_id(address).ok(),
        None => nvml.device_by_index(0).ok(),
    }
}

/// Memory of the card that CUDA counts first, bytes; `None` where the driver's management library does not say.
fn memory() -> Option<nvml_wrapper::struct_wrappers::device::MemoryInfo> {
    let nvml = Nvml::init().ok()?;
    card(&nvml)?.memory_info().ok()
}

/// Memory of the card that nobody uses, bytes, if it is known.
pub(super) fn free_memory() -> Option<u64> {
    memory().map(|memory| memory.free)
}

/// Memory of the card in use, whoever uses it, bytes, if it is known.
pub(super) fn used_memory() -> Option<u64> {
    memory().map(|memory| memory.used)
}

fn processor_report(reason: Option<String>, runtime_version: Option<String>) -> DeviceReport {
    let name = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| processor(&text));
    DeviceReport { provider: Provider::Cpu, reason, name, driver: None, runtime_version, cuda: None, cudnn: None }
}

/// Asks the driver, again and again, how busy the card is.
#[derive(Debug)]
pub struct CardMeter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<f64>>,
}

impl CardMeter {
    /// Begins to ask, if there is a driver's management library to ask.
    pub fn start() -> Option<Self> {
        /// The driver renews its figure every sixth of a second to every second.
        const EVERY: Duration = Duration::from_millis(100);
        let nvml = Nvml::init().ok()?;
        card(&nvml)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let ask = move || {
            let device = card(&nvml)?;
            let (mut sum, mut count) = (0.0, 0_u32);
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(EVERY);
                if let Ok(rates) = device.utilization_rates() {
                    sum += f64::from(rates.gpu);
                    count += 1;
                }
            }
            (count > 0).then(|| sum / f64::from(count) / 100.0)
        };
        let thread = thread::Builder::new().name("card-meter".to_owned()).spawn(ask).ok()?;
        Some(Self { stop, thread })
    }

    /// Share of the time, 0..=1, in which some kernel ran, if the driver said so at least once.
    pub fn stop(self) -> Option<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok()?
    }
}

/// Name of the processor in the text of `/proc/cpuinfo`; Arm processors have none there.
fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_was_asked_for_and_does_not_work_is_an_error() {
        let error = decide(ProviderChoice::Cuda, Some(Err("no driver".into()))).unwrap_err();
        assert_eq!(error.to_string(), "CUDA does not work on this machine: no driver");
        assert!(error.hint().unwrap().contains("setup --cuda"));
    }

    #[test]
    fn auto_always_says_why() {
        let (provider, reason) = decide(ProviderChoice::Auto, Some(Err("no driver".into()))).unwrap();
        assert_eq!(provider, Provider::Cpu);
        assert!(reason.unwrap().contains("no driver"));
        let (provider, reason) = decide(ProviderChoice::Auto, Some(Ok(()))).unwrap();
        assert_eq!(provider, Provider::Cuda);
        assert!(reason.is_some());
    }

    #[test]
    fn a_named_provider_needs_no_reason() {
        assert_eq!(decide(ProviderChoice::Cpu, None).unwrap(), (Provider::Cpu, None));
        assert_eq!(decide(ProviderChoice::Cuda, Some(Ok(()))).unwrap(), (Provider::Cuda, None));
    }

    #[test]
    fn the_processor_is_named_as_the_kernel_names_it() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC  7763 64-Core\nflags\t: fpu\nmodel name\t: other\n";
        assert_eq!(processor(text).as_deref(), Some("AMD EPYC 7763 64-Core"));
        assert_eq!(processor("CPU part : 0xd40\n"), None);
    }
}
