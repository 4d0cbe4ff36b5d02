//! The metrics of callers that ask instead of sending: the admin plane's, and applications that want a decision alone.

use super::MetricDefinition;

pub(in crate::metrics) const ADMIN_REFUSALS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_admin_refusals_total",
    help: "Requests to the admin plane that were refused for who sent them, by reason.",
    labels: ["reason"],
    buckets: &[],
};

pub(in crate::metrics) const DECISION_QUESTIONS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_decision_questions_total",
    help: "Questions of clients which model would answer, by their kind and how they ended; no request was sent for them.",
    labels: ["question", "status_class"],
    buckets: &[],
};
