//! What a policy's threshold is moved for, and what a decision says about it.

use super::decision::{By, Decision};
use super::reason::Reason;
use crate::config::{self, Aim, Name};

/// A policy's target, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// What is held.
    pub aim: Aim,
    /// The classifier whose scores the threshold is for.
    pub classifier: Name,
    /// The head whose score it is.
    pub head: Name,
    /// Where the threshold stands in the configuration.
    pub start: f64,
    /// Where it may stand.
    pub bounds: [f64; 2],
    /// The drift of the scores beyond which it stays where it is.
    pub max_drift: f64,
    /// The models below and above it.
    pub models: [Name; 2],
    strong: Vec<Name>,
}

/// What one decision says about the share of the strong models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// What the threshold was compared with; `None` when something else decided.
    pub score: Option<f64>,
    /// Whether a strong model was chosen.
    pub is_strong: bool,
}

impl Target {
    /// Compiles the target of a policy; `None` when it has none, or one that validation refuses.
    pub(super) fn new(policy: &config::Policy) -> Option<Self> {
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

    /// Returns what `decision` says; `None` when the policy was not asked.
    #[must_use]
    pub fn observe(&self, decision: &Decision) -> Option<Observation> {
        if decision.by == By::Default {
            return None;
        }
        let by_threshold = decision.by.strategy() == Some("threshold") && decision.reason == Reason::Threshold;
        let score = decision.score.map(f64::from).filter(|score| by_threshold && score.is_finite());
        Some(Observation { score, is_strong: self.strong.contains(&decision.model) })
    }
}
