//! stub
use super::Size;
/// Bounds of the network's copy for one scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtentRules {
    /// Smallest height, pixels.
    pub min_height: u32,
    /// Largest height, pixels.
    pub max_height: u32,
    /// Whether smaller scans are enlarged to `min_height`.
    pub enlarge: bool,
    /// Largest area of the padded copy, pixels.
    pub max_area: u64,
}
/// Which rule decided the size; `Display` says it in words for a registrar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentRule { /* stub */ }
impl std::fmt::Display for ExtentRule { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { todo!() } }
/// Size of the network's copy: can only be built by clamping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelExtent { size: Size, content: Size, rule: ExtentRule }
impl ModelExtent {
    /// Clamp.
    pub fn clamp(_scan: Size, _rules: &ExtentRules) -> Self { todo!() }
    /// Padded size, both sides multiples of 32.
    pub const fn size(&self) -> Size { self.size }
    /// The picture inside it.
    pub const fn content(&self) -> Size { self.content }
    /// The rule that decided.
    pub const fn rule(&self) -> ExtentRule { self.rule }
}
