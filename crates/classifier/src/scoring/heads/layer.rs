//! One dense layer, and the reading of it out of blocks.

use crate::scoring::ngrams;
use crate::scoring::ngrams::Ngrams;

#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Row by row: one row an output.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) inputs: usize,
}

impl Layer {
    /// Adds what the columns from `from` on make of `inputs`; returns how many columns that are.
    pub(super) fn add(&self, values: &mut [f32], from: usize, inputs: &[f32]) -> usize {
        for (value, row) in values.iter_mut().zip(self.weight.chunks_exact(self.inputs)) {
            *value += dot(&row[from..from + inputs.len()], inputs);
        }
        inputs.len()
    }

    pub(super) fn add_sparse(&self, values: &mut [f32], from: usize, inputs: &Ngrams) -> usize {
        for (value, row) in values.iter_mut().zip(self.weight.chunks_exact(self.inputs)) {
            *value += inputs.entries().iter().map(|(place, input)| row[from + *place as usize] * input).sum::<f32>();
        }
        ngrams::WIDTH
    }

    pub(super) fn apply(&self, inputs: &[f32]) -> Vec<f32> {
        self.weight.chunks_exact(self.inputs).zip(&self.bias).map(|(row, bias)| dot(row, inputs) + bias).collect()
    }
}

/// Eight sums at once, which is what lets the compiler use vector instructions.
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
