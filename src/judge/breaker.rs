//! The circuit breaker of a judge: open after too many failures in a row, then half-open for one question at a time.

use std::sync::{Mutex, PoisonError};

use pointsman_core::config::JudgeBreaker;
use tokio::time::Instant;

/// Counts failures in a row; once they are too many, one question in each `rest` finds out whether the judge answers
/// again.
#[derive(Debug)]
pub(super) struct JudgeFailureBreaker {
    settings: JudgeBreaker,
    state: Mutex<FailureRun>,
}

#[derive(Debug, Default)]
struct FailureRun {
    failures: u32,
    open_until: Option<Instant>,
}

impl JudgeFailureBreaker {
    pub(super) fn new(settings: JudgeBreaker) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Returns whether the judge may be asked now.
    pub(super) fn admits(&self) -> bool {
        let mut state = self.state();
        let Some(until) = state.open_until else { return true };
        let now = Instant::now();
        if now < until {
            return false;
        }
        // The others wait for what this one comes to.
        state.open_until = Some(now + self.settings.rest.0);
        true
    }

    pub(super) fn succeeded(&self) {
        *self.state() = FailureRun::default();
    }

    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.settings.failures {
            state.open_until = Some(Instant::now() + self.settings.rest.0);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, FailureRun> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::TimeSpan;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_its_failures_it_is_open_and_then_one_question_tries_it() {
        let rest = TimeSpan::from_secs(30);
        let breaker = JudgeFailureBreaker::new(JudgeBreaker { failures: 2, rest });
        breaker.failed();
        assert!(breaker.admits());

        breaker.failed();
        assert!(!breaker.admits());
        tokio::time::advance(rest.0).await;
        assert_eq!([breaker.admits(), breaker.admits()], [true, false]);

        breaker.succeeded();
        assert_eq!([breaker.admits(), breaker.admits()], [true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_count_only_in_a_row() {
        let breaker = JudgeFailureBreaker::new(JudgeBreaker { failures: 2, rest: TimeSpan::from_secs(30) });

        for _ in 0..5 {
            breaker.failed();
            breaker.succeeded();
        }

        assert!(breaker.admits());
    }
}
