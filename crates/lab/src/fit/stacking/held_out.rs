//! Held-out rows with the out-of-fold logits of every learner: the rows that mixtures are fitted on.

use crate::fit::loss::log_probabilities;
use crate::fit::outputs::OutOfFoldLogits;
use crate::fit::sample::TrainingSample;

/// Rows held out of the inner splits, beside the logits of learners that did not see them.
pub(in crate::fit) struct HeldOutRows<'h> {
    pub(in crate::fit) samples: Vec<&'h TrainingSample>,
    /// Prompt lengths in standard deviations from the mean, one a sample.
    pub(in crate::fit) lengths: Vec<f64>,
    /// One entry a learner.
    pub(in crate::fit) out_of_fold: Vec<OutOfFoldLogits>,
}

impl HeldOutRows<'_> {
    /// Returns the number of rows.
    pub(in crate::fit) const fn len(&self) -> usize {
        self.samples.len()
    }

    /// Iterates over the log probabilities of a row's head, learner by learner.
    pub(in crate::fit) fn logs(&self, row: usize, head: usize) -> impl Iterator<Item = Vec<f64>> {
        self.out_of_fold.iter().map(move |learner| log_probabilities(learner.of(row, head)))
    }
}
