//! Drift: how far live traffic has moved from the rows that a bundle was validated with.
//!
//! A window of live prompts is counted into the bins of the bundle's reference, signal by signal, and compared by the
//! population stability index: the sum over the bins of `(live - expected) * ln(live / expected)` of their shares, each
//! share smoothed by [`EPSILON`] so that an empty bin is far but not infinitely far (Siddiqi 2006, *Credit Risk
//! Scorecards*, where below 0.1 is stable and above 0.25 is a shift; Yurdakul 2018 on its distribution, about `(bins -
//! 1) * (1/n + 1/m)` by chance). Only counts are kept: no text, no scores.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::features::Features;
use pointsman_core::scores::Scores;
use pointsman_telemetry::metrics::DriftMetrics;
use tokio::time::Instant;

use crate::bundle::reference::{ReferenceDistributions, SignalReader};

/// The number that is added to every share.
const EPSILON: f64 = 1e-4;

/// Parts of the window: the oldest goes as a whole.
const SLOTS: usize = 10;

/// Prompts below which chance alone moves the index by more than it is worth to look at.
const LEAST: u64 = 500;

/// Prompts after which the indices are computed again.
const EVERY: u64 = 50;

/// Compares live traffic with a reference.
#[derive(Debug)]
pub(crate) struct DriftMonitor {
    probe: SignalReader,
    /// The names of the signals, `[signal]`.
    names: Vec<Arc<str>>,
    /// The shares of the reference, `[signal][bin]`.
    expected: Vec<Vec<f64>>,
    window: Mutex<DriftCounts>,
    /// The index `[signal]`, as bits of an `f64`; not a number until it is known.
    levels: Vec<AtomicU64>,
    metrics: DriftMetrics,
}

#[derive(Debug)]
struct DriftCounts {
    slots: VecDeque<WindowSlot>,
    slot_time: Duration,
    slot_prompts: u64,
    since_update: u64,
}

#[derive(Debug)]
struct WindowSlot {
    since: Instant,
    prompts: u64,
    /// The prompts, `[signal][bin]`.
    counts: Vec<Vec<u32>>,
}

impl DriftMonitor {
    /// Starts with an empty window.
    pub(crate) fn new(
        probe: SignalReader,
        reference: &ReferenceDistributions,
        config: config::DriftWindow,
        metrics: DriftMetrics,
    ) -> Self {
        let slots = u32::try_from(SLOTS).unwrap_or(u32::MAX);
        let window = DriftCounts {
            slots: VecDeque::new(),
            slot_time: config.window.0 / slots,
            slot_prompts: config.max_prompts.div_ceil(u64::from(slots)),
            since_update: 0,
        };
        Self {
            probe,
            names: reference.signals.iter().map(|signal| signal.name.as_str().into()).collect(),
            expected: reference.signals.iter().map(|signal| signal.shares.clone()).collect(),
            window: Mutex::new(window),
            levels: reference.signals.iter().map(|_| AtomicU64::new(f64::NAN.to_bits())).collect(),
            metrics,
        }
    }

    /// Counts a prompt; every so often, shows how far each signal has moved.
    pub(crate) fn observe(&self, scores: &Scores, features: &Features) {
        let bins = self.probe.bins(scores, features);
        let mut window = self.window();
        let has_forgotten = window.forget();
        window.count(&bins, &self.expected);
        window.since_update += 1;
        let is_due = window.since_update >= EVERY;
        if is_due {
            window.since_update = 0;
        }
        if is_due || has_forgotten {
            self.update(window);
        }
    }

    fn window(&self) -> MutexGuard<'_, DriftCounts> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes the indices again. What too few prompts of the window speak of is not known any more, whatever older
    /// ones said.
    fn update(&self, window: MutexGuard<'_, DriftCounts>) {
        let (prompts, counts) = window.sums(&self.expected);
        drop(window);
        self.metrics.prompts(prompts);
        let signals = self.names.iter().zip(&self.expected).zip(&self.levels);
        for (((name, expected), level), counts) in signals.zip(&counts) {
            if counts.iter().sum::<u64>() >= LEAST {
                let psi = psi(expected, counts);
                level.store(psi.to_bits(), Ordering::Relaxed);
                self.metrics.psi(name, psi);
            } else if !f64::from_bits(level.swap(f64::NAN.to_bits(), Ordering::Relaxed)).is_nan() {
                self.metrics.forget(name);
            }
        }
    }

    /// Returns how far a signal, such as `score.tier`, has moved; `None` as long as that is not known. Traffic that has
    /// ended says nothing of what is now.
    pub(crate) fn of(&self, signal: &str) -> Option<f64> {
        let mut window = self.window();
        if window.forget() {
            self.update(window);
        }
        let index = self.names.iter().position(|name| **name == *signal)?;
        Some(f64::from_bits(self.levels[index].load(Ordering::Relaxed))).filter(|psi| !psi.is_nan())
    }
}

impl DriftCounts {
    /// Forgets what is too old, and returns whether anything was.
    fn forget(&mut self) -> bool {
        let now = Instant::now();
        let too_old = self.slot_time * u32::try_from(SLOTS).unwrap_or(u32::MAX);
        let before = self.slots.len();
        while self.slots.front().is_some_and(|slot| now - slot.since > too_old) {
            self.slots.pop_front();
        }
        self.slots.len() < before
    }

    fn count(&mut self, bins: &[Option<usize>], expected: &[Vec<f64>]) {
        let now = Instant::now();
        let is_full = |slot: &WindowSlot| slot.prompts >= self.slot_prompts || now - slot.since >= self.slot_time;
        if self.slots.back().is_none_or(is_full) {
            let counts = expected.iter().map(|bins| vec![0; bins.len()]).collect();
            self.slots.push_back(WindowSlot { since: now, prompts: 0, counts });
        }
        if self.slots.len() > SLOTS {
            self.slots.pop_front();
        }
        let Some(slot) = self.slots.back_mut() else { return };
        slot.prompts += 1;
        for (counts, bin) in slot.counts.iter_mut().zip(bins) {
            if let Some(count) = bin.and_then(|bin| counts.get_mut(bin)) {
                *count += 1;
            }
        }
    }

    /// Returns the prompts of the window, and of these the counts `[signal][bin]`; `expected` has as many bins.
    fn sums(&self, expected: &[Vec<f64>]) -> (u64, Vec<Vec<u64>>) {
        let mut sums: Vec<Vec<u64>> = expected.iter().map(|bins| vec![0; bins.len()]).collect();
        for slot in &self.slots {
            for (sums, counts) in sums.iter_mut().zip(&slot.counts) {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u64::from(*count));
            }
        }
        (self.slots.iter().map(|slot| slot.prompts).sum(), sums)
    }
}

/// Returns the population stability index of `counts` against the shares that were expected.
fn psi(expected: &[f64], counts: &[u64]) -> f64 {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let smooth = |share: f64| (share + EPSILON) / (1.0 + EPSILON * expected.len() as f64);
    let terms = expected.iter().zip(counts).map(|(expected, count)| {
        let (live, expected) = (smooth(*count as f64 / total), smooth(*expected));
        (live - expected) * (live / expected).ln()
    });
    terms.sum()
}

#[cfg(test)]
mod tests;
