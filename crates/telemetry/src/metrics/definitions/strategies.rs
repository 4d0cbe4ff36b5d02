//! The metrics of strategies that change as they decide: targets of a share, and bandits.

use super::MetricDefinition;

pub(in super::super) const THRESHOLD: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_threshold",
    help: "Where the threshold of a policy with a target stands.",
    labels: ["policy"],
    buckets: &[],
};

pub(in super::super) const STRONG_SHARE: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_strong_share",
    help: "Share of the latest requests (a request weighs 1/e after 400 others) that a policy's strong models got.",
    labels: ["policy"],
    buckets: &[],
};

pub(in super::super) const TARGET_SHARE: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_target_share",
    help: "Share that a policy's target comes to at present; a cost's changes with prices and traffic.",
    labels: ["policy"],
    buckets: &[],
};

pub(in super::super) const TARGET_FROZEN: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_target_frozen",
    help: "1 while a policy's threshold stays where it is because its scores have drifted, else 0.",
    labels: ["policy"],
    buckets: &[],
};

pub(in super::super) const TARGET_FREEZES: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_target_freezes_total",
    help: "Times that a policy's threshold began to stay where it is because its scores had drifted.",
    labels: ["policy"],
    buckets: &[],
};

pub(in super::super) const BANDIT_REWARDS: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_bandit_rewards_total",
    help: "Feedback on answers whose model a bandit chose, by whether it learnt from it.",
    labels: ["policy", "model", "outcome"],
    buckets: &[],
};

pub(in super::super) const BANDIT_QUALITY: MetricDefinition<3> = MetricDefinition {
    name: "pointsman_bandit_quality_ratio",
    help: "Chance of a good answer that a bandit believes a model to have, by the label of the prompts.",
    labels: ["policy", "model", "label"],
    buckets: &[],
};

pub(in super::super) const BANDIT_FROZEN: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_bandit_frozen",
    help: "1 while a policy's bandit learns nothing because feedback is suspicious, else 0.",
    labels: ["policy"],
    buckets: &[],
};

pub(in super::super) const BANDIT_DRIFTS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_bandit_drifts_total",
    help: "Times that a model's answers were rated otherwise than before, so that its bandit knows it less well.",
    labels: ["policy", "model"],
    buckets: &[],
};
