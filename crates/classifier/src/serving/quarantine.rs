//! The quarantine: inputs that crashed or stalled a session, so that the same text does not take the workers down again
//! and again.
//!
//! The first failure makes an input a suspect: it is run alone from then on, and a clean run clears it. The second one
//! poisons it. The list is bounded and lives as long as the classifier: new weights get a new chance.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cache::ScoreCacheKey;

/// The most inputs that are remembered; the oldest is forgotten first.
const LIMIT: usize = 1024;

/// The failures that poison an input.
const POISONED: u8 = 2;

/// The failures of inputs, shared by the workers of a classifier.
#[derive(Debug, Default)]
pub(crate) struct InputQuarantine {
    /// The number of suspects: a look without a lock, since there is hardly ever one.
    known: AtomicUsize,
    suspects: Mutex<SuspectList>,
}

#[derive(Debug, Default)]
struct SuspectList {
    failures: HashMap<ScoreCacheKey, u8>,
    order: VecDeque<ScoreCacheKey>,
}

impl InputQuarantine {
    /// Returns whether an input is not to be tried again.
    pub(crate) fn is_poisoned(&self, key: ScoreCacheKey) -> bool {
        self.failures(key) >= POISONED
    }

    /// Returns whether an input has to run alone.
    pub(crate) fn is_suspect(&self, key: ScoreCacheKey) -> bool {
        self.failures(key) > 0
    }

    /// Records that a run with this input crashed or stalled.
    pub(crate) fn record_failure(&self, key: ScoreCacheKey) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = suspects.failures.entry(key).or_default();
        *failures = failures.saturating_add(1);
        if *failures == 1 {
            suspects.order.push_back(key);
        }
        if suspects.order.len() > LIMIT
            && let Some(oldest) = suspects.order.pop_front()
        {
            suspects.failures.remove(&oldest);
        }
        self.known.store(suspects.failures.len(), Ordering::Release);
    }

    /// Clears a suspect that ran well.
    pub(crate) fn clear(&self, key: ScoreCacheKey) {
        if self.known.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.failures.remove(&key).is_some() {
            suspects.order.retain(|other| *other != key);
            self.known.store(suspects.failures.len(), Ordering::Release);
        }
    }

    fn failures(&self, key: ScoreCacheKey) -> u8 {
        if self.known.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.failures.get(&key).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::tests::input;

    fn key(number: usize) -> ScoreCacheKey {
        input(&format!("text {number}")).1
    }

    #[test]
    fn the_first_failure_makes_a_suspect_and_the_second_poisons() {
        let quarantine = InputQuarantine::default();

        quarantine.record_failure(key(1));
        assert!(quarantine.is_suspect(key(1)) && !quarantine.is_poisoned(key(1)) && !quarantine.is_suspect(key(2)));

        quarantine.record_failure(key(1));
        assert!(quarantine.is_poisoned(key(1)) && !quarantine.is_poisoned(key(2)));
    }

    #[test]
    fn a_clean_run_clears_a_suspect() {
        let quarantine = InputQuarantine::default();
        quarantine.record_failure(key(1));

        quarantine.clear(key(1));
        quarantine.record_failure(key(1));

        assert!(!quarantine.is_poisoned(key(1)));
    }

    #[test]
    fn the_oldest_is_forgotten_when_the_list_is_full() {
        let quarantine = InputQuarantine::default();

        (0..=LIMIT).for_each(|number| quarantine.record_failure(key(number)));

        assert!(!quarantine.is_suspect(key(0)));
        assert!(quarantine.is_suspect(key(1)) && quarantine.is_suspect(key(LIMIT)));
    }
}
