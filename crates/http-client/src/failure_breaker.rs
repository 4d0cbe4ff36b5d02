//! The circuit breaker of a server: open after too many failures in a row, then half-open for one request at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pointsman_core::config::RemoteBreaker;
use tokio::time::Instant;

/// Counts a server's failures in a row; once they are too many, one request in each `rest` finds out whether the server
/// answers again.
#[derive(Debug)]
pub(crate) struct ServerBreaker {
    settings: RemoteBreaker,
    state: Mutex<FailureRun>,
}

#[derive(Debug, Default)]
struct FailureRun {
    failures: u32,
    open_until: Option<Instant>,
}

impl ServerBreaker {
    pub(crate) fn new(settings: RemoteBreaker) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Returns whether the server may be asked now.
    pub(crate) fn admits(&self) -> bool {
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

    /// Returns whether the server is left alone.
    pub(crate) fn is_open(&self) -> bool {
        self.state().open_until.is_some()
    }

    pub(crate) fn succeeded(&self) {
        *self.state() = FailureRun::default();
    }

    pub(crate) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.settings.failures {
            state.open_until = Some(Instant::now() + self.settings.rest.0);
        }
    }

    fn state(&self) -> MutexGuard<'_, FailureRun> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pointsman_core::config::TimeSpan;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_its_failures_it_is_open_and_then_one_request_tries_it() {
        let rest = TimeSpan::from_secs(5);
        let breaker = ServerBreaker::new(RemoteBreaker { failures: 2, rest });
        breaker.failed();
        breaker.succeeded();
        breaker.failed();
        assert!(breaker.admits() && !breaker.is_open(), "failures count only in a row");

        breaker.failed();
        assert!(!breaker.admits() && breaker.is_open());
        tokio::time::advance(rest.0).await;
        assert_eq!([breaker.admits(), breaker.admits()], [true, false]);

        breaker.succeeded();
        assert_eq!([breaker.admits(), breaker.is_open()], [true, false]);
    }
}
