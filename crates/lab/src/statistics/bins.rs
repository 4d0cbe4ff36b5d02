//! Bins of probabilities, by which calibration is measured.

use serde::Serialize;

/// Bins of equal width that probabilities are sorted into.
pub const BINS: usize = 15;

/// One bar of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// The mean probability.
    pub predicted: f64,
    /// The share of events that came true.
    pub observed: f64,
    /// Prompts in the bin.
    pub n: u64,
}

/// Sums over the events of a bin.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CalibrationBin {
    pub(super) probabilities: f64,
    pub(super) hits: f64,
    n: u64,
}

impl CalibrationBin {
    /// Returns the index of a probability's bin.
    pub(super) fn of(probability: f64) -> usize {
        ((probability * BINS as f64) as usize).min(BINS - 1)
    }

    /// Counts an event.
    pub(super) fn add(&mut self, probability: f64, truth: bool) {
        self.probabilities += probability;
        self.hits += f64::from(u8::from(truth));
        self.n += 1;
    }

    /// Returns the bins that hold anything, the lowest probability first.
    pub(super) fn reliability(bins: &[Self]) -> Vec<ReliabilityBin> {
        let full = bins.iter().filter(|bin| bin.n > 0);
        full.map(|bin| ReliabilityBin {
            predicted: bin.probabilities / bin.n as f64,
            observed: bin.hits / bin.n as f64,
            n: bin.n,
        })
        .collect()
    }
}
