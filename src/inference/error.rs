//! What can go wrong between a request and its result, and what the runtime's messages mean.

use std::io;

use super::ddcolor::CheckpointError;
use super::{CatalogueError, ForeignError, Provider, RuntimeError};
use crate::job::Disposition;

/// Inference went wrong.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// A model's file is not there or not the pinned one.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// ONNX Runtime is not there or cannot be loaded.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The weights file is pinned, but no network can be built from it.
    #[error("no network can be built from the weights of model {model}")]
    Checkpoint {
        /// The model.
        model: String,
        /// Why.
        #[source]
        source: CheckpointError,
    },
    /// The file is pinned, but it is not an ONNX network that can colour.
    #[error("the file of model {model} cannot be used")]
    Foreign {
        /// The model.
        model: String,
        /// Why.
        #[source]
        source: ForeignError,
    },
    /// The catalogue and the file say different things about the size of picture.
    #[error("model {model} takes {found}, and its catalogue entry says {expected}")]
    Size {
        /// The model.
        model: String,
        /// What the file takes.
        found: String,
        /// What the entry says.
        expected: String,
    },
    /// CUDA was asked for and does not work.
    #[error("CUDA does not work on this machine: {detail}")]
    Cuda {
        /// What the trial said.
        detail: String,
    },
    /// The inference thread cannot be started.
    #[error("the inference thread cannot be started")]
    Thread {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The engine was started without this model.
    #[error("model {model} is not loaded")]
    NotLoaded {
        /// The model, or its kind.
        model: String,
    },
    /// ONNX Runtime refuses a network.
    #[error("network {network} cannot be loaded: {detail}")]
    Load {
        /// The network.
        network: String,
        /// What the runtime says.
        detail: String,
    },
    /// What a network returned is not what its contract says.
    #[error("network {network} returned {found}, and {expected} was expected")]
    Contract {
        /// The network.
        network: String,
        /// What came.
        found: String,
        /// What should have come.
        expected: String,
    },
    /// A session did not run where it was meant to.
    #[error("network {network} was to run on {wanted} and did not: {found}")]
    Misplaced {
        /// The network.
        network: String,
        /// Where it was meant to run.
        wanted: Provider,
        /// Where it ran.
        found: String,
    },
    /// How a session ran cannot be read back, so nothing true could be recorded about it.
    #[error("how network {network} ran cannot be read back: {detail}")]
    Profile {
        /// The network.
        network: String,
        /// Why.
        detail: String,
    },
    /// The device, or the memory of the machine, has no room.
    #[error("network {network} found no memory on the device: {detail}")]
    OutOfMemory {
        /// The network.
        network: String,
        /// What the runtime says.
        detail: String,
    },
    /// The device is lost to this process.
    #[error("the device failed while network {network} ran: {detail}")]
    DeviceLost {
        /// The network.
        network: String,
        /// What the runtime says.
        detail: String,
    },
    /// A run failed for another reason.
    #[error("network {network} failed: {detail}")]
    Run {
        /// The network.
        network: String,
        /// What the runtime says.
        detail: String,
    },
    /// Even in FP32 the output holds values that are no numbers.
    #[error("network {network} gave no usable numbers in fp32: {detail}")]
    NonFinite {
        /// The network.
        network: String,
        /// How many.
        detail: String,
    },
    /// Even in FP32 the output has no chroma.
    #[error("network {network} gave no colour in fp32: {detail}")]
    Collapsed {
        /// The network.
        network: String,
        /// The statistics.
        detail: String,
    },
    /// Even in FP32 the output is no colour.
    #[error("network {network} gave impossible colours in fp32: {detail}")]
    Implausible {
        /// The network.
        network: String,
        /// The statistics.
        detail: String,
    },
    /// A network that is FP16 inside gave nothing usable, and there is no other form of it.
    #[error("network {network} is fp16 inside and has no fp32 twin to run instead: {detail}")]
    NoTwin {
        /// The network.
        network: String,
        /// What was wrong, with numbers.
        detail: String,
    },
    /// The inference thread met a defect; it goes on with fresh sessions.
    #[error("the inference thread hit a defect in itself: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// The inference thread is no more.
    #[error("the inference thread has ended")]
    Ended,
}

