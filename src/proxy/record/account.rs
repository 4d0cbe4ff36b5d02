//! The account of a request that is over: its metrics, what it used and cost, and one access line.

use std::time::Duration;

use pingora::Error;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pointsman_core::config::Name;
use pointsman_core::policy::Decision;
use pointsman_core::prompt::{AskSource, Dialect};
use pointsman_core::scores::ClassifierFailure;
use pointsman_core::usage::Usage;
use pointsman_telemetry::AccessLine;
use pointsman_telemetry::metrics::ClientOutcome;
use pointsman_translation::{DialectFamily, LossKind, LossReport};

use super::usage_bill::{UsageBill, with_discarded};
use super::{Recorder, traced};
use crate::proxy::answer::rejection::RejectionCode;
use crate::proxy::answer::{begun, is_whole};
use crate::proxy::budget::{self, BudgetedEnd};
use crate::proxy::context::RequestContext;
use crate::proxy::record::decision_line;
use crate::proxy::record::decision_line::RequestTotals;
use crate::router::{AnsweredRequest, Routing, Verdict};
use crate::upstream::AttemptFailure;

impl Recorder {
    /// Counts and logs a request that is over.
    pub(in crate::proxy) fn account(&self, session: &Session, error: Option<&Error>, ctx: &mut RequestContext) {
        let status = begun(session).map(|header| header.status.as_u16());
        let duration = ctx.clock.elapsed();
        let is_replayed = ctx.replay().is_some();
        let bill = if is_replayed { Self::bill_replay(ctx) } else { self.bill(session.req_header(), error, ctx) };
        self.operation_ended(ctx, None);
        self.keep_response(session, error, ctx, bill);
        let UsageBill { usage, cost, baseline, debited } = bill;
        let cost = with_discarded(cost, ctx);
        let discarded = ctx.escalation.as_ref().map_or(0, |watch| watch.discarded_tokens());
        ctx.escalation.iter().for_each(|watch| watch.count_discarded());
        let is_unanswered = status.is_none() || ctx.rejected.is_some();
        let is_left = is_unanswered && error.map(AttemptFailure::of) == Some(AttemptFailure::ClientGone);
        // Another proxy sends it on, and shows no answer.
        let is_sent_on = status.is_none() && ctx.external.as_ref().is_some_and(|external| external.is_sent_on());
        let is_spent = (is_left || is_sent_on) && ctx.attempts.is_sent();
        self.settle_quotas(session.req_header(), ctx, RequestEnd { status, cost, is_spent });
        let is_served = !is_unanswered && status.is_some_and(|status| status < 400);
        budget::settle(ctx, BudgetedEnd { usage, cost, discarded, is_spent: is_spent || is_served });
        correct_tokens(ctx, TokensAtEnd { usage, status, discarded, debited, is_spent, is_replayed });
        // Only now, so that whoever reads a count finds the accounts settled.
        self.count(ctx, status, duration);
        if let Some(error) = error {
            tracing::debug!(request_id = %ctx.request_id, %error, "Request failed");
        }
        let routing = ctx.verdict.as_mut().and_then(Verdict::routing_mut);
        if let Some(ticket) = routing.and_then(|routing| routing.shadow.take()) {
            ticket.send(usage);
        }
        self.remember_answer(session.req_header(), status, ctx);
        let over = RequestTotals { status, usage, cost, baseline, duration };
        write_access_line(session, ctx, over);
        traced::ended(ctx, status, usage, cost);
        // Half an answer is none to compare another one with: its client has left, or its upstream.
        let whole = status.filter(|_| error.is_none_or(|error| is_whole(ctx, error)));
        self.begin_shadow_answer(ctx, whole);
        self.show(session.req_header(), ctx, over);
        decision_line::log(ctx, over);
    }
}

impl Recorder {
    /// Counts a request that is over: whose it was, how it ended, and what it lost on its way.
    fn count(&self, ctx: &RequestContext, status: Option<u16>, duration: Duration) {
        let policy = ctx.routing().map(|routing| &routing.decision.policy);
        match (ctx.question, policy, ctx.replay()) {
            (Some(question), _, _) => self.metrics.question_ended(question, status),
            (None, Some(policy), Some(_)) => self.metrics.request_replayed(policy, status, duration),
            _ => self.metrics.request_ended(policy, ctx.attempts.model(), status, duration),
        }
        if let Some(client) = ctx.client_name() {
            let is_sent_on = ctx.external.as_ref().is_some_and(|external| external.is_sent_on());
            let shown = status.or(is_sent_on.then_some(200));
            self.metrics.client_request_ended(client, client_outcome(ctx.rejected, shown));
        }
        if let Some(model) = ctx.attempts.model() {
            let changes = ctx.attempts.body.changes();
            changes.iter().for_each(|change| self.metrics.parameter_adapted(model, change.label()));
        }
        self.count_translation(ctx);
        if let Some(code) = ctx.rejected {
            self.metrics.rejected(code.as_str());
        }
    }

