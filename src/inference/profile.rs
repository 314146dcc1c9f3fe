//! Reads back from a session's own profile where it ran and in which number format.
//!
//! ONNX Runtime writes one event for every kernel it ran, with the provider that ran it and the types of its tensors. The
//! first run of every session is profiled; later runs cost nothing. (`Session_GetEpGraphAssignmentInfo` would tell the
//! provider, not the number format, and `ort` does not wrap it.)

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use super::{Precision, Provider};

/// Operators that do the arithmetic of a network: what they read decides the observed precision. Casts, norms and
/// activations around them may be wider or narrower.
const HEAVY: &[&str] = &[
    "Attention",
    "Conv",
    "ConvTranspose",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "Gemm",
    "MatMul",
    "MultiHeadAttention",
    "NhwcConv",
    "NhwcFusedConv",
];

/// What a session said of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observed {
    /// The provider of every kernel.
    pub(super) provider: Provider,
    /// Heavy operators that ran.
    pub(super) heavy: usize,
    /// Those of them that read FP16.
    pub(super) heavy_fp16: usize,
    /// Multiplications of the heavy operators, by the shapes of their tensors.
    pub(super) work: u64,
    /// Those of operators that read FP16.
    pub(super) work_fp16: u64,
}

impl Observed {
    /// FP16 when more than half of the multiplications were of FP16 numbers: some islands of FP32 are part of an FP16 network.
    pub(super) const fn precision(self) -> Precision {
        if self.work_fp16 > self.work / 2 { Precision::Fp16 } else { Precision::Fp32 }
    }
}

/// Why a profile says nothing that could be recorded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclear {
    /// Not what ONNX Runtime writes.
    #[error("the profile is not what ONNX Runtime writes: {0}")]
    Syntax(String),
    /// No kernel ran.
    #[error("the profile names no kernel")]
    Empty,
    /// Kernels ran in several places, or in one this program does not know.
    #[error("{count} of {of} kernels ran on {provider}, for example {operator}")]
    Mixed {
        /// How many ran on the other provider.
        count: usize,
        /// Of how many.
        of: usize,
        /// The other provider.
        provider: String,
        /// An operator that ran there.
        operator: String,
    },
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    op_name: String,
    #[serde(default)]
    input_type_shape: Vec<TypedShape>,
    #[serde(default)]
    output_type_shape: Vec<TypedShape>,
}

/// A tensor's type to its shape: a map of one entry.
type TypedShape = BTreeMap<String, Vec<u64>>;

impl Arguments {
    fn is_heavy(&self) -> bool {
        HEAVY.contains(&self.op_name.as_str())
    }

    fn reads_fp16(&self) -> bool {
        self.input_type_shape.first().is_some_and(|tensor| tensor.contains_key("float16"))
    }

    /// Multiplications, as far as the shapes tell; at least 1, so that an operator of unknown form counts.
    fn work(&self) -> u64 {
        let of = |tensors: &[TypedShape], index: usize| -> Vec<u64> {
            tensors.get(index).and_then(|tensor| tensor.values().next().cloned()).unwrap_or_default()
        };
        let numbers = |shape: &[u64]| shape.iter().copied().fold(1_u64, u64::saturating_mul);
        let [first, second] = [0, 1].map(|index| of(&self.input_type_shape, index));
        let output = of(&self.output_type_shape, 0);
        let each = match self.op_name.as_str() {
            // Every output is a sum over the taps of one filter: [filters, …]. Turned, every input goes to as many.
            "Conv" | "FusedConv" | "NhwcConv" | "NhwcFusedConv" => {
                numbers(&output).saturating_mul(numbers(second.get(1..).unwrap_or(&[])))
            }
            "ConvTranspose" => numbers(&first).saturating_mul(numbers(second.get(1..).unwrap_or(&[]))),
            // Every query with every key, and the weights with the values.
            "MultiHeadAttention" | "Attention" => {
                let places = if second.len() == 3 { second[1] } else { first.get(1).copied().unwrap_or(1) };
                numbers(&output).saturating_mul(2).saturating_mul(places)
            }
            // Rows times columns.
            _ => numbers(&output).saturating_mul(first.last().copied().unwrap_or(1)),
        };
        each.max(1)
    }
}