impl InferenceError {
    /// What it means for the job.
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Catalogue(_)
            | Self::Runtime(_)
            | Self::Checkpoint { .. }
            | Self::Foreign { .. }
            | Self::Size { .. }
            | Self::Cuda { .. }
            | Self::Thread { .. }
            | Self::NotLoaded { .. }
            | Self::Load { .. }
            | Self::Contract { .. }
            | Self::Misplaced { .. }
            | Self::Profile { .. }
            | Self::DeviceLost { .. }
            | Self::Ended => Disposition::Fatal,
            Self::OutOfMemory { .. } | Self::Run { .. } | Self::Panicked { .. } => Disposition::Transient,
            Self::NonFinite { .. } | Self::Collapsed { .. } | Self::Implausible { .. } | Self::NoTwin { .. } => {
                Disposition::Permanent
            }
        }
    }

    /// What an operator can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Catalogue(error) => error.hint(),
            Self::Runtime(error) => error.hint(),
            Self::Checkpoint { .. } => Some("use a DDColor checkpoint in safetensors form, or run `autochrome models list`"),
            Self::Foreign { source, .. } => source.hint(),
            Self::Size { .. } => Some("correct `size` in models.toml, or remove the model and import its file again"),
            Self::NoTwin { .. } => Some("use a model that is fp32 inside, or one in safetensors form, for such scans"),
            Self::Cuda { .. } => Some(
                "run `autochrome setup --cuda`, check `nvidia-smi` and that the loader finds CUDA 13 and cuDNN 9, or set \
                 device.provider to \"auto\" or \"cpu\"",
            ),
            Self::NotLoaded { .. } => Some("restart autochrome with the configuration that is meant"),
            Self::Load { .. } | Self::Contract { .. } => Some("run `autochrome models list` and `autochrome doctor`"),
            Self::Misplaced { .. } => Some("run `autochrome doctor`; set device.provider to \"cpu\" to go on without the card"),
            Self::Profile { .. } => Some("make sure the temporary directory (TMPDIR) exists and can be written"),
            Self::OutOfMemory { .. } => Some(
                "lower the heights of the scenes, keep fewer sessions, or check device.memory_mib and what else uses the device",
            ),
            Self::DeviceLost { .. } => {
                Some("restart autochrome; if it happens again, look at `nvidia-smi` and the kernel log for Xid")
            }
            Self::NonFinite { .. } | Self::Collapsed { .. } | Self::Implausible { .. } => {
                Some("look at the scan; another model or another height may cope with it")
            }
            Self::Panicked { .. } => Some("please report it with the scan"),
            Self::Ended => Some("restart autochrome; the log says why the thread ended"),
            Self::Thread { .. } | Self::Run { .. } => None,
        }
    }

    /// A run that should have left a profile and did not.
    pub(super) fn unprofiled(network: &str) -> Self {
        Self::Profile { network: network.to_owned(), detail: "the run left no profile".to_owned() }
    }

    /// Sorts an error of a running session.
    pub(super) fn from_run(network: &str, error: &ort::Error) -> Self {
        let (network, detail) = (network.to_owned(), plain(error.message()));
        match fault(error.code(), error.message()) {
            Fault::Memory => Self::OutOfMemory { network, detail },
            Fault::Device => Self::DeviceLost { network, detail },
            Fault::Other => Self::Run { network, detail },
        }
    }

    /// Sorts an error of a session that could not be made.
    pub(super) fn from_load(network: &str, error: &ort::Error) -> Self {
        let (network, detail) = (network.to_owned(), plain(error.message()));
        match fault(error.code(), error.message()) {
            Fault::Memory => Self::OutOfMemory { network, detail },
            Fault::Device => Self::DeviceLost { network, detail },
            Fault::Other => Self::Load { network, detail },
        }
    }
}

/// Where the runtime's messages of a full device begin to say so, after names of nodes and places in its source code.
const FULL: &[&str] = &["Available memory of", "Failed to allocate memory", "CUDA failure", "CUDA error"];

/// What a message of the runtime says, without the place in its source code it comes from.
fn plain(message: &str) -> String {
    if let Some(start) = FULL.iter().find_map(|words| message.rfind(words)) {
        return one_line(&message[start..]);
    }
    let marked = message.rsplit_once("[ONNXRuntimeError] : ").map(|(_, rest)| rest);
    // Number and name of the code come first.
    let said = marked.and_then(|rest| rest.splitn(3, " : ").nth(2));
    one_line(said.unwrap_or(message))
}

/// The runtime's messages run over lines; one line of bounded length goes into ledgers.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// An error and its cause: the loader's own words are in the cause.
pub(super) fn with_cause(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    one_line(&format!("{error}{cause}"))
}

/// What an error of the runtime is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Memory,
    Device,
    Other,
}

