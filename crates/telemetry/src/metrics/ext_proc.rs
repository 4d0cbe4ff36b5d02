//! What Envoy asks over its external processing protocol.

use std::fmt;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The phase of an exchange that a message of Envoy's belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtProcPhase {
    /// The header of a request.
    RequestHeaders,
    /// A request's body, or a part of it.
    RequestBody,
    /// What follows a request's body.
    RequestTrailers,
    /// The header of an answer.
    ResponseHeaders,
    /// An answer's body, or a part of it.
    ResponseBody,
    /// What follows an answer's body.
    ResponseTrailers,
}

/// What became of a request that Envoy asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtProcOutcome {
    /// A model was chosen.
    Routed,
    /// No policy is for it, or the policy changes nothing.
    Passed,
    /// Pointsman itself has answered it.
    Answered,
    /// It was refused.
    Denied,
    /// It could not be judged and passed, as `ext_proc.failure: open` has it.
    Unjudged,
    /// It passed because Envoy does not send whole bodies.
    BodyUnseen,
    /// Its path is none of a model's.
    OtherPath,
    /// It ended before there was a decision.
    Cancelled,
    /// Envoy's messages were out of order, or in a mode that is not served.
    Protocol,
}

/// The metrics of the listener for Envoy.
#[derive(Clone)]
pub struct ExtProcMetrics {
    streams: IntGauge,
    messages: [IntCounter; ExtProcPhase::ALL.len()],
    requests: [IntCounter; ExtProcOutcome::ALL.len()],
    decision: Histogram,
}

impl ExtProcPhase {
    /// Every phase.
    pub const ALL: [Self; 6] = [
        Self::RequestHeaders,
        Self::RequestBody,
        Self::RequestTrailers,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::ResponseTrailers,
    ];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestHeaders => "request_headers",
            Self::RequestBody => "request_body",
            Self::RequestTrailers => "request_trailers",
            Self::ResponseHeaders => "response_headers",
            Self::ResponseBody => "response_body",
            Self::ResponseTrailers => "response_trailers",
        }
    }
}

impl ExtProcOutcome {
    /// Every outcome.
    pub const ALL: [Self; 9] = [
        Self::Routed,
        Self::Passed,
        Self::Answered,
        Self::Denied,
        Self::Unjudged,
        Self::BodyUnseen,
        Self::OtherPath,
        Self::Cancelled,
        Self::Protocol,
    ];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Passed => "passed",
            Self::Answered => "answered",
            Self::Denied => "denied",
            Self::Unjudged => "unjudged",
            Self::BodyUnseen => "body_unseen",
            Self::OtherPath => "other_path",
            Self::Cancelled => "cancelled",
            Self::Protocol => "protocol",
        }
    }
}

impl Metrics {
    /// Returns the metrics of the listener for Envoy.
    #[must_use]
    pub fn ext_proc(&self) -> ExtProcMetrics {
        self.ext_proc.clone()
    }
}

impl ExtProcMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let messages = Family::register(registry, define::EXT_PROC_MESSAGES);
        let requests = Family::register(registry, define::EXT_PROC_REQUESTS);
        Self {
            streams: Family::register(registry, define::EXT_PROC_STREAMS).with([]),
            messages: ExtProcPhase::ALL.map(|phase| messages.with([phase.as_str().into()])),
            requests: ExtProcOutcome::ALL.map(|outcome| requests.with([outcome.as_str().into()])),
            decision: Family::register(registry, define::EXT_PROC_DECISION).with([]),
        }
    }

    /// Notes a stream that was opened.
    pub fn opened(&self) {
        self.streams.inc();
    }

    /// Notes that a stream is over.
    pub fn closed(&self) {
        self.streams.dec();
    }

    /// Counts a message of Envoy's.
    pub fn received(&self, phase: ExtProcPhase) {
        self.messages[phase as usize].inc();
    }

    /// Counts what became of a request.
    pub fn ended(&self, outcome: ExtProcOutcome) {
        self.requests[outcome as usize].inc();
    }

    /// Notes how long it took from a whole body to the answer about it.
    pub fn decided(&self, took: Duration) {
        self.decision.observe(took.as_secs_f64());
    }
}

impl fmt::Debug for ExtProcMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtProcMetrics").finish_non_exhaustive()
    }
}
