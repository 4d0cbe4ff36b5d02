//! Budgets of clients and teams, and the keys that clients have.

use super::MetricDefinition;

pub(in super::super) const BUDGET_USED: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_budget_used_ratio",
    help: "Share of a budget that a client or team has used in this period, by what this process knows; of several bounds the one that is used most.",
    labels: ["budget", "holder"],
    buckets: &[],
};

pub(in super::super) const BUDGET_HITS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_budget_hits_total",
    help: "Requests that a budget changed: a cheaper model served beyond its soft share (moved), it was used up (refused), or the store that counts did not answer (unavailable).",
    labels: ["budget", "outcome"],
    buckets: &[],
};

pub(in super::super) const CLIENT_KEYS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_client_keys",
    help: "Client keys in the registry, by how they stand: active, expired or revoked.",
    labels: ["standing"],
    buckets: &[],
};

pub(in super::super) const CLIENT_KEYS_UNREAD: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_client_keys_unread_total",
    help: "Looks at the registry of client keys that failed; the keys stay as they were.",
    labels: [],
    buckets: &[],
};
