//! The account of a request that is over: its metrics, what it used and cost, and one access line.

use http::Method;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource};
use pointsman_core::config::Name;
use pointsman_core::features::TokenCounter;
use pointsman_core::policy::Decision;
use pointsman_core::prompt::{AskSource, Dialect};
use pointsman_core::scores::ClassifierFailure;
use pointsman_core::usage::{Usage, UsageBounds};
use pointsman_telemetry::metrics::{AnswerCost, ClientOutcome};
use pointsman_telemetry::{AccessLine, BrokenStream, TokenDirection};
use pointsman_translation::DialectFamily;
use tokio::time::Instant;

use super::{Recorder, traced};
use crate::proxy::answer::begun;
use crate::proxy::answer::meter::AnswerMeter;
use crate::proxy::answer::rejection::RejectionCode;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::client_use::ClientUse;
use crate::proxy::record::decision_line;
use crate::proxy::record::decision_line::RequestTotals;
use crate::router::{AnsweredRequest, Routing, Verdict};
use crate::upstream::AttemptFailure;

/// The factor by which a provider may count fewer tokens of a prompt's text than Pointsman does: no tokenizer is so much
/// better.
const FEWER_TOKENS: u64 = 10;

/// The window that clients ask Anthropic for by a mark behind the model's name.
const LONG_CONTEXT: u64 = 1_000_000;

impl Recorder {
    /// Counts and logs a request that is over.
    pub(in crate::proxy) fn account(&self, session: &Session, error: Option<&Error>, ctx: &mut RequestContext) {
        let status = begun(session).map(|header| header.status.as_u16());
        let duration = ctx.clock.elapsed();
        let policy = ctx.routing().map(|routing| &routing.decision.policy);
        self.metrics.request_ended(policy, ctx.attempts.model(), status, duration);
        if let Some(client) = ctx.client_name() {
            self.metrics.client_request_ended(client, client_outcome(ctx.rejected, status));
        }
        if let Some(model) = ctx.attempts.model() {
            let changes = ctx.attempts.body.changes();
            changes.iter().for_each(|change| self.metrics.parameter_adapted(model, change.label()));
        }
        self.count_translation(ctx);
        if let Some(code) = ctx.rejected {
            self.metrics.rejected(code.as_str());
        }
        if let Some(error) = error {
            tracing::debug!(request_id = %ctx.request_id, %error, "Request failed");
        }
        let UsageBill { usage, cost, baseline, debited } = self.bill(session.req_header(), error, ctx);
        let cost = with_discarded(cost, ctx);
        let discarded = ctx.escalation.as_ref().map_or(0, |watch| watch.tokens);
        let is_unanswered = status.is_none() || ctx.rejected.is_some();
        let is_left = is_unanswered && error.map(AttemptFailure::of) == Some(AttemptFailure::ClientGone);
        let is_spent = is_left && ctx.attempts.is_sent();
        self.settle_quotas(session.req_header(), ctx, RequestEnd { status, cost, is_spent });
        match (&mut ctx.client, usage, status) {
            (Some(client), Some(usage), _) => {
                client.correct((usage.input + usage.output + discarded).saturating_sub(debited));
            }
            (Some(client), None, _) if discarded > 0 => client.correct(discarded),
            // A client that leaves before its answer has still spent what its upstream is working on.
            _ if is_spent => {}
            // What was not answered used nothing: an outage is no reason to let a client wait afterwards.
            (Some(client), None, None | Some(400..)) => client.correct(0),
            _ => {}
        }
        let routing = ctx.verdict.as_mut().and_then(Verdict::routing_mut);
        if let Some(ticket) = routing.and_then(|routing| routing.shadow.take()) {
            ticket.send(usage);
        }
        self.remember_answer(session.req_header(), status, ctx);
        let over = RequestTotals { status, usage, cost, baseline, duration };
        write_access_line(session, ctx, over);
        traced::ended(ctx, status, usage, cost);
        self.begin_shadow_answer(ctx, status);
        self.show(session.req_header(), ctx, over);
        decision_line::log(ctx, over);
    }
}

