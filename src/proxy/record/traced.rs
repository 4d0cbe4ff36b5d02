//! The request's spans, where `tracing` is configured: what each phase knows, put into the words of
//! `telemetry::traces`.

use pingora::http::RequestHeader;
use pointsman_core::config::Name;
use pointsman_core::prompt::Dialect;
use pointsman_core::usage::Usage;
use pointsman_telemetry::traces::{RequestTrace, TracedAnswer, TracedAttempt, TracedDecision, TracedRequest};

use crate::proxy::answer::rejection::RejectionCode;
use crate::proxy::context::RequestContext;
use crate::router::Routing;

/// Starts the request's trace, if there is a tracer.
pub(in crate::proxy) fn begin(header: &RequestHeader, ctx: &RequestContext) -> Option<Box<RequestTrace>> {
    let tracer = ctx.snapshot.tracer.as_ref()?;
    let path = header.uri.path();
    let asked = TracedRequest {
        method: header.method.as_str(),
        path,
        route: Dialect::of_path(path).map(Dialect::path),
        request_id: &ctx.request_id,
        generation: ctx.snapshot.generation,
    };
    Some(Box::new(tracer.begin(&header.headers, asked)))
}

/// Adds the decision.
pub(in crate::proxy) fn decided(trace: &mut Option<Box<RequestTrace>>, routing: &Routing) {
    let Some(trace) = trace else { return };
    let (decision, timings) = (&routing.decision, routing.timings);
    let scores = routing.scores().and_then(|scores| scores.as_ref().ok());
    trace.decided(&TracedDecision {
        policy: &decision.policy,
        model: &decision.model,
        reason: decision.reason.as_str(),
        classifier: routing.classifier().map(|name| (name.as_str(), scores.map(|scores| scores.source.as_str()))),
        degraded: routing.degraded().map(pointsman_core::scores::ClassifierFailure::as_str),
        label: decision.label.as_deref(),
        label_from: routing.label_from.as_str(),
        score: decision.score,
        truncated_tokens: scores.map_or(0, |scores| scores.truncated_tokens),
        classify: timings.classify,
        took: timings.features + timings.classify + timings.judge + timings.decide,
    });
}

/// Starts the span of the next attempt.
pub(in crate::proxy) fn attempted(header: &RequestHeader, ctx: &mut RequestContext) {
    let Some(mut trace) = ctx.trace.take() else { return };
    if let Some(provider) = ctx.attempts.provider() {
        let target = ctx.attempts.target();
        trace.attempted(&TracedAttempt {
            operation: target.and_then(|_| Dialect::of_path(header.uri.path())).map(operation),
            provider: provider.gen_ai_name(),
            provider_name: &provider.name,
            model: target.map(|target| &*target.upstream_name),
            host: &provider.base.address.host,
            port: provider.base.address.port,
            number: ctx.attempts.count(),
        });
    }
    ctx.trace = Some(trace);
}

/// Ends the request's trace.
pub(in crate::proxy) fn ended(ctx: &mut RequestContext, status: Option<u16>, usage: Option<Usage>, cost: Option<f64>) {
    let Some(trace) = ctx.trace.take() else { return };
    trace.ended(&TracedAnswer {
        status,
        code: ctx.rejected.map(RejectionCode::as_str),
        model: ctx.attempts.model().map(Name::as_str),
        tokens: usage.map(|usage| [usage.input, usage.output, usage.cached, usage.reasoning]),
        cost,
        first_byte: ctx.clock.first_byte(),
    });
}

/// Returns the name of what is asked of a model, as OpenTelemetry calls it; counting tokens has none there.
pub(super) const fn operation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::ChatCompletions | Dialect::Responses | Dialect::Messages => "chat",
        Dialect::GenerateContent | Dialect::StreamGenerateContent => "generate_content",
        Dialect::CompactResponse => "compact",
        Dialect::Completions => "text_completion",
        Dialect::Embeddings => "embeddings",
        Dialect::CountTokens | Dialect::InputTokens | Dialect::CountContentTokens => "count_tokens",
    }
}
