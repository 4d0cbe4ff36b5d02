//! The metrics of classifiers: their queue, runs, answers and scores, their shadows, servers and drift.

use crate::metrics::buckets::{BATCH, OVERHEAD, PADDED, RUN, SCORE, TRUNCATED};
use crate::metrics::family::MetricDefinition;

pub(in crate::metrics) const QUEUE_DEPTH: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_queue_depth",
    help: "Prompts that wait for the classifier's worker.",
    labels: ["classifier"],
    buckets: &[],
};

pub(in crate::metrics) const QUEUE_WAIT: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_queue_wait_seconds",
    help: "Time a prompt waited for a classifier's worker.",
    labels: ["classifier"],
    buckets: OVERHEAD,
};

pub(in crate::metrics) const RUN_TIME: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_run_seconds",
    help: "Time of one run of a classifier's model over one batch.",
    labels: ["classifier"],
    buckets: RUN,
};

pub(in crate::metrics) const BATCH_SIZE: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_batch_size",
    help: "Prompts in one run of a classifier's model.",
    labels: ["classifier"],
    buckets: BATCH,
};

pub(in crate::metrics) const PADDING: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_padding_ratio",
    help: "Share of the tokens of one run that only fill shorter prompts up to the longest.",
    labels: ["classifier"],
    buckets: PADDED,
};

pub(in crate::metrics) const DEGRADED: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_degraded_total",
    help: "Prompts that a classifier's encoder should have judged and did not, by reason; lexical heads or `otherwise` decided.",
    labels: ["classifier", "reason"],
    buckets: &[],
};

pub(in crate::metrics) const ANSWERS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_answers_total",
    help: "Prompts for which a classifier gave scores, by the rung of the degrade ladder that they came from.",
    labels: ["classifier", "source"],
    buckets: &[],
};

pub(in crate::metrics) const SHADOW_PROMPTS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_shadow_prompts_total",
    help: "Sampled prompts of a classifier's shadow: scored, dropped because somebody was busy, or failed.",
    labels: ["classifier", "outcome"],
    buckets: &[],
};

pub(in crate::metrics) const SHADOW_LABELS: MetricDefinition<4> = MetricDefinition {
    name: "pointsman_classifier_shadow_labels_total",
    help: "Prompts that a classifier and its shadow judged, by the best label of each.",
    labels: ["classifier", "head", "live", "shadow"],
    buckets: &[],
};

pub(in crate::metrics) const SHADOW_AGREEMENT: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_shadow_agreement_ratio",
    help: "Share of the compared prompts on which a classifier and its shadow agree, since the shadow started.",
    labels: ["classifier", "head"],
    buckets: &[],
};

pub(in crate::metrics) const SHADOW_COST: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_shadow_cost_usd_total",
    help: "Estimated cost of the compared prompts with the models that the classifier (live) and its shadow choose.",
    labels: ["classifier", "choice"],
    buckets: &[],
};

pub(in crate::metrics) const DRIFT_PSI: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_drift_psi",
    help: "Population stability index of live traffic against the reference of a classifier's bundle, by signal.",
    labels: ["classifier", "signal"],
    buckets: &[],
};

pub(in crate::metrics) const DRIFT_PROMPTS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_drift_window_prompts",
    help: "Prompts in the window that drift is measured over.",
    labels: ["classifier"],
    buckets: &[],
};

pub(in crate::metrics) const CACHE: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_cache_total",
    help: "Prompts by whether their scores were known, had to be computed, or were just being computed.",
    labels: ["classifier", "outcome"],
    buckets: &[],
};

pub(in crate::metrics) const DEVICE_INFO: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_device_info",
    help: "The device that each classifier runs on; always 1.",
    labels: ["classifier", "device"],
    buckets: &[],
};

pub(in crate::metrics) const DEVICE_FALLBACKS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_device_fallbacks_total",
    help: "Starts of a classifier on another device than the wanted one, which did not work.",
    labels: ["classifier"],
    buckets: &[],
};

pub(in crate::metrics) const TRUNCATED_TOKENS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_truncated_tokens",
    help: "Tokens of the text to judge that did not fit a classifier and were cut.",
    labels: ["classifier"],
    buckets: TRUNCATED,
};

pub(in crate::metrics) const UNFAMILIAR: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_unfamiliar_prompts_total",
    help: "Prompts beyond what a classifier's bundle was trained for, by their language: a code of ISO 639-1, or `unknown`.",
    labels: ["classifier", "language"],
    buckets: &[],
};

pub(in crate::metrics) const SCORES: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_score",
    help: "Calibrated probability that a classifier's head gave a label.",
    labels: ["classifier", "head", "label"],
    buckets: SCORE,
};

pub(in crate::metrics) const MODEL_INFO: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_model_info",
    help: "The bundle that each classifier runs; always 1.",
    labels: ["classifier", "version", "sha256"],
    buckets: &[],
};

pub(in crate::metrics) const REMOTE_REQUESTS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_remote_requests_total",
    help: "Requests to the server of a remote classifier, by what came of them: answered, or why there was no answer.",
    labels: ["classifier", "outcome"],
    buckets: &[],
};

pub(in crate::metrics) const REMOTE_TIME: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_remote_seconds",
    help: "Time from a request to the server of a remote classifier to its answer.",
    labels: ["classifier"],
    buckets: OVERHEAD,
};

pub(in crate::metrics) const REMOTE_HEDGES: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_classifier_remote_hedges_total",
    help: "Requests to the server of a remote classifier that took longer than most: whether the second request won, lost or failed, or was over the budget of second requests.",
    labels: ["classifier", "outcome"],
    buckets: &[],
};
