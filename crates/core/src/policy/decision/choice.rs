//! A choice before the constraints: the model that a rule, a client, a pin or a strategy names.

use std::sync::Arc;

use super::candidate::ModelExpectation;
use super::draw::ModelDraw;
use super::escalation::EscalationPlan;
use super::pin::PinTrace;
use super::reason::Reason;
use super::trace::{DecisionFlip, DecisionMaker, StrategyStage};
use crate::config::Name;

/// A model before the constraints.
#[derive(Debug)]
pub(in crate::policy) struct ModelChoice {
    pub(in crate::policy) model: Name,
    /// The position of the model among the strategy's, from the lowest tier; `None` when no label chose it.
    pub(in crate::policy) rung: Option<usize>,
    pub(in crate::policy) by: DecisionMaker,
    pub(in crate::policy) reason: Reason,
    pub(in crate::policy) label: Option<Arc<str>>,
    pub(in crate::policy) score: Option<f32>,
    pub(in crate::policy) rationale: Option<Arc<str>>,
    pub(in crate::policy) flip: Option<Box<DecisionFlip>>,
    pub(in crate::policy) cost_usd: Option<f64>,
    /// The draw to repeat among fewer models, where chance chose.
    pub(in crate::policy) draw: Option<ModelDraw>,
    pub(in crate::policy) expected: Vec<(Name, ModelExpectation)>,
    pub(in crate::policy) stages: Vec<StrategyStage>,
    pub(in crate::policy) pin: Option<PinTrace>,
    /// The plan by which the model's answer is checked.
    pub(in crate::policy) escalation: Option<Arc<EscalationPlan>>,
    /// The positions of the policy's quotas that stand against their models.
    pub(in crate::policy) used_up: Vec<usize>,
    /// The budget that is used beyond its soft share, where it holds for the choice.
    pub(in crate::policy) tight_budget: Option<Name>,
}

impl ModelChoice {
    pub(in crate::policy) fn plain(by: DecisionMaker, model: &Name, reason: Reason) -> Self {
        Self {
            model: model.clone(),
            rung: None,
            by,
            reason,
            label: None,
            score: None,
            rationale: None,
            flip: None,
            cost_usd: None,
            draw: None,
            expected: Vec::new(),
            stages: Vec::new(),
            pin: None,
            escalation: None,
            used_up: Vec::new(),
            tight_budget: None,
        }
    }

    pub(in crate::policy) fn pinned(self, trace: PinTrace) -> Self {
        Self { pin: Some(trace), ..self }
    }

    /// Keeps `home` in place of what the strategy chose, which becomes one of the stages.
    pub(in crate::policy) fn held_to(self, home: &Name, reason: Reason, trace: PinTrace) -> Self {
        let Self { model, by, label, score, rationale, cost_usd, flip, expected, mut stages, .. } = self;
        let strategy = by.strategy().unwrap_or_default();
        // What its own stages cost is theirs.
        let own_cost = cost_usd.filter(|_| stages.is_empty());
        stages.push(StrategyStage {
            strategy,
            model: Some(model),
            reason: self.reason,
            label: label.clone(),
            score,
            rationale: rationale.clone(),
            cost_usd: own_cost,
            flip,
        });
        let plain = Self::plain(DecisionMaker::Affinity, home, reason);
        Self { label, score, rationale, cost_usd, expected, stages, pin: Some(trace), ..plain }
    }
}
