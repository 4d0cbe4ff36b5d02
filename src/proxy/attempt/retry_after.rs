//! `Retry-After`: a model that asked to be left alone for a while is, where another one is ready.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use pointsman_http_client::retry_after;
use tokio::time::Instant;

use super::UpstreamAttempts;
use super::fallback::RetryLedger;

/// The longest that a model rests because of its `Retry-After`: it may be back sooner than it fears.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The cause of a fallback from a model that had said when it will take requests again, which is not yet.
const RESTING: &str = "retry_after";

impl UpstreamAttempts {
    /// Leaves a model that asked to be left alone for now, if another one is ready.
    pub(in crate::proxy) fn avoid_resting(&mut self, retries: &RetryLedger) {
        if self.target().is_some_and(|target| target.is_resting()) && self.alternatives.have_ready() {
            self.fall_back(RESTING, &retries.metrics);
        }
    }

    /// Remembers how long the model asked to be left alone, bounded. What one peer of several says is only its own
    /// word: the others are asked first.
    pub(in crate::proxy) fn heed_retry_after(&self, status: StatusCode, headers: &HeaderMap) {
        let Some(target) = self.target().filter(|target| !target.provider.has_untried(&self.tried)) else { return };
        if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return;
        }
        if let Some(wait) = headers.get(header::RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?)) {
            target.rest_until(Instant::now() + wait.min(LONGEST_REST));
        }
    }
}
