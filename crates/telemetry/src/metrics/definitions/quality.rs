//! What is thought of answers, and what routing saves after all that it costs.

use crate::metrics::family::MetricDefinition;

pub(in crate::metrics) const FEEDBACK: MetricDefinition<4> = MetricDefinition {
    name: "pointsman_feedback_total",
    help: "Feedback on answers, by kind, by the policy and model of an answer that is remembered, and by what was said: 0 (worst), 0.25, 0.5, 0.75 or 1; one message may be of several kinds.",
    labels: ["kind", "policy", "model", "rating"],
    buckets: &[],
};

pub(in crate::metrics) const QUALITY: MetricDefinition<4> = MetricDefinition {
    name: "pointsman_quality_ratio",
    help: "Quality of the answers of a policy's model by the last few hundred ratings, 0 to 1, with the bounds of its 95 % interval; without a model of all of the policy's. Answers are those that clients got (served), or shadow answers.",
    labels: ["policy", "model", "answer", "bound"],
    buckets: &[],
};

pub(in crate::metrics) const QUALITY_RATINGS: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_quality_ratings",
    help: "Ratings that a quality rests on, older ones counting less.",
    labels: ["policy", "model", "answer"],
    buckets: &[],
};

pub(in crate::metrics) const QUALITY_HELD: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_quality_held_ratio",
    help: "Quality of the answers that clients got by that of the shadow answers to the same requests, where both were rated, with the bounds of its 95 % interval.",
    labels: ["policy", "bound"],
    buckets: &[],
};

pub(in crate::metrics) const SHADOW_ANSWERS: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_shadow_answers_total",
    help: "Sampled requests that were to be sent to another model too, after their answer, by what became of it.",
    labels: ["policy", "model", "outcome"],
    buckets: &[],
};

pub(in crate::metrics) const SHADOW_ANSWER_COST: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_shadow_answer_cost_usd_total",
    help: "What shadow answers cost in US dollars; beside `pointsman_cost_usd_total`.",
    labels: ["policy", "model"],
    buckets: &[],
};

pub(in crate::metrics) const CLASSIFIER_COST: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_classifier_cost_usd_total",
    help: "What a classifier's runs cost in US dollars, by their time and its `usd_per_hour`.",
    labels: ["classifier"],
    buckets: &[],
};

pub(in crate::metrics) const CLIENT_NET_SAVINGS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_client_net_savings_usd",
    help: "What policies have saved on a client's answers since the start: the baseline's cost less that of the answers, of the judges that were asked about them and of shadow answers to them.",
    labels: ["client"],
    buckets: &[],
};

pub(in crate::metrics) const NET_SAVINGS: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_net_savings_usd",
    help: "What a policy has saved since the start: the baseline's cost less that of its answers, those that failed a check included, its judges, its samples and its shadow answers. Falls where they cost more.",
    labels: ["policy"],
    buckets: &[],
};

pub(in crate::metrics) const ESCALATIONS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_escalations_total",
    help: "Answers of a policy's cheap model that failed a check, by the check, so that the strong model was asked; unavailable where a check could not be made.",
    labels: ["policy", "check"],
    buckets: &[],
};

pub(in crate::metrics) const CHECKED_ANSWERS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_checked_answers_total",
    help: "Answers of a policy's cheap model that were to be checked, by what became of them.",
    labels: ["policy", "outcome"],
    buckets: &[],
};

pub(in crate::metrics) const ESCALATION_COST: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_escalation_cost_usd_total",
    help: "What answers cost that clients did not get: those that failed a check (discarded, also in `pointsman_cost_usd_total`), and those that others were compared with (samples).",
    labels: ["policy", "part"],
    buckets: &[],
};
