//! Scores from 0 to 1, counted in bins.

use serde::{Deserialize, Serialize};

/// Bins of the histogram: a threshold is found to a fifth of a hundredth, and within a bin by interpolation.
const BINS: usize = 500;

/// The share of the scores in one bin of the histogram from which on a threshold within it splits nothing.
const ATOM: f64 = 0.05;

/// The number of scores in each bin; no bins as long as there are no scores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ScoreHistogram(Vec<f32>);

impl ScoreHistogram {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to BINS")]
    pub(super) fn count(&mut self, score: f64) {
        self.0.resize(BINS, 0.0);
        let bin = (score.clamp(0.0, 1.0) * BINS as f64) as usize;
        self.0[bin.min(BINS - 1)] += 1.0;
    }

    #[expect(clippy::cast_possible_truncation, reason = "weights need no more")]
    pub(super) fn fade(&mut self, keep: f64) {
        // What weighs nothing any more would only slow the arithmetic down.
        self.0.iter_mut().for_each(|bin| *bin = if *bin < 1e-6 { 0.0 } else { *bin * keep as f32 });
    }

    pub(super) fn add(&mut self, other: &Self) {
        if !other.0.is_empty() {
            self.0.resize(BINS, 0.0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(bin, more)| *bin += more);
    }

    pub(super) fn total(&self) -> f64 {
        self.0.iter().copied().map(f64::from).sum()
    }

    /// Returns where a threshold has `share` of the scores above it. A bin that cannot be split is above it as a whole
    /// if
    /// `generous`, else below it.
    pub(super) fn cut(&self, share: f64, generous: bool) -> f64 {
        let total = self.total();
        let (wanted, mut above) = (share * total, 0.0);
        let edge = |bin: usize| bin as f64 / BINS as f64;
        for (bin, weight) in self.0.iter().copied().map(f64::from).enumerate().rev() {
            if weight > 0.0 && above + weight >= wanted {
                return match (weight >= ATOM * total, generous) {
                    (true, true) => edge(bin),
                    (true, false) => edge(bin + 1),
                    (false, _) => edge(bin + 1) - (wanted - above) / weight / BINS as f64,
                };
            }
            above += weight;
        }
        0.0
    }
}
