//! The record of attempts, as they are answered or fail: metrics, the attempt's span, and the peer's breaker.

use http::StatusCode;
use pingora::{Error, ErrorSource};
use pointsman_telemetry::AttemptOutcome;

use super::Recorder;
use crate::proxy::attempt::fallback::RetryLedger;
use crate::proxy::context::RequestContext;
use crate::upstream::{AttemptFailure, PeerOutcome};

impl Recorder {
    /// Counts an attempt that was answered, by the answer's status.
    pub(in crate::proxy) fn attempt_answered(&self, ctx: &mut RequestContext, status: StatusCode) {
        if let Some(trace) = &mut ctx.trace {
            trace.attempt_answered(status.as_u16());
        }
        self.attempt_ended(ctx, AttemptOutcome::of_status(status.as_u16()));
        ctx.attempts.report(PeerOutcome::Answered(status.as_u16()));
    }

    /// Marks the beginning of the answer that the client gets, and remembers which model answers, before the client can
    /// send what follows on the answer, and how long it took to begin, an error apart.
    pub(in crate::proxy) fn answer_began(&self, ctx: &mut RequestContext, status: StatusCode) {
        let took = ctx.clock.first_byte_arrived();
        self.metrics.first_byte_arrived(ctx.attempts.model(), took);
        if !status.is_client_error() && !status.is_server_error() {
            self.answer_chosen(ctx);
        }
        if status.is_success() {
            ctx.attempts.answer_began();
        }
    }

    /// Remembers which model answers.
    pub(in crate::proxy) fn answer_chosen(&self, ctx: &RequestContext) {
        if let (Some(routing), Some(model)) = (ctx.routing(), ctx.attempts.model()) {
            self.router.answered(&ctx.snapshot, routing, model);
        }
    }

    /// Counts and logs an attempt that failed before it was answered, and prepares the next; false when there is none.
    pub(in crate::proxy) fn attempt_failed(
        &self,
        ctx: &mut RequestContext,
        error: &Error,
        retries: &RetryLedger,
    ) -> bool {
        self.attempt_broke(ctx, error);
        ctx.attempts.try_again(AttemptFailure::of(error), retries)
    }

    /// Counts and logs the parameters that the model's API has just refused, each once, and prepares to ask without them.
    pub(in crate::proxy) fn parameters_refused(&self, ctx: &mut RequestContext) {
        let learned = ctx.attempts.leave_out_refused();
        let Some(model) = ctx.attempts.model() else { return };
        for parameter in learned {
            self.metrics.parameter_refused(model);
            let parameter = parameter.name;
            tracing::warn!(model = model.as_str(), parameter, request_id = %ctx.request_id, "The API refused a parameter; requests are sent without it from now on");
        }
    }

    /// Counts and logs an attempt that broke; one that was answered first was counted by its status.
    pub(in crate::proxy) fn attempt_broke(&self, ctx: &mut RequestContext, error: &Error) {
        let failure = AttemptFailure::of(error);
        if let Some(trace) = &mut ctx.trace {
            trace.attempt_broke(failure.outcome().as_str());
        }
        ctx.attempts.report(ctx.attempts.peer_outcome(failure));
        let provider = ctx.attempts.provider().map_or("", |provider| provider.name.as_str());
        if *error.esource() != ErrorSource::Downstream {
            tracing::warn!(provider, request_id = %ctx.request_id, attempt = ctx.attempts.count(), error = %error.etype().as_str(), "Attempt failed");
        }
        if ctx.clock.first_byte().is_none() {
            self.attempt_ended(ctx, failure.outcome());
        }
        self.operation_ended(ctx, Some(failure.outcome().as_str()));
    }

    fn attempt_ended(&self, ctx: &mut RequestContext, outcome: AttemptOutcome) {
        if outcome != AttemptOutcome::Success {
            self.operation_ended(ctx, Some(outcome.as_str()));
        }
        if let Some(provider) = ctx.attempts.provider() {
            self.metrics.attempt_ended(&provider.name, outcome);
        }
    }
}
