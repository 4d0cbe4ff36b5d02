//! The metrics of policies that check a cheap model's answers.

use std::fmt;

use pointsman_core::config::Name;
use prometheus::{Counter, Gauge, IntCounter};

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The metric families of checked answers.
pub(super) struct EscalationFamilies {
    escalations: Family<IntCounter, 2>,
    answers: Family<IntCounter, 2>,
    cost: Family<Counter, 2>,
}

/// The outcome of an answer that was to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedAnswer {
    /// The client got it, because it passed.
    Passed,
    /// The client did not get it: the strong model was asked.
    Escalated,
    /// The client got it unchecked, because it was held for as long as one may be, or was not to be read.
    Released,
    /// The client got it although a check could not be made.
    Unchecked,
    /// The client got it although it had failed, because the strong model gave no answer.
    Unanswered,
}

/// The part of the cost of an answer that the client did not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckCost {
    /// The answer that failed.
    Discarded,
    /// Further answers of the cheap model, to compare with.
    Samples,
}

/// The metrics of one policy's checks.
#[derive(Clone)]
pub struct EscalationMetrics {
    policy: Name,
    escalations: Family<IntCounter, 2>,
    answers: Family<IntCounter, 2>,
    cost: Family<Counter, 2>,
    net_savings: Gauge,
}

impl CheckedAnswer {
    const ALL: [Self; 5] = [Self::Passed, Self::Escalated, Self::Released, Self::Unchecked, Self::Unanswered];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Escalated => "escalated",
            Self::Released => "released",
            Self::Unchecked => "unchecked",
            Self::Unanswered => "unanswered",
        }
    }
}

impl CheckCost {
    const ALL: [Self; 2] = [Self::Discarded, Self::Samples];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Discarded => "discarded",
            Self::Samples => "samples",
        }
    }
}

impl EscalationFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            escalations: Family::register(registry, define::ESCALATIONS),
            answers: Family::register(registry, define::CHECKED_ANSWERS),
            cost: Family::register(registry, define::ESCALATION_COST),
        }
    }
}

impl Metrics {
    /// Returns the metrics of a policy's checks, whose counters start at zero for each of its `checks`.
    #[must_use]
    pub fn escalation(&self, policy: &Name, checks: impl IntoIterator<Item = &'static str>) -> EscalationMetrics {
        let EscalationFamilies { escalations, answers, cost } = &self.escalations;
        for check in checks {
            escalations.with([policy.into(), check.into()]);
        }
        for outcome in CheckedAnswer::ALL {
            answers.with([policy.into(), outcome.as_str().into()]);
        }
        for part in CheckCost::ALL {
            cost.with([policy.into(), part.as_str().into()]);
        }
        EscalationMetrics {
            policy: policy.clone(),
            escalations: escalations.clone(),
            answers: answers.clone(),
            cost: cost.clone(),
            net_savings: self.quality.net_savings.with([policy.into()]),
        }
    }
}

impl EscalationMetrics {
    /// Counts what became of an answer that was to be checked.
    pub fn checked(&self, outcome: CheckedAnswer) {
        self.answers.with([(&self.policy).into(), outcome.as_str().into()]).inc();
    }

    /// Counts an answer that failed a check, so that the strong model is asked.
    pub fn escalated(&self, check: &'static str) {
        self.escalations.with([(&self.policy).into(), check.into()]).inc();
        self.checked(CheckedAnswer::Escalated);
    }

    /// Adds what the answer that failed cost; its tokens and their cost are counted with those of its model.
    pub fn discarded(&self, dollars: f64) {
        self.paid(CheckCost::Discarded, dollars);
    }

    /// Adds what further answers cost, which nothing else counts.
    pub fn sampled(&self, dollars: f64) {
        self.paid(CheckCost::Samples, dollars);
        self.net_savings.sub(dollars);
    }

    fn paid(&self, part: CheckCost, dollars: f64) {
        self.cost.with([(&self.policy).into(), part.as_str().into()]).inc_by(dollars);
    }
}

impl fmt::Debug for EscalationMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EscalationMetrics").finish_non_exhaustive()
    }
}
