//! Bootstrap intervals: how far figures would move had other prompts of the same kind been drawn.
//!
//! Accuracy and F1 depend on the confusion matrix alone, so rows are drawn with replacement from its cells: no prompt
//! needs to be remembered.

use serde::{Serialize, Serializer};

use super::classification::ConfusionMatrix;

/// The number of resamples.
pub const RESAMPLES: usize = 1000;

/// The middle 95 % of a figure over the resamples; serialises as `[low, high]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceInterval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// The intervals of the figures that reports quote.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelIntervals {
    /// The interval of the accuracy.
    #[serde(rename = "accuracy_ci95")]
    pub accuracy: ConfidenceInterval,
    /// The interval of the macro F1.
    #[serde(rename = "macro_f1_ci95")]
    pub macro_f1: ConfidenceInterval,
}

/// `SplitMix64` (Steele, Lea, Flood 2014): the same draws for the same seed on every machine and in every release.
#[derive(Debug)]
pub(crate) struct RandomDraws(u64);

impl LabelIntervals {
    /// Draws the rows of `confusion` with replacement, [`RESAMPLES`] times.
    #[must_use]
    pub fn of(confusion: &ConfusionMatrix, seed: u64) -> Self {
        let mut draws = RandomDraws(seed);
        let (accuracy, macro_f1) = (0..RESAMPLES)
            .map(|_| {
                let sample = draws.resample(confusion);
                (sample.accuracy(), sample.macro_f1())
            })
            .unzip();
        Self { accuracy: ConfidenceInterval::of(accuracy), macro_f1: ConfidenceInterval::of(macro_f1) }
    }
}

impl ConfidenceInterval {
    /// Returns the middle 95 % of `values`.
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { low: percentile(&values, 0.025), high: percentile(&values, 0.975) }
    }
}

impl ConfidenceInterval {
    /// Returns the 95 % score interval of a share (Wilson 1927), `hits` of `n`; 0 to 1 when `n` is 0.
    #[must_use]
    pub fn wilson(hits: u64, n: u64) -> Self {
        const Z: f64 = 1.959_963_984_540_054;
        if n == 0 {
            return Self { low: 0.0, high: 1.0 };
        }
        let (n, p) = (n as f64, hits as f64 / n as f64);
        let scale = 1.0 + Z * Z / n;
        let centre = (p + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }

    /// Returns the interval of a share, `hits` of `n`, whose rows are drawn with replacement [`RESAMPLES`] times.
    #[must_use]
    pub fn of_share(hits: u64, n: u64, seed: u64) -> Self {
        let mut draws = RandomDraws::new(seed);
        let mut share = || (0..n).filter(|_| draws.below(n) < hits).count() as f64 / n.max(1) as f64;
        Self::of((0..RESAMPLES).map(|_| share()).collect())
    }

    /// Returns the 95 % interval of the mean of differences within pairs, -1 to 1 each. It is not empty where all are alike:
    /// two pairs are added, a half for each outcome of two answers that are right or wrong (Agresti and Min 2005).
    pub(crate) fn of_pairs(differences: &[f64]) -> Self {
        let (sum, squares) =
            differences.iter().fold((0.0, 1.0), |(sum, squares), one| (sum + one, squares + one * one));
        let Self { low, high } = Self::of_mean(sum, squares, differences.len() + 2);
        let mean = sum / differences.len().max(1) as f64;
        Self { low: low.max(-1.0).min(mean), high: high.min(1.0).max(mean) }
    }

    /// Returns the 95 % interval of the mean of numbers that sum to `sum` and whose squares sum to `squares`, by the
    /// normal approximation.
    #[must_use]
    pub fn of_mean(sum: f64, squares: f64, n: usize) -> Self {
        let n = n.max(1) as f64;
        let mean = sum / n;
        let half = 1.959_963_984_540_054 * ((squares / n - mean * mean).max(0.0) / n).sqrt();
        Self { low: mean - half, high: mean + half }
    }
}

impl Serialize for ConfidenceInterval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.low, self.high].serialize(serializer)
    }
}

impl RandomDraws {
    /// Starts the draws of `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Draws a number below `limit`; its bias, `limit` in 2^64, is of no account here.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Draws a number from 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws `n` of `n` rows with replacement; returns how often each was drawn.
    pub(crate) fn counts(&mut self, n: usize) -> Vec<u32> {
        let mut counts = vec![0; n];
        for _ in 0..n {
            counts[self.below(n as u64) as usize] += 1;
        }
        counts
    }

    /// Puts `items` into random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end as u64 + 1) as usize);
        }
    }

    fn resample(&mut self, confusion: &ConfusionMatrix) -> ConfusionMatrix {
        let mut sample = confusion.emptied();
        let ends: Vec<u64> = confusion
            .cells()
            .iter()
            .scan(0, |end, count| {
                *end += count;
                Some(*end)
            })
            .collect();
        for _ in 0..confusion.n() {
            let row = self.below(confusion.n());
            sample.add_to_cell(ends.partition_point(|end| *end <= row), 1);
        }
        sample
    }
}

/// Returns the value at `share` of sorted `values`, interpolated between neighbours.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    values[below] + (values[above] - values[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::super::classification::confusion;
    use super::*;

    #[test]
    fn draws_are_those_of_the_published_generator() {
        let mut draws = RandomDraws(1_234_567);

        let first = [draws.next(), draws.next(), draws.next()];

        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn percentiles_interpolate_between_neighbours() {
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 5.0], 0.5), 2.5);
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 5.0], 1.0), 5.0);
        assert_eq!(percentile(&[7.0], 0.025), 7.0);
    }

    #[test]
    fn what_is_always_right_stays_right() {
        let intervals = LabelIntervals::of(&confusion([[5, 0], [0, 9]]), 7);

        assert_eq!(intervals.accuracy, ConfidenceInterval { low: 1.0, high: 1.0 });
        assert_eq!(intervals.macro_f1, ConfidenceInterval { low: 1.0, high: 1.0 });
    }

    #[test]
    fn the_interval_of_an_accuracy_is_about_two_standard_errors_wide() {
        let ConfidenceInterval { low, high } = LabelIntervals::of(&confusion([[320, 80], [80, 320]]), 7).accuracy;

        // sqrt(0.8 * 0.2 / 800) = 0.01414
        assert!((0.8 - low - 0.0277).abs() < 0.003 && (high - 0.8 - 0.0277).abs() < 0.003, "{low} to {high}");
    }

    #[test]
    fn the_interval_of_a_share_is_about_two_standard_errors_to_either_side() {
        let ConfidenceInterval { low, high } = ConfidenceInterval::of_share(60, 100, 7);

        // sqrt(0.6 * 0.4 / 100) = 0.049
        assert!((0.6 - low - 0.096).abs() < 0.02 && (high - 0.6 - 0.096).abs() < 0.02, "{low} to {high}");
        assert_eq!(ConfidenceInterval::of_share(9, 9, 7), ConfidenceInterval { low: 1.0, high: 1.0 });
    }

    #[test]
    fn the_seed_decides_the_draws() {
        let confusion = confusion([[32, 8], [8, 32]]);

        assert_eq!(LabelIntervals::of(&confusion, 7), LabelIntervals::of(&confusion, 7));
        assert_ne!(LabelIntervals::of(&confusion, 7), LabelIntervals::of(&confusion, 8));
    }
}
