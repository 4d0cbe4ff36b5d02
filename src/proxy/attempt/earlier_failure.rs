//! The first model's own failure, which a fallback's refusal must not hide.
//!
//! A fallback that refuses the request (a key that is wrong there, a model that is gone, a parameter that it does not
//! know) says nothing about the request itself: the client asked for another model, which said "later".

use std::time::Duration;

use pointsman_core::config::Name;
use tokio::time::Instant;

use super::UpstreamAttempts;
use crate::upstream::AttemptFailure;

/// The failure of the first model that was asked.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct EarlierFailure {
    /// The provider that was asked.
    pub(in crate::proxy) provider: Name,
    /// How it failed.
    pub(in crate::proxy) failure: AttemptFailure,
    /// The end of the wait that it asked for.
    until: Option<Instant>,
}

impl EarlierFailure {
    /// Returns how much longer the provider wants to be left alone, if it said so.
    pub(in crate::proxy) fn retry_after(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }
}

/// Returns whether an answer with `status` may be the fault of the model that was asked instead of the request's, and is
/// tried nowhere else by itself.
pub(in crate::proxy) const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 429)
}

impl UpstreamAttempts {
    /// Notes how the first model failed, before another one is asked.
    pub(super) fn note_failure(&mut self, failure: AttemptFailure) {
        let (None, Some(provider)) = (&self.earlier, self.provider()) else { return };
        let until = self.told_to_wait.map(|wait| Instant::now() + wait);
        self.earlier = Some(EarlierFailure { provider: provider.name.clone(), failure, until });
    }

    /// Returns how long the answer that failed last asked to wait.
    pub(in crate::proxy) const fn told_to_wait(&self) -> Option<Duration> {
        self.told_to_wait
    }

    /// Returns how the first model failed, where the one that is asked now is a fallback.
    pub(in crate::proxy) const fn earlier(&self) -> Option<&EarlierFailure> {
        self.earlier.as_ref()
    }
}
