//! From samples to a calibrated regression: the penalty by cross-validation, the temperature on what was held out.

use super::logistic::{Link, Regression, Sample, Shape, log_loss, probabilities};
use crate::evaluate::Draws;

/// Penalties to choose from, the strongest first, so that each fit starts from the one before it.
const PENALTIES: [f64; 6] = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001];

/// From so many rows on, one held-out part in five chooses as well as cross-validation, at a fifth of the time.
const MANY: usize = 3000;

/// A sample with its group of near-duplicates.
pub(super) type Grouped<'s> = (&'s Sample, u64);

/// A regression whose probabilities mean what they say.
#[derive(Debug, Clone)]
pub(super) struct Trained {
    pub(super) regression: Regression,
    /// Divides the logits.
    pub(super) temperature: f64,
    /// For a strong and a weak output: slope and offset from their difference to the chance that only the strong one is
    /// right.
    pub(super) wins: (f64, f64),
    /// The penalty that was chosen.
    pub(super) penalty: f64,
}

/// Deals groups to `folds` folds, evenly within each kind of target; returns each row's fold.
pub(super) fn folds(samples: &[Grouped<'_>], folds: usize, seed: u64) -> Vec<usize> {
    let mut draws = Draws::new(seed);
    let mut order: Vec<usize> = (0..samples.len()).collect();
    draws.shuffle(&mut order);
    let kind = |index: &usize| samples[*index].0.target.iter().map(|value| (value * 4.0) as u8).collect::<Vec<_>>();
    order.sort_by_key(kind); // stable
    let mut dealt = std::collections::HashMap::new();
    let mut next = 0;
    let mut fold_of = vec![0; samples.len()];
    for index in order {
        fold_of[index] = *dealt.entry(samples[index].1).or_insert_with(|| {
            next += 1;
            (next - 1) % folds
        });
    }
    fold_of
}

/// Fits and calibrates on `samples`.
pub(super) fn train(shape: Shape, samples: &[Grouped<'_>], seed: u64) -> Trained {
    let (count, tried) = if samples.len() > MANY { (5, 1) } else { (4, 4) };
    let fold_of = folds(samples, count, seed);
    let mut held: Vec<Vec<(&Sample, Vec<f64>)>> = vec![Vec::new(); PENALTIES.len()];
    for fold in 0..tried {
        let (rest, part): (Vec<_>, Vec<_>) = samples.iter().zip(&fold_of).partition(|(_, of)| **of != fold);
        let rest: Vec<&Sample> = rest.into_iter().map(|(row, _)| row.0).collect();
        let mut regression = Regression::new(shape);
        for (penalty, held) in PENALTIES.iter().zip(&mut held) {
            regression = regression.fit(&rest, *penalty);
            held.extend(part.iter().map(|(row, _)| (row.0, regression.logits(row.0))));
        }
    }
    let mean = |held: &[(&Sample, Vec<f64>)]| loss_at(shape.link, held, 1.0);
    let best = (0..PENALTIES.len()).min_by(|a, b| mean(&held[*a]).total_cmp(&mean(&held[*b]))).unwrap_or_default();
    let mut regression = Regression::new(shape);
    let all: Vec<&Sample> = samples.iter().map(|row| row.0).collect();
    for penalty in &PENALTIES[best.saturating_sub(1)..=best] {
        regression = regression.fit(&all, *penalty);
    }
    let held = &held[best];
    Trained { regression, temperature: temperature(shape.link, held), wins: wins(held), penalty: PENALTIES[best] }
}

impl Trained {
    /// Returns the calibrated probabilities of the outputs.
    pub(super) fn probabilities(&self, sample: &Sample) -> Vec<f64> {
        probabilities(self.regression.shape.link, &self.regression.logits(sample), self.temperature)
    }

    /// Returns the chance that only the strong model is right.
    pub(super) fn strong_wins(&self, sample: &Sample) -> f64 {
        let (slope, offset) = self.wins;
        1.0 / (1.0 + (-(slope * gain(&self.regression.logits(sample)) + offset)).exp())
    }
}

/// The difference of the two outputs' probabilities.
fn gain(logits: &[f64]) -> f64 {
    let both = probabilities(Link::Sigmoid, logits, 1.0);
    both.first().copied().unwrap_or_default() - both.get(1).copied().unwrap_or_default()
}

fn loss_at(link: Link, held: &[(&Sample, Vec<f64>)], temperature: f64) -> f64 {
    held.iter().map(|(sample, logits)| log_loss(link, &probabilities(link, logits, temperature), &sample.target)).sum()
}

/// Searches the temperature that makes held-out rows most likely, in steps of 2 %.
fn temperature(link: Link, held: &[(&Sample, Vec<f64>)]) -> f64 {
    let steps = (-35..=70).map(|step| 1.02_f64.powi(step));
    let scored = steps.map(|step| (step, loss_at(link, held, step)));
    scored.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(1.0, |best| best.0)
}

/// Platt scaling of the gain on held-out rows.
fn wins(held: &[(&Sample, Vec<f64>)]) -> (f64, f64) {
    if held.first().is_none_or(|(sample, _)| sample.target.len() != 2) {
        return (1.0, 0.0);
    }
    let samples: Vec<Sample> = held
        .iter()
        .map(|(sample, logits)| {
            let wins = f32::from(u8::from(sample.target[0] > sample.target[1]));
            Sample { dense: vec![gain(logits) as f32], sparse: Vec::new(), target: vec![wins] }
        })
        .collect();
    let shape = Shape { link: Link::Sigmoid, outputs: 1, dense: 1, sparse: 0 };
    let fitted = Regression::new(shape).fit(&samples.iter().collect::<Vec<_>>(), 1e-6);
    // More gain must never mean less chance.
    (fitted.weights[0].max(1e-3), fitted.weights[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(value: f32, target: [f32; 2]) -> Sample {
        Sample { dense: vec![value], sparse: Vec::new(), target: target.to_vec() }
    }

    #[test]
    fn groups_stay_together_and_kinds_are_spread() {
        let samples: Vec<Sample> =
            (0..40).map(|i| sample(0.0, if i % 4 == 0 { [1.0, 0.0] } else { [0.0, 1.0] })).collect();
        let grouped: Vec<Grouped<'_>> = samples.iter().enumerate().map(|(i, s)| (s, i as u64 % 20)).collect();

        let folds = folds(&grouped, 5, 7);

        assert!((0..20).all(|i| folds[i] == folds[i + 20]), "{folds:?}");
        for fold in 0..5 {
            let rare = (0..40).filter(|i| folds[*i] == fold && i % 4 == 0).count();
            assert_eq!(rare, 2, "{folds:?}");
        }
    }

    #[test]
    fn what_is_learnt_is_the_same_again_and_calibrated() {
        let samples: Vec<Sample> = (0..400)
            .map(|i| sample(f32::from(i % 2 == 0) - 0.5, if (i / 2) % 4 == 0 { [1.0, 0.0] } else { [0.0, 1.0] }))
            .collect();
        let grouped: Vec<Grouped<'_>> = samples.iter().enumerate().map(|(i, s)| (s, i as u64)).collect();
        let shape = Shape { link: Link::Softmax, outputs: 2, dense: 1, sparse: 0 };

        let (one, two) = (train(shape, &grouped, 7), train(shape, &grouped, 7));

        assert_eq!(one.regression.weights, two.regression.weights);
        let found = one.probabilities(&samples[0]);
        assert!((found[0] - 0.25).abs() < 0.03, "{found:?}");
    }
}
