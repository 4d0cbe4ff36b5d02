//! Who gets the answers of strong models.

use super::MetricDefinition;

pub(in super::super) const QUOTA_HITS: MetricDefinition<4> = MetricDefinition {
    name: "pointsman_quota_hits_total",
    help: "Requests for a strong model whose client or session had used up its quota: another model served (moved), the strong one as no other could (served), or none (refused).",
    labels: ["policy", "quota", "per", "outcome"],
    buckets: &[],
};

pub(in super::super) const CLIENT_ANSWERS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_client_answers_total",
    help: "Answers to a client's requests that a policy decided.",
    labels: ["client", "policy"],
    buckets: &[],
};

pub(in super::super) const CLIENT_STRONG_ANSWERS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_client_strong_answers_total",
    help: "Answers to a client's requests that strong models gave: those of the policy's quotas, else of its target, else the highest of its strategy's order.",
    labels: ["client", "policy"],
    buckets: &[],
};
