//! Ratings by their age: each new one lets all older ones count a little less.

use pointsman_telemetry::{EstimatedRatio, QualityEstimate};

use super::RatedPair;

/// The share of its weight that a rating keeps when another comes: about the last 500 count.
const KEPT: f64 = 0.996;

/// The quantile of the normal distribution for 95 % between two bounds.
const Z: f64 = 1.96;

/// The weights of what came.
#[derive(Debug, Clone, Copy, Default)]
struct AgedWeights {
    sum: f64,
    squares: f64,
}

/// The ratings of one kind of answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RatingWindow {
    weights: AgedWeights,
    qualities: f64,
}

/// The ratings of pairs of answers to one request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PairWindow {
    weights: AgedWeights,
    served: f64,
    shadow: f64,
    /// Squares of the differences within pairs.
    squares: f64,
}

impl AgedWeights {
    fn add(&mut self) {
        self.sum = self.sum * KEPT + 1.0;
        self.squares = self.squares * KEPT * KEPT + 1.0;
    }

    /// Returns how many equally weighted ratings would say as much.
    fn effective(self) -> f64 {
        if self.squares > 0.0 { self.sum * self.sum / self.squares } else { 0.0 }
    }
}

impl RatingWindow {
    pub(super) fn add(&mut self, quality: f64) {
        self.weights.add();
        self.qualities = self.qualities * KEPT + quality;
    }

    /// Puts a rating in the place of an earlier one on the same answer, as if that were the newest.
    pub(super) fn replace(&mut self, before: f64, quality: f64) {
        self.qualities = (self.qualities + quality - before).clamp(0.0, self.weights.sum);
    }

    /// Returns the mean with Wilson's interval, which is not empty where all ratings are the same.
    pub(super) fn estimate(&self) -> QualityEstimate {
        let ratings = self.weights.effective();
        let mean = if self.weights.sum > 0.0 { self.qualities / self.weights.sum } else { 0.0 };
        let (squared, n) = (Z * Z, ratings.max(f64::MIN_POSITIVE));
        let middle = (mean + squared / (2.0 * n)) / (1.0 + squared / n);
        let spread = Z / (1.0 + squared / n) * (mean * (1.0 - mean) / n + squared / (4.0 * n * n)).max(0.0).sqrt();
        let ratio = EstimatedRatio { mean, low: (middle - spread).max(0.0), high: (middle + spread).min(1.0) };
        QualityEstimate { ratio, ratings }
    }
}

impl PairWindow {
    pub(super) fn add(&mut self, pair: RatedPair) {
        let difference = pair.served - pair.shadow;
        self.weights.add();
        self.served = self.served * KEPT + pair.served;
        self.shadow = self.shadow * KEPT + pair.shadow;
        self.squares = self.squares * KEPT + difference * difference;
    }

    /// Returns the interval of the mean difference within pairs, which is not empty where all pairs are alike: by two pairs
    /// more, a half for each outcome of two answers that are right or wrong (Agresti and Min 2005).
    fn bounds(&self, difference: f64) -> (f64, f64) {
        let n = self.weights.effective();
        let all = n + 2.0;
        let mean = difference * n / all;
        let variance = (self.squares / self.weights.sum * n + 1.0) / all - mean * mean;
        let spread = Z * (variance.max(0.0) / all).sqrt();
        ((mean - spread).max(-1.0).min(difference), (mean + spread).min(1.0).max(difference))
    }

    /// Returns the served answers' quality by the shadow answers', with the interval of the difference within pairs;
    /// `None` while the shadow answers are worth nothing.
    pub(super) fn held(&self) -> Option<EstimatedRatio> {
        let weight = self.weights.sum;
        if weight <= 0.0 || self.shadow <= 0.0 {
            return None;
        }
        let (served, shadow) = (self.served / weight, self.shadow / weight);
        let difference = served - shadow;
        let (low, high) = self.bounds(difference);
        let held = |difference: f64| ((shadow + difference) / shadow).max(0.0);
        // No answer is worth more than 1.
        Some(EstimatedRatio { mean: held(difference), low: held(low), high: held(high.min(1.0 - shadow)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_wilson_s_and_narrows_with_ratings() {
        let mut window = RatingWindow::default();
        (0..10).for_each(|_| window.add(1.0));
        let few = window.estimate();
        (0..200).for_each(|_| window.add(1.0));
        let many = window.estimate();

        // Wilson's interval of 10 of 10 is 0.722 to 1.
        assert!((few.ratio.low - 0.722).abs() < 0.005 && (few.ratio.high - 1.0).abs() < 1e-9, "{few:?}");
        assert!(many.ratio.low > 0.97 && many.ratings > 150.0, "{many:?}");
    }

    #[test]
    fn old_ratings_stop_counting() {
        let mut window = RatingWindow::default();
        (0..2000).for_each(|_| window.add(1.0));
        (0..1000).for_each(|_| window.add(0.0));

        let QualityEstimate { ratio, ratings } = window.estimate();

        assert!(ratio.mean < 0.02 && (490.0..510.0).contains(&ratings), "{ratio:?} {ratings}");
    }

    #[test]
    fn pairs_that_agree_hold_all_and_nothing_is_held_of_nothing() {
        let mut window = PairWindow::default();
        assert_eq!(window.held(), None);
        window.add(RatedPair { served: 0.0, shadow: 0.0 });
        assert_eq!(window.held(), None);
        (0..50).for_each(|_| window.add(RatedPair { served: 1.0, shadow: 1.0 }));

        let held = window.held().expect("pairs");

        assert!((held.mean - 1.0).abs() < 1e-9 && held.high - held.low < 0.1, "{held:?}");
    }

    #[test]
    fn one_pair_makes_nothing_certain_and_many_that_are_alike_nearly() {
        let held = |pairs: usize, pair: RatedPair| {
            let mut window = PairWindow::default();
            (0..pairs).for_each(|_| window.add(pair));
            window.held().expect("pairs")
        };

        let alike = RatedPair { served: 1.0, shadow: 1.0 };
        let (one, many) = (held(1, alike), held(500, alike));
        assert!(one.low < 0.5 && (one.high - 1.0).abs() < 1e-9, "{one:?}");
        assert!(many.low > 0.98 && many.low < 1.0, "{many:?}");
        let worse = held(1, RatedPair { served: 0.0, shadow: 1.0 });
        assert!(worse.low.abs() < 1e-9 && worse.mean.abs() < 1e-9 && worse.high > 0.4, "{worse:?}");
    }
}
