//! The name, help text, labels and buckets of every metric; `metrics` says when each is touched, `buckets` why they are
//! so.
//!
//! Names follow `pointsman_<thing>_<unit>[_total]` with base units. Adding one here means adding it to the golden test
//! and to `docs/metrics.md`, which the tests write when they are told to.

mod admin;
mod budgets;
mod classifier;
mod config_source;
mod credentials;
mod ext_proc;
mod files;
mod gen_ai;
mod judge;
mod quality;
mod quotas;
mod response_cache;
mod strategies;
mod websockets;

pub(super) use self::admin::*;
pub(super) use self::budgets::*;
pub(super) use self::classifier::*;
pub(super) use self::config_source::*;
pub(super) use self::credentials::*;
pub(super) use self::ext_proc::*;
pub(super) use self::files::*;
pub(super) use self::gen_ai::*;
pub(super) use self::judge::*;
pub(super) use self::quality::*;
pub(super) use self::quotas::*;
pub(super) use self::response_cache::*;
pub(super) use self::strategies::*;
pub(super) use self::websockets::*;
use super::buckets::{FIRST_BYTE, INTER_CHUNK, OVERHEAD, RATE, REQUEST};
use super::family::MetricDefinition;

pub(super) const REQUEST_DURATION: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_request_duration_seconds",
    help: "Time from a request's first byte to its answer's last; its count is the number of requests.",
    labels: ["policy", "model", "status_class"],
    buckets: REQUEST,
};

pub(super) const OVERHEAD_TIME: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_overhead_seconds",
    help: "Time a request spent in one of Pointsman's own stages.",
    labels: ["stage"],
    buckets: OVERHEAD,
};

pub(super) const DECISIONS: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_decisions_total",
    help: "Routing decisions that a request was sent or answered by, by the model that was chosen and why; one that a budget refused is none.",
    labels: ["policy", "model", "reason"],
    buckets: &[],
};

pub(super) const RULE_DECISIONS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_rule_decisions_total",
    help: "Requests that a rule decided, by the rule's number in its policy, from 0; those that it refused are among them.",
    labels: ["policy", "rule"],
    buckets: &[],
};

pub(super) const SHADOW_DECISIONS: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_shadow_decisions_total",
    help: "What policies that only watch (`mode: shadow`) would have chosen, and why; without a `model` what they would have refused, by the error's code.",
    labels: ["policy", "model", "reason"],
    buckets: &[],
};

pub(super) const REJECTIONS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_rejections_total",
    help: "Requests that Pointsman itself answered with an error, by the error's code.",
    labels: ["code"],
    buckets: &[],
};

pub(super) const CLIENT_REQUESTS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_client_requests_total",
    help: "Requests with a client's key, by how they ended.",
    labels: ["client", "outcome"],
    buckets: &[],
};

pub(super) const FIRST_BYTE_TIME: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_first_byte_seconds",
    help: "Time from a request's first byte to the first byte of the upstream's answer.",
    labels: ["model"],
    buckets: FIRST_BYTE,
};

pub(super) const FIRST_TOKEN_TIME: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_first_token_seconds",
    help: "Time from a request's first byte to the first words of its streamed answer: what came before them was only its frame.",
    labels: ["model"],
    buckets: FIRST_BYTE,
};

pub(super) const INTER_CHUNK_TIME: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_inter_chunk_seconds",
    help: "Time between two chunks of a streamed answer.",
    labels: ["model"],
    buckets: INTER_CHUNK,
};

pub(super) const TOKEN_RATE: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_tokens_per_second",
    help: "Output tokens of a streamed answer by the time from its first chunk to its last.",
    labels: ["model"],
    buckets: RATE,
};

pub(super) const TOKENS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_tokens_total",
    help: "Tokens of answered requests; cached and cache_write ones are part of the input, reasoning ones part of the output.",
    labels: ["model", "direction"],
    buckets: &[],
};

pub(super) const ESTIMATED: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_usage_estimated_total",
    help: "Answers whose tokens were estimated because the upstream did not say.",
    labels: ["model"],
    buckets: &[],
};

pub(super) const UNKNOWN: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_usage_unknown_total",
    help: "Answers whose tokens nobody knows: compressed, of another type, empty, or said to be more than the model can.",
    labels: ["model"],
    buckets: &[],
};

pub(super) const COST: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_cost_usd_total",
    help: "What the answers of a model cost: what the provider says, else by the catalog's prices.",
    labels: ["model"],
    buckets: &[],
};

pub(super) const POLICY_COST: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_policy_cost_usd_total",
    help: "What the answers to a policy's requests cost, by the model that answered.",
    labels: ["policy", "model"],
    buckets: &[],
};

pub(super) const CLIENT_COST: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_client_cost_usd_total",
    help: "What the answers to a client's requests cost, by the model that answered, those that passed through included where their price is known.",
    labels: ["client", "model"],
    buckets: &[],
};

pub(super) const BASELINE_COST: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_baseline_cost_usd_total",
    help: "What the same tokens would have cost with the policy's most expensive model.",
    labels: ["policy"],
    buckets: &[],
};

