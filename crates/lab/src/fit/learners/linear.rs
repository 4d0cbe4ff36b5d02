//! The linear learner: a regression whose penalty is chosen on held-out rows, and whose outputs become a task's labels.

use super::labels::{by_head, gain, levels};
use super::level_regression::{LevelThresholds, PredictedLevel};
use super::regression::{LogisticRegression, RegressionShape};
use crate::fit::calibration::{PlattScale, ScoredEvent};
use crate::fit::folds::{FitData, FoldSplit};
use crate::fit::loss::{LinkFunction, log_loss, probabilities};
use crate::fit::outputs::{CrossFitting, HeadOutputs};
use crate::fit::sample::{InputSpan, TrainingSample};
use crate::fit::task::{LearningGoal, LevelLoss};
use crate::fit::weighting::RowWeights;

/// Penalties to choose from, the strongest first, so that each fit starts from the one before it.
const PENALTIES: [f64; 8] = [3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

/// The slope from the gain of a pair to the logit, before any row is seen: the logistic function's around .2, inverted.
const SLOPE: f64 = 6.0;

/// A fitted regression as a learner of a task.
#[derive(Debug, Clone)]
pub(in crate::fit) struct LinearLearner {
    pub(in crate::fit) regression: LogisticRegression,
    /// The line from the gain of a pair, the difference of the two chances, to the logit of the event that the strong
    /// model wins.
    pub(in crate::fit) wins: PlattScale,
    /// The penalty that was chosen.
    pub(in crate::fit) penalty: f64,
}

/// A cross-fitted regression of one link, to be compared with another.
struct RegressionCandidate {
    fitted: CrossFitting<LinearLearner>,
    loss: f64,
}

/// Held-out rows under one penalty.
struct PenaltyStep<'s> {
    penalty: usize,
    loss: f64,
    rows: Vec<HeldOutLogits<'s>>,
}

struct HeldOutLogits<'s> {
    sample: &'s TrainingSample,
    weight: f64,
    logits: Vec<f64>,
}

impl LinearLearner {
    /// Fits a regression on all rows by the loss that was asked for, else by the one that was better on held-out rows.
    pub(super) fn cross_fit(data: &FitData<'_>, span: InputSpan) -> CrossFitting<Self> {
        let goal = data.goal;
        let plain = || candidate(data, RegressionShape { link: goal.link(), outputs: goal.outputs(), span });
        let steps =
            || candidate(data, RegressionShape { link: LinkFunction::Steps, outputs: goal.outputs() - 1, span });
        let best = match data.loss {
            LevelLoss::CrossEntropy => plain(),
            LevelLoss::Ordinal => steps(),
            LevelLoss::Regression => return level_regression(data, span),
            LevelLoss::Auto => {
                let (plain, steps) = (plain(), steps());
                if steps.loss < plain.loss { steps } else { plain }
            }
        };
        best.fitted
    }

    /// Returns one logit a label, for each head.
    pub(super) fn logits(&self, goal: LearningGoal, sample: &TrainingSample) -> HeadOutputs {
        labelled(goal, self.regression.shape.link, self.regression.logits(sample), self.wins)
    }
}

fn candidate(data: &FitData<'_>, shape: RegressionShape) -> RegressionCandidate {
    let (goal, best) = (data.goal, best_penalty(shape, data));
    let regression = on_all_rows(shape, data, best.penalty);
    let wins = if goal == LearningGoal::Pair { wins(&best.rows) } else { PlattScale::IDENTITY };
    let out_of_fold = best.rows.into_iter().map(|row| labelled(goal, shape.link, row.logits, wins)).collect();
    let model = LinearLearner { regression, wins, penalty: PENALTIES[best.penalty] };
    RegressionCandidate { fitted: CrossFitting { model, out_of_fold }, loss: best.loss }
}

/// Fits levels by least squares; thresholds on the held-out predictions make them steps.
fn level_regression(data: &FitData<'_>, span: InputSpan) -> CrossFitting<LinearLearner> {
    let shape = RegressionShape { link: LinkFunction::Level, outputs: 1, span };
    let best = best_penalty(shape, data);
    let predicted = |row: &HeldOutLogits<'_>| row.logits.first().copied().unwrap_or_default();
    let rows: Vec<PredictedLevel<'_>> = best
        .rows
        .iter()
        .map(|row| PredictedLevel { level: predicted(row), truth: &row.sample.target, weight: row.weight })
        .collect();
    let thresholds = LevelThresholds::fit(&rows, data.goal.outputs() - 1);
    let out_of_fold =
        best.rows.iter().map(|row| HeadOutputs::of_one_head(levels(&thresholds.steps(predicted(row))))).collect();
    let regression = thresholds.regression(&on_all_rows(shape, data, best.penalty));
    let model = LinearLearner { regression, wins: PlattScale::IDENTITY, penalty: PENALTIES[best.penalty] };
    CrossFitting { model, out_of_fold }
}

