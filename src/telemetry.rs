//! stub
/// Starts logging to standard error.
pub fn start(_json: bool) { todo!() }