/// Reads a profile.
pub(super) fn observe(json: &[u8]) -> Result<Observed, Unclear> {
    let events: Vec<Event> = serde_json::from_slice(json).map_err(|error| Unclear::Syntax(error.to_string()))?;
    let kernels: Vec<&Arguments> =
        events.iter().filter(|event| event.cat == "Node" && !event.args.provider.is_empty()).map(|event| &event.args).collect();
    let first = kernels.iter().find_map(|kernel| provider(&kernel.provider));
    let provider_seen = match (first, kernels.is_empty()) {
        (_, true) => return Err(Unclear::Empty),
        (Some(provider), false) => provider,
        (None, false) => return Err(mixed(&kernels, None)),
    };
    if kernels.iter().any(|kernel| provider(&kernel.provider) != Some(provider_seen)) {
        // The card is what was hoped for; the rest is what has to be explained.
        return Err(mixed(&kernels, Some(Provider::Cuda)));
    }
    let mut observed = Observed { provider: provider_seen, heavy: 0, heavy_fp16: 0, work: 0, work_fp16: 0 };
    for kernel in kernels.iter().filter(|kernel| kernel.is_heavy()) {
        let work = kernel.work();
        observed.heavy += 1;
        observed.work = observed.work.saturating_add(work);
        if kernel.reads_fp16() {
            observed.heavy_fp16 += 1;
            observed.work_fp16 = observed.work_fp16.saturating_add(work);
        }
    }
    Ok(observed)
}

fn provider(word: &str) -> Option<Provider> {
    match word {
        "CUDAExecutionProvider" => Some(Provider::Cuda),
        "CPUExecutionProvider" => Some(Provider::Cpu),
        _ => None,
    }
}

fn mixed(kernels: &[&Arguments], hoped: Option<Provider>) -> Unclear {
    let elsewhere: Vec<_> = kernels.iter().filter(|kernel| provider(&kernel.provider) != hoped || hoped.is_none()).collect();
    let example = elsewhere.first();
    Unclear::Mixed {
        count: elsewhere.len(),
        of: kernels.len(),
        provider: example.map(|kernel| kernel.provider.clone()).unwrap_or_default(),
        operator: example.map(|kernel| kernel.op_name.clone()).unwrap_or_default(),
    }
}

/// A directory for one session's profile, for this user alone; gone with this value.
#[derive(Debug)]
pub(super) struct ProfileDirectory(PathBuf);

impl ProfileDirectory {
    /// Makes one below the temporary directory. It must be new: a name somebody has prepared is not used.
    pub(super) fn create() -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = || format!("autochrome-profile-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        loop {
            let path = std::env::temp_dir().join(name());
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            }
        }
    }

    /// What ONNX Runtime is given: it appends the time and `.json`.
    pub(super) fn prefix(&self) -> PathBuf {
        self.0.join("run")
    }

    /// Reads the profile that ONNX Runtime says it wrote.
    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let name = Path::new(name).file_name().ok_or_else(|| io::Error::other("the profile has no name"))?;
        fs::read(self.0.join(name))
    }
}

