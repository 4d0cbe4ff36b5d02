//! The header fields by which an answer says what was decided, and why.

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::Result;
use pointsman_core::model_family::ParameterChange;

use crate::proxy::context::RequestContext;
use crate::proxy::header_fields::{REQUEST_ID, TRANSLATED, value};

/// Names of fields, parsed once: a dozen of them go on every answer.
macro_rules! fields {
    ($($field:ident = $name:literal;)*) => { $(const $field: HeaderName = HeaderName::from_static($name);)* };
}

fields! {
    OUR_REQUEST_ID = "x-pointsman-request-id";
    MODEL = "x-pointsman-model";
    FALLBACK_FROM = "x-pointsman-fallback-from";
    ESCALATED = "x-pointsman-escalated";
    CACHE = "x-pointsman-cache";
    POLICY = "x-pointsman-policy";
    REASON = "x-pointsman-reason";
    PROVIDER = "x-pointsman-provider";
    STATE = "x-pointsman-state";
    LABEL = "x-pointsman-label";
    LABEL_FROM = "x-pointsman-label-from";
    SCORE = "x-pointsman-score";
    SOURCE = "x-pointsman-source";
    TRUNCATED_TOKENS = "x-pointsman-truncated-tokens";
    DEGRADED = "x-pointsman-degraded";
    ADAPTED = "x-pointsman-adapted";
    GENERATION = "x-pointsman-generation";
    ATTEMPTS = "x-pointsman-attempts";
    OVERHEAD = "x-pointsman-overhead-us";
}

/// Adds the decision to an answer. Names of the configuration only: no host, no key, nothing of the client's.
pub(in crate::proxy) fn decorate(answer: &mut HeaderMap, ctx: &RequestContext) -> Result<()> {
    let id = value(&ctx.request_id)?;
    answer.insert(OUR_REQUEST_ID, id.clone());
    answer.insert(REQUEST_ID, id);
    if let Some(client) = &ctx.client {
        client.show(answer)?;
    }
    // Of what a provider keeps it matters which one was asked: another knows nothing of it.
    if let (Some((_, outcome)), Some(provider)) = (ctx.state.outcome(), ctx.attempts.provider()) {
        answer.insert(PROVIDER, value(provider.name.as_str())?);
        answer.insert(STATE, HeaderValue::from_static(outcome.as_str()));
    }
    if let Some(names) = adapted(ctx.attempts.body.changes()) {
        answer.insert(ADAPTED, value(&names)?);
    }
    if let Some(translation) = ctx.attempts.body.translation() {
        answer.insert(TRANSLATED, value(&translation.note(None))?);
    }
    let Some(routing) = ctx.routing() else { return Ok(()) };
    let decision = &routing.decision;
    let kept = ctx.replay().map(|kept| &kept.model);
    let model = ctx.attempts.model().or(kept).unwrap_or(&decision.model);
    answer.insert(MODEL, value(model.as_str())?);
    let escalated_to = ctx.escalation.as_ref().and_then(|watch| watch.escalated_to());
    let first = escalated_to.map_or(&decision.model, |strong| &strong.model);
    if model != first && kept.is_none() {
        answer.insert(FALLBACK_FROM, value(first.as_str())?);
    }
    if let Some(word) = ctx.escalation.as_ref().and_then(|watch| watch.word()) {
        answer.insert(ESCALATED, value(&word)?);
    }
    if let Some(used) = &ctx.cache {
        answer.insert(CACHE, HeaderValue::from_static(used.word()));
    }
    if let Some(policy) = decision.deciding_policy() {
        answer.insert(POLICY, value(policy.as_str())?);
    }
    answer.insert(REASON, HeaderValue::from_static(decision.reason.as_str()));
    if let Some(label) = &decision.label {
        answer.insert(LABEL, value(label)?);
        answer.insert(LABEL_FROM, HeaderValue::from_static(routing.label_from.as_str()));
    }
    if let Some(score) = decision.score {
        answer.insert(SCORE, value(&format!("{score:.4}"))?);
    }
    if let Some(Ok(scores)) = routing.scores() {
        answer.insert(SOURCE, HeaderValue::from_static(scores.source.as_str()));
        if scores.truncated_tokens > 0 {
            answer.insert(TRUNCATED_TOKENS, HeaderValue::from(scores.truncated_tokens));
        }
    }
    if let Some(reason) = routing.degraded() {
        answer.insert(DEGRADED, HeaderValue::from_static(reason.as_str()));
    }
    answer.insert(GENERATION, HeaderValue::from(ctx.snapshot.generation));
    answer.insert(ATTEMPTS, HeaderValue::from(ctx.attempts.count()));
    answer.insert(OVERHEAD, HeaderValue::from(u64::try_from(ctx.clock.overhead().as_micros()).unwrap_or(u64::MAX)));
    Ok(())
}

/// Returns the names of the parameters that were changed, each once, and none of their values.
fn adapted(changes: &[ParameterChange]) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for change in changes {
        if !names.contains(&&*change.parameter) {
            names.push(&change.parameter);
        }
    }
    (!names.is_empty()).then(|| names.join(", "))
}
