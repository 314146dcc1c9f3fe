//! The product's graph against the network stated step by step ([`super::unfolded`]), for random networks of toy sizes: of
//! widths and depths that no published one has, and with weights of both signs wherever a factor may be negative.

use std::collections::BTreeMap;

use autochrome::imaging::Size;
use autochrome::inference::ddcolor::{Architecture, GraphSpec, Outputs, TRACED, Weights};
use autochrome::inference::{Precision, Provider};
use safetensors::tensor::{Dtype, TensorView};

use super::recipe::{Shapes, random, unit};
use super::unfolded::{Network, Tensor};
use super::{deviation, differences, run_on, three_channels};

/// Largest difference that is still rounding, in deviations of the tensor where that is above 1.
const ROUNDING: f64 = 1e-4;

/// A random network and the extent of a picture.
struct Toy {
    /// Seeds the weights.
    name: &'static str,
    sizes: Architecture,
    /// Weight of every third channel of the encoder's norms for the U-Net, where their bias is 1.
    faint: Option<f64>,
    height: usize,
    width: usize,
}

/// Toys that differ in everything a checkpoint's shapes can tell.
fn toys() -> [Toy; 8] {
    let toy =
        |name, [height, width]: [usize; 2], dims, depths, decoder, [last, hidden, feedforward, layers, queries]: [usize; 5]| {
            let sizes = Architecture { dims, depths, decoder, last, hidden, feedforward, layers, queries };
            Toy { name, sizes, faint: None, height, width }
        };
    let absent = toy("absent", [64, 32], [10, 7, 12, 9], [1, 1, 2, 1], [9, 12, 7], [6, 16, 12, 3, 9]);
    let faint = toy("faint", [32, 96], [9, 12, 8, 10], [1, 2, 1, 1], [8, 10, 12], [7, 16, 20, 3, 12]);
    [
        toy("regular", [64, 96], [8, 16, 24, 32], [1, 1, 2, 1], [16, 16, 8], [8, 16, 32, 3, 20]),
        toy("odd", [96, 32], [5, 9, 7, 11], [2, 1, 1, 2], [13, 6, 10], [3, 8, 7, 4, 5]),
        toy("falling", [64, 64], [20, 12, 10, 6], [1, 2, 1, 1], [6, 10, 14], [5, 24, 40, 2, 11]),
        toy("shallow", [32, 64], [12, 10, 18, 14], [1, 1, 1, 1], [10, 14, 12], [24, 8, 16, 1, 100]),
        toy("wide queries", [32, 32], [7, 8, 9, 10], [3, 1, 2, 1], [12, 8, 16], [10, 40, 24, 4, 3]),
        toy("one query", [96, 64], [6, 14, 10, 12], [1, 3, 1, 2], [7, 9, 11], [12, 16, 9, 3, 1]),
        Toy { faint: Some(0.0), ..absent },
        Toy { faint: Some(1e-4), ..faint },
    ]
}

/// The checkpoint of the first.
pub(super) fn first() -> Vec<u8> {
    let [first, ..] = toys();
    first.checkpoint()
}

/// The product's graph.
fn graph(weights: &Weights, size: Size, outputs: Outputs) -> Vec<u8> {
    weights.graph_of(GraphSpec { outputs, ..GraphSpec::new(size, Precision::Fp32, Provider::Cpu) })
}

#[test]
fn the_graph_computes_what_the_unfolded_network_does() {
    for toy in toys() {
        let file = toy.checkpoint();
        let want = narrow(Network::read(&file).run(&toy.picture()));
        let weights = Weights::read(&file).unwrap();
        assert_eq!(*weights.architecture(), toy.sizes, "{}", toy.name);
        let size = Size::new(toy.width as u32, toy.height as u32);
        let run = |outputs| run_on(&graph(&weights, size, outputs), size, three_channels(toy.height, toy.width));
        let plain = run(Outputs::Ab);
        assert_eq!(plain.len(), 1, "{}", toy.name);
        let traced = run(Outputs::Traced);
        for (tensor, got) in TRACED.iter().map(|&tensor| (tensor, &traced[tensor])).chain([("ab", &plain["ab"])]) {
            let (difference, deviation) = (apart(got, &want[tensor]), deviation(&want[tensor]));
            println!("{} {tensor}: difference {difference:.2e}, deviation {deviation:.3}", toy.name);
            assert!(deviation > 100.0 * ROUNDING, "{} {tensor} is next to constant: {deviation}", toy.name);
            assert!(difference < ROUNDING, "{} {tensor} differs by {difference}", toy.name);
        }
    }
}

