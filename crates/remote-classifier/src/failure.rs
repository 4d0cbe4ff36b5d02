//! The reason why a server gave no scores.

use pointsman_core::scores::ClassifierFailure;
use pointsman_http_client::HttpError;

use crate::contract::ContractFlaw;

/// The reason why a server gave no scores, and what an operator can make of it. Never repeats a text or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFailure {
    /// The reason that decisions give.
    pub reason: ClassifierFailure,
    /// The cause.
    pub detail: String,
    /// The part of the contract that does not hold, where that is the cause.
    pub flaw: Option<ContractFlaw>,
}

impl RemoteFailure {
    pub(crate) fn new(reason: ClassifierFailure, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), flaw: None }
    }

    /// The failure of a process that cannot ask.
    #[must_use]
    pub fn unasked(error: &std::io::Error) -> Self {
        Self::new(ClassifierFailure::RemoteUnreachable, error.to_string())
    }

    /// The failure of an answer that does not have the form of its protocol.
    pub(crate) fn answer(detail: impl Into<String>) -> Self {
        Self::new(ClassifierFailure::RemoteBadAnswer, detail)
    }

    pub(crate) fn deadline() -> Self {
        Self::new(ClassifierFailure::Deadline, "no answer in time")
    }

    pub(crate) fn resting() -> Self {
        Self::new(ClassifierFailure::RemoteResting, "every server failed lately and is left alone for a while")
    }

    #[cfg(not(feature = "grpc"))]
    pub(crate) fn without_grpc() -> Self {
        Self::new(ClassifierFailure::RemoteRefused, "this build has no gRPC")
    }

    /// Returns whether another server may do better.
    pub(crate) const fn is_server_s_own(&self) -> bool {
        !matches!(self.reason, ClassifierFailure::Deadline | ClassifierFailure::RemoteResting)
    }
}

impl From<HttpError> for RemoteFailure {
    fn from(error: HttpError) -> Self {
        let reason = match &error {
            HttpError::TooLong => ClassifierFailure::RemoteBadAnswer,
            HttpError::ReadTimeout | HttpError::ConnectTimeout => ClassifierFailure::Deadline,
            _ => ClassifierFailure::RemoteUnreachable,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<ContractFlaw> for RemoteFailure {
    fn from(flaw: ContractFlaw) -> Self {
        let detail = flaw.to_string();
        Self { reason: ClassifierFailure::RemoteBadAnswer, detail, flaw: Some(flaw) }
    }
}

impl std::fmt::Display for RemoteFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.detail)
    }
}
