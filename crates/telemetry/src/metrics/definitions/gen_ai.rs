//! Definitions of OpenTelemetry's metrics for generative AI; names, labels and bounds are not ours to choose.

use crate::metrics::buckets::{GEN_AI_TIME, GEN_AI_USAGE};
use crate::metrics::family::MetricDefinition;

pub(in crate::metrics) const GEN_AI_TOKENS: MetricDefinition<4> = MetricDefinition {
    name: "gen_ai_client_token_usage",
    help: "Tokens of one request to a provider, by their type; with `metrics.gen_ai`.",
    labels: ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"],
    buckets: GEN_AI_USAGE,
};

pub(in crate::metrics) const GEN_AI_DURATION: MetricDefinition<4> = MetricDefinition {
    name: "gen_ai_client_operation_duration_seconds",
    help: "Time of one request to a provider, from its beginning to its answer's last byte; with `metrics.gen_ai`.",
    labels: ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"],
    buckets: GEN_AI_TIME,
};

pub(in crate::metrics) const GEN_AI_FIRST_CHUNK: MetricDefinition<3> = MetricDefinition {
    name: "gen_ai_client_operation_time_to_first_chunk_seconds",
    help: "Time of one request to a provider until the first chunk of its streamed answer; with `metrics.gen_ai`.",
    labels: ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"],
    buckets: GEN_AI_TIME,
};

pub(in crate::metrics) const GEN_AI_CHUNK_GAP: MetricDefinition<3> = MetricDefinition {
    name: "gen_ai_client_operation_time_per_output_chunk_seconds",
    help: "Time between two chunks of a provider's streamed answer; with `metrics.gen_ai`.",
    labels: ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"],
    buckets: GEN_AI_TIME,
};
