//! From the outputs of learners to the labels of heads, and from targets to what votes and trees learn.

use crate::fit::loss::{LinkFunction, probabilities};
use crate::fit::outputs::HeadOutputs;
use crate::fit::sample::TrainingSample;
use crate::fit::task::LearningGoal;

/// Returns the outputs of a learner whose outputs are a head's labels, or of several models each one's success.
pub(super) fn by_head(goal: LearningGoal, outputs: Vec<f64>) -> HeadOutputs {
    match goal {
        LearningGoal::Choice(_) | LearningGoal::Pair => HeadOutputs::of_one_head(outputs),
        LearningGoal::Each(_) => HeadOutputs::by_head(outputs.iter().map(|logit| vec![0.0, *logit]).collect()),
    }
}

/// Returns the difference of a strong and a weak model's chances, from the logits of both.
pub(super) fn gain(logits: &[f64]) -> f64 {
    let both = probabilities(LinkFunction::Sigmoid, logits, 1.0);
    both.first().copied().unwrap_or_default() - both.get(1).copied().unwrap_or_default()
}

/// Returns the log probabilities of ordinal labels: the differences of how likely more than each is.
pub(super) fn levels(steps: &[f64]) -> Vec<f64> {
    let mut above = 1.0_f64;
    let steps = probabilities(LinkFunction::Steps, steps, 1.0).into_iter().chain([0.0]);
    let level = |step: f64| {
        let next = above.min(step);
        (std::mem::replace(&mut above, next) - next).max(1e-6).ln()
    };
    steps.map(level).collect()
}

/// Returns the target of a vote or a tree; of a pair a half, more the better the strong model does, less the better the
/// weak one.
pub(super) fn preference(goal: LearningGoal, sample: &TrainingSample) -> Vec<f32> {
    match goal {
        LearningGoal::Pair => {
            let strong = (1.0 + sample.target[0] - sample.target[1]) / 2.0;
            vec![1.0 - strong, strong]
        }
        _ => sample.target.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_share_what_steps_leave_and_never_less_than_nothing() {
        let odds = |p: f64| (p / (1.0 - p)).ln();

        let said: Vec<f64> = levels(&[odds(0.75), odds(0.25)]).into_iter().map(f64::exp).collect();
        let crossed: Vec<f64> = levels(&[odds(0.25), odds(0.75)]).into_iter().map(f64::exp).collect();

        for (p, expected) in said.iter().zip([0.25, 0.5, 0.25]).chain(crossed.iter().zip([0.75, 0.0, 0.25])) {
            assert!((p - expected).abs() < 1e-5, "{said:?}, {crossed:?}");
        }
    }
}
