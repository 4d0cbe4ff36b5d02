//! Whether probabilities mean what they say: expected calibration error, Brier score, negative log likelihood.

use serde::Serialize;

use super::bins::{BINS, CalibrationBin, ReliabilityBin};

/// The least probability that the log likelihood is taken of: one certain mistake must not be infinite.
const FLOOR: f64 = 1e-12;

/// Sums over the prompts seen so far; constant in size.
#[derive(Debug, Clone, Default)]
pub struct CalibrationTally {
    bins: [CalibrationBin; BINS],
    squares: f64,
    surprise: f64,
    n: u64,
}

/// Calibration of probabilities over labels; lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationFigures {
    /// Expected calibration error of the top probability over [`BINS`] bins of equal width.
    pub ece: f64,
    /// Multi-class Brier score: squared errors summed over the labels, 0 to 2.
    pub brier: f64,
    /// Mean negative log likelihood of the right label, in nats.
    pub nll: f64,
}

impl CalibrationTally {
    /// Counts one prompt: its probabilities, the right label and the label it got, which has the top probability.
    ///
    /// # Panics
    /// When there is no probability for one of the labels.
    pub fn add(&mut self, probabilities: &[f32], truth: usize, predicted: usize) {
        let confidence = f64::from(probabilities[predicted]);
        self.bins[CalibrationBin::of(confidence)].add(confidence, truth == predicted);
        self.squares += squares(probabilities, truth);
        self.surprise -= f64::from(probabilities[truth]).max(FLOOR).ln();
        self.n += 1;
    }

    /// Returns the bins that hold anything, the lowest probability first.
    #[must_use]
    pub fn reliability(&self) -> Vec<ReliabilityBin> {
        CalibrationBin::reliability(&self.bins)
    }

    /// Returns the figures; zeros when nothing was counted.
    #[must_use]
    pub fn figures(&self) -> CalibrationFigures {
        let n = self.n.max(1) as f64;
        let gaps: f64 = self.bins.iter().map(|bin| (bin.hits - bin.probabilities).abs()).sum();
        CalibrationFigures { ece: gaps / n, brier: self.squares / n, nll: self.surprise / n }
    }
}

/// Returns one prompt's part of the Brier score.
pub(crate) fn squares(probabilities: &[f32], truth: usize) -> f64 {
    let target = |label: usize| f64::from(u8::from(label == truth));
    probabilities.iter().enumerate().map(|(label, p)| (f64::from(*p) - target(label)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities that a float holds exactly.
    fn figures(rows: &[([f32; 2], usize)]) -> CalibrationFigures {
        let mut calibration = CalibrationTally::default();
        for (probabilities, truth) in rows {
            calibration.add(probabilities, *truth, usize::from(probabilities[1] > probabilities[0]));
        }
        calibration.figures()
    }

    #[test]
    fn the_figures_are_those_computed_by_hand() {
        let figures = figures(&[([0.75, 0.25], 0), ([0.75, 0.25], 1), ([0.125, 0.875], 1), ([0.5, 0.5], 0)]);

        // Bins: |1 - 1.5|, |1 - 0.875|, |1 - 0.5|, over 4 prompts.
        assert_eq!(figures.ece, (0.5 + 0.125 + 0.5) / 4.0);
        assert_eq!(figures.brier, (0.125 + 1.125 + 0.03125 + 0.5) / 4.0);
        let nll = -(0.75_f64.ln() + 0.25_f64.ln() + 0.875_f64.ln() + 0.5_f64.ln()) / 4.0;
        assert!((figures.nll - nll).abs() < 1e-15, "{} is not {nll}", figures.nll);
    }

    #[test]
    fn being_sure_and_right_costs_nothing() {
        assert_eq!(figures(&[([1.0, 0.0], 0), ([0.0, 1.0], 1)]), CalibrationFigures { ece: 0.0, brier: 0.0, nll: 0.0 });
    }

    #[test]
    fn being_sure_and_wrong_is_bad_but_finite() {
        let figures = figures(&[([1.0, 0.0], 1)]);

        assert_eq!((figures.ece, figures.brier), (1.0, 2.0));
        assert!((figures.nll - 27.631_021_115_928_547).abs() < 1e-9, "{}", figures.nll);
    }

    #[test]
    fn misses_in_one_bin_and_hits_in_another_do_not_cancel() {
        let figures = figures(&[([0.75, 0.25], 0), ([0.875, 0.125], 1)]);

        assert_eq!(figures.ece, (0.25 + 0.875) / 2.0);
    }
}
