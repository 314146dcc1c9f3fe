//! Every tensor of a DDColor checkpoint, by its official name, with the shape it must have.

use super::architecture::{AB, Architecture, RGB, SCALES};

/// One tensor the network needs.
#[derive(Debug)]
pub(super) struct Expected {
    /// Key in the file. For a spectrally normalised weight, the key of its folded form.
    pub(super) name: String,
    /// Shape; 0 where the file does not tell.
    pub(super) shape: Vec<usize>,
    /// What it is.
    pub(super) role: Role,
}

/// What a tensor is to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Learned.
    Parameter,
    /// Learned; comes either folded (`weight`) or with its spectral norm (`weight_orig`, `weight_u`, `weight_v`).
    Spectral,
    /// Statistics and constants.
    Buffer,
}

/// Whether a key is known and not needed: counters of BatchNorm, and the encoder's last norm, which belongs to the
/// classifier the encoder was once trained as.
pub(super) fn is_unused(name: &str) -> bool {
    name.ends_with(".num_batches_tracked") || matches!(name, "encoder.arch.norm.weight" | "encoder.arch.norm.bias")
}

/// The tensors of a network of these sizes, in the order of the network.
pub(super) fn expected(sizes: &Architecture) -> Vec<Expected> {
    let mut list = List(Vec::new());
    list.push("mean", &[1, RGB, 1, 1], Role::Buffer);
    list.push("std", &[1, RGB, 1, 1], Role::Buffer);
    list.encoder(sizes);
    list.unet(sizes);
    list.color_decoder(sizes);
    list.spectral("decoder.last_shuf.conv.0", &[16 * sizes.last, sizes.decoder[2], 1, 1], true);
    list.spectral("refine_net.0.0", &[AB, known(sizes.queries, |queries| queries + RGB), 1, 1], true);
    list.0
}

/// A size derived from another; unknown stays unknown.
fn known(size: usize, derive: impl Fn(usize) -> usize) -> usize {
    if size == 0 { 0 } else { derive(size) }
}

struct List(Vec<Expected>);

impl List {
    fn push(&mut self, name: &str, shape: &[usize], role: Role) {
        self.0.push(Expected { name: name.to_owned(), shape: shape.to_vec(), role });
    }

    /// A weight and its bias.
    fn layer(&mut self, prefix: &str, shape: &[usize]) {
        self.push(&format!("{prefix}.weight"), shape, Role::Parameter);
        self.push(&format!("{prefix}.bias"), &shape[..1], Role::Parameter);
    }

    fn norm(&mut self, prefix: &str, channels: usize) {
        self.layer(prefix, &[channels]);
    }

    fn batch_norm(&mut self, prefix: &str, channels: usize) {
        self.norm(prefix, channels);
        self.push(&format!("{prefix}.running_mean"), &[channels], Role::Buffer);
        self.push(&format!("{prefix}.running_var"), &[channels], Role::Buffer);
    }

    fn spectral(&mut self, prefix: &str, shape: &[usize], has_bias: bool) {
        self.push(&format!("{prefix}.weight"), shape, Role::Spectral);
        if has_bias {
            self.push(&format!("{prefix}.bias"), &shape[..1], Role::Parameter);
        }
    }

    fn encoder(&mut self, sizes: &Architecture) {
        let dims = sizes.dims;
        let down = "encoder.arch.downsample_layers";
        self.layer(&format!("{down}.0.0"), &[dims[0], RGB, 4, 4]);
        self.norm(&format!("{down}.0.1"), dims[0]);
        for i in 1..dims.len() {
            self.norm(&format!("{down}.{i}.0"), dims[i - 1]);
            self.layer(&format!("{down}.{i}.1"), &[dims[i], dims[i - 1], 2, 2]);
        }
        for (i, (&dim, &depth)) in dims.iter().zip(&sizes.depths).enumerate() {
            for j in 0..depth {
                let block = format!("encoder.arch.stages.{i}.{j}");
                self.push(&format!("{block}.gamma"), &[dim], Role::Parameter);
                self.layer(&format!("{block}.dwconv"), &[dim, 1, 7, 7]);
                self.norm(&format!("{block}.norm"), dim);
                self.layer(&format!("{block}.pwconv1"), &[4 * dim, dim]);
                self.layer(&format!("{block}.pwconv2"), &[dim, 4 * dim]);
            }
            self.norm(&format!("encoder.arch.norm{i}"), dim);
        }
    }

    fn unet(&mut self, sizes: &Architecture) {
        let mut below = sizes.dims[3];
        for (i, &channels) in sizes.decoder.iter().enumerate() {
            let (block, skip) = (format!("decoder.layers.{i}"), sizes.dims[2 - i]);
            self.spectral(&format!("{block}.shuf.conv.0"), &[4 * channels, below, 1, 1], false);
            self.batch_norm(&format!("{block}.shuf.conv.1"), 4 * channels);
            self.batch_norm(&format!("{block}.bn"), skip);
            let joined = known(channels, |channels| known(skip, |skip| channels + skip));
            self.spectral(&format!("{block}.conv.0"), &[channels, joined, 3, 3], false);
            self.batch_norm(&format!("{block}.conv.2"), channels);
            below = channels;
        }
    }

    fn color_decoder(&mut self, sizes: &Architecture) {
        let (root, d) = ("decoder.color_decoder", sizes.hidden);
        self.push(&format!("{root}.query_feat.weight"), &[sizes.queries, d], Role::Parameter);
        self.push(&format!("{root}.query_embed.weight"), &[sizes.queries, d], Role::Parameter);
        self.push(&format!("{root}.level_embed.weight"), &[SCALES, d], Role::Parameter);
        for (i, &channels) in sizes.decoder.iter().enumerate() {
            self.layer(&format!("{root}.input_proj.{i}"), &[d, channels, 1, 1]);
        }
        for i in 0..sizes.layers {
            for (layer, attention) in [("cross_attention", "multihead_attn"), ("self_attention", "self_attn")] {
                let layer = format!("{root}.transformer_{layer}_layers.{i}");
                self.push(&format!("{layer}.{attention}.in_proj_weight"), &[3 * d, d], Role::Parameter);
                self.push(&format!("{layer}.{attention}.in_proj_bias"), &[3 * d], Role::Parameter);
                self.layer(&format!("{layer}.{attention}.out_proj"), &[d, d]);
                self.norm(&format!("{layer}.norm"), d);
            }
            let layer = format!("{root}.transformer_ffn_layers.{i}");
            self.layer(&format!("{layer}.linear1"), &[sizes.feedforward, d]);
            self.layer(&format!("{layer}.linear2"), &[d, sizes.feedforward]);
            self.norm(&format!("{layer}.norm"), d);
        }
        self.norm(&format!("{root}.decoder_norm"), d);
        for (i, outputs) in [d, d, sizes.last].into_iter().enumerate() {
            self.layer(&format!("{root}.color_embed.layers.{i}"), &[outputs, d]);
        }
    }
}
