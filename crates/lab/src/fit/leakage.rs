//! Leakage: whether a base bundle was trained on the rows, as its own surprise tells.

use super::loss::{LinkFunction, log_loss};
use super::sample::TrainingSample;
use super::task::{HeadForm, LearningGoal};
use crate::statistics::SampleMean;

/// The least distance of a head's loss below what its own probabilities promise, in standard errors, to have seen the
/// rows.
const ERRORS: f64 = 4.0;

/// Returns whether the base's own heads are right far more often than their own probabilities say, in any form.
pub(super) fn knows_answers(goal: LearningGoal, samples: &[TrainingSample]) -> bool {
    let surplus = |sample: &TrainingSample, form: HeadForm| -> f64 {
        let heads = sample.base.of_form(form).heads().enumerate();
        let surplus = |(head, logs): (usize, &[f64])| {
            let probabilities: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
            let loss = log_loss(LinkFunction::Softmax, &probabilities, &goal.truth(&sample.target, head));
            entropy(&probabilities) - loss
        };
        heads.map(surplus).sum()
    };
    [HeadForm::Full, HeadForm::Lexical].into_iter().any(|form| {
        let surplus = SampleMean::of(&samples.iter().map(|sample| surplus(sample, form)).collect::<Vec<_>>());
        surplus.mean > ERRORS * surplus.standard_error && surplus.mean > 1e-3
    })
}

/// Returns the loss that probabilities promise of themselves.
pub(super) fn entropy(probabilities: &[f64]) -> f64 {
    probabilities.iter().map(|p| -p * p.max(1e-12).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::outputs::{BaseOutputs, HeadOutputs};

    const TRUTHS: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

    #[test]
    fn a_head_that_is_always_right_and_never_sure_has_seen_the_rows() {
        let sample = |i: usize, right: bool| {
            let truth = i % 2;
            let told = if right { truth } else { (i / 2) % 2 };
            let p: f64 = if told == 1 { 0.7 } else { 0.3 };
            let full = HeadOutputs::of_one_head(vec![(1.0 - p).ln(), p.ln()]);
            let base = BaseOutputs { full, ..BaseOutputs::default() };
            TrainingSample { target: TRUTHS[truth].to_vec(), base, ..TrainingSample::default() }
        };
        let samples = |right: bool| (0..400).map(|i| sample(i, right)).collect::<Vec<_>>();

        assert!(knows_answers(LearningGoal::Choice(2), &samples(true)));
        assert!(!knows_answers(LearningGoal::Choice(2), &samples(false)));
    }
}
