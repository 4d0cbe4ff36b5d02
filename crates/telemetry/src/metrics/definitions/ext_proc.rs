//! What Envoy asks over its external processing protocol.

use super::super::buckets::OVERHEAD;
use super::MetricDefinition;

pub(in super::super) const EXT_PROC_STREAMS: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_ext_proc_streams",
    help: "Streams of Envoy's external processing that are open now: one for each request, until what it asks is answered.",
    labels: [],
    buckets: &[],
};

pub(in super::super) const EXT_PROC_MESSAGES: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_ext_proc_messages_total",
    help: "Messages of Envoy's external processing, by the phase of the exchange that they belong to.",
    labels: ["phase"],
    buckets: &[],
};

pub(in super::super) const EXT_PROC_REQUESTS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_ext_proc_requests_total",
    help: "Requests that Envoy asked about, by what became of them.",
    labels: ["outcome"],
    buckets: &[],
};

pub(in super::super) const EXT_PROC_DECISION: MetricDefinition<0> = MetricDefinition {
    name: "pointsman_ext_proc_decision_seconds",
    help: "Time from the last byte of a request's body to the answer that Envoy gets about it.",
    labels: [],
    buckets: OVERHEAD,
};
