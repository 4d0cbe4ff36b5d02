//! A training sample: the numbers of one prompt as learners read them.

use super::outputs::BaseOutputs;
use super::weighting::RowWeight;

/// The numbers of one prompt, scaled for training, beside their target.
#[derive(Debug, Clone, Default)]
pub(super) struct TrainingSample {
    /// The embedding, where there is one, and the features after it.
    pub(super) dense: Vec<f32>,
    /// Indices of n-grams and their values.
    pub(super) sparse: Vec<(u32, f32)>,
    /// The target of each output, 0 to 1.
    pub(super) target: Vec<f32>,
    /// The weight that its row brings.
    pub(super) weight: RowWeight,
    /// Log probabilities by the base's own heads.
    pub(super) base: BaseOutputs,
}

/// The part of a sample's numbers that a learner reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InputSpan {
    /// The first dense number.
    pub(super) from: usize,
    /// The one after the last.
    pub(super) to: usize,
    /// The number of n-grams; 0 for a learner that reads none.
    pub(super) sparse: usize,
}

impl InputSpan {
    /// Returns the number of inputs.
    pub(super) const fn width(self) -> usize {
        self.to - self.from + self.sparse
    }

    /// Returns the dense numbers of a sample that are read.
    pub(super) fn dense(self, sample: &TrainingSample) -> &[f32] {
        &sample.dense[self.from..self.to]
    }

    /// Visits every input that is not zero, and at last the bias.
    pub(super) fn each(self, sample: &TrainingSample, mut visit: impl FnMut(usize, f32)) {
        let dense = self.dense(sample);
        dense.iter().enumerate().for_each(|(input, value)| visit(input, *value));
        if self.sparse > 0 {
            sample.sparse.iter().for_each(|(index, value)| visit(dense.len() + *index as usize, *value));
        }
        visit(self.width(), 1.0);
    }
}
