//! Constants are folded into their neighbours here, in f64, and rounded to f32 once at the end.
//!
//! Knows layers as matrices only: not which tensors they come from, not the graph they go to.

/// A convolution as the graph has it; its bias, if it has one, is some neighbour's.
pub(super) struct Conv {
    /// Outputs, inputs per group, rows, columns.
    pub(super) shape: [usize; 4],
    /// Row-major.
    pub(super) weight: Vec<f32>,
}

/// A linear layer as the graph has it: `x · weight + bias`.
pub(super) struct Linear {
    /// Rows of the weight.
    pub(super) inputs: usize,
    /// Columns of the weight.
    pub(super) outputs: usize,
    /// Inputs × outputs, row-major: the transpose of what checkpoints store.
    pub(super) weight: Vec<f32>,
    /// One number an output.
    pub(super) bias: Vec<f32>,
}

/// A layer normalisation as the graph has it.
pub(super) struct Norm {
    /// One factor a channel.
    pub(super) scale: Vec<f32>,
    /// One summand a channel.
    pub(super) shift: Vec<f32>,
    /// Added to the variance.
    pub(super) epsilon: f32,
}

/// `x · scale + shift`, channel by channel.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
}

impl Affine {
    /// BatchNorm at inference, from its weight, bias, running mean and running variance. Its epsilon is PyTorch's
    /// default, 1e-5.
    pub(super) fn batch_norm([weight, bias, mean, variance]: [&[f32]; 4]) -> Self {
        let scale: Vec<f64> = weight.iter().zip(variance).map(|(&w, &v)| f64::from(w) / (f64::from(v) + 1e-5).sqrt()).collect();
        let shift = scale.iter().zip(mean).zip(bias).map(|((&s, &m), &b)| f64::from(b) - f64::from(m) * s).collect();
        Self { scale, shift }
    }

    /// `(x − mean) / std`.
    pub(super) fn standardize(mean: &[f32], std: &[f32]) -> Self {
        let scale: Vec<f64> = std.iter().map(|&std| 1.0 / f64::from(std)).collect();
        let shift = scale.iter().zip(mean).map(|(&s, &m)| -f64::from(m) * s).collect();
        Self { scale, shift }
    }

    /// What a norm does behind its division by the deviation.
    pub(super) fn of_norm(norm: &Norm) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
        Self { scale: wide(&norm.scale), shift: wide(&norm.shift) }
    }

    /// This one with another behind it.
    pub(super) fn then(mut self, other: &Self) -> Self {
        for (i, (scale, shift)) in self.scale.iter_mut().zip(&mut self.shift).enumerate() {
            *shift = *shift * other.scale[i] + other.shift[i];
            *scale *= other.scale[i];
        }
        self
    }

    /// Whether every number is finite and stays so in f32.
    pub(super) fn is_finite(&self) -> bool {
        self.scale.iter().chain(&self.shift).all(|&value| (value as f32).is_finite())
    }

    /// As the affine of a norm.
    pub(super) fn norm(&self, epsilon: f32) -> Norm {
        Norm { scale: narrow(&self.scale), shift: narrow(&self.shift), epsilon }
    }
}

/// The largest singular value as spectral normalisation estimates it: u · (W v), with W flattened to (outputs, rest).
pub(super) fn spectral_norm(weight: &[f32], u: &[f32], v: &[f32]) -> f64 {
    let rows = weight.chunks_exact(v.len().max(1));
    let product = |row: &[f32]| row.iter().zip(v).map(|(&w, &v)| f64::from(w) * f64::from(v)).sum::<f64>();
    rows.zip(u).map(|(row, &u)| f64::from(u) * product(row)).sum()
}

/// A weight divided by its spectral norm, each number rounded once; not finite where the norm is zero.
pub(in crate::inference) fn without_spectral_norm(weight: &[f32], u: &[f32], v: &[f32]) -> Vec<f32> {
    let norm = spectral_norm(weight, u, v);
    weight.iter().map(|&weight| (f64::from(weight) / norm) as f32).collect()
}

/// A matrix of outputs × (inputs · taps) and its bias, while constants are being folded into them.
#[derive(Clone)]
pub(super) struct Folding {
    outputs: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Folding {
    /// `weight` has as many rows as `outputs`; no bias is a bias of zeros.
    pub(super) fn new(outputs: usize, weight: &[f32], bias: Option<&[f32]>) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
        Self { outputs, weight: wide(weight), bias: bias.map_or_else(|| vec![0.0; outputs], wide) }
    }

    fn columns(&self) -> usize {
        self.weight.len() / self.outputs
    }

    /// Divides the weight, not the bias: spectral normalisation.
    pub(super) fn divide(mut self, by: f64) -> Self {
        self.weight.iter_mut().for_each(|weight| *weight /= by);
        self
    }

