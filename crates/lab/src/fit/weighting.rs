//! Weights of rows: what a row says of itself, times what class weights give its label.
//!
//! Weights count in every loss that a learner or a mixture minimises. Figures, temperatures and isotonic curves count
//! each row once, because they tell how a head does on the rows as they are.

use serde::Serialize;

use super::sample::TrainingSample;

/// The class weights: how much rarer labels count beside frequent ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// Chosen on held-out rows, as far as they gain more macro F1 than they cost accuracy.
    #[default]
    Auto,
    /// Every row counts alike.
    None,
    /// Every label counts alike: a row by the inverse of its label's share.
    Balanced,
    /// The square root of the balanced weight.
    Sqrt,
}

/// The weight of a row by itself: 1 where it does not say one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowWeight(pub(super) f32);

/// The weights of the rows that learners are fitted on: 1 on average, whatever their scale was.
#[derive(Debug, Clone)]
pub(super) struct RowWeights {
    /// One a label; empty where labels count alike.
    by_label: Vec<f64>,
    scale: f64,
}

impl Default for RowWeight {
    fn default() -> Self {
        Self(1.0)
    }
}

impl ClassWeights {
    /// Returns the name, as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Balanced => "balanced",
            Self::Sqrt => "sqrt",
        }
    }

    /// Returns whether labels get weights that were asked for, rather than chosen.
    pub(super) fn is_given(self) -> bool {
        self != Self::Auto
    }

    /// Returns the power of the inverse share that a label's weight is; 0 for equal weights.
    const fn power(self) -> f64 {
        match self {
            Self::Auto | Self::None => 0.0,
            Self::Balanced => 1.0,
            Self::Sqrt => 0.5,
        }
    }
}

impl RowWeights {
    /// Weighs `samples`, whose targets are labels where `classes` gives labels weights.
    pub(super) fn of(classes: ClassWeights, samples: &[&TrainingSample]) -> Self {
        let power = classes.power();
        let labels = if power > 0.0 { samples.first().map_or(0, |sample| sample.target.len()) } else { 0 };
        let mut totals = vec![0.0; labels];
        for sample in samples {
            let row = f64::from(sample.weight.0);
            totals.iter_mut().zip(&sample.target).for_each(|(total, part)| *total += row * f64::from(*part));
        }
        let (all, present) = (totals.iter().sum::<f64>(), totals.iter().filter(|total| **total > 0.0).count() as f64);
        let weight = |total: &f64| if *total > 0.0 { (all / (present * total)).powf(power) } else { 1.0 };
        let mut weights = Self { by_label: totals.iter().map(weight).collect(), scale: 1.0 };
        let sum: f64 = samples.iter().map(|sample| weights.of_sample(sample)).sum();
        weights.scale = if sum > 0.0 { samples.len() as f64 / sum } else { 1.0 };
        weights
    }

    /// Returns the weight of a sample.
    pub(super) fn of_sample(&self, sample: &TrainingSample) -> f64 {
        let label = |weights: &[f64]| -> f64 {
            weights.iter().zip(&sample.target).map(|(weight, part)| weight * f64::from(*part)).sum()
        };
        let label = if self.by_label.is_empty() { 1.0 } else { label(&self.by_label) };
        self.scale * label * f64::from(sample.weight.0)
    }

    /// Returns the logarithm of each label's weight, which is what a head that was fitted without weights lacks; none
    /// where labels count alike.
    pub(super) fn logs(&self) -> Option<Vec<f64>> {
        (!self.by_label.is_empty()).then(|| self.by_label.iter().map(|weight| weight.ln()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(label: usize, weight: f32) -> TrainingSample {
        let target = (0..3).map(|index| f32::from(u8::from(index == label))).collect();
        TrainingSample { target, weight: RowWeight(weight), ..TrainingSample::default() }
    }

    /// Returns the weights of a frequent and a rare label's row, of eight and two rows.
    fn weights(classes: ClassWeights) -> [f64; 2] {
        let samples: Vec<TrainingSample> = (0..10).map(|i| sample(usize::from(i >= 8), 1.0)).collect();
        let weights = RowWeights::of(classes, &samples.iter().collect::<Vec<_>>());
        [0, 9].map(|row| weights.of_sample(&samples[row]))
    }

    #[test]
    fn balanced_weights_make_labels_count_alike_and_roots_half_as_much() {
        let [frequent, rare] = weights(ClassWeights::Balanced);
        assert!((8.0 * frequent - 2.0 * rare).abs() < 1e-9 && (8.0 * frequent + 2.0 * rare - 10.0).abs() < 1e-9);

        let [frequent, rare] = weights(ClassWeights::Sqrt);
        assert!((rare / frequent - 2.0).abs() < 1e-9 && (8.0 * frequent + 2.0 * rare - 10.0).abs() < 1e-9);

        assert_eq!(weights(ClassWeights::None), [1.0, 1.0]);
    }

    #[test]
    fn rows_count_by_their_own_weights_whatever_the_scale() {
        let samples = [sample(0, 20.0), sample(1, 60.0)];

        let weights = RowWeights::of(ClassWeights::Auto, &samples.iter().collect::<Vec<_>>());

        assert_eq!(samples.each_ref().map(|sample| weights.of_sample(sample)), [0.5, 1.5]);
    }
}
