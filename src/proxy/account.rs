//! What is counted and logged of a request: its attempts as they end, and one line when it is over.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};
use tokio::time::Instant;

use super::Proxy;
use super::body_adapter::FIRST_BYTE_TIMEOUT;
use super::context::RequestContext;
use super::fallback::Cause;
use crate::config::Name;
use crate::telemetry::{AccessLine, AttemptOutcome};
use crate::upstream::Outcome;

/// Makes ids for requests: unique in this process, and very likely so among all.
pub(super) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Returns the next id: 16 random hexadecimal digits of the process, and a count.
    pub(super) fn next(&self) -> String {
        format!("{:016x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self { process: RandomState::new().build_hasher().finish(), next: AtomicU64::new(1) }
    }
}

impl Proxy {
    /// Counts an attempt that was answered, by the answer's status.
    pub(super) fn attempt_answered(&self, ctx: &RequestContext, status: StatusCode) {
        self.attempt_ended(ctx, AttemptOutcome::of_status(status.as_u16()));
        report(ctx, Outcome::Answered(status.as_u16()));
    }

    /// Marks the first byte of the answer that the client gets.
    pub(super) fn first_byte_arrived(&self, ctx: &mut RequestContext) {
        ctx.first_byte = Some(Instant::now());
        self.metrics.first_byte_arrived(ctx.model(), ctx.started.elapsed());
    }

    /// Counts and logs an attempt that failed before it was answered, and prepares the next; false when there is none.
    pub(super) fn attempt_failed(&self, ctx: &mut RequestContext, error: &Error) -> bool {
        self.attempt_broke(ctx, error);
        Cause::of(error).is_some_and(|cause| self.try_again(ctx, cause))
    }

    /// Counts and logs an attempt that broke; one that was answered first was counted by its status.
    pub(super) fn attempt_broke(&self, ctx: &RequestContext, error: &Error) {
        report(ctx, peer_outcome_of(error));
        let provider = ctx.provider().map_or("", |provider| provider.name.as_str());
        if *error.esource() != ErrorSource::Downstream {
            tracing::warn!(provider, request_id = %ctx.request_id, attempt = ctx.attempts, error = %error.etype().as_str(), "Attempt failed");
        }
        if ctx.first_byte.is_none() {
            self.attempt_ended(ctx, outcome_of(error));
        }
    }

    fn attempt_ended(&self, ctx: &RequestContext, outcome: AttemptOutcome) {
        if let Some(provider) = ctx.provider() {
            self.metrics.attempt_ended(&provider.name, outcome);
        }
    }

    /// Counts and logs a request that is over.
    pub(super) fn account(&self, session: &Session, error: Option<&Error>, ctx: &RequestContext) {
        let status = session.response_written().map(|header| header.status.as_u16());
        let decision = ctx.routing().map(|routing| &routing.decision);
        let took = ctx.started.elapsed();
        self.metrics.request_ended(decision.map(|decision| &decision.policy), ctx.model(), status, took);
        if let Some(code) = ctx.rejected {
            self.metrics.rejected(code);
        }
        if let Some(error) = error {
            tracing::debug!(request_id = %ctx.request_id, %error, "Request failed");
        }
        let header = session.req_header();
        AccessLine {
            method: header.method.as_str(),
            path: header.uri.path(),
            status,
            policy: decision.map(|decision| decision.policy.as_str()),
            model: ctx.model().map(Name::as_str),
            reason: decision.map(|decision| decision.reason.as_str()),
            score: decision.and_then(|decision| decision.score),
            code: ctx.rejected,
            attempts: ctx.attempts,
            duration: took,
            overhead: ctx.overhead,
            request_id: &ctx.request_id,
            generation: ctx.snapshot.generation,
        }
        .emit();
    }
}

/// Tells the peer's breaker.
fn report(ctx: &RequestContext, outcome: Outcome) {
    if let Some(lease) = &ctx.lease {
        lease.report(outcome);
    }
}

/// A client that left and a fault of our own say nothing about the peer.
fn peer_outcome_of(error: &Error) -> Outcome {
    if *error.esource() == ErrorSource::Internal {
        return Outcome::Cancelled;
    }
    match outcome_of(error) {
        AttemptOutcome::Cancelled => Outcome::Cancelled,
        AttemptOutcome::Timeout => Outcome::Timeout,
        AttemptOutcome::ConnectFailed => Outcome::ConnectFailed,
        _ => Outcome::Broken,
    }
}

fn outcome_of(error: &Error) -> AttemptOutcome {
    match error.etype() {
        etype if *etype == FIRST_BYTE_TIMEOUT => AttemptOutcome::Timeout,
        _ if *error.esource() == ErrorSource::Downstream => AttemptOutcome::Cancelled,
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => AttemptOutcome::Timeout,
        ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => AttemptOutcome::Broken,
        ErrorType::ConnectTimedout
        | ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::SocketError
        | ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert => AttemptOutcome::ConnectFailed,
        _ => AttemptOutcome::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ() {
        let ids = RequestIds::default();

        assert_ne!(ids.next(), ids.next());
        assert_ne!(RequestIds::default().next(), RequestIds::default().next());
    }

    #[test]
    fn a_client_that_left_is_no_fault_of_the_provider() {
        let mut error = Error::new(ErrorType::ReadError);
        error.as_down();

        assert_eq!(outcome_of(&error), AttemptOutcome::Cancelled);
    }
}