    /// Folds in what happens to the output: `scale · (W x + b) + shift`.
    pub(super) fn then(mut self, affine: &Affine) -> Self {
        let columns = self.columns();
        for (i, row) in self.weight.chunks_exact_mut(columns).enumerate() {
            row.iter_mut().for_each(|weight| *weight *= affine.scale[i]);
            self.bias[i] = self.bias[i] * affine.scale[i] + affine.shift[i];
        }
        self
    }

    /// Folds in what happened to the input: `W (scale · x + shift) + b`. Exact where no tap falls on padding.
    pub(super) fn after(mut self, affine: &Affine) -> Self {
        let columns = self.columns();
        let taps = columns / affine.scale.len();
        for (row, bias) in self.weight.chunks_exact_mut(columns).zip(&mut self.bias) {
            for (i, input) in row.chunks_exact_mut(taps).enumerate() {
                *bias += input.iter().sum::<f64>() * affine.shift[i];
                input.iter_mut().for_each(|weight| *weight *= affine.scale[i]);
            }
        }
        self
    }

    /// Adds to the bias.
    pub(super) fn offset(mut self, by: &[f64]) -> Self {
        self.bias.iter_mut().zip(by).for_each(|(bias, &by)| *bias += by);
        self
    }

    /// Folds in another layer behind this one: `W₂ (W x + b) + b₂`.
    pub(super) fn into(self, next: &Self) -> Self {
        let columns = self.columns();
        let mut weight = vec![0.0; next.outputs * columns];
        for (sum, factors) in weight.chunks_exact_mut(columns).zip(next.weight.chunks_exact(self.outputs)) {
            for (row, factor) in self.weight.chunks_exact(columns).zip(factors) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
            }
        }
        Self { outputs: next.outputs, weight, bias: next.apply(&self.bias) }
    }

    /// What the layer makes of one input.
    pub(super) fn apply(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.weight.chunks_exact(self.columns());
        rows.zip(&self.bias).map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias).collect()
    }

    /// The layer with a bias of zeros, and its bias, which somebody else adds.
    pub(super) fn without_bias(mut self) -> (Self, Vec<f64>) {
        let bias = std::mem::replace(&mut self.bias, vec![0.0; self.outputs]);
        (self, bias)
    }

    /// The layer with another bias.
    pub(super) fn with_bias(self, bias: Vec<f64>) -> Self {
        Self { bias, ..self }
    }

    /// The input columns in another order: column i of the result is column `order(i)`.
    pub(super) fn columns_in(&self, order: impl Fn(usize) -> usize) -> Self {
        let columns = self.columns();
        let weight = self.weight.chunks_exact(columns).flat_map(|row| (0..columns).map(|i| row[order(i)])).collect();
        Self { outputs: self.outputs, weight, bias: self.bias.clone() }
    }

    /// Takes a subset of the input columns: (those before `at`, those from `at` on). Both keep the bias.
    pub(super) fn split_columns(self, at: usize) -> (Self, Self) {
        let rows = self.weight.chunks_exact(self.columns());
        let (left, right): (Vec<&[f64]>, Vec<&[f64]>) = rows.map(|row| row.split_at(at)).unzip();
        let part = |rows: Vec<&[f64]>| Self { outputs: self.outputs, weight: rows.concat(), bias: self.bias.clone() };
        (part(left), part(right))
    }

    /// The layer of the outputs that `pick` names, in that order.
    pub(super) fn rows(&self, pick: impl Iterator<Item = usize> + Clone) -> Self {
        let columns = self.columns();
        let weight = pick.clone().flat_map(|row| self.weight[row * columns..][..columns].iter().copied()).collect();
        let bias: Vec<f64> = pick.map(|row| self.bias[row]).collect();
        Self { outputs: bias.len(), weight, bias }
    }

    /// Whether every number is finite and stays so in f32.
    pub(super) fn is_finite(&self) -> bool {
        self.weight.iter().chain(&self.bias).all(|&value| (value as f32).is_finite())
    }

    /// Rounds to a convolution with `kernel` rows and columns; the bias is left behind.
    pub(super) fn conv(self, kernel: [usize; 2]) -> Conv {
        let inputs = self.columns() / (kernel[0] * kernel[1]);
        Conv { shape: [self.outputs, inputs, kernel[0], kernel[1]], weight: narrow(&self.weight) }
    }

    /// Rounds to a linear layer.
    pub(super) fn linear(self) -> Linear {
        Linear::from_rows(self.outputs, &narrow(&self.weight), narrow(&self.bias))
    }

    /// Rounds to the bare matrix, outputs × inputs.
    pub(super) fn matrix(self) -> Vec<f32> {
        narrow(&self.weight)
    }
}

