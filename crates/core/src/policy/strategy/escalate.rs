//! `escalate`: the cheap model, and the plan by which its answer is checked.

use std::sync::Arc;

use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, KeyPath};
use crate::policy::decision::{EscalationPlan, Reason};
use crate::policy::signals::Signal;

#[derive(Debug)]
pub(super) struct EscalateStrategy {
    plan: Arc<EscalationPlan>,
}

impl EscalateStrategy {
    pub(super) fn new(path: &KeyPath, config: &config::EscalateConfig) -> Self {
        let plan = EscalationPlan { path: path.to_string().into(), config: config.clone() };
        Self { plan: Arc::new(plan) }
    }
}

impl StrategyKind for EscalateStrategy {
    fn pick(&self, _known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let pick = StrategyPick::of("escalate", &self.plan.config.cheap, Reason::Escalate);
        Ok(StrategyPick { rung: Some(0), escalation: Some(Arc::clone(&self.plan)), ..pick })
    }
}
