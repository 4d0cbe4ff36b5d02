//! The way on when an upstream fails a request before the first byte of its answer: the next peer, then the next model.
//!
//! Bounded by `retry`: attempts, an overall deadline, and a budget. Each model is asked under its own name and with its
//! provider's key. When nothing is left to try, the last attempt's own error reaches the client.

use std::sync::Arc;

use http::StatusCode;
use pointsman_core::config::{Ratio, RetryConfig};
use pointsman_telemetry::Metrics;

use super::retry_budget::RetryBudget;
use super::{AttemptDestination, UpstreamAttempts};
use crate::upstream::AttemptFailure;

/// The budget of all requests' retries, and the metrics that count them.
pub(in crate::proxy) struct RetryLedger {
    budget: RetryBudget,
    pub(super) metrics: Arc<Metrics>,
}

impl RetryLedger {
    pub(in crate::proxy) fn new(metrics: Arc<Metrics>) -> Self {
        Self { budget: RetryBudget::new(), metrics }
    }

    /// Counts a request that may be retried later.
    pub(in crate::proxy) fn deposit(&self, share: Ratio) {
        self.budget.deposit(share);
    }

    /// Takes a retry out of the budget; counts one that is not affordable.
    fn withdraw(&self) -> bool {
        let affordable = self.budget.withdraw();
        if !affordable {
            self.metrics.retry_refused();
        }
        affordable
    }
}

/// Returns whether an answer with `status` is to be tried elsewhere.
pub(in crate::proxy) fn is_retried(status: StatusCode, retry: &RetryConfig) -> bool {
    let code = status.as_u16();
    matches!(code, 408 | 429 | 500..) || retry.statuses.contains(&code)
}

impl UpstreamAttempts {
    /// Prepares the next attempt, or says that there is none: then the last one's error stands.
    pub(in crate::proxy) fn try_again(&mut self, failure: AttemptFailure, retries: &RetryLedger) -> bool {
        let Some(cause) = failure.fallback_cause().filter(|_| self.may_try_again()) else { return false };
        let has_peer =
            failure.is_of_one_peer() && self.provider().is_some_and(|provider| provider.has_untried(&self.tried));
        if !has_peer && self.alternatives.have_no_fallback() {
            return false;
        }
        // Where nothing was sent, another try is no more load than the first.
        if failure != AttemptFailure::Busy && !retries.withdraw() {
            return false;
        }
        if !has_peer {
            self.fall_back(cause, &retries.metrics);
        }
        true
    }

    /// Goes on to the next model.
    pub(super) fn fall_back(&mut self, cause: &'static str, metrics: &Metrics) {
        let Some(next) = self.alternatives.take_next() else { return };
        self.body.prepare_for(&next);
        if let Some(AttemptDestination::Model(target)) = &mut self.destination {
            metrics.fell_back(&target.model, &next.model, cause);
            *target = next;
        }
    }
}