impl Linear {
    /// From a weight as checkpoints have it: outputs × inputs.
    pub(super) fn from_rows(outputs: usize, rows: &[f32], bias: Vec<f32>) -> Self {
        let inputs = rows.len() / outputs;
        let mut weight = vec![0.0; rows.len()];
        // Sixteen rows at a time fill whole cache lines of the transpose.
        for (block, group) in rows.chunks(16 * inputs).enumerate() {
            for column in 0..inputs {
                let target = &mut weight[column * outputs + 16 * block..];
                for (value, row) in target.iter_mut().zip(group.chunks_exact(inputs)) {
                    *value = row[column];
                }
            }
        }
        Self { inputs, outputs, weight, bias }
    }
}

/// Rounds to f32.
pub(super) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12), "{got:?} is not {want:?}");
    }

    #[test]
    fn folding_around_a_layer_gives_what_the_three_steps_give() {
        let weight = [1.0, -2.0, 0.5, 3.0, 0.25, -1.0];
        let layer = Folding::new(2, &weight, Some(&[0.5, -0.5]));
        let before = Affine { scale: vec![2.0, 0.5, -1.0], shift: vec![0.1, 0.2, 0.3] };
        let after = Affine { scale: vec![3.0, -0.5], shift: vec![1.0, 2.0] };
        let x = [0.7, -1.3, 2.1];
        let inner: Vec<f64> = (0..3).map(|i| before.scale[i] * x[i] + before.shift[i]).collect();
        let plain = layer.apply(&inner);
        let want: Vec<f64> = (0..2).map(|i| after.scale[i] * plain[i] + after.shift[i]).collect();
        close(&layer.after(&before).then(&after).apply(&x), &want);
    }

    #[test]
    fn an_affine_in_front_covers_every_tap_of_its_channel() {
        let layer = Folding::new(1, &[1.0, 2.0, 3.0, 4.0], None);
        let before = Affine { scale: vec![10.0, 100.0], shift: vec![1.0, -1.0] };
        // (10 x + 1) on two taps, (100 x − 1) on two taps, x = 1.
        close(&layer.after(&before).apply(&[1.0; 4]), &[11.0 + 22.0 + 297.0 + 396.0]);
    }

    #[test]
    fn two_layers_fold_into_one() {
        let first = Folding::new(3, &[1.0, -2.0, 0.5, 3.0, 0.25, -1.0], Some(&[0.5, -0.5, 1.0]));
        let second = Folding::new(2, &[1.0, 0.0, -1.0, 2.0, 0.5, 0.25], Some(&[0.125, -3.0]));
        let x = [0.7, -1.3];
        let want = second.apply(&first.apply(&x));
        close(&first.into(&second).apply(&x), &want);
    }

    #[test]
    fn columns_are_put_in_order() {
        let layer = Folding::new(2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], Some(&[7.0, 8.0]));
        let turned = layer.columns_in(|i| 2 - i);
        close(&turned.apply(&[1.0, 10.0, 100.0]), &layer.apply(&[100.0, 10.0, 1.0]));
    }

    #[test]
    fn batch_norm_uses_running_statistics() {
        let affine = Affine::batch_norm([&[2.0], &[0.5], &[3.0], &[4.0]]);
        let x = 5.0;
        close(&[affine.scale[0] * x + affine.shift[0]], &[2.0 * (x - 3.0) / 4.00001_f64.sqrt() + 0.5]);
    }

    #[test]
    fn the_spectral_norm_of_a_rank_one_matrix_is_its_factor() {
        // 3 · u vᵀ with unit u and v.
        let (u, v) = ([0.6, 0.8], [1.0, 0.0, 0.0]);
        let weight = [1.8, 0.0, 0.0, 2.4, 0.0, 0.0];
        assert!((spectral_norm(&weight, &u, &v) - 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_linear_layer_is_transposed_whatever_its_size() {
        let (outputs, inputs) = (37, 5);
        let rows: Vec<f32> = (0..outputs * inputs).map(|i| i as f32).collect();
        let linear = Linear::from_rows(outputs, &rows, vec![0.0; outputs]);
        for out in 0..outputs {
            for input in 0..inputs {
                assert_eq!(linear.weight[input * outputs + out], rows[out * inputs + input]);
            }
        }
    }

    #[test]
    fn splitting_columns_and_picking_rows_keep_the_numbers() {
        let layer = Folding::new(2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], Some(&[7.0, 8.0]));
        let picked = layer.rows([1, 0].into_iter());
        assert_eq!((picked.weight, picked.bias), (vec![4.0, 5.0, 6.0, 1.0, 2.0, 3.0], vec![8.0, 7.0]));
        let (left, right) = layer.split_columns(2);
        assert_eq!((left.weight, right.weight), (vec![1.0, 2.0, 4.0, 5.0], vec![3.0, 6.0]));
    }
}
