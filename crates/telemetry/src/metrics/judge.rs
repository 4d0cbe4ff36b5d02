//! The metrics of a policy's judge.

use std::fmt;
use std::time::Duration;

use pointsman_core::config::Name;
use prometheus::{Counter, Gauge, Histogram, IntCounter};

use super::family::{Family, Registry};
use super::{Metrics, TokenDirection, definitions as define};

/// The metric families of judges, all policies together.
pub(super) struct JudgeFamilies {
    questions: Family<IntCounter, 2>,
    seconds: Family<Histogram, 1>,
    tokens: Family<IntCounter, 2>,
    cost: Family<Counter, 1>,
}

impl JudgeFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            questions: Family::register(registry, define::JUDGE_QUESTIONS),
            seconds: Family::register(registry, define::JUDGE_TIME),
            tokens: Family::register(registry, define::JUDGE_TOKENS),
            cost: Family::register(registry, define::JUDGE_COST),
        }
    }
}

/// The metrics of a policy's judge.
#[derive(Clone)]
pub struct JudgeMetrics {
    policy: Name,
    questions: Family<IntCounter, 2>,
    seconds: Histogram,
    tokens: [IntCounter; 2],
    cost: Counter,
    net_savings: Gauge,
}

impl Metrics {
    /// Returns the metrics of the judge of a policy.
    #[must_use]
    pub fn judge(&self, policy: &Name) -> JudgeMetrics {
        let judges = &self.judges;
        let tokens = |direction: TokenDirection| judges.tokens.with([policy.into(), direction.as_str().into()]);
        JudgeMetrics {
            policy: policy.clone(),
            questions: judges.questions.clone(),
            seconds: judges.seconds.with([policy.into()]),
            tokens: [tokens(TokenDirection::Input), tokens(TokenDirection::Output)],
            cost: judges.cost.with([policy.into()]),
            net_savings: self.quality.net_savings.with([policy.into()]),
        }
    }
}

impl JudgeMetrics {
    /// Counts an answer and how long it took.
    pub fn answered(&self, took: Duration) {
        self.count("answered");
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts an answer that was remembered.
    pub fn cached(&self) {
        self.count("cached");
    }

    /// Counts a question that got no answer.
    pub fn failed(&self, cause: &'static str) {
        self.count(cause);
    }

    /// Adds what an answer used and cost.
    pub fn paid(&self, input: u64, output: u64, dollars: f64) {
        self.tokens[0].inc_by(input);
        self.tokens[1].inc_by(output);
        self.cost.inc_by(dollars);
        self.net_savings.sub(dollars);
    }

    fn count(&self, outcome: &'static str) {
        self.questions.with([(&self.policy).into(), outcome.into()]).inc();
    }
}

impl fmt::Debug for JudgeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JudgeMetrics").finish_non_exhaustive()
    }
}
