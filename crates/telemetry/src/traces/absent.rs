//! Traces of a build without the feature `otlp`: nothing makes a tracer, so that nothing makes spans.

use std::convert::Infallible;

use http::HeaderMap;
use pointsman_core::config::{OtlpConfig, Secret};
use pointsman_http_client::ServerTrust;

use super::{TracedAnswer, TracedAttempt, TracedDecision, TracedRequest, TracerError, unavailable};

/// A tracer, of which this build has none.
#[derive(Debug, Clone)]
pub struct Tracer(Infallible);

/// The spans of a request, of which this build has none.
#[derive(Debug, Clone)]
pub struct RequestTrace(Infallible);

impl Tracer {
    /// Makes no tracer.
    ///
    /// # Errors
    /// Always.
    pub fn start(_otlp: &OtlpConfig, _secrets: &[(String, Secret)], _trust: ServerTrust) -> Result<Self, TracerError> {
        Err(TracerError(unavailable().unwrap_or_default().to_owned()))
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// Never.
    pub fn flush(&self) -> Result<(), TracerError> {
        match self.0 {}
    }

    /// Starts the span of a request.
    #[must_use]
    pub fn begin(&self, _headers: &HeaderMap, _asked: TracedRequest<'_>) -> RequestTrace {
        match self.0 {}
    }
}

impl RequestTrace {
    /// Returns the trace's id.
    #[must_use]
    pub fn id(&self) -> String {
        match self.0 {}
    }

    /// Adds the span of a decision.
    pub fn decided(&mut self, _decided: &TracedDecision<'_>) {
        match self.0 {}
    }

    /// Starts the span of an attempt.
    pub fn attempted(&mut self, _attempt: &TracedAttempt<'_>) {
        match self.0 {}
    }

    /// Puts the attempt's trace context into the header that goes upstream.
    pub fn pass_on(&self, _headers: &mut HeaderMap) {
        match self.0 {}
    }

    /// Notes the status of the attempt's answer.
    pub fn attempt_answered(&mut self, _status: u16) {
        match self.0 {}
    }

    /// Ends the attempt, which broke.
    pub fn attempt_broke(&mut self, _cause: &'static str) {
        match self.0 {}
    }

    /// Ends all spans.
    pub fn ended(self, _answered: &TracedAnswer<'_>) {
        match self.0 {}
    }
}
