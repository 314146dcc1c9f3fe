//! The sizes of one member of the DDColor family, read from the shapes of its tensors.

use std::fmt;

/// Attention heads; no tensor's shape tells their number, and every published DDColor has eight.
pub(super) const HEADS: usize = 8;
/// Stages of the encoder.
pub(super) const STAGES: usize = 4;
/// Blocks of the U-Net, and so scales the colour queries look at.
pub(super) const SCALES: usize = 3;
/// Colour channels in.
pub(super) const RGB: usize = 3;
/// Chroma channels out.
pub(super) const AB: usize = 2;
/// Widest layer that is believed; the widest of the published ones has 8064 inputs.
const WIDEST: usize = 65_536;

/// Everything that differs between the sizes of the network.
///
/// Displayed as `ddcolor convnext 96-192-384-768 depths 3-3-9-3, decoder 512-512-256, 9 layers, 100 queries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Channels of the encoder's stages.
    pub dims: [usize; STAGES],
    /// Blocks in each of them.
    pub depths: [usize; STAGES],
    /// Channels after the three U-Net blocks.
    pub decoder: [usize; SCALES],
    /// Channels of the full-size features.
    pub last: usize,
    /// Width of the colour decoder.
    pub hidden: usize,
    /// Width inside its feed-forward layers.
    pub feedforward: usize,
    /// Layers of the colour decoder.
    pub layers: usize,
    /// Colour queries.
    pub queries: usize,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dashed = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        let (dims, depths, decoder) = (dashed(&self.dims), dashed(&self.depths), dashed(&self.decoder));
        let (layers, queries) = (self.layers, self.queries);
        write!(f, "ddcolor convnext {dims} depths {depths}, decoder {decoder}, {layers} layers, {queries} queries")
    }
}

impl Architecture {
    /// Reads the sizes off the tensors that tell them. `shape` gives the shape of a key, `any` whether some key starts
    /// with a prefix. A size that nothing tells is 0; numbers of blocks and layers are at least 1, so that a file
    /// without any of them is told which tensors it lacks.
    pub(super) fn infer<'a>(shape: impl Fn(&str) -> Option<&'a [usize]>, any: impl Fn(&str) -> bool) -> Self {
        // One more than is believed is enough to be refused, and small enough to calculate with.
        let rows = |key: &str| shape(key).and_then(|dims| dims.first().copied()).unwrap_or(0).min(WIDEST + 1);
        let count = |prefix: &str| (0_usize..).take_while(|i| any(&format!("{prefix}{i}."))).count();
        let color = |key: &str| format!("decoder.color_decoder.{key}");
        Self {
            dims: std::array::from_fn(|i| rows(&format!("encoder.arch.norm{i}.weight"))),
            depths: std::array::from_fn(|i| count(&format!("encoder.arch.stages.{i}.")).max(1)),
            decoder: std::array::from_fn(|i| rows(&format!("decoder.layers.{i}.conv.2.weight"))),
            last: rows(&color("color_embed.layers.2.bias")),
            hidden: rows(&color("decoder_norm.weight")),
            feedforward: rows(&color("transformer_ffn_layers.0.linear1.bias")),
            layers: ["cross_attention", "self_attention", "ffn"]
                .map(|part| count(&color(&format!("transformer_{part}_layers."))))
                .into_iter()
                .fold(1, usize::max),
            queries: rows(&color("query_feat.weight")),
        }
    }

    /// The authors' name of this size: `tiny`, `large`, or `other`.
    pub fn variant(&self) -> &'static str {
        let is_official = self.decoder == [512, 512, 256] && self.layers == 9 && self.queries == 100;
        match (self.dims, self.depths) {
            ([96, 192, 384, 768], [3, 3, 9, 3]) if is_official => "tiny",
            ([192, 384, 768, 1536], [3, 3, 27, 3]) if is_official => "large",
            _ => "other",
        }
    }

    /// Says what the graph could not express, if anything.
    pub(super) fn objection(&self) -> Option<String> {
        let widths = [self.last, self.hidden, self.feedforward, self.queries];
        let all = self.dims.iter().chain(&self.decoder).chain(&widths);
        if let Some(width) = all.copied().find(|width| !(1..=WIDEST).contains(width)) {
            return Some(format!("a layer of width {width}, outside 1 to {WIDEST}"));
        }
        // Heads share the width, and the position code has sines and cosines for two axes.
        (!self.hidden.is_multiple_of(HEADS))
            .then(|| format!("a colour decoder of width {}, not a multiple of {HEADS}", self.hidden))
    }
}
