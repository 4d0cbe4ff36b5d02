//! Hedging: a request that takes longer than most did lately is sent a second time, within a budget.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pointsman_core::config::HedgeConfig;

/// The answers whose times count.
const WINDOW: usize = 128;

/// The fewest answers that say what is slow.
const FEWEST: usize = 20;

/// The most second requests that may be saved up.
const MOST_SAVED: f64 = 10.0;

/// The times of recent answers, and the second requests that may still be sent.
#[derive(Debug)]
pub(crate) struct HedgeTimer {
    settings: HedgeConfig,
    state: Mutex<HedgeState>,
}

#[derive(Debug, Default)]
struct HedgeState {
    times: Vec<Duration>,
    next: usize,
    saved: f64,
}

impl HedgeTimer {
    pub(crate) fn new(settings: HedgeConfig) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Notes a request, and returns the time after which it counts as slow; `None` while too little is known, or none is
    /// ever sent again.
    pub(crate) fn begin(&self) -> Option<Duration> {
        let budget = self.settings.budget.get();
        if budget <= 0.0 {
            return None;
        }
        let mut state = self.state();
        state.saved = (state.saved + budget).min(MOST_SAVED);
        if state.times.len() < FEWEST {
            return None;
        }
        let mut times = state.times.clone();
        drop(state);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among 128")]
        let place = ((times.len() - 1) as f64 * self.settings.quantile.get()).ceil() as usize;
        Some(*times.select_nth_unstable(place).1)
    }

    /// Takes one second request out of the budget; false when there is none left.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.state();
        if state.saved < 1.0 {
            return false;
        }
        state.saved -= 1.0;
        true
    }

    /// Notes the time that an answer took.
    pub(crate) fn learn(&self, took: Duration) {
        let mut state = self.state();
        let next = state.next;
        match state.times.get_mut(next) {
            Some(time) => *time = took,
            None => state.times.push(took),
        }
        state.next = (next + 1) % WINDOW;
    }

    fn state(&self) -> MutexGuard<'_, HedgeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::Ratio;

    use super::*;

    fn timer(quantile: f64, budget: f64) -> HedgeTimer {
        let ratio = |value| Ratio::new(value).expect("a share");
        HedgeTimer::new(HedgeConfig { quantile: ratio(quantile), budget: ratio(budget) })
    }

    #[test]
    fn a_request_is_slow_after_the_quantile_of_recent_answers_once_there_are_some() {
        let timer = timer(0.95, 0.5);
        for ms in 1..=19 {
            timer.learn(Duration::from_millis(ms));
        }
        assert_eq!(timer.begin(), None);

        for ms in 20..=100 {
            timer.learn(Duration::from_millis(ms));
        }
        assert_eq!(timer.begin(), Some(Duration::from_millis(96)));

        (0..WINDOW).for_each(|_| timer.learn(Duration::from_millis(7)));
        assert_eq!(timer.begin(), Some(Duration::from_millis(7)), "old answers no longer count");
    }

    #[test]
    fn second_requests_are_the_share_of_all_that_the_budget_allows() {
        let timer = timer(0.95, 0.25);
        let second = (0..100).filter(|_| {
            timer.begin();
            timer.take()
        });

        assert_eq!(second.count(), 25);
    }

    #[test]
    fn without_a_budget_none_is_sent_again() {
        let timer = timer(0.95, 0.0);
        (0..WINDOW).for_each(|_| timer.learn(Duration::from_millis(7)));

        assert_eq!((timer.begin(), timer.take()), (None, false));
    }
}