    /// Counts the translation of the last attempt's request, and each kind of field once that it lost, that its answer
    /// lost, or for which a model was not asked.
    fn count_translation(&self, ctx: &RequestContext) {
        for (pair, field) in ctx.attempts.body.refused() {
            let pair = [pair.client, pair.upstream].map(DialectFamily::as_str);
            self.metrics.translation_lost(pair, field.as_str(), LossKind::Refused.as_str());
        }
        let Some(translation) = ctx.attempts.body.translation() else { return };
        let pair = [translation.pair.client, translation.pair.upstream].map(DialectFamily::as_str);
        self.metrics.translated(pair);
        self.count_losses(pair, &translation.losses);
        if let Some(answer) = &ctx.answer_translation {
            let [client, upstream] = pair;
            self.count_losses([upstream, client], answer.losses());
        }
    }

    fn count_losses(&self, pair: [&'static str; 2], losses: &LossReport) {
        let mut lost: Vec<_> = losses.losses().iter().map(|loss| (loss.field, loss.kind)).collect();
        lost.sort_unstable();
        lost.dedup();
        lost.iter().for_each(|(field, kind)| self.metrics.translation_lost(pair, field.as_str(), kind.as_str()));
    }

    /// Remembers who answered a request that a policy decided, while feedback is taken.
    fn remember_answer(&self, header: &RequestHeader, status: Option<u16>, ctx: &RequestContext) {
        let is_answered = status.is_some_and(|status| (200..300).contains(&status)) && ctx.rejected.is_none();
        let is_rated = ctx.snapshot.decision_log.is_some() || self.router.learns();
        if !is_answered || !is_rated {
            return;
        }
        let routing = ctx.routing().filter(|_| Dialect::of_path(header.uri.path()).is_some_and(Dialect::generates));
        let decided = routing.and_then(|routing| Some((routing, routing.decision.deciding_policy()?)));
        if let (Some((routing, policy)), Some(model)) = (decided, ctx.attempts.model()) {
            let client = ctx.client_name();
            let request = AnsweredRequest { request_id: &ctx.request_id, client, policy, model };
            self.router.remember_answer(routing, request);
        }
    }

    /// Settles what the decision took of quotas, by the model that answered, and counts whose answers strong models give.
    /// What only counts tokens is no answer.
    fn settle_quotas(&self, header: &RequestHeader, ctx: &RequestContext, end: RequestEnd) {
        let Some(routing) = ctx.routing() else { return };
        let only_counts = Dialect::of_path(header.uri.path()).is_some_and(Dialect::only_counts);
        let asked = ctx.attempts.model().filter(|_| !only_counts);
        let answered = asked.filter(|_| end.status.is_some_and(|status| (200..300).contains(&status)));
        if let Some(claim) = &routing.claim {
            claim.settle(answered.or(asked.filter(|_| end.is_spent)), end.cost);
        }
        let policy = routing.decision.deciding_policy().and_then(|policy| ctx.snapshot.policies.get(policy));
        let (Some(client), Some(policy), Some(model)) = (ctx.client_name(), policy, answered) else { return };
        self.metrics.client_answered(client, policy.name());
        if policy.is_strong(model) {
            self.metrics.client_answered_strong(client, policy.name());
        }
    }
}

/// The end of a request, as its quotas see it.
#[derive(Clone, Copy)]
struct RequestEnd {
    status: Option<u16>,
    cost: Option<f64>,
    /// True where the client left before an answer to what had gone to the upstream.
    is_spent: bool,
}

/// What became of the tokens that a request had taken beforehand.
#[derive(Clone, Copy)]
struct TokensAtEnd {
    usage: Option<Usage>,
    status: Option<u16>,
    discarded: u64,
    debited: u64,
    is_spent: bool,
    is_replayed: bool,
}

/// Corrects what the request took of its client's tokens.
fn correct_tokens(ctx: &mut RequestContext, end: TokensAtEnd) {
    let TokensAtEnd { usage, status, discarded, debited, is_spent, is_replayed } = end;
    match (&mut ctx.client, usage, status) {
        (Some(client), Some(usage), _) => {
            client.correct((usage.input + usage.output + discarded).saturating_sub(debited));
        }
        (Some(client), None, _) if discarded > 0 => client.correct(discarded),
        // No model was asked.
        (Some(client), ..) if is_replayed => client.correct(0),
        // A client that leaves before its answer has still spent what its upstream is working on.
        _ if is_spent => {}
        // What was not answered used nothing: an outage is no reason to let a client wait afterwards.
        (Some(client), None, None | Some(400..)) => client.correct(0),
        _ => {}
    }
}

/// Writes the access line of a request that is over.
fn write_access_line(session: &Session, ctx: &RequestContext, over: RequestTotals) {
    let verdict = ctx.verdict.as_ref();
    let finding = verdict.and_then(Verdict::finding);
    let (applied, watched) = if verdict.is_some_and(Verdict::is_applied) { (finding, None) } else { (None, finding) };
    let decision = applied.and_then(|finding| finding.result.ok());
    let label_from = applied.and_then(|finding| finding.label_from).filter(|_| decision.is_some_and(is_labelled));
    let state = ctx.state.outcome().map(|(kind, outcome)| format!("{} {}", kind.as_str(), outcome.as_str()));
    let trace_id = ctx.trace.as_ref().map(|trace| trace.id());
    let translation = ctx.attempts.body.translation();
    let of_answer = ctx.answer_translation.as_ref().map(|answer| answer.losses());
    let losses = translation.map(|translation| translation.losses_noted(of_answer)).filter(|losses| !losses.is_empty());
    let translation = translation.map(|translation| translation.pair.name());
    let escalated = ctx.escalation.as_ref().and_then(|watch| watch.word());
    let header = session.req_header();
    AccessLine {
        method: header.method.as_str(),
        path: header.uri.path(),
        status: over.status,
        client: ctx.client_name().map(Name::as_str),
        policy: applied.and_then(|finding| finding.policy()).map(Name::as_str),
        model: ctx.attempts.model().or(ctx.replay().map(|kept| &kept.model)).map(Name::as_str),
        rule: finding.and_then(|finding| finding.by().rule()),
        reason: decision.map(|decision| decision.reason.as_str()),
        state: state.as_deref(),
        label: decision.and_then(|decision| decision.label.as_deref()),
        label_from: label_from.map(AskSource::as_str),
        score: decision.and_then(|decision| decision.score),
        degraded: ctx.routing().and_then(Routing::degraded).map(ClassifierFailure::as_str),
        shadow_policy: watched.and_then(|finding| finding.policy()).map(Name::as_str),
        shadow_model: watched.and_then(|finding| finding.result.ok()).map(|decision| decision.model.as_str()),
        shadow_denied: watched.and_then(|finding| finding.result.err()).map(|denial| denial.code),
        escalated: escalated.as_deref(),
        cache: ctx.cache.as_ref().map(|used| used.word()),
        provider: ctx.attempts.provider().map(|provider| provider.name.as_str()),
        key: ctx.attempts.credential.key().map(|key| key.name().as_str()),
        code: ctx.rejected.map(RejectionCode::as_str),
        translation: translation.as_deref(),
        translation_losses: losses.as_deref(),
        attempts: ctx.attempts.count(),
        input_tokens: over.usage.map(|usage| usage.input),
        output_tokens: over.usage.map(|usage| usage.output),
        cost_usd: over.cost,
        first_byte: ctx.clock.first_byte(),
        duration: over.duration,
        overhead: ctx.clock.overhead(),
        request_id: &ctx.request_id,
        trace_id: trace_id.as_deref(),
        generation: ctx.snapshot.generation,
    }
    .emit();
}

const fn is_labelled(decision: &Decision) -> bool {
    decision.label.is_some()
}

fn client_outcome(code: Option<RejectionCode>, status: Option<u16>) -> ClientOutcome {
    match (code, status) {
        (Some(RejectionCode::RateLimited | RejectionCode::QuotaExceeded), _) => ClientOutcome::RateLimited,
        (Some(RejectionCode::NotAllowed), _) => ClientOutcome::NotAllowed,
        (_, Some(..400)) => ClientOutcome::Success,
        _ => ClientOutcome::Failed,
    }
}
