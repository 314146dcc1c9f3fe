//! The networks: catalogue, runtime library, sessions, and the one thread that owns them. The only room that speaks
//! ONNX Runtime.

mod catalogue;
pub mod ddcolor;
mod engine;
mod error;
pub mod runtime;

pub use catalogue::{Catalogue, CatalogueError, Entry, FileState, ModelKind};
pub use engine::{
    Coloured, ColorizeRequest, DeviceReport, Engine, EngineSettings, Fallback, Numerics, Precision, PrecisionFacts, Provider,
    ProviderChoice,
};
pub use error::InferenceError;
pub use runtime::RuntimeError;