pub(super) const BROKEN_STREAMS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_broken_streams_total",
    help: "Streamed answers that the upstream cut, or ended without the mark of its API.",
    labels: ["model", "cause"],
    buckets: &[],
};

pub(super) const ATTEMPTS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_upstream_attempts_total",
    help: "Requests sent to a provider, retries and fallbacks included, by how they ended: success, an error answer, or a failure.",
    labels: ["provider", "outcome"],
    buckets: &[],
};

pub(super) const UPSTREAM_HEALTHY: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_upstream_healthy",
    help: "1 while a provider's peer gets requests, 0 while health checks or its failures eject it.",
    labels: ["provider", "peer"],
    buckets: &[],
};

pub(super) const EJECTIONS: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_upstream_ejections_total",
    help: "Times that a provider's peer was ejected, by cause.",
    labels: ["provider", "peer", "cause"],
    buckets: &[],
};

pub(super) const UPSTREAM_IN_FLIGHT: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_upstream_in_flight",
    help: "Requests that a provider is answering.",
    labels: ["provider"],
    buckets: &[],
};

pub(super) const CONNECTIONS: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_downstream_connections",
    help: "Connections of clients that are open.",
    labels: [],
    buckets: &[],
};

pub(super) const CONNECTIONS_REFUSED: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_downstream_connections_refused_total",
    help: "Connections of clients that were closed before they brought a request, by reason.",
    labels: ["reason"],
    buckets: &[],
};

pub(super) const BODY_BYTES: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_request_body_bytes_in_flight",
    help: "Memory that request bodies take, of what `limits.max_bytes_in_flight` allows.",
    labels: [],
    buckets: &[],
};

pub(super) const FALLBACKS: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_fallbacks_total",
    help: "Requests that went on to another model because the provider of the one before failed them.",
    labels: ["from", "to", "cause"],
    buckets: &[],
};

pub(super) const PARAMETERS_ADAPTED: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_parameters_adapted_total",
    help: "Parameters of requests that were left out, renamed or changed so that they fit the model.",
    labels: ["model", "parameter"],
    buckets: &[],
};

pub(super) const TRANSLATIONS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_translations_total",
    help: "Requests that were translated from their client's API (`from`) into another (`to`).",
    labels: ["from", "to"],
    buckets: &[],
};

pub(super) const TRANSLATION_LOSSES: MetricDefinition<4> = MetricDefinition {
    name: "pointsman_translation_losses_total",
    help: "Fields of translated requests, and of their answers (`from` is the upstream's API then), that were changed or dropped, or for which a model was not asked (refused).",
    labels: ["from", "to", "field", "kind"],
    buckets: &[],
};

pub(super) const PARAMETERS_REFUSED: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_parameters_refused_total",
    help: "Parameters that a model's API refused, after which the model was asked without them.",
    labels: ["model"],
    buckets: &[],
};

pub(super) const RETRIES_REFUSED: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_retries_refused_total",
    help: "Failed attempts that were not tried again because the retry budget was spent.",
    labels: [],
    buckets: &[],
};

pub(super) const AFFINITY: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_affinity_total",
    help: "Requests of policies with affinity, by what became of the model that they were held to.",
    labels: ["policy", "outcome"],
    buckets: &[],
};

pub(super) const STATE: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_state_total",
    help: "Requests that name state which a provider keeps, by its kind and whether its keeper is known.",
    labels: ["kind", "outcome"],
    buckets: &[],
};

pub(super) const STORE_AVAILABLE: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_store_available",
    help: "1 while the store that replicas share answers, else 0.",
    labels: [],
    buckets: &[],
};

pub(super) const STORE_ERRORS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_store_errors_total",
    help: "Commands to the store that failed, came too late, or were not sent because it is away.",
    labels: ["operation"],
    buckets: &[],
};

pub(super) const LOG_LINES: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_decision_log_lines_total",
    help: "Lines that the decision log has written.",
    labels: [],
    buckets: &[],
};

pub(super) const LOG_DROPPED: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_decision_log_dropped_total",
    help: "Lines that the decision log lost, by cause.",
    labels: ["cause"],
    buckets: &[],
};

pub(super) const RELOADS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_config_reloads_total",
    help: "Configuration reloads after the start, by outcome.",
    labels: ["outcome"],
    buckets: &[],
};

pub(super) const LAST_RELOAD_SUCCESSFUL: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_config_last_reload_successful",
    help: "1 if the last attempt to load the configuration succeeded, else 0.",
    labels: [],
    buckets: &[],
};

pub(super) const LAST_RELOAD_SUCCESS_TIME: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_config_last_reload_success_timestamp_seconds",
    help: "Unix time of the last successful load of the configuration.",
    labels: [],
    buckets: &[],
};

pub(super) const GENERATION: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_generation",
    help: "Generation of configuration and weights that serves requests.",
    labels: [],
    buckets: &[],
};

pub(super) const CONFIG_INFO: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_config_info",
    help: "The configuration that serves, by the beginning of its text's SHA-256; always 1.",
    labels: ["sha256"],
    buckets: &[],
};

pub(super) const BUILD_INFO: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_build_info",
    help: "The version of this binary; always 1.",
    labels: ["version"],
    buckets: &[],
};
