//! How sessions are set up: what is left to ONNX Runtime, and what is told to it.

use ort::ep::{self, ArenaExtendStrategy, cuda::AttentionBackend, cuda::ConvAlgorithmSearch};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::Provider;
use super::profile::ProfileDirectory;
use super::session::Place;

/// What a session is told of its graph.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treatment<'a> {
    /// The runtime rearranges the graph as it thinks best; sizes are fixed, those that the graph leaves open as given here.
    Fixed(&'a [(&'a str, u32)]),
    /// The same, with sizes that change from run to run.
    Free,
    /// Our own colour network, of fixed sizes: on the card it is run as it is written.
    AsWritten(Tuning),
}

impl Treatment<'_> {
    /// Our own network for one picture and hardly more than one run.
    pub(super) const ONCE: Self = Self::AsWritten(Tuning { pictures: 1, memory: MemoryUse::Small });
}

/// What our own network's options follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuning {
    /// Pictures of a run.
    pub(super) pictures: usize,
    /// How the card's memory is used.
    pub(super) memory: MemoryUse,
}

/// Two ways to use the card's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MemoryUse {
    /// The whole run is one CUDA graph: nothing is left for the processor to do between kernels, and the memory of the first
    /// run is kept.
    #[default]
    Fast,
    /// No graph; the runtime plans every tensor's place in one block, and what the first run took besides is given back.
    Small,
}

/// A builder for a session of this kind at this place, profiled until its profile is ended.
pub(super) fn builder(
    place: &Place,
    name: &str,
    treatment: Treatment<'_>,
    profile: &ProfileDirectory,
) -> Result<SessionBuilder, ort::Error> {
    let builder = Session::builder(&place.environment)?.with_log_id(name)?.with_profiling(profile.prefix())?;
    // Threads that spin while they wait would take the cores that decode and encode.
    let mut builder = builder.with_intra_op_spinning(false)?;
    match treatment {
        Treatment::Free => builder = builder.with_memory_pattern(false)?,
        Treatment::Fixed(fixed) => {
            for (name, size) in fixed {
                builder = builder.with_dimension_override(name, i64::from(*size))?;
            }
        }
        Treatment::AsWritten(tuning) if place.provider == Provider::Cuda => {
            // The runtime's fusion of products and additions makes operators that first write the bias to memory: slower. Weights
            // outside the arena do not make it grow in steps.
            builder = builder
                .with_optimization_level(GraphOptimizationLevel::Disable)?
                .with_memory_pattern(tuning.memory == MemoryUse::Small)?
                .with_device_allocated_initializers()?;
        }
        Treatment::AsWritten(_) => {}
    }
    match place.provider {
        Provider::Cpu => Ok(builder.with_intra_threads(place.threads.max(1))?),
        // Without the last call a node that CUDA cannot run would go to the processor without a word.
        Provider::Cuda => {
            let cuda = cuda(place, treatment).build().error_on_failure();
            Ok(builder.with_intra_threads(1)?.with_execution_providers([cuda])?.with_disable_cpu_fallback()?)
        }
    }
}

/// The CUDA provider.
fn cuda(place: &Place, treatment: Treatment<'_>) -> ep::CUDA {
    let mut cuda = ep::CUDA::default()
        .with_device_id(0)
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        // Sums of an FP16 SkipLayerNormalization are kept in FP32.
        .with_skip_layer_norm_strict_mode(true)
        .with_tf32(place.tf32);
    if let Some(bytes) = place.limit {
        // Zero would be no bound.
        cuda = cuda.with_memory_limit(usize::try_from(bytes.max(1)).unwrap_or(usize::MAX));
    }
    if let Treatment::AsWritten(tuning) = treatment {
        // By itself the runtime takes cuDNN's attention, which is slow at one picture and the fastest at many.
        let attention =
            if tuning.pictures >= 8 { AttentionBackend::CUDNN_FLASH_ATTENTION } else { AttentionBackend::FLASH_ATTENTION };
        cuda = cuda.with_attention_backend(attention).with_cuda_graph(tuning.memory == MemoryUse::Fast);
    }
    cuda
}
