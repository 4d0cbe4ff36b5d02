//! Metrics of policies' judges.

use crate::metrics::buckets::FIRST_BYTE;
use crate::metrics::family::MetricDefinition;

pub(in crate::metrics) const JUDGE_QUESTIONS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_judge_questions_total",
    help: "Prompts that a policy's judge was to judge, by what came of it: answered, cached, or why there was no answer.",
    labels: ["policy", "outcome"],
    buckets: &[],
};

pub(in crate::metrics) const JUDGE_TIME: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_judge_seconds",
    help: "Time that a judge took for an answer that was not cached.",
    labels: ["policy"],
    buckets: FIRST_BYTE,
};

pub(in crate::metrics) const JUDGE_TOKENS: MetricDefinition<2> = MetricDefinition {
    name: "pointsman_judge_tokens_total",
    help: "Tokens that judges' answers used.",
    labels: ["policy", "direction"],
    buckets: &[],
};

pub(in crate::metrics) const JUDGE_COST: MetricDefinition<1> = MetricDefinition {
    name: "pointsman_judge_cost_usd_total",
    help: "What judges' answers cost in US dollars, by the price of the model that judges; beside `pointsman_cost_usd_total`.",
    labels: ["policy"],
    buckets: &[],
};
