//! Answers that are given again.

use super::MetricDefinition;

pub(in super::super) const RESPONSE_CACHE_REQUESTS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_response_cache_requests_total",
    help: "Requests of policies with a cache, by where their answers came from: kept ones (hit), those to asks that mean the same (semantic) or to the same request at the same time (joined), a model (miss), or a model because such requests are not kept (bypass).",
    labels: ["policy", "outcome"],
    buckets: &[],
};

pub(in super::super) const RESPONSE_CACHE_SAVED: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_response_cache_saved_usd_total",
    help: "What answers that were given again had cost when a model gave them, in US dollars.",
    labels: ["policy"],
    buckets: &[],
};

pub(in super::super) const RESPONSE_CACHE_ENTRIES: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_response_cache_entries",
    help: "Answers that this process keeps, those included that are too old and were not asked for since.",
    labels: [],
    buckets: &[],
};

pub(in super::super) const RESPONSE_CACHE_BYTES: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_response_cache_bytes",
    help: "Memory of the answers that this process keeps, and of the asks that are compared with new ones.",
    labels: [],
    buckets: &[],
};
