//! The linear learner: a regression whose penalty is chosen on held-out rows, and whose outputs become a task's labels.

use super::labels::{by_head, gain, levels};
use super::regression::{Regression, Shape};
use crate::fit::calibration::{Event, PlattScale};
use crate::fit::folds::{FitData, Split};
use crate::fit::loss::{Link, log_loss, probabilities};
use crate::fit::outputs::{CrossFitted, HeadOutputs};
use crate::fit::sample::{Sample, Span};
use crate::fit::task::Goal;

/// Penalties to choose from, the strongest first, so that each fit starts from the one before it.
const PENALTIES: [f64; 8] = [3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

/// The slope from the gain of a pair to the logit, before any row is seen: the logistic function's around .2, inverted.
const SLOPE: f64 = 6.0;

/// A fitted regression as a learner of a task.
#[derive(Debug, Clone)]
pub(in crate::fit) struct LinearLearner {
    pub(in crate::fit) regression: Regression,
    /// The line from the gain of a pair, the difference of the two chances, to the logit of the event that the strong
    /// model wins.
    pub(in crate::fit) wins: PlattScale,
    /// The penalty that was chosen.
    pub(in crate::fit) penalty: f64,
}

/// A cross-fitted regression of one link, to be compared with another.
struct Candidate {
    fitted: CrossFitted<LinearLearner>,
    loss: f64,
}

/// Held-out rows under one penalty.
struct PenaltyStep<'s> {
    penalty: usize,
    loss: f64,
    rows: Vec<HeldOutLogits<'s>>,
}

struct HeldOutLogits<'s> {
    sample: &'s Sample,
    logits: Vec<f64>,
}

impl LinearLearner {
    /// Fits a regression on all rows; where labels are ordered, the one of steps if that was better on held-out rows.
    pub(super) fn cross_fit(data: &FitData<'_>, span: Span) -> CrossFitted<Self> {
        let goal = data.goal;
        let plain = candidate(data, Shape { link: goal.link(), outputs: goal.outputs(), span });
        let steps = || candidate(data, Shape { link: Link::Steps, outputs: goal.outputs() - 1, span });
        let best = match data.ordered.then(steps) {
            Some(steps) if steps.loss < plain.loss => steps,
            _ => plain,
        };
        best.fitted
    }

    /// Returns one logit a label, for each head.
    pub(super) fn logits(&self, goal: Goal, sample: &Sample) -> HeadOutputs {
        labelled(goal, self.regression.shape.link, self.regression.logits(sample), self.wins)
    }
}

fn candidate(data: &FitData<'_>, shape: Shape) -> Candidate {
    let (goal, best) = (data.goal, best_penalty(shape, data.splits));
    let mut regression = Regression::new(shape);
    for penalty in &PENALTIES[best.penalty.saturating_sub(1)..=best.penalty] {
        regression = regression.fit(&data.rows, *penalty);
    }
    let wins = if goal == Goal::Pair { wins(&best.rows) } else { PlattScale::IDENTITY };
    let out_of_fold = best.rows.into_iter().map(|row| labelled(goal, shape.link, row.logits, wins)).collect();
    let model = LinearLearner { regression, wins, penalty: PENALTIES[best.penalty] };
    Candidate { fitted: CrossFitted { model, out_of_fold }, loss: best.loss }
}

/// Follows the path of penalties on every split until less of one hurts on held-out rows.
fn best_penalty<'s>(shape: Shape, splits: &[Split<'s>]) -> PenaltyStep<'s> {
    let mut paths: Vec<Regression> = splits.iter().map(|_| Regression::new(shape)).collect();
    let mut best = PenaltyStep { penalty: 0, loss: f64::INFINITY, rows: Vec::new() };
    for (index, penalty) in PENALTIES.into_iter().enumerate() {
        let mut rows = Vec::new();
        for (path, split) in paths.iter_mut().zip(splits) {
            *path = path.clone().fit(&split.rest, penalty);
            rows.extend(split.held.iter().map(|sample| HeldOutLogits { sample, logits: path.logits(sample) }));
        }
        let loss: f64 = rows.iter().map(|row| row.loss(shape.link)).sum();
        // Once less of a penalty only hurts, still less would hurt more, and take longest.
        if loss >= best.loss {
            break;
        }
        best = PenaltyStep { penalty: index, loss, rows };
    }
    best
}

impl HeldOutLogits<'_> {
    fn loss(&self, link: Link) -> f64 {
        let target = &self.sample.target;
        match link {
            Link::Steps => log_loss(Link::Softmax, &probabilities(Link::Softmax, &levels(&self.logits), 1.0), target),
            link => log_loss(link, &probabilities(link, &self.logits, 1.0), target),
        }
    }
}

/// Returns Platt's line from the gain, fitted on held-out rows; few rows move the slope little.
fn wins(rows: &[HeldOutLogits<'_>]) -> PlattScale {
    let event = |row: &HeldOutLogits<'_>| {
        let strong_wins = row.sample.target[0] > row.sample.target[1];
        Event { score: gain(&row.logits), truth: f64::from(u8::from(strong_wins)) }
    };
    PlattScale::fit(&rows.iter().map(event).collect::<Vec<_>>(), SLOPE)
}

fn labelled(goal: Goal, link: Link, logits: Vec<f64>, wins: PlattScale) -> HeadOutputs {
    match goal {
        Goal::Choice(_) if link == Link::Steps => HeadOutputs::of_one_head(levels(&logits)),
        Goal::Pair => HeadOutputs::of_one_head(vec![0.0, wins.logit(gain(&logits))]),
        Goal::Choice(_) | Goal::Each(_) => by_head(goal, logits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_learn_levels_that_rise_with_an_input() {
        let sample = |i: u16| {
            let x = f32::from(i % 30) / 10.0;
            let level = usize::from(i % 30 / 10);
            let target = (0..3).map(|label| f32::from(u8::from(label == level))).collect();
            Sample { dense: vec![x - 1.5], target, ..Sample::default() }
        };
        let samples: Vec<Sample> = (0..300).map(sample).collect();
        let rows: Vec<&Sample> = samples.iter().collect();
        let splits = [Split { rest: rows[..150].to_vec(), held: rows[150..].to_vec() }];
        let shape = Shape { link: Link::Steps, outputs: 2, span: Span { from: 0, to: 1, sparse: 0 } };

        let data = FitData { goal: Goal::Choice(3), ordered: true, rows, splits: &splits, seed: 7 };
        let fitted = candidate(&data, shape).fitted;

        let outputs = fitted.model.logits(Goal::Choice(3), &samples[25]);
        let logits = outputs.of_head(0);
        assert!(logits[2] > logits[1] && logits[1] > logits[0], "{logits:?}");
    }
}