impl Drop for ProfileDirectory {
    fn drop(&mut self) {
        // A leftover in the temporary directory is the system's to clear.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make and change their own files")]
mod tests {
    use super::*;

    fn kernel(operator: &str, provider: &str, kind: &str) -> String {
        shaped(operator, provider, kind, ["[1,3,8,8]", "[4,3,1,1]", "[1,4,8,8]"])
    }

    fn shaped(operator: &str, provider: &str, kind: &str, [first, second, output]: [&str; 3]) -> String {
        format!(
            r#"{{"cat":"Node","pid":1,"tid":1,"dur":3,"ts":9,"ph":"X","name":"n_kernel_time","args":{{"op_name":"{operator}",
            "provider":"{provider}","input_type_shape":[{{"{kind}":{first}}},{{"{kind}":{second}}}],
            "output_type_shape":[{{"{kind}":{output}}}],"node_index":"0"}}}}"#
        )
    }

    fn profile(kernels: &[String]) -> Vec<u8> {
        let session = r#"{"cat":"Session","name":"model_run","dur":1,"ts":1,"ph":"X","args":{}}"#;
        format!("[{session},{}]", kernels.join(",")).into_bytes()
    }

    const CUDA: &str = "CUDAExecutionProvider";
    const CPU: &str = "CPUExecutionProvider";

    #[test]
    fn islands_of_fp32_leave_an_fp16_network_what_it_is() {
        // Two small products in FP32 beside one large convolution in FP16: the work counts, not the operators.
        let small = || shaped("MatMul", CUDA, "float", ["[2,3]", "[3,5]", "[2,5]"]);
        let found =
            observe(&profile(&[kernel("Cast", CUDA, "float"), kernel("Conv", CUDA, "float16"), small(), small()])).unwrap();
        let (conv, product) = (4 * 64 * 3, 2 * 5 * 3);
        let want = Observed { provider: Provider::Cuda, heavy: 3, heavy_fp16: 1, work: conv + 2 * product, work_fp16: conv };
        assert_eq!(found, want);
        assert_eq!(found.precision(), Precision::Fp16);
    }

    #[test]
    fn work_is_counted_from_shapes() {
        let work = |operator: &str, shapes| {
            let found = observe(&profile(&[shaped(operator, CUDA, "float16", shapes)])).unwrap();
            assert_eq!((found.work, found.precision()), (found.work_fp16, Precision::Fp16), "{operator}");
            found.work
        };
        assert_eq!(work("MatMul", ["[7,2,3]", "[3,5]", "[7,2,5]"]), 7 * 2 * 5 * 3);
        assert_eq!(work("NhwcConv", ["[1,8,8,6]", "[4,3,3,6]", "[1,8,8,4]"]), 64 * 4 * 9 * 6);
        assert_eq!(work("ConvTranspose", ["[1,6,8,8]", "[6,1,7,7]", "[1,6,8,8]"]), 64 * 6 * 49);
        assert_eq!(work("MultiHeadAttention", ["[1,5,16]", "[1,9,16]", "[1,5,16]"]), 2 * 5 * 9 * 16);
        assert_eq!(work("MultiHeadAttention", ["[1,5,8,3,2]", "[]", "[1,5,16]"]), 2 * 5 * 5 * 16);
        assert_eq!(work("FusedMatMul", ["[]", "[]", "[]"]), 1, "an operator of unknown form counts");
    }

    #[test]
    fn a_network_whose_products_read_fp32_ran_in_fp32_whatever_was_asked() {
        let found = observe(&profile(&[kernel("Cast", CPU, "float16"), kernel("Conv", CPU, "float")])).unwrap();
        assert_eq!((found.provider, found.precision()), (Provider::Cpu, Precision::Fp32));
    }

    #[test]
    fn one_kernel_elsewhere_is_enough_to_doubt() {
        let found = observe(&profile(&[kernel("Conv", CUDA, "float16"), kernel("Resize", CPU, "float")]));
        let said = Unclear::Mixed { count: 1, of: 2, provider: CPU.to_owned(), operator: "Resize".to_owned() };
        assert_eq!(found, Err(said));
        assert!(matches!(observe(&profile(&[kernel("Conv", "Other", "float")])), Err(Unclear::Mixed { count: 1, .. })));
    }

    #[test]
    fn a_profile_without_kernels_says_nothing() {
        assert_eq!(observe(b"[]"), Err(Unclear::Empty));
        assert!(matches!(observe(b"[{"), Err(Unclear::Syntax(_))));
    }

    #[test]
    fn the_directory_of_a_profile_goes_with_it() {
        let directory = ProfileDirectory::create().unwrap();
        let path = directory.0.clone();
        fs::write(directory.prefix().with_extension("json"), b"[]").unwrap();
        assert_eq!(directory.read("/elsewhere/run.json").unwrap(), b"[]");
        drop(directory);
        assert!(!path.exists());
    }
}
