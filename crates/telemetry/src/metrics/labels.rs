//! The closed sets of label values.

use serde::Serialize;

/// A part of Pointsman's own work on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionStage {
    /// Reading the body and finding its `model`.
    Intake,
    /// Reading the structure of the text, when a classifier is asked; what rules read of it counts as
    /// [`DecisionStage::Decide`].
    Features,
    /// Waiting for the classifier's scores.
    Classify,
    /// Rules, strategy and constraints.
    Decide,
    /// Splicing the body and setting headers.
    Rewrite,
}

/// The outcome of one request to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The provider answered with a status below 400.
    Success,
    /// The provider answered with a status from 400 to 499, 429 excepted.
    ClientError,
    /// The provider answered with 429.
    RateLimited,
    /// The provider answered with a status of 500 or above.
    ServerError,
    /// No connection: refused, unreachable, or TLS failed.
    ConnectFailed,
    /// No connection, or no end of the TLS handshake, in time.
    ConnectTimeout,
    /// A connected provider stayed silent for longer than its timeout.
    Timeout,
    /// The connection broke before the answer was complete.
    Broken,
    /// The client left first.
    Cancelled,
    /// Nothing was sent: as many requests are in flight as the provider takes.
    Shed,
    /// Pointsman itself failed.
    Internal,
}

/// The part of a request or answer that tokens belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenDirection {
    /// The prompt, cached tokens included.
    Input,
    /// The answer, reasoning included.
    Output,
    /// The part of the prompt that the upstream had in its cache.
    Cached,
    /// The part of the prompt that the upstream wrote to its cache.
    CacheWrite,
    /// The part of the answer that nobody sees.
    Reasoning,
}

/// The reason why a streamed answer has no proper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenStream {
    /// The connection broke or fell silent.
    Cut,
    /// The stream ended without the mark that its API ends streams with.
    Unfinished,
}

/// The outcome of a client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientOutcome {
    /// The client got an answer with a status below 400.
    Success,
    /// The client got an error, or left before there was an answer.
    Failed,
    /// The client asks more than its limits allow.
    RateLimited,
    /// The client may not use the model or policy that it asked for.
    NotAllowed,
}

/// The reason why a peer gets no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EjectionCause {
    /// The peer failed as many requests in a row as `breaker.consecutive_failures`.
    ConsecutiveFailures,
    /// The peer failed a share of its requests of `breaker.failure_ratio` or more.
    FailureRatio,
    /// The peer failed again when it was tried after its backoff.
    TrialFailed,
    /// The peer failed as many health checks in a row as `health_check.unhealthy_after`.
    HealthCheck,
}

/// The part that a cache of scores had in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOutcome {
    /// The text was judged before.
    Hit,
    /// The text was new.
    Miss,
    /// The text was being judged for another request.
    Joined,
}

/// The reason why the decision log lost a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DroppedLine {
    /// As many lines as `decision_log.queue` were waiting.
    QueueFull,
    /// The file could not be written.
    WriteFailed,
}

/// The kind of a client's word on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedbackKind {
    /// The quality of the answer.
    Rating,
    /// The correctness of the answer.
    Correct,
    /// A comment in words.
    Comment,
}

/// The outcome of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// The new snapshot serves.
    Applied,
    /// Nothing had changed.
    Unchanged,
    /// The new state was refused; the old snapshot keeps serving.
    Rejected,
    /// The snapshot before serves again.
    RolledBack,
}

/// The reason of a look at the stamps of watched files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileLook {
    /// The system told of an event.
    Event,
    /// It was time: events may be lost, or the file system may give none.
    Interval,
}

impl DroppedLine {
    /// Every cause.
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::WriteFailed];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WriteFailed => "write_failed",
        }
    }
}

impl FileLook {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Event, Self::Interval];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Interval => "interval",
        }
    }
}

impl FeedbackKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Rating, Self::Correct, Self::Comment];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rating => "rating",
            Self::Correct => "correct",
            Self::Comment => "comment",
        }
    }
}

impl DecisionStage {
    /// Every stage, in the order of a request.
    pub const ALL: [Self; 5] = [Self::Intake, Self::Features, Self::Classify, Self::Decide, Self::Rewrite];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Features => "features",
            Self::Classify => "classify",
            Self::Decide => "decide",
            Self::Rewrite => "rewrite",
        }
    }
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 11] = [
        Self::Success,
        Self::ClientError,
        Self::RateLimited,
        Self::ServerError,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::Timeout,
        Self::Broken,
        Self::Cancelled,
        Self::Shed,
        Self::Internal,
    ];

    /// Returns the outcome of an answer with this status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::RateLimited,
            400..=499 => Self::ClientError,
            500.. => Self::ServerError,
            _ => Self::Success,
        }
    }

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ClientError => "client_error",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::Shed => "shed",
            Self::Internal => "internal",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Cancelled => "cancelled",
        }
    }
}

impl TokenDirection {
    /// Every direction.
    pub const ALL: [Self; 5] = [Self::Input, Self::Output, Self::Cached, Self::CacheWrite, Self::Reasoning];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Cached => "cached",
            Self::CacheWrite => "cache_write",
            Self::Reasoning => "reasoning",
        }
    }
}

impl BrokenStream {
    /// Every cause.
    pub const ALL: [Self; 2] = [Self::Cut, Self::Unfinished];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Unfinished => "unfinished",
        }
    }
}

impl ClientOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failed, Self::RateLimited, Self::NotAllowed];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::RateLimited => "rate_limited",
            Self::NotAllowed => "not_allowed",
        }
    }
}

impl EjectionCause {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::ConsecutiveFailures, Self::FailureRatio, Self::TrialFailed, Self::HealthCheck];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRatio => "failure_ratio",
            Self::TrialFailed => "trial_failed",
            Self::HealthCheck => "health_check",
        }
    }
}

impl CacheOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Hit, Self::Miss, Self::Joined];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Joined => "joined",
        }
    }
}

impl ReloadOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Unchanged, Self::Rejected, Self::RolledBack];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// Returns `2xx` and the like; `none` when the client left before there was a status.
pub(super) const fn status_class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_class_of_its_first_digit() {
        let classes = [99, 100, 199, 200, 399, 400, 499, 500, 599, 600].map(|status| status_class(Some(status)));

        assert_eq!(classes, ["none", "1xx", "1xx", "2xx", "3xx", "4xx", "4xx", "5xx", "5xx", "none"]);
        assert_eq!(status_class(None), "none");
    }

    #[test]
    fn an_answer_s_outcome_separates_the_rate_limit_from_the_client_s_faults() {
        let outcomes = [200, 302, 400, 429, 499, 500, 503].map(|status| AttemptOutcome::of_status(status).as_str());

        assert_eq!(
            outcomes,
            ["success", "success", "client_error", "rate_limited", "client_error", "server_error", "server_error"]
        );
    }
}
