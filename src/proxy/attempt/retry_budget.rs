//! The retries that live traffic can bear: a share of its requests, so that an outage does not multiply its load.
//!
//! A token bucket, as in Finagle's `RetryBudget` (<https://twitter.github.io/finagle/guide/Clients.html#retries>): each
//! request deposits a share of a token, each retry takes a whole one; a trickle lets quiet traffic retry too.

use std::sync::{Mutex, PoisonError};

use pointsman_core::config::Ratio;
use tokio::time::Instant;

/// Retries a second that are allowed however little traffic there is.
const TRICKLE: f64 = 10.0;

/// Tokens that can be saved up: what a burst of failures may spend at once.
const MOST: f64 = 100.0;

/// The tokens that are left for retries.
#[derive(Debug)]
pub(in crate::proxy) struct RetryBudget(Mutex<RetryTokens>);

#[derive(Debug)]
struct RetryTokens {
    tokens: f64,
    at: Instant,
}

impl RetryBudget {
    /// Makes a budget that starts with one second's trickle.
    pub(in crate::proxy) fn new() -> Self {
        Self(Mutex::new(RetryTokens { tokens: TRICKLE, at: Instant::now() }))
    }

    /// Counts a request that may be retried later.
    pub(in crate::proxy) fn deposit(&self, share: Ratio) {
        self.with(|balance| balance.tokens = (balance.tokens + share.get()).min(MOST));
    }

    /// Takes a retry out of the budget; false when there is none left.
    pub(in crate::proxy) fn withdraw(&self) -> bool {
        self.with(|balance| {
            let affordable = balance.tokens >= 1.0;
            if affordable {
                balance.tokens -= 1.0;
            }
            affordable
        })
    }

    /// The lock is held for a few instructions and never across an await.
    fn with<T>(&self, act: impl FnOnce(&mut RetryTokens) -> T) -> T {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let trickled = now.duration_since(balance.at).as_secs_f64() * TRICKLE;
        balance.tokens = (balance.tokens + trickled).min(MOST);
        balance.at = now;
        act(&mut balance)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn affordable(budget: &RetryBudget) -> usize {
        (0..1000).take_while(|_| budget.withdraw()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_share_of_the_requests() {
        let budget = RetryBudget::new();
        affordable(&budget);

        for _ in 0..200 {
            budget.deposit(Ratio::new(0.2).expect("a ratio"));
        }

        let retries = affordable(&budget);
        assert!((39..=40).contains(&retries), "{retries}"); // a fifth of 200, less a rounding error
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_traffic_may_retry_ten_times_a_second() {
        let budget = RetryBudget::new();
        assert_eq!(affordable(&budget), 10);

        tokio::time::advance(Duration::from_secs(1)).await;

        assert_eq!(affordable(&budget), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_quiet_time_saves_up_no_storm() {
        let budget = RetryBudget::new();

        tokio::time::advance(Duration::from_secs(3600)).await;

        assert_eq!(affordable(&budget), 100);
    }
}