/// Fits on all rows under one penalty, from the one before it.
fn on_all_rows(shape: RegressionShape, data: &FitData<'_>, penalty: usize) -> LogisticRegression {
    let path = PENALTIES[penalty.saturating_sub(1)..=penalty].iter();
    path.fold(LogisticRegression::new(shape), |regression, penalty| regression.fit(&data.rows, &data.weights, *penalty))
}

/// Follows the path of penalties on every split until less of one hurts on held-out rows.
fn best_penalty<'s>(shape: RegressionShape, data: &FitData<'s>) -> PenaltyStep<'s> {
    let (splits, weights): (&[FoldSplit<'s>], &RowWeights) = (data.splits, &data.weights);
    let mut paths: Vec<LogisticRegression> = splits.iter().map(|_| LogisticRegression::new(shape)).collect();
    let mut best = PenaltyStep { penalty: 0, loss: f64::INFINITY, rows: Vec::new() };
    for (index, penalty) in PENALTIES.into_iter().enumerate() {
        let mut rows = Vec::new();
        for (path, split) in paths.iter_mut().zip(splits) {
            *path = path.clone().fit(&split.rest, weights, penalty);
            let held = split.held.iter();
            rows.extend(held.map(|sample| {
                let (weight, logits) = (weights.of_sample(sample), path.logits(sample));
                HeldOutLogits { sample, weight, logits }
            }));
        }
        let loss: f64 = rows.iter().map(|row| row.weight * row.loss(shape.link)).sum();
        // Once less of a penalty only hurts, still less would hurt more, and take longest.
        if loss >= best.loss {
            break;
        }
        best = PenaltyStep { penalty: index, loss, rows };
    }
    best
}

impl HeldOutLogits<'_> {
    fn loss(&self, link: LinkFunction) -> f64 {
        let target = &self.sample.target;
        match link {
            LinkFunction::Steps => log_loss(
                LinkFunction::Softmax,
                &probabilities(LinkFunction::Softmax, &levels(&self.logits), 1.0),
                target,
            ),
            link => log_loss(link, &probabilities(link, &self.logits, 1.0), &link.target(target)),
        }
    }
}

/// Returns Platt's line from the gain, fitted on held-out rows; few rows move the slope little.
fn wins(rows: &[HeldOutLogits<'_>]) -> PlattScale {
    let event = |row: &HeldOutLogits<'_>| {
        let strong_wins = row.sample.target[0] > row.sample.target[1];
        ScoredEvent { score: gain(&row.logits), truth: f64::from(u8::from(strong_wins)), weight: row.weight }
    };
    PlattScale::fit(&rows.iter().map(event).collect::<Vec<_>>(), SLOPE)
}

fn labelled(goal: LearningGoal, link: LinkFunction, logits: Vec<f64>, wins: PlattScale) -> HeadOutputs {
    match goal {
        LearningGoal::Choice(_) if link == LinkFunction::Steps => HeadOutputs::of_one_head(levels(&logits)),
        LearningGoal::Pair => HeadOutputs::of_one_head(vec![0.0, wins.logit(gain(&logits))]),
        LearningGoal::Choice(_) | LearningGoal::Each(_) => by_head(goal, logits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::weighting::ClassWeights;

    #[test]
    fn steps_learn_levels_that_rise_with_an_input() {
        let sample = |i: u16| {
            let x = f32::from(i % 30) / 10.0;
            let level = usize::from(i % 30 / 10);
            let target = (0..3).map(|label| f32::from(u8::from(label == level))).collect();
            TrainingSample { dense: vec![x - 1.5], target, ..TrainingSample::default() }
        };
        let samples: Vec<TrainingSample> = (0..300).map(sample).collect();
        let rows: Vec<&TrainingSample> = samples.iter().collect();
        let splits = [FoldSplit { rest: rows[..150].to_vec(), held: rows[150..].to_vec() }];
        let shape =
            RegressionShape { link: LinkFunction::Steps, outputs: 2, span: InputSpan { from: 0, to: 1, sparse: 0 } };

        let (goal, weights) = (LearningGoal::Choice(3), RowWeights::of(ClassWeights::Auto, &rows));
        let data = FitData { goal, loss: LevelLoss::Auto, weights, rows, splits: &splits, seed: 7 };
        for fitted in [candidate(&data, shape).fitted, level_regression(&data, shape.span)] {
            let outputs = fitted.model.logits(LearningGoal::Choice(3), &samples[25]);
            let logits = outputs.of_head(0);
            assert!(logits[2] > logits[1] && logits[1] > logits[0], "{logits:?}");
            assert_eq!(fitted.model.regression.shape.link, LinkFunction::Steps);
        }
    }
}