impl Recorder {
    /// Counts the translation of the last attempt's request, and each kind of field that it lost once.
    fn count_translation(&self, ctx: &RequestContext) {
        let Some(translation) = ctx.attempts.body.translation() else { return };
        let pair = [translation.pair.client, translation.pair.upstream].map(DialectFamily::as_str);
        self.metrics.translated(pair);
        let mut lost: Vec<_> = translation.losses.losses().iter().map(|loss| (loss.field, loss.kind)).collect();
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
    let losses = translation.map(|translation| translation.losses.to_string()).filter(|losses| !losses.is_empty());
    let translation = translation.map(|translation| translation.pair.name());
    let escalated = ctx.escalation.as_ref().and_then(|watch| watch.word());
    let header = session.req_header();
    AccessLine {
        method: header.method.as_str(),
        path: header.uri.path(),
        status: over.status,
        client: ctx.client_name().map(Name::as_str),
        policy: applied.and_then(|finding| finding.policy()).map(Name::as_str),
        model: ctx.attempts.model().map(Name::as_str),
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

/// The usage of an answer, and its cost; empty when nobody knows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UsageBill {
    pub(super) usage: Option<Usage>,
    pub(super) cost: Option<f64>,
    /// The cost with the policy's most expensive model.
    pub(super) baseline: Option<f64>,
    /// Tokens of it that an earlier request has taken from the client's allowance.
    pub(super) debited: u64,
}

impl Recorder {
    /// Counts what the answer used. What is only fetched was used before, and is counted only if it was not known then;
    /// to count tokens uses none.
    fn bill(&self, header: &RequestHeader, error: Option<&Error>, ctx: &RequestContext) -> UsageBill {
        let Some(meter) = &ctx.meter else { return UsageBill::default() };
        let model = ctx.attempts.model();
        self.count_stream(meter, error, model);
        let (path, dialect) = (header.uri.path(), Dialect::of_path(header.uri.path()));
        if header.method != Method::POST || path.ends_with("/cancel") {
            return self.bill_fetched(meter, ctx);
        }
        if dialect.is_some_and(Dialect::only_counts) {
            return UsageBill::default();
        }
        let bounds = bounds_of(ctx, dialect);
        let Some(usage) = usage_of(meter, ctx, &bounds) else {
            if dialect == Some(Dialect::Responses) {
                self.remember_unbilled(ctx);
            }
            if model.is_some() {
                self.metrics.usage_unknown(model);
            }
            return UsageBill::default();
        };
        self.count_tokens(&usage, model);
        if let Some(target) = ctx.attempts.target() {
            target.recent.ended(usage.output, Instant::now());
        }
        if let Some(time) = meter.streamed_for()
            && usage.output > 0
        {
            #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
            self.metrics.streamed(model, usage.output as f64 / time.as_secs_f64());
        }
        let (cost, baseline) = self.count_cost(&usage, ctx).unzip();
        UsageBill { usage: Some(usage), cost, baseline, debited: 0 }
    }

    /// Counts an answer that has failed a check: what it used and cost is the policy's and the client's as any other's, and
    /// saves nothing.
    pub(in crate::proxy) fn bill_discarded(&self, ctx: &mut RequestContext) {
        let (Some(meter), Some(target)) = (&ctx.meter, ctx.attempts.target()) else { return };
        let Some(usage) = usage_of(meter, ctx, &target.usage_bounds()) else { return };
        let model = Some(&target.model);
        self.count_tokens(&usage, model);
        let dollars = usage.paid(target.price.as_ref());
        let policy = ctx.routing().map(|routing| (&routing.decision.policy, 0.0));
        if let Some(dollars) = dollars {
            self.metrics.paid(AnswerCost { model, client: ctx.client_name(), policy, dollars, judges: 0.0 });
        }
        if let Some(watch) = &mut ctx.escalation {
            watch.discard(usage.input + usage.output, dollars.unwrap_or_default());
        }
    }

    pub(super) fn count_tokens(&self, usage: &Usage, model: Option<&Name>) {
        self.metrics.tokens_used(model, TokenDirection::Input, usage.input);
        self.metrics.tokens_used(model, TokenDirection::Output, usage.output);
        self.metrics.tokens_used(model, TokenDirection::Cached, usage.cached);
        self.metrics.tokens_used(model, TokenDirection::CacheWrite, usage.written + usage.written_1h);
        self.metrics.tokens_used(model, TokenDirection::Reasoning, usage.reasoning);
        if usage.estimated {
            self.metrics.usage_estimated(model);
        }
        if usage.disbelieved {
            self.metrics.usage_unknown(model);
        }
    }

    /// Counts the cost beside that of the policy's most expensive model; neither when nobody knows a price.
    fn count_cost(&self, usage: &Usage, ctx: &RequestContext) -> Option<(f64, f64)> {
        let target = ctx.attempts.target();
        let price = target.map_or(ctx.passed_price.as_deref(), |target| target.price.as_ref());
        let dollars = usage.paid(price)?;
        let routing = ctx.routing().filter(|_| target.is_some());
        let candidates = routing.map(|routing| &routing.decision.candidates[..]).unwrap_or_default();
        let prices = candidates.iter().filter_map(|candidate| candidate.price.as_ref());
        let baseline = prices.map(|price| usage.cost(price)).fold(dollars, f64::max);
        self.metrics.paid(AnswerCost {
            model: target.map(|target| &target.model),
            client: ctx.client_name(),
            policy: routing.map(|routing| (&routing.decision.policy, baseline)),
            dollars,
            judges: routing.and_then(|routing| routing.decision.cost_usd).unwrap_or_default(),
        });
        if let Some(routing) = routing {
            let models = &ctx.snapshot.upstreams;
            self.router.billed(&routing.decision.policy, dollars, |model| {
                Some(usage.cost(models.model(model)?.price.as_ref()?))
            });
        }
        Some((dollars, baseline))
    }

    /// Counts a stream that did not end as it should, unless it was the client who left. What has no text in a shape
    /// that is known here may well have an end that is not.
    fn count_stream(&self, meter: &AnswerMeter, error: Option<&Error>, model: Option<&Name>) {
        let Some(reader) = meter.reader().filter(|_| meter.is_gradual()) else { return };
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

/// Returns the most that an answer is believed to have used: what its model can do, by the catalog or the built-in list.
fn bounds_of(ctx: &RequestContext, dialect: Option<Dialect>) -> UsageBounds {
    let bounds = ctx.attempts.target().map_or(ctx.passed_bounds, |target| target.usage_bounds());
    if dialect.is_some_and(|dialect| !dialect.generates()) {
        // Each of the inputs of a request for embeddings has a window of its own.
        return bounds.with_input(UsageBounds::UNKNOWN_MODEL.input);
    }
    if ctx.asked.wants_long_context { bounds.with_input(LONG_CONTEXT) } else { bounds }
}

/// Returns the usage of an answer, as far as it is within `bounds`, and with the estimate of an input that is none, or far
/// fewer than the prompt's text has. Where neither the request is routed nor its client's tokens are counted, nobody has
/// counted the prompt: then the upstream's own figures count alone.
pub(super) fn usage_of(meter: &AnswerMeter, ctx: &RequestContext, bounds: &UsageBounds) -> Option<Usage> {
    let features = ctx.routing().map(|routing| &routing.features);
    let tokenizer = ctx.attempts.target().map(|target| target.tokenizer).unwrap_or_default();
    let debited = ctx.client.as_ref().and_then(ClientUse::debited);
    let prompt_tokens = || features.map_or(debited.unwrap_or_default(), |features| features.tokens_of(tokenizer));
    let usage = meter.reader()?.usage_within(bounds, prompt_tokens, &TokenCounter::new())?;
    let fewest = usage.input.saturating_mul(FEWER_TOKENS);
    let has_more = features.is_some_and(|features| features.has_more_text_than(fewest));
    let usage = match (has_more, usage.input) {
        (false, 1..) => usage,
        _ => match prompt_tokens() {
            0 => usage,
            estimate => usage.with_estimated_input(estimate),
        },
    };
    (features.is_some() || debited.is_some() || !usage.estimated).then_some(usage)
}

/// Returns the cost of an answer with that of what its client did not get: an answer that failed a check, and further ones
/// that it was compared with.
fn with_discarded(cost: Option<f64>, ctx: &RequestContext) -> Option<f64> {
    let beside = ctx.escalation.as_ref().map_or(0.0, |watch| watch.cost_beside());
    if beside > 0.0 { Some(cost.unwrap_or_default() + beside) } else { cost }
}

fn client_outcome(code: Option<RejectionCode>, status: Option<u16>) -> ClientOutcome {
    match (code, status) {
        (Some(RejectionCode::RateLimited), _) => ClientOutcome::RateLimited,
        (Some(RejectionCode::NotAllowed), _) => ClientOutcome::NotAllowed,
        (_, Some(..400)) => ClientOutcome::Success,
        _ => ClientOutcome::Failed,
    }
}
