//! What a probability of yes or no is worth: AUC, expected calibration error, Brier score, reliability.

use serde::Serialize;

use super::bins::{BINS, CalibrationBin, ReliabilityBin};

/// A probability or score beside what came true.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryClaim {
    /// The probability, or a score.
    pub probability: f64,
    /// The outcome.
    pub truth: bool,
}

/// Calibration of one event's probabilities; lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EventFigures {
    /// Expected calibration error of the probability over [`BINS`] bins of equal width.
    pub ece: f64,
    /// The mean squared error, 0 to 1.
    pub brier: f64,
}

/// Returns the chance that something true scores above something false, ties half; .5 when one of them never occurs.
#[must_use]
pub fn auc(claims: &[BinaryClaim]) -> f64 {
    area(claims).unwrap_or(0.5)
}

/// Returns the same, or `None` when one of them never occurs.
pub(crate) fn area(claims: &[BinaryClaim]) -> Option<f64> {
    let mut sorted: Vec<&BinaryClaim> = claims.iter().collect();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let (mut wins, mut falses, mut trues) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.probability == b.probability) {
        let hits = tied.iter().filter(|claim| claim.truth).count() as f64;
        let misses = tied.len() as f64 - hits;
        wins += hits * (falses + misses / 2.0);
        falses += misses;
        trues += hits;
    }
    (trues * falses > 0.0).then(|| wins / (trues * falses))
}

/// Returns the bins that hold anything, the lowest probability first.
#[must_use]
pub fn reliability(claims: &[BinaryClaim]) -> Vec<ReliabilityBin> {
    let mut bins = [CalibrationBin::default(); BINS];
    for claim in claims {
        bins[CalibrationBin::of(claim.probability)].add(claim.probability, claim.truth);
    }
    CalibrationBin::reliability(&bins)
}

impl BinaryClaim {
    /// Returns its part of the Brier score.
    pub(crate) fn square(&self) -> f64 {
        (self.probability - f64::from(u8::from(self.truth))).powi(2)
    }
}

impl EventFigures {
    /// Returns the figures; zeros when nothing was claimed.
    #[must_use]
    pub fn of(claims: &[BinaryClaim]) -> Self {
        let n = claims.len().max(1) as f64;
        let gaps =
            reliability(claims).iter().map(|bin| (bin.observed - bin.predicted).abs() * bin.n as f64).sum::<f64>();
        Self { ece: gaps / n, brier: claims.iter().map(BinaryClaim::square).sum::<f64>() / n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims<const N: usize>(claims: [(f64, bool); N]) -> [BinaryClaim; N] {
        claims.map(|(probability, truth)| BinaryClaim { probability, truth })
    }

    #[test]
    fn the_area_counts_pairs_in_order_and_ties_half() {
        // Of 2 x 2 pairs, .9 beats both, .5 ties one and beats the other.
        assert_eq!(auc(&claims([(0.9, true), (0.5, true), (0.5, false), (0.1, false)])), 3.5 / 4.0);
        assert_eq!(auc(&claims([(0.3, true), (0.3, true)])), 0.5);
    }

    #[test]
    fn calibration_is_that_computed_by_hand() {
        let figures = EventFigures::of(&claims([(0.25, true), (0.25, false), (0.75, true), (1.0, true)]));

        assert_eq!(figures.ece, (0.5 + 0.25 + 0.0) / 4.0);
        assert_eq!(figures.brier, (0.5625 + 0.0625 + 0.0625) / 4.0);
    }
}