#[test]
fn the_comparison_would_notice_another_number_in_any_tensor() {
    let toys = toys();
    let toy = toys.iter().find(|toy| toy.name == "wide queries").unwrap();
    let mut network = Network::read(&toy.checkpoint());
    let picture = toy.picture();
    let want = narrow(network.run(&picture));
    for name in network.tensors.keys().cloned().collect::<Vec<_>>() {
        let tensor = network.tensors[&name].clone();
        // Not all of them: a common factor would be divided out again where there is a norm.
        let every_other = network.tensors.get_mut(&name).unwrap().values.iter_mut().step_by(2);
        every_other.for_each(|value| *value *= 1.1);
        let got = narrow(network.run(&picture));
        let difference = TRACED.iter().map(|&tensor| apart(&got[tensor], &want[tensor])).fold(0.0, f64::max);
        assert!(difference > 2.0 * ROUNDING, "{name} moves no result by more than {difference}");
        network.tensors.insert(name, tensor);
    }
}

/// Largest difference, in deviations of the tensor where that is above 1.
fn apart(got: &[f32], want: &[f32]) -> f64 {
    f64::from(differences(got, want).0) / deviation(want).max(1.0)
}

fn narrow(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Vec<f32>> {
    let narrow = |tensor: Tensor| tensor.values.into_iter().map(|value| value as f32).collect();
    tensors.into_iter().map(|(name, tensor)| (name, narrow(tensor))).collect()
}

impl Toy {
    /// Red, green and blue that differ.
    fn picture(&self) -> Tensor {
        let values = three_channels(self.height, self.width).into_iter().map(f64::from).collect();
        Tensor { shape: vec![3, self.height, self.width], values }
    }

    /// A safetensors file.
    fn checkpoint(&self) -> Vec<u8> {
        let bytes = |name: &str, shape: &[usize]| -> Vec<u8> {
            self.values(name, shape).into_iter().flat_map(|value| (value as f32).to_le_bytes()).collect()
        };
        let data = shapes(&self.sizes).into_iter().map(|(name, shape)| (bytes(&name, &shape), name, shape));
        let data: Vec<(Vec<u8>, String, Vec<usize>)> = data.collect();
        let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
        safetensors::serialize(data.iter().map(|(bytes, name, shape)| (name, view(shape, bytes))), None).unwrap()
    }

    /// Numbers such that activations neither vanish nor explode, and each of them matters.
    fn values(&self, name: &str, shape: &[usize]) -> Vec<f64> {
        let n: usize = shape.iter().product();
        let seeded = |name: &str| format!("{}/{name}", self.name);
        let u = random(&seeded(name));
        // Of both signs, and of a size between two.
        let signed = |low: f64, high: f64, u: f64| u.signum() * (low + (high - low) * u.abs());
        let all = |value: &dyn Fn(f64) -> f64| (0..n).map(|i| value(u(i))).collect::<Vec<f64>>();
        // Keeps the variance of what passes through.
        let columns = n / shape[0];
        let gain = (3.0 / columns as f64).sqrt();
        let mut values = match name.rsplit('.').next().unwrap() {
            "mean" => all(&|u| 0.45 + 0.1 * u),
            "std" => all(&|u| 0.25 + 0.05 * u),
            "running_var" => all(&|u| 0.2 * 8_f64.powf(u)),
            "running_mean" => all(&|u| 0.4 * u),
            "gamma" => all(&|u| signed(0.1, 1.0, u)),
            "weight_u" | "weight_v" => unit(&seeded(name), n),
            "weight_orig" => {
                let base = name.trim_end_matches("_orig");
                let (left, right) = (unit(&seeded(&format!("{base}_u")), shape[0]), unit(&seeded(&format!("{base}_v")), columns));
                (0..n).map(|i| u(i) * gain + 1.5 * left[i / columns] * right[i % columns]).collect()
            }
            "weight" if shape.len() == 1 => all(&|u| signed(0.4, 1.4, u)),
            _ if shape.len() == 1 => all(&|u| 0.4 * u),
            _ if name.contains("query_feat") || name.contains("query_embed") || name.contains("level_embed") => all(&|u| u),
            _ => all(&|u| u * gain),
        };
        if let (Some(faint), Some(norm)) = (self.faint, name.strip_prefix("encoder.arch.norm")) {
            let value = if norm.ends_with(".weight") { faint } else { 1.0 };
            values.iter_mut().step_by(3).for_each(|each| *each = value);
        }
        values
    }
}

/// The tensors of a checkpoint as training leaves it.
fn shapes(sizes: &Architecture) -> Shapes {
    let Architecture { dims, depths, decoder, last, hidden, feedforward, layers, queries } = *sizes;
    let mut keys = Keys(Shapes::new());
    keys.put("mean", &[1, 3, 1, 1]);
    keys.put("std", &[1, 3, 1, 1]);
    for i in 0..4 {
        let (down, norm) = (format!("encoder.arch.downsample_layers.{i}"), if i == 0 { dims[0] } else { dims[i - 1] });
        let (patches, shape) = if i == 0 { (0, [dims[0], 3, 4, 4]) } else { (1, [dims[i], dims[i - 1], 2, 2]) };
        keys.layer(&format!("{down}.{patches}"), &shape);
        keys.layer(&format!("{down}.{}", 1 - patches), &[norm]);
        for block in (0..depths[i]).map(|j| format!("encoder.arch.stages.{i}.{j}")) {
            keys.put(&format!("{block}.gamma"), &[dims[i]]);
            keys.layer(&format!("{block}.dwconv"), &[dims[i], 1, 7, 7]);
            keys.layer(&format!("{block}.norm"), &[dims[i]]);
            keys.layer(&format!("{block}.pwconv1"), &[4 * dims[i], dims[i]]);
            keys.layer(&format!("{block}.pwconv2"), &[dims[i], 4 * dims[i]]);
        }
        keys.layer(&format!("encoder.arch.norm{i}"), &[dims[i]]);
    }
    for i in 0..3 {
        let (block, skip, channels) = (format!("decoder.layers.{i}"), dims[2 - i], decoder[i]);
        let below = if i == 0 { dims[3] } else { decoder[i - 1] };
        keys.spectral(&format!("{block}.shuf.conv.0"), &[4 * channels, below, 1, 1]);
        keys.batch_norm(&format!("{block}.shuf.conv.1"), 4 * channels);
        keys.batch_norm(&format!("{block}.bn"), skip);
        keys.spectral(&format!("{block}.conv.0"), &[channels, channels + skip, 3, 3]);
        keys.batch_norm(&format!("{block}.conv.2"), channels);
    }
    let color = "decoder.color_decoder";
    for (name, rows) in [("query_feat", queries), ("query_embed", queries), ("level_embed", 3)] {
        keys.put(&format!("{color}.{name}.weight"), &[rows, hidden]);
    }
    for (i, channels) in decoder.into_iter().enumerate() {
        keys.layer(&format!("{color}.input_proj.{i}"), &[hidden, channels, 1, 1]);
    }
    for i in 0..layers {
        for (kind, attention) in [("cross_attention", "multihead_attn"), ("self_attention", "self_attn")] {
            let layer = format!("{color}.transformer_{kind}_layers.{i}");
            keys.put(&format!("{layer}.{attention}.in_proj_weight"), &[3 * hidden, hidden]);
            keys.put(&format!("{layer}.{attention}.in_proj_bias"), &[3 * hidden]);
            keys.layer(&format!("{layer}.{attention}.out_proj"), &[hidden, hidden]);
            keys.layer(&format!("{layer}.norm"), &[hidden]);
        }
        let layer = format!("{color}.transformer_ffn_layers.{i}");
        keys.layer(&format!("{layer}.linear1"), &[feedforward, hidden]);
        keys.layer(&format!("{layer}.linear2"), &[hidden, feedforward]);
        keys.layer(&format!("{layer}.norm"), &[hidden]);
    }
    keys.layer(&format!("{color}.decoder_norm"), &[hidden]);
    for (i, outputs) in [hidden, hidden, last].into_iter().enumerate() {
        keys.layer(&format!("{color}.color_embed.layers.{i}"), &[outputs, hidden]);
    }
    for (name, shape) in [("decoder.last_shuf.conv.0", [16 * last, decoder[2], 1, 1]), ("refine_net.0.0", [2, queries + 3, 1, 1])]
    {
        keys.spectral(name, &shape);
        keys.put(&format!("{name}.bias"), &shape[..1]);
    }
    keys.0
}

struct Keys(Shapes);

impl Keys {
    fn put(&mut self, name: &str, shape: &[usize]) {
        self.0.insert(name.to_owned(), shape.to_vec());
    }

    /// A weight and its bias.
    fn layer(&mut self, name: &str, shape: &[usize]) {
        self.put(&format!("{name}.weight"), shape);
        self.put(&format!("{name}.bias"), &shape[..1]);
    }

    fn batch_norm(&mut self, name: &str, channels: usize) {
        self.layer(name, &[channels]);
        self.put(&format!("{name}.running_mean"), &[channels]);
        self.put(&format!("{name}.running_var"), &[channels]);
    }

    /// A weight with its spectral norm.
    fn spectral(&mut self, name: &str, shape: &[usize]) {
        self.put(&format!("{name}.weight_orig"), shape);
        self.put(&format!("{name}.weight_u"), &shape[..1]);
        self.put(&format!("{name}.weight_v"), &[shape[1..].iter().product()]);
    }
}
