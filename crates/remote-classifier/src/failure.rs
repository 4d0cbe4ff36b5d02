//! The reason why a server gave no scores.

use pointsman_core::config::RemoteClassifierConfig;
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
    /// The part of a question that the server does not take, where it says that it never will.
    pub(crate) refused: Option<RefusedPart>,
}

/// A part of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedPart {
    /// The credential that goes with it.
    Credential,
    /// The question itself: its model, its version or its protocol.
    Question,
}

impl RemoteFailure {
    pub(crate) fn new(reason: ClassifierFailure, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), flaw: None, refused: None }
    }

    /// Marks a failure that the same question meets again, whenever it is asked.
    pub(crate) fn lasting(self, refused: Option<RefusedPart>) -> Self {
        Self { refused, ..self }
    }

    /// Makes a refusal that lasts a flaw of the contract of a section, with what the server at `server` said. One that may
    /// pass, such as that of a server that is overloaded, stays what it is.
    pub(crate) fn of_contract(self, section: &RemoteClassifierConfig, server: &str) -> Self {
        let Some(part) = self.refused.filter(|_| self.flaw.is_none()) else { return self };
        let key = match (part, &section.model) {
            (RefusedPart::Credential, _) => "credential",
            (RefusedPart::Question, Some(_)) if self.reason == ClassifierFailure::RemoteRefused => "model",
            (RefusedPart::Question, _) => "protocol",
        };
        let (protocol, detail) = (section.protocol.as_str(), &self.detail);
        let named = [("model", &section.model), ("version", &section.version)];
        let named: String =
            named.iter().filter_map(|(what, name)| Some(format!(", {what} `{}`", name.as_ref()?))).collect();
        let message = format!("{server} does not answer `{protocol}`{named}: {detail} (allowed: what the server has)");
        let flaw = ContractFlaw::of_refusal(key, message);
        Self { detail: flaw.to_string(), flaw: Some(flaw), ..self }
    }

    /// The failure of a process that cannot ask.
    #[must_use]
    pub fn unasked(error: &std::io::Error) -> Self {
        Self::new(ClassifierFailure::RemoteUnreachable, error.to_string())
    }

    /// The failure of an answer that does not have the form of its protocol.
    pub(crate) fn answer(detail: impl Into<String>) -> Self {
        Self::new(ClassifierFailure::RemoteBadAnswer, detail).lasting(Some(RefusedPart::Question))
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
        // Whoever answers by something else than HTTP is there.
        let is_foreign = matches!(&error, HttpError::TooLong | HttpError::NoHttp2) || error.is_no_http();
        Self::new(reason, error.to_string()).lasting(is_foreign.then_some(RefusedPart::Question))
    }
}

impl From<ContractFlaw> for RemoteFailure {
    fn from(flaw: ContractFlaw) -> Self {
        let detail = flaw.to_string();
        Self { flaw: Some(flaw), ..Self::new(ClassifierFailure::RemoteBadAnswer, detail) }
    }
}

impl std::fmt::Display for RemoteFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.detail)
    }
}
