//! The target that a policy's threshold is moved for, and the observations of it that decisions are.

use super::decision::{Decision, DecisionMaker, Reason};
use crate::config::{self, Name, TargetQuantity};

/// A policy's target, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlTarget {
    /// The quantity that is held.
    pub aim: TargetQuantity,
    /// The classifier whose scores the threshold is for.
    pub classifier: Name,
    /// The head whose score it is.
    pub head: Name,
    /// The threshold of the configuration.
    pub start: f64,
    /// The least and the greatest threshold.
    pub bounds: [f64; 2],
    /// The drift of the scores beyond which the threshold stays where it is.
    pub max_drift: f64,
    /// The models below and above the threshold.
    pub models: [Name; 2],
    strong: Vec<Name>,
}

/// The observation of one decision that a target's loop learns from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetObservation {
    /// The score that was compared with the threshold; `None` when something else decided.
    pub score: Option<f64>,
    /// Tells whether a strong model was chosen.
    pub is_strong: bool,
}

impl ControlTarget {
    /// Compiles the target of a policy; `None` when it has none, or one that validation refuses.
    pub(super) fn new(policy: &config::PolicyConfig) -> Option<Self> {
        let (target, thresholds) = (policy.target.as_ref()?, policy.strategy.thresholds());
        let [threshold] = thresholds.as_slice() else { return None };
        let rungs = threshold.rungs();
        let [.., below, top] = rungs.as_slice() else { return None };
        let strong = if target.strong.is_empty() { vec![top.model.clone()] } else { target.strong.clone() };
        let least = target.min.map_or(below.at_least.get(), config::Ratio::get);
        Some(Self {
            aim: target.aim()?,
            classifier: threshold.classifier.clone(),
            head: threshold.head.clone(),
            start: top.at_least.get(),
            bounds: [least, target.max.map_or(1.0, config::Ratio::get).max(least)],
            max_drift: target.max_drift,
            models: [below.model.clone(), top.model.clone()],
            strong,
        })
    }

    pub(super) fn is_strong(&self, model: &Name) -> bool {
        self.strong.contains(model)
    }

    /// Returns the observation of `decision`; `None` when the policy was not asked.
    #[must_use]
    pub fn observe(&self, decision: &Decision) -> Option<TargetObservation> {
        if decision.by == DecisionMaker::Default {
            return None;
        }
        let by_threshold = decision.by.strategy() == Some("threshold") && decision.reason == Reason::Threshold;
        let score = decision.score.map(f64::from).filter(|score| by_threshold && score.is_finite());
        Some(TargetObservation { score, is_strong: self.strong.contains(&decision.model) })
    }
}
