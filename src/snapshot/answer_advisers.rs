//! The advisers on a cheap model's answers: a judge, a sampler of further answers, and the metrics that both count in.

use std::sync::Arc;

use pointsman_telemetry::EscalationMetrics;

use crate::answer_sampler::AnswerSampler;
use crate::judge::Judge;

/// The cause of an escalation where a check could not be made, beside the checks' own names.
pub(crate) const UNAVAILABLE: &str = "unavailable";

/// The advisers on the answers of one strategy's cheap model.
#[derive(Debug)]
pub(crate) struct AnswerAdvisers {
    /// The judge of answers, if there is one.
    pub(crate) judge: Option<Arc<Judge>>,
    /// The sampler of further answers, if there are to be some.
    pub(crate) sampler: Option<AnswerSampler>,
    /// The metrics of the policy's checks.
    pub(crate) metrics: EscalationMetrics,
}
