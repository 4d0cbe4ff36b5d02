//! The weights that a layer has for n-grams.

use crate::scoring::ngrams::Ngrams;

/// The most outputs that are added in one go.
const LANES: usize = 16;

/// The weights of a layer's n-grams `[bucket][output]`: all that one n-gram adds lies together, and takes one or two
/// lines of the processor's cache.
#[derive(Debug, Clone)]
pub(super) struct SparseWeights {
    /// The weights, and as many zeros behind them as the last n-gram is read too far.
    weights: Vec<f32>,
    outputs: usize,
}

impl SparseWeights {
    /// Takes the columns from `from` on, `width` of them, of a matrix `[output][input]` with `inputs` columns.
    pub(super) fn of_columns(weight: &[f32], inputs: usize, from: usize, width: usize) -> Self {
        let rows: Vec<&[f32]> = weight.chunks_exact(inputs).map(|row| &row[from..from + width]).collect();
        let mut weights = Vec::with_capacity(width * rows.len() + LANES);
        for bucket in 0..width {
            weights.extend(rows.iter().map(|row| row[bucket]));
        }
        weights.resize(width * rows.len() + LANES, 0.0);
        Self { weights, outputs: rows.len() }
    }

    /// Adds the product of the weights and a text's n-grams to `values`.
    pub(super) fn add(&self, values: &mut [f32], ngrams: &Ngrams) {
        let mut from = 0;
        for values in values.chunks_mut(LANES) {
            match values.len() {
                0..=4 => self.add_lanes::<4>(values, from, ngrams),
                5..=8 => self.add_lanes::<8>(values, from, ngrams),
                _ => self.add_lanes::<LANES>(values, from, ngrams),
            }
            from += LANES;
        }
    }

    /// Adds what the outputs from `from` on get. Lanes beyond the values hold what is of the next n-gram, and are left.
    fn add_lanes<const N: usize>(&self, values: &mut [f32], from: usize, ngrams: &Ngrams) {
        let mut sums = [0.0_f32; N];
        for (bucket, value) in ngrams.entries() {
            let start = *bucket as usize * self.outputs + from;
            let Some(weights) = self.weights.get(start..).and_then(<[f32]>::first_chunk::<N>) else { continue };
            for lane in 0..N {
                sums[lane] += weights[lane] * value;
            }
        }
        values.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum);
    }
}
