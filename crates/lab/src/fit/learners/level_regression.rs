//! Least squares on levels: a regression predicts one number a prompt, and thresholds cut it into levels.
//!
//! The chance of a level above the k-th is a logistic function of the predicted number, with one slope for all
//! thresholds (proportional odds, McCullagh 1980), fitted on held-out predictions. So the result serves as the
//! regression of steps that it equals: the same weights for every step, times the slope.

use super::lbfgs::minimise;
use super::regression::{LogisticRegression, RegressionShape};
use crate::fit::loss::LinkFunction;

/// The cost of a steep slope: predictions that tell the levels of all rows apart would make it infinite.
const SLOPE_COST: f64 = 1e-3;

/// The least slope: more must never mean less.
const LEAST_SLOPE: f64 = 0.02;

/// A level that was predicted for a held-out row, beside the truth.
#[derive(Debug, Clone, Copy)]
pub(super) struct PredictedLevel<'t> {
    pub(super) level: f64,
    /// The target of each label.
    pub(super) truth: &'t [f32],
    pub(super) weight: f64,
}

/// Thresholds on predicted levels, as logits of steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LevelThresholds {
    slope: f64,
    /// One a step: the logit at level 0.
    offsets: Vec<f64>,
}

impl LevelThresholds {
    /// Fits the slope and the thresholds of `steps` steps.
    pub(super) fn fit(rows: &[PredictedLevel<'_>], steps: usize) -> Self {
        let total: f64 = rows.iter().map(|row| row.weight).sum();
        let mut start = vec![0.0; steps + 1];
        start[0] = 1.0;
        let found = minimise(start, |at, gradient| {
            gradient.fill(0.0);
            let mut loss = 0.0;
            for row in rows {
                let targets = LinkFunction::Steps.target(row.truth);
                for (step, target) in targets.iter().enumerate() {
                    let logit = at[0] * row.level + at[step + 1];
                    let share = row.weight / total.max(f64::MIN_POSITIVE);
                    let p = 1.0 / (1.0 + (-logit).exp());
                    let target = f64::from(*target);
                    loss -= share * (target * p.max(1e-12).ln() + (1.0 - target) * (1.0 - p).max(1e-12).ln());
                    gradient[0] += share * (p - target) * row.level;
                    gradient[step + 1] += share * (p - target);
                }
            }
            gradient[0] += SLOPE_COST * at[0];
            loss + 0.5 * SLOPE_COST * at[0] * at[0]
        });
        Self { slope: found[0].max(LEAST_SLOPE), offsets: found[1..].to_vec() }
    }

    /// Returns the logits of the steps at a predicted level.
    pub(super) fn steps(&self, level: f64) -> Vec<f64> {
        self.offsets.iter().map(|offset| self.slope * level + offset).collect()
    }

    /// Returns a regression of levels as the regression of steps that it equals.
    pub(super) fn regression(&self, levels: &LogisticRegression) -> LogisticRegression {
        let shape = RegressionShape { link: LinkFunction::Steps, outputs: self.offsets.len(), ..levels.shape };
        let (inputs, bias) = levels.output(0);
        let weight = |weight: f64| vec![self.slope * weight; self.offsets.len()];
        let weights = inputs.into_iter().flat_map(weight).chain(self.steps(bias)).collect();
        LogisticRegression { shape, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::learners::labels::levels;
    use crate::fit::sample::{InputSpan, TrainingSample};

    const TRUTHS: [[f32; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

    #[test]
    fn thresholds_lie_between_levels_and_say_how_sure_a_number_is() {
        // Predictions are off by up to one level.
        let row = |i: usize| PredictedLevel {
            level: (i % 3) as f64 + ((i / 3) % 21) as f64 / 10.0 - 1.0,
            truth: &TRUTHS[i % 3],
            weight: 1.0,
        };
        let rows: Vec<PredictedLevel<'_>> = (0..630).map(row).collect();

        let thresholds = LevelThresholds::fit(&rows, 2);

        let said = |level: f64| -> Vec<f64> { levels(&thresholds.steps(level)).into_iter().map(f64::exp).collect() };
        let (low, middle, high) = (said(0.0), said(1.0), said(2.0));
        assert!(low[0] > low[1] && middle[1] > middle[0] && middle[1] > middle[2], "{low:?}, {middle:?}");
        assert!(high[2] > high[1] && high[2] < 0.95, "{high:?}");
    }

    #[test]
    fn a_regression_of_levels_serves_as_one_of_steps() {
        let span = InputSpan { from: 0, to: 2, sparse: 0 };
        let shape = RegressionShape { link: LinkFunction::Level, outputs: 1, span };
        let levels = LogisticRegression { shape, weights: vec![0.5, -0.25, 1.0] };
        let thresholds = LevelThresholds { slope: 2.0, offsets: vec![-1.0, -3.0] };
        let sample = TrainingSample { dense: vec![2.0, 4.0], ..TrainingSample::default() };

        let logits = thresholds.regression(&levels).logits(&sample);

        assert_eq!(levels.logits(&sample), [1.0]);
        assert_eq!(logits, [1.0, -1.0]);
    }
}
