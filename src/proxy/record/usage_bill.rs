//! The bill of a request that is over: what its answer used and cost, and what it saves.
//!
//! Counts in the metrics as it reckons. What the client pays and what is logged of it is `account`'s.

use http::Method;
use pingora::http::RequestHeader;
use pingora::{Error, ErrorSource};
use pointsman_core::config::Name;
use pointsman_core::features::TokenCounter;
use pointsman_core::prompt::Dialect;
use pointsman_core::usage::{Usage, UsageBounds};
use pointsman_telemetry::metrics::AnswerCost;
use pointsman_telemetry::{BrokenStream, TokenDirection};
use tokio::time::Instant;

use super::Recorder;
use crate::proxy::answer::meter::AnswerMeter;
use crate::proxy::context::RequestContext;
use crate::proxy::downstream::client_use::ClientUse;
use crate::proxy::escalation::FailedAnswerBill;

/// The factor by which a provider may count fewer tokens of a prompt's text than Pointsman does: no tokenizer is so much
/// better.
const FEWER_TOKENS: u64 = 10;

/// The window that clients ask Anthropic for by a mark behind the model's name.
const LONG_CONTEXT: u64 = 1_000_000;

/// The usage of an answer, and its cost; empty when nobody knows.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::proxy) struct UsageBill {
    pub(in crate::proxy) usage: Option<Usage>,
    pub(in crate::proxy) cost: Option<f64>,
    /// The cost with the policy's most expensive model.
    pub(in crate::proxy) baseline: Option<f64>,
    /// Tokens of it that an earlier request has taken from the client's allowance.
    pub(in crate::proxy) debited: u64,
}

impl Recorder {
    /// Counts what the answer used. What is only fetched was used before, and is counted only if it was not known then;
    /// to count tokens uses none.
    pub(super) fn bill(&self, header: &RequestHeader, error: Option<&Error>, ctx: &RequestContext) -> UsageBill {
        if let Some(bill) = ctx.escalation.as_ref().and_then(|watch| watch.bill_of_unanswered()) {
            return self.bill_unanswered(bill, ctx);
        }
        let Some(meter) = &ctx.meter else { return UsageBill::default() };
        let model = ctx.attempts.model();
        self.count_stream(meter, error, model);
        if let Some(first) = meter.first_words() {
            self.metrics.first_token_arrived(model, ctx.clock.until(first));
        }
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
        self.operation_used(ctx, &usage);
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

    /// Counts what an answer saves that had failed a check and that its client got all the same; all else of it was counted
    /// when it failed.
    fn bill_unanswered(&self, bill: FailedAnswerBill, ctx: &RequestContext) -> UsageBill {
        let FailedAnswerBill { usage, dollars } = bill;
        let baseline = dollars.map(|dollars| baseline_of(&usage, ctx).fold(dollars, f64::max));
        if let (Some(baseline), Some(routing)) = (baseline, ctx.routing()) {
            self.metrics.paid(AnswerCost {
                model: ctx.attempts.model(),
                client: ctx.client_name(),
                policy: Some((&routing.decision.policy, baseline)),
                dollars: 0.0,
                judges: asked_beside(ctx),
            });
        }
        UsageBill { usage: Some(usage), cost: dollars, baseline, debited: 0 }
    }

    /// Counts an answer that has failed a check: what it used and cost is the policy's and the client's as any other's, and
    /// saves nothing unless the client gets it after all.
    pub(in crate::proxy) fn bill_failed_answer(&self, ctx: &mut RequestContext) {
        self.operation_ended(ctx, None);
        let (Some(meter), Some(target)) = (&ctx.meter, ctx.attempts.target()) else { return };
        let Some(usage) = usage_of(meter, ctx, &target.usage_bounds()) else { return };
        let model = Some(&target.model);
        self.count_tokens(&usage, model);
        self.operation_used(ctx, &usage);
        let dollars = usage.paid(target.price.as_ref());
        let policy = ctx.routing().map(|routing| (&routing.decision.policy, 0.0));
        if let Some(dollars) = dollars {
            self.metrics.paid(AnswerCost { model, client: ctx.client_name(), policy, dollars, judges: 0.0 });
        }
        if let Some(watch) = &mut ctx.escalation {
            watch.note_failed(FailedAnswerBill { usage, dollars });
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
        let baseline = baseline_of(usage, ctx).filter(|_| target.is_some()).fold(dollars, f64::max);
        self.metrics.paid(AnswerCost {
            model: target.map(|target| &target.model),
            client: ctx.client_name(),
            policy: routing.map(|routing| (&routing.decision.policy, baseline)),
            dollars,
            judges: if target.is_some() { asked_beside(ctx) } else { 0.0 },
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

/// Returns what an answer would have cost with each model of its policy whose price is known.
fn baseline_of<'c>(usage: &'c Usage, ctx: &'c RequestContext) -> impl Iterator<Item = f64> + 'c {
    let candidates = ctx.routing().map(|routing| &routing.decision.candidates[..]).unwrap_or_default();
    candidates.iter().filter_map(|candidate| candidate.price.as_ref()).map(|price| usage.cost(price))
}

/// Returns the cost of what was asked about a request beside its answers: the judges that chose its model, and the checks of
/// its answer.
fn asked_beside(ctx: &RequestContext) -> f64 {
    let chosen = ctx.routing().and_then(|routing| routing.decision.cost_usd).unwrap_or_default();
    chosen + ctx.escalation.as_ref().map_or(0.0, |watch| watch.checks_cost())
}

/// Returns the cost of an answer with that of what its client did not get: an answer that failed a check, and further ones
/// that it was compared with.
pub(super) fn with_discarded(cost: Option<f64>, ctx: &RequestContext) -> Option<f64> {
    let beside = ctx.escalation.as_ref().map_or(0.0, |watch| watch.cost_beside());
    if beside > 0.0 { Some(cost.unwrap_or_default() + beside) } else { cost }
}
