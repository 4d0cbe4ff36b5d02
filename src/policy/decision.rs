//! A decision is data: a header, a metric's label, a log field, an assertion.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::constraints::{Candidate, Constraint};
use crate::config::Name;
use crate::scores::Degraded;

/// Which model a policy chose, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The model's name in the catalog.
    pub model: Name,
    /// The policy that chose.
    pub policy: Name,
    /// What in the policy chose.
    pub by: By,
    /// Why this model.
    pub reason: Reason,
    /// The classifier's best label, when it was asked and answered.
    pub label: Option<Arc<str>>,
    /// What the strategy went by: the best label's probability, or the head's score beside the thresholds.
    pub score: Option<f32>,
    /// The nearest threshold that would have changed the strategy's choice.
    pub flip: Option<Flip>,
    /// Every model the policy can choose, in its order.
    pub candidates: Vec<Candidate>,
    /// The models to try next when the chosen one's provider fails: the policy's `fallback`, without the models that
    /// cannot serve the request.
    pub fallback: Vec<Name>,
    /// The rules that were tried, up to the one that matched.
    pub rules: Vec<RuleTrace>,
}

/// What would have changed a choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    /// The threshold that the score is nearest to.
    pub threshold: f64,
    /// The model on its other side.
    pub model: Name,
}

/// What in a policy chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The rule with this position.
    Rule(usize),
    /// The strategy of this kind.
    Strategy(&'static str),
}

/// Why a model was chosen. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A rule was true.
    Rule,
    /// The classifier's label.
    Tier,
    /// The classifier's score beside the thresholds.
    Threshold,
    /// The classifier was not sure enough: `otherwise`.
    LowConfidence,
    /// The classifier read too little of a long prompt: `otherwise`.
    Truncated,
    /// The classifier gave no scores: `otherwise`.
    Degraded(Degraded),
    /// The classifier's label has no model: `otherwise`. A bundle that was checked cannot cause it.
    UnmappedLabel,
    /// The model first chosen cannot serve the request: the nearest that can.
    Moved(Constraint),
    /// No model of the policy can serve the request: the first choice stays and the upstream is the judge.
    NoModelFits,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleTrace {
    /// The rule's position.
    pub rule: usize,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: RuleOutcome,
}

/// What came of evaluating a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "error", rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It was true, and chose.
    Matched,
    /// It was false.
    NotMatched,
    /// It failed, such as by a division by zero; counts as false.
    Failed(String),
}

/// A model before the constraints.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) model: Name,
    /// The tier, when a label chose it.
    pub(super) rung: Option<usize>,
    pub(super) by: By,
    pub(super) reason: Reason,
    pub(super) label: Option<Arc<str>>,
    pub(super) score: Option<f32>,
    pub(super) flip: Option<Flip>,
}

impl Choice {
    pub(super) fn by_rule(index: usize, model: &Name) -> Self {
        let model = model.clone();
        Self { model, rung: None, by: By::Rule(index), reason: Reason::Rule, label: None, score: None, flip: None }
    }
}

impl Reason {
    /// Iterates over every reason, for the metrics to register up front.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Self::Rule,
            Self::Tier,
            Self::Threshold,
            Self::LowConfidence,
            Self::Truncated,
            Self::UnmappedLabel,
            Self::NoModelFits,
        ]
        .into_iter()
        .chain(Degraded::ALL.map(Self::Degraded))
        .chain(Constraint::ALL.map(Self::Moved))
    }

    /// Returns the stable name used in metrics, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Tier => "tier",
            Self::Threshold => "threshold",
            Self::LowConfidence => "low_confidence",
            Self::Truncated => "truncated",
            Self::Degraded(Degraded::RuntimeMissing) => "classifier_runtime_missing",
            Self::Degraded(Degraded::BundleUnavailable) => "classifier_bundle_unavailable",
            Self::Degraded(Degraded::QueueFull) => "classifier_queue_full",
            Self::Degraded(Degraded::Deadline) => "classifier_deadline",
            Self::Degraded(Degraded::WorkerGone) => "classifier_worker_gone",
            Self::Degraded(Degraded::Inference) => "classifier_inference",
            Self::Degraded(Degraded::NoText) => "classifier_no_text",
            Self::Degraded(Degraded::Poisoned) => "classifier_poisoned",
            Self::UnmappedLabel => "unmapped_label",
            Self::Moved(constraint) => constraint.as_str(),
            Self::NoModelFits => "no_model_fits",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_degraded_reason_is_named_after_its_cause() {
        for degraded in Degraded::ALL {
            assert_eq!(Reason::Degraded(degraded).as_str(), format!("classifier_{}", degraded.as_str()));
        }
    }

    #[test]
    fn reasons_have_names_of_their_own() {
        let names: std::collections::HashSet<_> = Reason::all().map(Reason::as_str).collect();

        assert_eq!(names.len(), Reason::all().count());
    }
}
