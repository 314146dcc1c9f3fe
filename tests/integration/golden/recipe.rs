//! The synthetic checkpoints and the picture that the official network was run with.
//!
//! Element i of a tensor called `name` is u(name, i) in [-1, 1): the output of SplitMix64 at state
//! FNV-1a-64(name) + (i + 1) · 0x9E3779B97F4A7C15, its upper 53 bits scaled. What becomes of u depends on the kind of
//! tensor, so that activations neither vanish nor explode. Values are formed in f64 and rounded to f32.

use std::collections::BTreeMap;

/// Keys with shapes, as in the official state dict.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// A whole safetensors file of F32 tensors (counters are I64) with these keys and shapes.
pub(crate) fn checkpoint(shapes: &Shapes) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in shapes {
        let (kind, width) = if is_counter(name) { ("I64", 8) } else { ("F32", 4) };
        let begin = end;
        end += width * shape.iter().product::<usize>();
        header.insert(name.clone(), serde_json::json!({ "dtype": kind, "shape": shape, "data_offsets": [begin, end] }));
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = Vec::with_capacity(8 + header.len() + end);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header);
    for (name, shape) in shapes {
        tensor(name, shape, &mut file);
    }
    file
}

/// Adds the bytes of one tensor.
pub fn tensor(name: &str, shape: &[usize], file: &mut Vec<u8>) {
    if is_counter(name) {
        file.extend(0_i64.to_le_bytes());
    } else {
        write(name, shape, file);
    }
}

/// A grey test picture in 0..=1, one plane: smooth waves and a little noise.
pub fn picture(height: usize, width: usize) -> Vec<f32> {
    let noise = random("image");
    let at = |y: f64, x: f64, noise: f64| {
        0.5 + 0.2 * (x / 17.0).sin() * (y / 23.0).cos() + 0.15 * ((x + 2.0 * y) / 41.0).sin() + 0.05 * noise
    };
    let pixel = |i: usize| at((i / width) as f64, (i % width) as f64, noise(i)).clamp(0.0, 1.0) as f32;
    (0..height * width).map(pixel).collect()
}

/// Whether it counts batches: an I64 scalar.
pub fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

/// u(name, ·).
pub(super) fn random(name: &str) -> impl Fn(usize) -> f64 + use<> {
    let hash =
        name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    move |i| {
        let z = hash.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 11) as f64 * 2.0_f64.powi(-52) - 1.0
    }
}

/// u(name, ·) as a vector of length 1.
pub(super) fn unit(name: &str, n: usize) -> Vec<f64> {
    let x: Vec<f64> = (0..n).map(random(name)).collect();
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.into_iter().map(|x| x / norm).collect()
}

fn write(name: &str, shape: &[usize], file: &mut Vec<u8>) {
    let n: usize = shape.iter().product();
    let u = random(name);
    let mut put = |value: &dyn Fn(usize) -> f64| file.extend((0..n).flat_map(|i| (value(i) as f32).to_le_bytes()));
    // Keeps the variance of what passes through.
    let gain = || (3.0 / (n / shape[0]) as f64).sqrt();
    let leaf = name.rsplit('.').next().unwrap();
    match leaf {
        "mean" => put(&|i| [0.485, 0.456, 0.406][i]),
        "std" => put(&|i| [0.229, 0.224, 0.225][i]),
        "running_var" => put(&|i| 1.0 + 0.2 * u(i).abs()),
        "running_mean" => put(&|i| 0.1 * u(i)),
        "gamma" => put(&|i| 0.3 * u(i)),
        "weight_u" | "weight_v" => {
            let unit = unit(name, n);
            put(&|i| unit[i]);
        }
        "weight_orig" => {
            let (base, columns, gain) = (name.trim_end_matches("_orig"), n / shape[0], gain());
            let (left, right) = (unit(&format!("{base}_u"), shape[0]), unit(&format!("{base}_v"), columns));
            put(&|i| u(i) * gain + 1.5 * (left[i / columns] * right[i % columns]));
        }
        "weight" if shape.len() == 1 => put(&|i| 1.0 + 0.1 * u(i)),
        _ if shape.len() == 1 => put(&|i| 0.1 * u(i)),
        _ if name.contains("query_feat") || name.contains("embed") && !name.contains("color_embed") => put(&u),
        _ => {
            let gain = gain();
            put(&|i| u(i) * gain);
        }
    }
}
