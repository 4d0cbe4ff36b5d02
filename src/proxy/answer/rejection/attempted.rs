//! The rejections of requests that were attempted, and failed.

use std::time::Duration;

use pointsman_core::config::Name;
use pointsman_core::usage::AnswerError;

use super::Rejection;
use crate::proxy::attempt::earlier_failure::EarlierFailure;
use crate::upstream::AttemptFailure;

impl Rejection {
    /// Makes the rejection of a request whose last attempt, at `provider`, failed.
    #[must_use]
    pub(crate) fn of_attempt(failure: AttemptFailure, provider: Name) -> Self {
        match failure {
            AttemptFailure::Connect => Self::UpstreamUnreachable { provider },
            AttemptFailure::ConnectTimeout | AttemptFailure::SendTimeout | AttemptFailure::Timeout => {
                Self::UpstreamTimeout { provider }
            }
            AttemptFailure::Broken | AttemptFailure::Status(_) => Self::UpstreamError { provider },
            AttemptFailure::Busy => Self::ProviderBusy { provider },
            AttemptFailure::ContextLength => Self::ContextLength,
            AttemptFailure::NoModelForKey => {
                Self::UpstreamRefused { provider, status: 404, said: String::new(), retry_after: None }
            }
            AttemptFailure::ClientGone => Self::ClientGone,
            AttemptFailure::ClientSlow => Self::RequestTimeout,
            AttemptFailure::CutOff => Self::ShuttingDown,
            AttemptFailure::Internal => Self::Internal,
        }
    }

    /// Makes the rejection of a request whose answer was an error although its status was good.
    #[must_use]
    pub(crate) fn of_answer(error: AnswerError, provider: Name, retry_after: Option<Duration>) -> Self {
        let status = error.status();
        Self::UpstreamRefused { provider, status, said: error.message, retry_after }
    }

    /// Makes the rejection of a request that the first model failed and its fallbacks refused.
    #[must_use]
    pub(in crate::proxy) fn of_earlier(earlier: &EarlierFailure) -> Self {
        let provider = earlier.provider.clone();
        match earlier.failure {
            AttemptFailure::Status(status) => {
                Self::UpstreamRefused { provider, status, said: String::new(), retry_after: earlier.retry_after() }
            }
            failure => Self::of_attempt(failure, provider),
        }
    }
}
