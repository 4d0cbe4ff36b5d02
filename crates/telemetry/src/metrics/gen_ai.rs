//! The metrics of OpenTelemetry's conventions for generative AI, beside our own: counted where `metrics.gen_ai` says so.
//!
//! An operation there is one request to a provider, so each attempt is one. Names, units, attributes and bounds are those
//! of the conventions (`gen_ai.client.*`, as of their version 1.42), spelled as Prometheus spells them: dots become
//! underscores, and the unit ends the name. An export over OTLP has the conventions' own spelling.

use std::sync::Arc;
use std::time::Duration;

use prometheus::Histogram;

use super::Metrics;
use super::definitions as define;
use super::family::{Family, LabelValue, Registry};

/// The names of the conventions, by ours.
const METRICS: [(&str, &str); 4] = [
    ("gen_ai_client_token_usage", "gen_ai.client.token.usage"),
    ("gen_ai_client_operation_duration_seconds", "gen_ai.client.operation.duration"),
    ("gen_ai_client_operation_time_to_first_chunk_seconds", "gen_ai.client.operation.time_to_first_chunk"),
    ("gen_ai_client_operation_time_per_output_chunk_seconds", "gen_ai.client.operation.time_per_output_chunk"),
];

/// The attributes of the conventions, by our labels.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("gen_ai_operation_name", "gen_ai.operation.name"),
    ("gen_ai_provider_name", "gen_ai.provider.name"),
    ("gen_ai_request_model", "gen_ai.request.model"),
    ("gen_ai_token_type", "gen_ai.token.type"),
    ("error_type", "error.type"),
];

/// Returns the conventions' name of a metric of theirs; `None` for our own.
#[must_use]
pub fn gen_ai_metric(name: &str) -> Option<&'static str> {
    METRICS.iter().find(|(ours, _)| *ours == name).map(|(_, theirs)| *theirs)
}

/// Returns the attribute that a label is to OpenTelemetry: our own labels are called the same there.
#[must_use]
pub fn gen_ai_attribute(label: &str) -> &str {
    ATTRIBUTES.iter().find(|(ours, _)| *ours == label).map_or(label, |(_, theirs)| theirs)
}

/// The metric families of the conventions.
pub(super) struct GenAiFamilies {
    usage: Family<Histogram, 4>,
    duration: Family<Histogram, 4>,
    first_chunk: Family<Histogram, 3>,
    chunk_gap: Family<Histogram, 3>,
}

/// An operation: what was asked of a model, who was asked, and by which name of the model.
#[derive(Debug, Clone)]
pub struct GenAiOperation {
    /// The word of the conventions for what is asked: `chat`.
    pub operation: &'static str,
    /// The provider: the conventions' name where they have one, else the configuration's.
    pub provider: Arc<str>,
    /// The model's name at the provider.
    pub model: Arc<str>,
}

impl GenAiFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            usage: Family::register(registry, define::GEN_AI_TOKENS),
            duration: Family::register(registry, define::GEN_AI_DURATION),
            first_chunk: Family::register(registry, define::GEN_AI_FIRST_CHUNK),
            chunk_gap: Family::register(registry, define::GEN_AI_CHUNK_GAP),
        }
    }

    /// Returns where the times between an operation's chunks are noted.
    pub(super) fn chunk_gaps(&self, operation: &GenAiOperation) -> Histogram {
        self.chunk_gap.with(operation.labels())
    }
}

impl GenAiOperation {
    fn labels(&self) -> [LabelValue; 3] {
        [self.operation.into(), (&self.provider).into(), (&self.model).into()]
    }

    fn labels_with(&self, last: &'static str) -> [LabelValue; 4] {
        let [operation, provider, model] = self.labels();
        [operation, provider, model, last.into()]
    }
}

impl Metrics {
    /// Notes an operation that ended; `error` is what it ended with, if it did not succeed.
    pub fn operation_ended(&self, operation: &GenAiOperation, took: Duration, error: Option<&'static str>) {
        let labels = operation.labels_with(error.unwrap_or_default());
        self.gen_ai.duration.with(labels).observe(took.as_secs_f64());
    }

    /// Notes the tokens that an operation used.
    pub fn operation_used(&self, operation: &GenAiOperation, input: u64, output: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a bound lies far below 52 bits")]
        for (kind, tokens) in [("input", input as f64), ("output", output as f64)] {
            self.gen_ai.usage.with(operation.labels_with(kind)).observe(tokens);
        }
    }

    /// Notes how long an operation took to begin its stream.
    pub fn operation_streamed(&self, operation: &GenAiOperation, after: Duration) {
        self.gen_ai.first_chunk.with(operation.labels()).observe(after.as_secs_f64());
    }
}
