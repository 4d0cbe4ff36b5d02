//! OpenTelemetry traces of requests over OTLP, off unless `tracing` is configured: without it no request does any of
//! this.
//!
//! A request becomes a server span, a `decide` span with what the decision rests on, and a client span for each attempt
//! with the attributes of OpenTelemetry's conventions for generative AI (`gen_ai.*`). W3C trace context is taken from
//! clients and passed on to upstreams. Spans say what the access line says: never prompts, bodies, headers, keys or
//! query strings.
//!
//! A build without the feature `otlp` has no spans: [`Tracer`] and [`RequestTrace`] have no values there.

#[cfg(not(feature = "otlp"))]
mod absent;
mod facts;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub use self::absent::{RequestTrace, Tracer};
pub use self::facts::{TracedAnswer, TracedAttempt, TracedDecision, TracedRequest};
#[cfg(feature = "otlp")]
pub use self::otlp::{RequestTrace, Tracer};

/// The reason why no spans can be sent.
#[derive(Debug, thiserror::Error)]
#[error("cannot send traces: {0}")]
pub struct TracerError(String);

/// Returns why this build can send no spans; `None` where it can.
#[must_use]
pub const fn unavailable() -> Option<&'static str> {
    if cfg!(feature = "otlp") { None } else { Some("needs a build with the feature `otlp`, which this one lacks") }
}