/// The runtime has no code of its own for a full device (onnxruntime issue 26648), so its words are looked at.
const MEMORY: &[&str] = &[
    "failed to allocate memory",
    "bfcarena",
    "out of memory",
    "out_of_memory",
    "alloc_failed",
    "available memory of",
    "bad_alloc",
    "bad allocation",
];

/// CUDA errors after which a context only repeats itself (CUDA runtime API, `cudaError`): unavailable or absent devices,
/// uncorrectable ECC and NVLink errors, illegal addresses and instructions, timeouts, asserts, launch failures.
const STICKY: &[u32] = &[3, 4, 46, 100, 101, 201, 214, 219, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 802, 999];

/// The same, where a library on top of CUDA reports them in words.
const DEVICE: &[&str] =
    &["device-side assert", "unspecified launch failure", "illegal memory access", "execution_failed", "device lost"];

fn fault(code: ort::ErrorCode, message: &str) -> Fault {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let cuda = cuda_failure(&message);
    if cuda == Some(2) || says(MEMORY) {
        Fault::Memory
    } else if code == ort::ErrorCode::DeviceReset || cuda.is_some_and(|number| STICKY.contains(&number)) || says(DEVICE) {
        Fault::Device
    } else {
        Fault::Other
    }
}

/// The number in "CUDA failure 700: …".
fn cuda_failure(message: &str) -> Option<u32> {
    let (_, rest) = message.split_once("cuda failure ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ort::ErrorCode::{DeviceReset, GenericFailure, RuntimeException};

    #[test]
    fn a_full_device_is_told_from_a_lost_one_by_the_runtime_s_words() {
        let full = "Non-zero status code returned while running Conv node. Name:'n1' Status Message: \
                    bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal Failed to allocate memory for requested \
                    buffer of size 629145600";
        assert_eq!(fault(RuntimeException, full), Fault::Memory);
        let cuda2 = "CUDA failure 2: out of memory ; GPU=0 ; hostname=x ; file=cuda_call.cc ; line=129 ; expr=cudaMalloc";
        assert_eq!(fault(GenericFailure, cuda2), Fault::Memory);
        let lost = "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; expr=cudaStreamSynchronize";
        assert_eq!(fault(GenericFailure, lost), Fault::Device);
        assert_eq!(fault(GenericFailure, "CUDA failure 719: unspecified launch failure"), Fault::Device);
        assert_eq!(fault(DeviceReset, "the device was reset"), Fault::Device);
        // 209 is a kernel that does not exist for this card, not a broken one; 21 does not begin with 2 and a colon.
        assert_eq!(fault(GenericFailure, "CUDA failure 209: no kernel image is available"), Fault::Other);
        assert_eq!(fault(GenericFailure, "Invalid input shape"), Fault::Other);
    }

    #[test]
    fn what_cannot_be_believed_rejects_the_scan_and_what_the_device_does_does_not() {
        let text = String::new;
        let collapsed = InferenceError::Collapsed { network: text(), detail: text() };
        assert_eq!(collapsed.disposition(), Disposition::Permanent);
        let full = InferenceError::OutOfMemory { network: text(), detail: text() };
        assert_eq!(full.disposition(), Disposition::Transient);
        assert!(full.hint().is_some_and(|hint| hint.contains("device.memory_mib") && hint.contains("heights")));
        let lost = InferenceError::DeviceLost { network: text(), detail: text() };
        assert_eq!(lost.disposition(), Disposition::Fatal);
        assert_eq!(InferenceError::Ended.disposition(), Disposition::Fatal);
    }

    #[test]
    fn the_runtime_s_source_paths_are_nobody_s_business() {
        let said = "/src/provider_bridge_ort.cc:2043 Provider& ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : \
                    Failed to load library x.so with error: libcuda.so.1: not found\n";
        assert_eq!(plain(said), "Failed to load library x.so with error: libcuda.so.1: not found");
        assert_eq!(plain("Invalid model"), "Invalid model");
        let full = "Non-zero status code returned while running BiasGelu node. Name:'stages.0' Status Message: \
                    /src/bfc_arena.cc:360 void* BFCArena::AllocateRawInternal(size_t, bool) Available memory of 41917184 is \
                    smaller than requested bytes of 58982400\n";
        assert_eq!(plain(full), "Available memory of 41917184 is smaller than requested bytes of 58982400");
    }

    #[test]
    fn long_messages_become_one_bounded_line() {
        assert_eq!(one_line(" a\n\tb  c "), "a b c");
        let long = one_line(&"ä ".repeat(1000));
        assert!(long.chars().count() <= 401 && long.ends_with('…'));
    }
}
