//! `Retry-After`: a model that asked to be left alone for a while is, where another one is ready.

use super::UpstreamAttempts;
use super::fallback::RetryLedger;
use crate::upstream::{AttemptFailure, UpstreamCredential};

/// The cause of a fallback from a model that had said when it will take requests again, which is not yet.
const RESTING: &str = "retry_after";

impl UpstreamAttempts {
    /// Leaves a model that asked to be left alone for now, if another one is ready; it is the last resort.
    pub(in crate::proxy) fn avoid_resting(&mut self, retries: &RetryLedger) {
        let Some(resting) = self.target().filter(|target| target.is_resting()).cloned() else { return };
        if self.alternatives.have_ready() {
            let Some(next) = self.take_next() else { return };
            self.go_on_to(next, RESTING, &retries.metrics);
            self.alternatives.add_last(resting);
        }
    }

    /// Lets the model rest as long as the answer that failed asked for, bounded. What one peer of several says is only
    /// its own word: the others are asked first. A limit of the client's own key is no other client's, and one of several
    /// keys' is the model's only while all of them rest.
    pub(super) fn let_rest(&self, failure: AttemptFailure) {
        let Some(target) = self.target().filter(|target| !target.provider.has_untried(&self.tried)) else { return };
        if matches!(target.provider.credential, UpstreamCredential::Passthrough) {
            return;
        }
        let ring = target.provider.credential.ring().filter(|_| failure == AttemptFailure::Status(429));
        let model = Some(&*target.upstream_name);
        if let Some(wait) = ring.map_or(self.told_to_wait, |ring| ring.rest_of_all(model)) {
            target.rest_for(wait);
        }
    }
}
