//! What is counted and logged of a request: its attempts as they end, and one line when it is over.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};
use pointsman_core::config::Name;
use pointsman_core::features::TokenCounter;
use pointsman_core::policy::{By, Decision, Denial};
use pointsman_core::scores::Degraded;
use pointsman_core::usage::Usage;
use pointsman_telemetry::metrics::ClientOutcome;
use pointsman_telemetry::{AccessLine, AttemptOutcome, BrokenStream, Direction};
use tokio::time::Instant;

use super::decided::{self, Over};
use super::traced;
use crate::proxy::Proxy;
use crate::proxy::answer::begun;
use crate::proxy::answer::meter::Meter;
use crate::proxy::attempt::body_adapter::SILENT;
use crate::proxy::attempt::fallback::Cause;
use crate::proxy::attempt::forward::PROVIDER_BUSY;
use crate::proxy::context::RequestContext;
use crate::router::Routing;
use crate::upstream::Outcome;

/// Makes ids for requests: unique in this process, and very likely so among all.
pub(in crate::proxy) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Returns the next id: 16 random hexadecimal digits of the process, and a count.
    pub(in crate::proxy) fn next(&self) -> String {
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
    pub(in crate::proxy) fn attempt_answered(&self, ctx: &mut RequestContext, status: StatusCode) {
        if let Some(trace) = &mut ctx.trace {
            trace.attempt_answered(status.as_u16());
        }
        self.attempt_ended(ctx, AttemptOutcome::of_status(status.as_u16()));
        report(ctx, Outcome::Answered(status.as_u16()));
    }

    /// Marks the first byte of the answer that the client gets.
    pub(in crate::proxy) fn first_byte_arrived(&self, ctx: &mut RequestContext) {
        ctx.first_byte = Some(Instant::now());
        self.metrics.first_byte_arrived(ctx.model(), ctx.started.elapsed());
    }

    /// Remembers which model answers, before the client can send what follows on the answer, and how long it took to begin, an
    /// error apart.
    pub(in crate::proxy) fn remember_beginning(&self, ctx: &RequestContext, status: StatusCode) {
        let is_answer = !status.is_client_error() && !status.is_server_error();
        if let (Some(routing), Some(model), true) = (ctx.routing(), ctx.model(), is_answer) {
            self.router.answered(&ctx.snapshot, routing, model);
        }
        if let (Some(target), true) = (ctx.target(), status.is_success()) {
            let now = Instant::now();
            target.recent.began(now - ctx.attempt_started, now);
        }
    }

    /// Counts and logs an attempt that failed before it was answered, and prepares the next; false when there is none.
    pub(in crate::proxy) fn attempt_failed(&self, ctx: &mut RequestContext, error: &Error) -> bool {
        self.attempt_broke(ctx, error);
        Cause::of(error).is_some_and(|cause| self.try_again(ctx, cause))
    }

    /// Counts and logs an attempt that broke; one that was answered first was counted by its status.
    pub(in crate::proxy) fn attempt_broke(&self, ctx: &mut RequestContext, error: &Error) {
        if let Some(trace) = &mut ctx.trace {
            trace.attempt_broke(outcome_of(error).as_str());
        }
        let is_blameless = ctx.is_hurried && *error.etype() == SILENT;
        report(ctx, if is_blameless { Outcome::Cancelled } else { peer_outcome_of(error) });
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
    pub(in crate::proxy) fn account(&self, session: &Session, error: Option<&Error>, ctx: &mut RequestContext) {
        let status = begun(session).map(|header| header.status.as_u16());
        let decision = ctx.routing().map(|routing| &routing.decision);
        let took = ctx.started.elapsed();
        self.metrics.request_ended(decision.map(|decision| &decision.policy), ctx.model(), status, took);
        if let Some(client) = &ctx.client {
            self.metrics.client_request_ended(client.name(), client_outcome(ctx.rejected, status));
        }
        if let Some(code) = ctx.rejected {
            self.metrics.rejected(code);
        }
        if let Some(error) = error {
            tracing::debug!(request_id = %ctx.request_id, %error, "Request failed");
        }
        let bill = self.bill(error, ctx);
        match (&mut ctx.client, bill.usage, status) {
            (Some(client), Some(usage), _) => client.settle(usage.input + usage.output),
            // What was not answered used nothing: an outage is no reason to let a client wait afterwards.
            (Some(client), None, None | Some(400..)) => client.settle(0),
            _ => {}
        }
        if let Some(ticket) = ctx.take_shadow() {
            ticket.send(bill.usage);
        }
        let Bill { usage, cost, baseline } = bill;
        let over = Over { status, usage, cost, baseline, duration: took };
        note(session, ctx, over);
        traced::ended(ctx, status, usage, cost);
        decided::log(ctx, over);
    }
}

/// Writes the access line of a request that is over.
fn note(session: &Session, ctx: &RequestContext, over: Over) {
    let (decision, denial) = (ctx.routing().map(|routing| &routing.decision), ctx.refused());
    let (watched, would_deny) = (ctx.watched().map(|routing| &routing.decision), ctx.would_refuse());
    let policy_of = |decision: Option<&'_ Decision>, denial: Option<&'_ Denial>| {
        let policy = decision.map(|decision| decision.policy.clone());
        policy.or_else(|| denial.and_then(|denial| denial.policy.clone()))
    };
    let (policy, shadow_policy) = (policy_of(decision, denial), policy_of(watched, would_deny));
    let by = decision.or(watched).map(|decision| decision.by).or(denial.or(would_deny).map(|denial| denial.by));
    let trace_id = ctx.trace.as_ref().map(|trace| trace.id());
    let header = session.req_header();
    AccessLine {
        method: header.method.as_str(),
        path: header.uri.path(),
        status: over.status,
        client: ctx.client.as_ref().map(|client| client.name().as_str()),
        policy: policy.as_deref(),
        model: ctx.model().map(Name::as_str),
        rule: by.and_then(By::rule),
        reason: decision.map(|decision| decision.reason.as_str()),
        label: decision.and_then(|decision| decision.label.as_deref()),
        label_from: ctx.routing().filter(|routing| routing.decision.label.is_some()).map(|it| it.label_from.as_str()),
        score: decision.and_then(|decision| decision.score),
        degraded: ctx.routing().and_then(Routing::degraded).map(Degraded::as_str),
        shadow_policy: shadow_policy.as_deref(),
        shadow_model: watched.map(|decision| decision.model.as_str()),
        shadow_denied: would_deny.map(|denial| denial.code),
        provider: ctx.provider().map(|provider| provider.name.as_str()),
        code: ctx.rejected,
        attempts: ctx.attempts,
        input_tokens: over.usage.map(|usage| usage.input),
        output_tokens: over.usage.map(|usage| usage.output),
        cost_usd: over.cost,
        first_byte: ctx.first_byte.map(|at| at.duration_since(ctx.started)),
        duration: over.duration,
        overhead: ctx.overhead,
        request_id: &ctx.request_id,
        trace_id: trace_id.as_deref(),
        generation: ctx.snapshot.generation,
    }
    .emit();
}

/// What an answer used, and what that costs; empty when nobody knows.
#[derive(Debug, Clone, Copy, Default)]
struct Bill {
    usage: Option<Usage>,
    cost: Option<f64>,
    /// What the policy's most expensive model would have cost.
    baseline: Option<f64>,
}

impl Proxy {
    /// Counts what the answer used.
    fn bill(&self, error: Option<&Error>, ctx: &RequestContext) -> Bill {
        let Some(meter) = &ctx.meter else { return Bill::default() };
        let model = ctx.answering_model();
        self.count_stream(meter, error, model);
        let Some(usage) = usage_of(meter, ctx) else {
            if model.is_some() {
                self.metrics.usage_unknown(model);
            }
            return Bill::default();
        };
        self.count_tokens(&usage, model);
        if let Some(target) = ctx.target() {
            target.recent.ended(usage.output, Instant::now());
        }
        if let Some(time) = meter.streamed_for()
            && usage.output > 0
        {
            #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
            self.metrics.streamed(model, usage.output as f64 / time.as_secs_f64());
        }
        let (cost, baseline) = self.count_cost(&usage, ctx).unzip();
        Bill { usage: Some(usage), cost, baseline }
    }

    fn count_tokens(&self, usage: &Usage, model: Option<&Name>) {
        self.metrics.tokens_used(model, Direction::Input, usage.input);
        self.metrics.tokens_used(model, Direction::Output, usage.output);
        self.metrics.tokens_used(model, Direction::Cached, usage.cached);
        self.metrics.tokens_used(model, Direction::Reasoning, usage.reasoning);
        if usage.estimated {
            self.metrics.usage_estimated(model);
        }
    }

    /// Counts the cost beside that of the policy's most expensive model; neither when the catalog has no price.
    fn count_cost(&self, usage: &Usage, ctx: &RequestContext) -> Option<(f64, f64)> {
        let (target, routing) = (ctx.target()?, ctx.routing()?);
        let cost = usage.cost(&target.price?);
        let prices = routing.decision.candidates.iter().filter_map(|candidate| candidate.price);
        let baseline = prices.map(|price| usage.cost(&price)).fold(cost, f64::max);
        self.metrics.paid(&target.model, cost, &routing.decision.policy, baseline);
        let models = &ctx.snapshot.upstreams;
        self.router.billed(routing, cost, |model| Some(usage.cost(&models.model(model)?.price?)));
        Some((cost, baseline))
    }

    /// Counts a stream that did not end as it should, unless it was the client who left. What has no text in a shape that
    /// is known here may well have an end that is not.
    fn count_stream(&self, meter: &Meter, error: Option<&Error>, model: Option<&Name>) {
        let Some(reader) = meter.reader().filter(|_| meter.is_stream()) else { return };
        if reader.has_ended() || (reader.text_bytes() == 0 && model.is_none()) {
            return;
        }
        match error.map(Error::esource) {
            Some(ErrorSource::Downstream) => {}
            Some(_) => self.metrics.stream_broke(model, BrokenStream::Cut),
            None => self.metrics.stream_broke(model, BrokenStream::Unfinished),
        }
    }
}

/// Only what was routed has a prompt that was counted: without one, only what the upstream says counts.
fn usage_of(meter: &Meter, ctx: &RequestContext) -> Option<Usage> {
    let features = ctx.routing().map(|routing| &routing.features);
    let tokenizer = ctx.target().map(|target| target.tokenizer).unwrap_or_default();
    let prompt_tokens = || features.map_or(0, |features| features.tokens_of(tokenizer));
    let usage = meter.reader()?.usage(prompt_tokens, &TokenCounter::new())?;
    (features.is_some() || !usage.estimated).then_some(usage)
}

fn client_outcome(code: Option<&'static str>, status: Option<u16>) -> ClientOutcome {
    match (code, status) {
        (Some("rate_limit_exceeded"), _) => ClientOutcome::RateLimited,
        (Some("not_allowed"), _) => ClientOutcome::NotAllowed,
        (_, Some(..400)) => ClientOutcome::Success,
        _ => ClientOutcome::Failed,
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
        AttemptOutcome::Cancelled | AttemptOutcome::Shed => Outcome::Cancelled,
        AttemptOutcome::Timeout => Outcome::Timeout,
        AttemptOutcome::ConnectFailed => Outcome::ConnectFailed,
        _ => Outcome::Broken,
    }
}

fn outcome_of(error: &Error) -> AttemptOutcome {
    match error.etype() {
        etype if *etype == SILENT => AttemptOutcome::Timeout,
        etype if *etype == PROVIDER_BUSY => AttemptOutcome::Shed,
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
