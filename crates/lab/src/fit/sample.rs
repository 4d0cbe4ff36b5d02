//! One prompt as learners read it.

/// The numbers of one prompt, scaled for training, and what they should give.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// The embedding, where there is one, and the features after it.
    pub(super) dense: Vec<f32>,
    /// Places of n-grams and their values.
    pub(super) sparse: Vec<(u32, f32)>,
    /// What each output should be, 0 to 1.
    pub(super) target: Vec<f32>,
    /// What the base's own heads say: of the full form, then of the lexical one, log probabilities by head and label.
    pub(super) own: [Vec<Vec<f64>>; 2],
}

/// The part of a prompt's numbers that a learner reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The first dense number.
    pub(super) from: usize,
    /// The one after the last.
    pub(super) to: usize,
    /// Places of n-grams; 0 for a learner that reads none.
    pub(super) sparse: usize,
}

impl Span {
    /// Returns how many inputs that are.
    pub(super) const fn width(self) -> usize {
        self.to - self.from + self.sparse
    }

    /// Returns the dense numbers that are read.
    pub(super) fn dense(self, sample: &Sample) -> &[f32] {
        &sample.dense[self.from..self.to]
    }

    /// Visits every input that is not zero, and at last the bias.
    pub(super) fn each(self, sample: &Sample, mut visit: impl FnMut(usize, f32)) {
        let dense = self.dense(sample);
        dense.iter().enumerate().for_each(|(input, value)| visit(input, *value));
        if self.sparse > 0 {
            sample.sparse.iter().for_each(|(place, value)| visit(dense.len() + *place as usize, *value));
        }
        visit(self.width(), 1.0);
    }
}
