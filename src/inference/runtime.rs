//! stub
use std::path::PathBuf;
/// Runtime errors.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError { /// stub
    #[error("stub")] Stub }
impl RuntimeError { /// What to do.
    pub const fn hint(&self) -> Option<&'static str> { None } }
/// Which package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeKind { /// onnxruntime
    Cpu, /// onnxruntime-gpu
    Cuda }
impl std::fmt::Display for RuntimeKind { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
/// Progress of `setup`.
#[derive(Debug, Clone, Copy)]
pub struct SetupProgress {}
impl SetupProgress {
    /// What is being done.
    pub const fn step(&self) -> &'static str { "" }
    /// Of how many.
    pub const fn total_bytes(&self) -> u64 { 0 }
    /// How many.
    pub const fn done_bytes(&self) -> u64 { 0 }
}
/// What `setup` came to.
#[derive(Debug)]
pub struct SetupReport {
    /// Nothing had to be done.
    pub already_there: bool,
    /// Version.
    pub version: String,
    /// libonnxruntime.
    pub library: PathBuf,
}
/// Fetches.
pub fn setup(_kind: RuntimeKind, _progress: &mut dyn FnMut(SetupProgress)) -> Result<SetupReport, RuntimeError> { todo!() }
