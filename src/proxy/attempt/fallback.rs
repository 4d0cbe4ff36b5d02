//! The way on when an upstream fails a request before the first byte of its answer: the next peer, then the next model.
//!
//! Bounded by `retry`: attempts, a deadline for their start, and a budget. Each model is asked under its own name and
//! with its provider's key. When nothing is left to try, the last attempt's own error reaches the client, but for a
//! fallback's refusal after the first model's failure.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use pointsman_core::config::{Ratio, RetriedTimeouts, RetryConfig};
use pointsman_telemetry::Metrics;
use pointsman_translation::TranslationRefusal;

use super::earlier_failure::is_refusal;
use super::original::AnswerKind;
use super::retry_budget::RetryBudget;
use super::{AttemptDestination, UpstreamAttempts};
use crate::router::SubstituteRule;
use crate::upstream::{AttemptFailure, Deployment, is_of_upstream};

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The cause of a fallback from a model whose API cannot say what the request says.
const UNSAYABLE: &str = "translation";

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
pub(in crate::proxy) fn is_retried(status: u16, retry: &RetryConfig) -> bool {
    is_of_upstream(status) || retry.statuses.contains(&status)
}

/// Returns the pause before the attempt that follows the one of that number: of half to one and a half times `mean`,
/// twice as long after each further attempt.
fn pause(mean: Duration, attempt: u32) -> Duration {
    let longer = mean.saturating_mul(1 << attempt.saturating_sub(1).min(6));
    // Every state has keys of its own, drawn from the system's randomness.
    let chance = (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64;
    longer.mul_f64(0.5 + chance).min(LONGEST_PAUSE)
}

impl UpstreamAttempts {
    /// Prepares the next attempt, or says that there is none: then the last one's error stands.
    pub(in crate::proxy) fn try_again(&mut self, failure: AttemptFailure, retries: &RetryLedger) -> bool {
        if matches!(failure, AttemptFailure::Status(status) if is_of_upstream(status)) {
            self.let_rest(failure);
        }
        let Some(cause) = failure.fallback_cause().filter(|_| self.may_try_again()) else { return false };
        if failure == AttemptFailure::Timeout && !self.may_generate_again() {
            return false;
        }
        let has_key = self.may_change_key(failure);
        // Another peer refuses the same key.
        let is_key_refused = self.is_of_key(failure) && failure != AttemptFailure::Status(429);
        let is_of_peer = failure.is_of_one_peer() && !is_key_refused && !self.is_refused_by_fallback(failure);
        let has_peer = has_key || (is_of_peer && self.has_other_peer());
        if !has_peer && self.alternatives.have_no_fallback() {
            return false;
        }
        // Where nothing was sent, another try is no more load than the first.
        if failure != AttemptFailure::Busy && !retries.withdraw() {
            return false;
        }
        let before = self.provider().map(Arc::as_ptr);
        if !has_peer {
            let Some(next) = self.take_next() else { return false };
            self.note_failure(failure);
            self.go_on_to(next, cause, &retries.metrics);
        }
        let is_told = matches!(failure, AttemptFailure::Status(_) | AttemptFailure::Broken | AttemptFailure::Timeout);
        let is_same = before == self.provider().map(Arc::as_ptr) && !has_key;
        if has_key {
            self.note_change();
        }
        self.pause = if is_told && is_same { pause(self.limit.pause, self.count) } else { Duration::ZERO };
        true
    }

    /// Waits before the next attempt, where it goes to the provider that has just failed the request.
    pub(in crate::proxy) async fn pause(&mut self) {
        let pause = std::mem::take(&mut self.pause).min(self.time_left());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns whether an attempt that timed out after its request was sent may be followed by another one: the model
    /// may be writing all the same.
    pub(in crate::proxy) const fn may_generate_again(&self) -> bool {
        matches!(
            (self.body.asks_for(), self.limit.after_timeout),
            (None | Some(AnswerKind::Figures), _)
                | (_, RetriedTimeouts::Always)
                | (Some(AnswerKind::Stream), RetriedTimeouts::Streams)
        )
    }

    /// Returns whether a fallback refused a request that the first model had no time for.
    pub(in crate::proxy) fn is_refused_by_fallback(&self, failure: AttemptFailure) -> bool {
        let is_refusal = matches!(failure, AttemptFailure::Status(status) if is_refusal(status));
        is_refusal && self.earlier().is_some()
    }

    /// Prepares the body for the model that the request was sent to, or for the next one whose API can say what it says.
    ///
    /// # Errors
    /// When there is none: why the first one's cannot.
    pub(in crate::proxy) fn prepare(&mut self, retries: &RetryLedger) -> Result<(), TranslationRefusal> {
        let Some(target) = self.target().cloned() else { return Ok(()) };
        if let Err(refusal) = self.body.prepare_for(&target) {
            let Some(next) = self.take_next() else { return Err(refusal) };
            self.go_on_to(next, UNSAYABLE, &retries.metrics);
        }
        if self.alternatives.is_empty() {
            self.body.forget_original();
        }
        Ok(())
    }

    /// Takes the next model to fall back on, with the body prepared for it. Models are passed over whose API cannot say
    /// what the request says, and strong ones whose quota is used up; those that would lose something that matters are
    /// left for last.
    pub(super) fn take_next(&mut self) -> Option<Arc<Deployment>> {
        let mut lossy = VecDeque::new();
        let mut found = None;
        while let Some(next) = self.alternatives.take_next() {
            match self.body.prepare_for(&next) {
                Ok(()) if self.body.loses_what_matters() => lossy.push_back(next),
                Ok(()) if self.alternatives.admit(&next, SubstituteRule::PassOver) => {
                    found = Some(next);
                    break;
                }
                Ok(()) | Err(_) => {}
            }
        }
        while found.is_none()
            && let Some(next) = lossy.pop_front()
        {
            let is_ready = self.body.prepare_for(&next).is_ok();
            found = Some(next).filter(|next| is_ready && self.alternatives.admit(next, SubstituteRule::PassOver));
        }
        lossy.into_iter().for_each(|model| self.alternatives.add_last(model));
        found
    }

    /// Goes on to the next model, for which the body is prepared.
    pub(super) fn go_on_to(&mut self, next: Arc<Deployment>, cause: &'static str, metrics: &Metrics) {
        if let Some(AttemptDestination::Model(target)) = &mut self.destination {
            metrics.fell_back(&target.model, &next.model, cause);
            *target = next;
            self.credential.forget();
        }
    }
}
