//! The networks: catalogue, runtime library, sessions, and the one thread that owns them. The only room that speaks
//! ONNX Runtime.
//!
//! | file | answers |
//! |---|---|
//! | `catalogue` | which models there are, and whether a file is the pinned one |
//! | `runtime` | where ONNX Runtime is, how it gets there |
//! | `engine`, `queue` | the handle everybody else holds, the thread behind it, and what that takes next |
//! | `networks` | everything that thread has loaded |
//! | `device` | CUDA or the processor, and why |
//! | `session`, `resident` | one network: with its arrays in this machine's memory, or with their places on the card |
//! | `options`, `profile` | what a session is told, and what its own run says about where and how it ran |
//! | `pool` | which sessions of the small networks are kept |
//! | `colour_sessions`, `shelf`, `card`, `colour_model` | which colour networks are kept, how they share the card, and how much memory each takes |
//! | `router`, `denoiser`, `colorizer` | one network each, from plane to result |
//! | `array`, `check` | a network on an array from elsewhere, compared with what it gave there |
//! | `gauge` | how long a network takes, and how much of the card |
//! | `numerics` | pure: whether a result can be believed |
//! | `ddcolor` | weights to graph |
//! | `foreign` | colour networks that others saved as ONNX: looked at, then run as they are |
//! | `import` | a file of others to a model of the catalogue |

mod array;
mod card;
mod catalogue;
mod check;
mod chroma;
mod colorizer;
mod colour_model;
mod colour_sessions;
pub mod ddcolor;
mod denoiser;
mod device;
mod engine;
mod error;
mod foreign;
mod gauge;
mod import;
mod native;
mod networks;
mod numerics;
mod options;
mod pool;
mod precision;
mod profile;
mod queue;
mod resident;
mod router;
pub mod runtime;
mod session;
mod shelf;
mod trial;

pub use array::{Array, ArrayError};
pub use catalogue::{Catalogue, CatalogueEdit, CatalogueError, Entry, FileState, FixedSize, ModelKind, Removed};
pub use check::{CheckRequest, Checked, Difference, check};
pub use colorizer::{ColorizeRequest, Coloured, Target};
pub use colour_sessions::Setback;
pub use device::{CardMeter, DeviceReport};
pub use engine::{Engine, EngineSettings, Readiness};
pub use error::InferenceError;
pub use foreign::ForeignError;
pub use gauge::{Gauge, GaugeRequest, Gauged};
pub use import::{ImportError, ImportOutcome, ImportRequest, Imported, NO_LICENCE, import};
pub use native::choose_cublas_workspaces;
pub use numerics::{GuardBounds, Said, chroma_p99};
pub use options::MemoryUse;
pub use precision::{Fallback, Precision, PrecisionFacts, Provider, ProviderChoice};
pub use runtime::RuntimeError;
