//! Stacking: several learners become one calibrated head, a log-linear mixture with a prior.
//!
//! Weights, prior and calibration are chosen on rows that the learners did not see.

mod discount;
mod held_out;

use pointsman_classifier::CalibrationCurve;

pub(super) use self::discount::discounted;
pub(super) use self::held_out::HeldOutRows;
use super::calibration::{Forecast, PlattScale, ScoredEvent, isotonic_curve, top_label_temperature};
use super::loss::{LinkFunction, argmax, log_loss, probabilities};
use super::task::LearningGoal;
use super::weighting::ClassWeights;
use crate::statistics::{ConfusionMatrix, SampleMean};

/// The cost of a member's weight, so that one that does not help is left out.
const WEIGHT_COST: f64 = 1e-3;

/// Rows that it takes to move weights away from equal shares.
const WEIGHT_ROWS: f64 = 20.0;

/// The least share of the largest weight that is worth a member.
const LEAST: f64 = 0.05;

/// Steps by which weights are searched.
const STEPS: [f64; 6] = [0.0, 0.5, 0.8, 0.95, 1.1, 1.5];

/// A log-linear mixture of learners: the weight of each one's log probabilities, and a bias on each label's logit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeadMixture {
    /// One weight a learner; 0 for one that is left out.
    pub(super) weights: Vec<f64>,
    /// One number a label.
    pub(super) bias: Vec<f64>,
    /// The slope of the prompt's length: how much one standard deviation adds to the second of two labels.
    pub(super) length: f64,
    /// The isotonic curve of the probabilities, where held-out rows speak for more than a temperature.
    pub(super) curve: Option<CalibrationCurve>,
    /// The weights before any row was seen.
    expected: Vec<f64>,
}

/// The expectation of a mixture before any row is seen.
#[derive(Debug, Clone)]
pub(super) struct MixturePrior {
    pub(super) goal: LearningGoal,
    pub(super) labels: usize,
    /// One weight a learner.
    pub(super) weights: Vec<f64>,
    /// Rows that taught the learners.
    pub(super) learnt: usize,
    /// True when a member is a head of the base, which was good before.
    pub(super) has_base_head: bool,
    /// The class weights: where they are given, rare labels are not spoken up for besides.
    pub(super) class_weights: ClassWeights,
}

/// A held-out row of one head.
pub(super) struct MixtureRow<'h> {
    /// Log probabilities, `[learner][label]`.
    pub(super) logs: Vec<Vec<f64>>,
    /// The target of each label.
    pub(super) truth: &'h [f32],
    /// The prompt's length in standard deviations from the mean.
    pub(super) length: f64,
    pub(super) weight: f64,
}

