//! The spans of one request.
//!
//! Attributes are those of OpenTelemetry's semantic conventions (HTTP, and generative AI as of 1.39) and our own under
//! `pointsman.`. The model and provider that a span names are the configuration's; what the client wrote as `model` is
//! not sent.

use std::fmt;
use std::time::SystemTime;

use http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::Tracer;
use crate::access_log::path_only;
use crate::traces::{TracedAnswer, TracedAttempt, TracedDecision, TracedRequest};

/// The methods that a span names; another one is the client's own word.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The spans of a request in progress.
pub struct RequestTrace {
    tracer: SdkTracer,
    server: Span,
    attempt: Option<Span>,
}

impl Tracer {
    /// Starts the span of a request, below the one that its header names.
    #[must_use]
    pub fn begin(&self, headers: &HeaderMap, asked: TracedRequest<'_>) -> RequestTrace {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let method = METHODS.into_iter().find(|known| *known == asked.method).unwrap_or("_OTHER");
        let name = asked.route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
        let tracer = self.0.tracer.clone();
        let mut server = tracer.build_with_context(builder, &parent);
        if server.is_recording() {
            server.set_attribute(KeyValue::new("http.request.method", method));
            server.set_attribute(KeyValue::new("url.path", path_only(asked.path).to_owned()));
            server.set_attribute(KeyValue::new("pointsman.request_id", asked.request_id.to_owned()));
            server.set_attribute(KeyValue::new("pointsman.generation", signed(asked.generation)));
            set(&mut server, "http.route", asked.route);
        }
        RequestTrace { tracer, server, attempt: None }
    }
}

impl RequestTrace {
    /// Returns the trace's id: 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        self.server.span_context().trace_id().to_string()
    }

    /// Adds the span of a decision that has just been made.
    pub fn decided(&mut self, decided: &TracedDecision<'_>) {
        if !self.server.is_recording() {
            return;
        }
        let end = SystemTime::now();
        let builder = SpanBuilder::from_name("decide").with_kind(SpanKind::Internal);
        let mut span = self.child(builder.with_start_time(end - decided.took));
        span.set_attribute(KeyValue::new("pointsman.policy", decided.policy.to_owned()));
        span.set_attribute(KeyValue::new("pointsman.model", decided.model.to_owned()));
        span.set_attribute(KeyValue::new("pointsman.reason", decided.reason));
        set(&mut span, "pointsman.label", decided.label.map(str::to_owned));
        set(&mut span, "pointsman.label_from", decided.label.map(|_| decided.label_from));
        set(&mut span, "pointsman.score", decided.score.map(f64::from));
        set(&mut span, "pointsman.degraded", decided.degraded);
        if let Some((classifier, source)) = decided.classifier {
            span.set_attribute(KeyValue::new("pointsman.classifier", classifier.to_owned()));
            span.set_attribute(KeyValue::new("pointsman.classify_seconds", decided.classify.as_secs_f64()));
            span.set_attribute(KeyValue::new("pointsman.truncated_tokens", i64::from(decided.truncated_tokens)));
            set(&mut span, "pointsman.source", source);
        }
        span.end_with_timestamp(end);
        self.server.set_attribute(KeyValue::new("pointsman.policy", decided.policy.to_owned()));
        self.server.set_attribute(KeyValue::new("pointsman.reason", decided.reason));
    }

    /// Starts the span of an attempt; what is left of the one before ends.
    pub fn attempted(&mut self, attempt: &TracedAttempt<'_>) {
        let name = match (attempt.operation, attempt.model) {
            (Some(operation), Some(model)) => format!("{operation} {model}"),
            _ => "pass".to_owned(),
        };
        let mut span = self.child(SpanBuilder::from_name(name).with_kind(SpanKind::Client));
        if span.is_recording() {
            set(&mut span, "gen_ai.operation.name", attempt.operation);
            set(&mut span, "gen_ai.request.model", attempt.model.map(str::to_owned));
            span.set_attribute(KeyValue::new("gen_ai.provider.name", attempt.provider.to_owned()));
            span.set_attribute(KeyValue::new("pointsman.provider", attempt.provider_name.to_owned()));
            span.set_attribute(KeyValue::new("server.address", attempt.host.to_owned()));
            span.set_attribute(KeyValue::new("server.port", i64::from(attempt.port)));
            if let Some(resent @ 1..) = attempt.number.checked_sub(1) {
                span.set_attribute(KeyValue::new("http.request.resend_count", i64::from(resent)));
            }
        }
        self.attempt = Some(span); // the former one ends as it is dropped
    }

    /// Puts the attempt's trace context into the header that goes upstream, in place of the client's.
    pub fn pass_on(&self, headers: &mut HeaderMap) {
        let span = self.attempt.as_ref().unwrap_or(&self.server);
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
    }

    /// Notes the status of the attempt's answer.
    pub fn attempt_answered(&mut self, status: u16) {
        let Some(span) = &mut self.attempt else { return };
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 400 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            span.set_status(Status::error(""));
        }
    }

    /// Ends the attempt, which broke.
    pub fn attempt_broke(&mut self, cause: &'static str) {
        let Some(mut span) = self.attempt.take() else { return };
        span.set_attribute(KeyValue::new("error.type", cause));
        span.set_status(Status::error(""));
        span.end();
    }

    /// Ends all spans.
    pub fn ended(mut self, answered: &TracedAnswer<'_>) {
        if let Some(mut span) = self.attempt.take().filter(Span::is_recording) {
            for (key, tokens) in USAGE.into_iter().zip(answered.tokens.into_iter().flatten()) {
                span.set_attribute(KeyValue::new(key, signed(tokens)));
            }
            span.end();
        }
        let server = &mut self.server;
        if !server.is_recording() {
            return;
        }
        set(server, "http.response.status_code", answered.status.map(i64::from));
        set(server, "pointsman.model", answered.model.map(str::to_owned));
        set(server, "pointsman.cost_usd", answered.cost);
        set(server, "pointsman.first_byte_seconds", answered.first_byte.map(|after| after.as_secs_f64()));
        if let Some(code) = answered.code {
            server.set_attribute(KeyValue::new("error.type", code));
        }
        if answered.status.is_some_and(|status| status >= 500) {
            server.set_status(Status::error(""));
        }
        server.end();
    }

    fn child(&self, builder: SpanBuilder) -> Span {
        let parent = Context::new().with_remote_span_context(self.server.span_context().clone());
        self.tracer.build_with_context(builder, &parent)
    }
}

/// The attributes of [`TracedAnswer::tokens`], in their order.
const USAGE: [&str; 4] = [
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
];

fn set(span: &mut Span, key: &'static str, value: Option<impl Into<opentelemetry::Value>>) {
    if let Some(value) = value {
        span.set_attribute(KeyValue::new(key, value));
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl fmt::Debug for RequestTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestTrace").field("id", &self.id()).finish_non_exhaustive()
    }
}
