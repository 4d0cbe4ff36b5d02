//! One dense layer, and the reading of it out of blocks.

use super::sparse::SparseWeights;

/// A dense layer.
#[derive(Debug, Clone)]
pub(super) struct DenseLayer {
    /// The weights `[output][input]`, row by row; without those of n-grams.
    pub(super) weight: Vec<f32>,
    /// The summands `[output]`.
    pub(super) bias: Vec<f32>,
    pub(super) inputs: usize,
    /// The weights of n-grams, where the layer reads any.
    pub(super) sparse: Option<SparseWeights>,
}

impl DenseLayer {
    /// Adds the product of `inputs` and the columns from `from` on to `values`; returns the number of these columns.
    pub(super) fn add(&self, values: &mut [f32], from: usize, inputs: &[f32]) -> usize {
        for (value, row) in values.iter_mut().zip(self.weight.chunks_exact(self.inputs)) {
            *value += dot(&row[from..from + inputs.len()], inputs);
        }
        inputs.len()
    }

    /// Takes the columns from `from` on, `width` of them, for those of n-grams.
    pub(super) fn with_sparse_columns(self, from: usize, width: usize) -> Self {
        let Self { weight, bias, inputs, .. } = self;
        let sparse = Some(SparseWeights::of_columns(&weight, inputs, from, width));
        let dense = weight.chunks_exact(inputs).flat_map(|row| row[..from].iter().chain(&row[from + width..]));
        Self { weight: dense.copied().collect(), bias, inputs: inputs - width, sparse }
    }

    /// Returns the outputs for all `inputs` of the layer.
    pub(super) fn apply(&self, inputs: &[f32]) -> Vec<f32> {
        self.weight.chunks_exact(self.inputs).zip(&self.bias).map(|(row, bias)| dot(row, inputs) + bias).collect()
    }
}

/// Returns the dot product, by eight sums at once: that lets the compiler use vector instructions.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