impl HeadMixture {
    /// Mixes learners and calibrates the mixture on `rows`.
    pub(super) fn fit(start: &MixturePrior, rows: &[MixtureRow<'_>]) -> Self {
        let expected = start.weights.clone();
        let bias = vec![0.0; start.labels];
        let mut mixture = Self { weights: expected.clone(), bias, length: 0.0, curve: None, expected };
        mixture.search(rows);
        match start.goal {
            LearningGoal::Choice(_) => {
                if !start.class_weights.is_given() {
                    mixture.correct_prior(rows);
                }
                mixture.temper(mixture.temperature(rows));
            }
            LearningGoal::Pair => {
                mixture.expect_length(rows, start);
                mixture.scale_as_platt(rows);
            }
            LearningGoal::Each(_) => mixture.scale_as_platt(rows),
        }
        mixture.curve = isotonic_curve(&mixture.forecasts(rows));
        mixture
    }

    /// Returns the probabilities of a prompt's labels, from log probabilities `[learner][label]`.
    pub(super) fn probabilities(&self, logs: &[Vec<f64>], length: f64) -> Vec<f64> {
        let mixed = probabilities(LinkFunction::Softmax, &self.logits(logs, length), 1.0);
        let Some(curve) = &self.curve else { return mixed };
        let mut single: Vec<f32> = mixed.into_iter().map(|p| p as f32).collect();
        curve.apply(&mut single);
        single.into_iter().map(f64::from).collect()
    }

    /// Returns the forecasts that a calibration curve is fitted on: of two labels the second's, of more the best
    /// label's.
    fn forecasts(&self, rows: &[MixtureRow<'_>]) -> Vec<Forecast> {
        let one = |row: &MixtureRow<'_>| {
            let probabilities = self.probabilities(&row.logs, row.length);
            let label = if probabilities.len() == 2 { 1 } else { argmax(&probabilities) };
            Forecast { probability: probabilities[label], outcome: f64::from(row.truth[label]) }
        };
        rows.iter().map(one).collect()
    }

    fn temperature(&self, rows: &[MixtureRow<'_>]) -> f64 {
        let rows: Vec<_> = rows.iter().map(|row| (self.logits(&row.logs, row.length), row.truth)).collect();
        top_label_temperature(&rows)
    }

    fn logits(&self, logs: &[Vec<f64>], length: f64) -> Vec<f64> {
        let mut logits = self.bias.clone();
        if let [_, second] = &mut logits[..] {
            *second += self.length * length;
        }
        for (weight, logs) in self.weights.iter().zip(logs).filter(|(weight, _)| **weight > 0.0) {
            logits.iter_mut().zip(logs).for_each(|(logit, log)| *logit += weight * log);
        }
        logits
    }

    /// Searches the weights by coordinates, from what is expected.
    fn search(&mut self, rows: &[MixtureRow<'_>]) {
        let mut best = self.cost(rows);
        for _ in 0..12 {
            let before = best;
            for learner in 0..self.weights.len() {
                let weight = self.weights[learner];
                // What was left out may come back.
                for tried in STEPS.map(|step| if weight == 0.0 { 0.2 * step } else { weight * step }) {
                    let last = std::mem::replace(&mut self.weights[learner], tried);
                    let cost = self.cost(rows);
                    if cost < best { best = cost } else { self.weights[learner] = last }
                }
            }
            if before - best < 1e-6 {
                break;
            }
        }
        let most = self.weights.iter().copied().fold(0.0, f64::max);
        if most == 0.0 {
            self.weights.clone_from(&self.expected);
        }
        self.weights.iter_mut().filter(|weight| **weight < LEAST * most).for_each(|weight| *weight = 0.0);
    }

    fn cost(&self, rows: &[MixtureRow<'_>]) -> f64 {
        let n = rows.len().max(1) as f64;
        let loss = |row: &MixtureRow<'_>| {
            row.weight * log_loss(LinkFunction::Softmax, &self.probabilities(&row.logs, row.length), row.truth)
        };
        let share = 1.0 / self.weights.len() as f64;
        let moved = |(weight, expected): (&f64, &f64)| (weight - expected).powi(2);
        let spread: f64 = self.weights.iter().zip(&self.expected).map(moved).sum();
        rows.iter().map(loss).sum::<f64>() / n
            + WEIGHT_COST * self.weights.iter().sum::<f64>()
            + WEIGHT_ROWS / n * spread * share
    }

    /// Corrects the prior: speaks up for rare labels, as far as that gains more macro F1 than it costs accuracy.
    fn correct_prior(&mut self, rows: &[MixtureRow<'_>]) {
        let labels = self.bias.len();
        let share = |label: usize| {
            let sum: f64 = rows.iter().map(|row| f64::from(row.truth[label])).sum();
            (sum + 1.0) / (rows.len() + labels) as f64
        };
        let prior: Vec<f64> = (0..labels).map(|label| share(label).ln()).collect();
        let shifted = |step: u8| -> Vec<f64> { prior.iter().map(|log| -f64::from(step) / 10.0 * log).collect() };
        let worth = |step: u8| {
            let mixture = Self { bias: shifted(step), ..self.clone() };
            let mut confusion = ConfusionMatrix::new(labels);
            for row in rows {
                confusion.add(argmax(row.truth), argmax(&mixture.probabilities(&row.logs, row.length)));
            }
            confusion.accuracy() + confusion.macro_f1()
        };
        // Of equal ones the least shift.
        let best = (0..=10).rev().max_by(|a, b| worth(*a).total_cmp(&worth(*b))).unwrap_or_default();
        self.bias = shifted(best);
    }

    /// Puts a member in front that has `share` of all weight.
    fn prepend(&mut self, share: f64) {
        self.temper(1.0 / (1.0 - share).max(1e-9));
        self.weights.iter_mut().filter(|weight| **weight < 1e-3).for_each(|weight| *weight = 0.0);
        self.weights.insert(0, share);
        self.curve = None;
    }

    /// Divides all logits by `temperature`.
    fn temper(&mut self, temperature: f64) {
        let all = self.weights.iter_mut().chain(&mut self.bias).chain([&mut self.length]);
        all.for_each(|value| *value /= temperature);
    }

    /// Sets the slope of the prompt's length. Before there are labels, prompt length ranks prompts better than most
    /// routers do (APGR .583 on MMLU, .597 on GSM8K), so it counts as so many rows would: 300 of n + 200, against
    /// learners of the same spread. Both numbers are those of a study on outcomes of GPT-4 and Mixtral. Where held-out
    /// rows speak against it, it counts for less, or for nothing; beside a head that was good before only where they
    /// speak for it.
    fn expect_length(&mut self, rows: &[MixtureRow<'_>], start: &MixturePrior) {
        let gains: Vec<f64> = rows.iter().map(|row| difference(&self.logits(&row.logs, row.length))).collect();
        let spread = SampleMean::of(&gains).deviation;
        let expected = spread.max(0.05) * 300.0 / (start.learnt as f64 + 200.0);
        let without = self.scaled_losses(rows, 0.0);
        let parts = [1.0, 0.5, 0.25, 0.1].map(|part| part * expected);
        let counts = |length: &f64| {
            let with = self.scaled_losses(rows, *length);
            if start.has_base_head { is_worse(&without, &with) } else { !is_worse(&with, &without) }
        };
        let length = parts.into_iter().find(counts);
        self.length = length.unwrap_or_default();
    }

    /// Returns the loss of each row when length counts for so much, after Platt scaling.
    fn scaled_losses(&self, rows: &[MixtureRow<'_>], length: f64) -> Vec<f64> {
        let mut mixture = Self { length, ..self.clone() };
        mixture.scale_as_platt(rows);
        let loss = |row: &MixtureRow<'_>| {
            log_loss(LinkFunction::Softmax, &mixture.probabilities(&row.logs, row.length), row.truth)
        };
        rows.iter().map(loss).collect()
    }

    /// Scales the logits of two labels as Platt does.
    fn scale_as_platt(&mut self, rows: &[MixtureRow<'_>]) {
        let event = |row: &MixtureRow<'_>| ScoredEvent {
            score: difference(&self.logits(&row.logs, row.length)),
            truth: f64::from(row.truth[1]),
            weight: row.weight,
        };
        let PlattScale { slope, offset } = PlattScale::fit(&rows.iter().map(event).collect::<Vec<_>>(), 1.0);
        self.temper(1.0 / slope);
        self.bias[1] += offset;
    }
}

/// Returns whether losses are larger than others of the same rows, by more than a standard error.
fn is_worse(losses: &[f64], others: &[f64]) -> bool {
    let more: Vec<f64> = losses.iter().zip(others).map(|(loss, other)| loss - other).collect();
    let more = SampleMean::of(&more);
    more.mean > more.standard_error
}

fn difference(logits: &[f64]) -> f64 {
    logits.get(1).copied().unwrap_or_default() - logits.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::loss::log_probabilities;

    const TRUTHS: [[f32; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

    fn start(goal: LearningGoal, learners: usize, learnt: usize) -> MixturePrior {
        MixturePrior {
            goal,
            labels: 2,
            weights: vec![1.0 / learners as f64; learners],
            learnt,
            has_base_head: false,
            class_weights: ClassWeights::Auto,
        }
    }

    /// The first learner knows three rows of four, the second only tosses coins.
    fn rows(n: usize) -> Vec<MixtureRow<'static>> {
        let row = |i: usize| {
            let truth = i % 2;
            let told = if i % 8 < 6 { truth } else { 1 - truth };
            let tossed = (i / 2) % 2;
            let sure = |label: usize| {
                log_probabilities(&[if label == 0 { 3.0 } else { 0.0 }, if label == 1 { 3.0 } else { 0.0 }])
            };
            MixtureRow { logs: vec![sure(told), sure(tossed)], truth: &TRUTHS[truth], length: 0.0, weight: 1.0 }
        };
        (0..n).map(row).collect()
    }

    #[test]
    fn a_learner_that_tosses_coins_is_left_out_and_the_other_made_honest() {
        let rows = rows(2400);

        let mixture = HeadMixture::fit(&start(LearningGoal::Choice(2), 2, 2400), &rows);

        assert_eq!(mixture.weights[1], 0.0, "{mixture:?}");
        let sure = mixture.probabilities(&rows[0].logs, 0.0)[0];
        assert!((sure - 0.75).abs() < 0.03, "{sure} of {mixture:?}");
    }

    #[test]
    fn length_counts_for_much_at_first_and_for_little_later() {
        let rows = rows(240);

        let [few, many] =
            [100, 20_000].map(|learnt| HeadMixture::fit(&start(LearningGoal::Pair, 2, learnt), &rows).length);

        assert!(few > 0.3 && many < 0.05 && many > 0.0, "{few} and {many}");
    }

    #[test]
    fn length_counts_for_nothing_where_rows_speak_against_it() {
        let mut rows = rows(240);
        // The longer a prompt, the less it needs the strong model.
        rows.iter_mut().for_each(|row| row.length = f64::from(row.truth[0] - row.truth[1]));

        let mixture = HeadMixture::fit(&start(LearningGoal::Pair, 2, 100), &rows);

        assert!(mixture.length < 0.2, "{mixture:?}");
    }

    #[test]
    fn rare_labels_are_spoken_up_for() {
        // One row in ten is of the second label, and is told only a little from the others.
        let row = |i: usize| {
            let rare = i.is_multiple_of(10);
            let told = rare || i % 10 == 1;
            let logs = log_probabilities(&[if told { 0.3 } else { 3.0 }, 0.0]);
            MixtureRow { logs: vec![logs], truth: &TRUTHS[usize::from(rare)], length: 0.0, weight: 1.0 }
        };
        let rows: Vec<MixtureRow<'_>> = (0..1000).map(row).collect();

        let mixture = HeadMixture::fit(&start(LearningGoal::Choice(2), 1, 1000), &rows);

        assert_eq!(argmax(&mixture.probabilities(&rows[0].logs, 0.0)), 1, "{mixture:?}");
    }
}
