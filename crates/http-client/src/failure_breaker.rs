//! The circuit breaker of a server that Pointsman asks: open after too many failures in a row, then half-open for one
//! request at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts a server's failures in a row; once they are too many, one request in each `rest` finds out whether the server
/// answers again. Breakers of peers, which clients' requests go to, are others: they count rates and slow answers too.
#[derive(Debug)]
pub struct FailureBreaker {
    /// The failures in a row after which it opens.
    failures: u32,
    /// The time between two tries.
    rest: Duration,
    state: Mutex<FailureRun>,
}

#[derive(Debug, Default)]
struct FailureRun {
    failures: u32,
    open_until: Option<Instant>,
}

impl FailureBreaker {
    /// Makes a closed breaker that opens after so many failures in a row, and lets one request through in each `rest`.
    #[must_use]
    pub fn new(failures: u32, rest: Duration) -> Self {
        Self { failures, rest, state: Mutex::default() }
    }

    /// Returns whether the server may be asked now.
    pub fn admits(&self) -> bool {
        let mut state = self.state();
        let Some(until) = state.open_until else { return true };
        let now = Instant::now();
        if now < until {
            return false;
        }
        // The others wait for what this one comes to.
        state.open_until = Some(now + self.rest);
        true
    }

    /// Returns whether the server is left alone.
    pub fn is_open(&self) -> bool {
        self.state().open_until.is_some()
    }

    /// Notes an answer.
    pub fn succeeded(&self) {
        *self.state() = FailureRun::default();
    }

    /// Notes a failure, an answer that came too late included.
    pub fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.failures {
            state.open_until = Some(Instant::now() + self.rest);
        }
    }

    fn state(&self) -> MutexGuard<'_, FailureRun> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn after_its_failures_it_is_open_and_then_one_request_tries_it() {
        let breaker = FailureBreaker::new(2, REST);
        breaker.failed();
        assert!(breaker.admits() && !breaker.is_open());

        breaker.failed();
        assert!(!breaker.admits() && breaker.is_open());
        tokio::time::advance(REST).await;
        assert_eq!([breaker.admits(), breaker.admits()], [true, false]);

        breaker.succeeded();
        assert_eq!([breaker.admits(), breaker.admits(), breaker.is_open()], [true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_count_only_in_a_row() {
        let breaker = FailureBreaker::new(2, REST);

        for _ in 0..5 {
            breaker.failed();
            breaker.succeeded();
        }

        assert!(breaker.admits());
    }
}
