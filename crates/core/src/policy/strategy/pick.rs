//! The part that all kinds of strategy share: the context of a choice, the pick, and what stands in for an abstention.

use std::fmt;
use std::sync::Arc;

use crate::config::Name;
use crate::features::Features;
use crate::policy::decision::{
    DecisionMaker, EscalationPlan, ModelChoice, ModelDraw, ModelExpectation, Reason, StrategyStage,
};
use crate::policy::estimate::WarmCache;
use crate::policy::facts::{DecisionDetail, RequestFacts};
use crate::policy::flip::{FlipCandidate, FlipOutcome, nearest};
use crate::policy::signals::{KnownSignals, RequestEvidence, Signal};

/// One kind of strategy, ready to choose.
pub(super) trait StrategyKind: fmt::Debug + Send + Sync {
    /// Picks a model or abstains, or names the signal that it needs.
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal>;
}

/// A strategy, ready to choose.
#[derive(Debug)]
pub(in crate::policy) struct Strategy {
    pub(super) kind: Box<dyn StrategyKind>,
    pub(super) otherwise: Option<Name>,
}

/// The context in which a strategy chooses.
#[derive(Clone, Copy)]
pub(in crate::policy) struct ChoiceContext<'k> {
    pub(in crate::policy) policy: &'k Name,
    pub(in crate::policy) facts: &'k RequestFacts<'k>,
    pub(in crate::policy) features: &'k Features,
    pub(in crate::policy) signals: &'k KnownSignals,
    /// The model whose cache holds the beginning of the prompt.
    pub(in crate::policy) warm: Option<WarmCache<'k>>,
}

/// The pick of a strategy: a model or an abstention, and the way to it.
#[derive(Debug)]
pub(super) struct StrategyPick {
    /// The model; `None` when the strategy abstains.
    pub(super) model: Option<Name>,
    pub(super) kind: &'static str,
    pub(super) reason: Reason,
    pub(super) rung: Option<usize>,
    pub(super) label: Option<Arc<str>>,
    pub(super) score: Option<f32>,
    /// A judge's own words for its label.
    pub(super) rationale: Option<Arc<str>>,
    /// The numbers that would have changed the pick; only for an explanation.
    pub(super) flips: Vec<FlipCandidate>,
    /// The cost of asking, of this strategy and the strategies within it.
    pub(super) cost_usd: Option<f64>,
    pub(super) draw: Option<ModelDraw>,
    /// Expectations of the models; only for an explanation.
    pub(super) expected: Vec<(Name, ModelExpectation)>,
    pub(super) stages: Vec<StrategyStage>,
    /// The plan by which the model's answer is checked.
    pub(super) escalation: Option<Arc<EscalationPlan>>,
}

impl Strategy {
    /// Chooses, or names the signal that it needs. `stand_in` serves where the whole strategy abstains.
    pub(in crate::policy) fn choose(&self, known: &ChoiceContext<'_>, stand_in: &Name) -> Result<ModelChoice, Signal> {
        let mut pick = self.pick(known)?;
        pick.serve_abstention(stand_in);
        let StrategyPick {
            model,
            kind,
            reason,
            rung,
            label,
            score,
            rationale,
            cost_usd,
            draw,
            expected,
            stages,
            flips,
            escalation,
        } = pick;
        let flip = nearest(&flips, model.as_ref());
        let model = model.unwrap_or_else(|| stand_in.clone());
        let plain = ModelChoice::plain(DecisionMaker::Strategy(kind), &model, reason);
        Ok(ModelChoice { rung, label, score, rationale, flip, cost_usd, draw, expected, stages, escalation, ..plain })
    }

    /// Picks a model or abstains, or names the signal that it needs.
    pub(super) fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let mut pick = self.kind.pick(known)?;
        if let Some(otherwise) = &self.otherwise {
            pick.serve_abstention(otherwise);
        }
        Ok(pick)
    }
}

impl ChoiceContext<'_> {
    /// Returns the evidence of the request.
    pub(in crate::policy) fn evidence(&self) -> RequestEvidence<'_> {
        RequestEvidence { facts: self.facts, features: self.features, signals: self.signals }
    }

    /// Returns whether the decision is to be explained: what would have changed it, and what models are expected to do.
    pub(in crate::policy) fn is_explained(&self) -> bool {
        self.facts.detail == DecisionDetail::Explanation
    }
}

impl StrategyPick {
    pub(super) fn of(kind: &'static str, model: &Name, reason: Reason) -> Self {
        Self { model: Some(model.clone()), ..Self::abstain(kind, reason) }
    }

    pub(super) fn abstain(kind: &'static str, reason: Reason) -> Self {
        Self {
            model: None,
            kind,
            reason,
            rung: None,
            label: None,
            score: None,
            rationale: None,
            flips: Vec::new(),
            cost_usd: None,
            draw: None,
            expected: Vec::new(),
            stages: Vec::new(),
            escalation: None,
        }
    }

    /// Takes `model` where it abstains, now or beyond a threshold.
    pub(super) fn serve_abstention(&mut self, model: &Name) {
        if !self.flips.is_empty() {
            let by = FlipOutcome::Model(model.clone());
            self.flips.iter_mut().for_each(|flip| flip.follow_abstention(&by));
        }
        if self.model.is_none() {
            self.model = Some(model.clone());
        }
    }

    /// Hands its stages over to a strategy that it stands in, and adds itself if it is not one of them.
    pub(super) fn hand_over(&mut self, stages: &mut Vec<StrategyStage>) {
        let own = self.stages.len();
        let is_told = self.stages.last().is_some_and(|last| last.model == self.model);
        stages.append(&mut self.stages);
        if !is_told {
            // What its own stages cost is theirs.
            stages.push(StrategyStage { cost_usd: self.cost_usd.filter(|_| own == 0), ..self.stage() });
        }
    }

    /// Returns the stage that shows the pick as a part of the strategy that asked.
    pub(super) fn stage(&self) -> StrategyStage {
        StrategyStage {
            strategy: self.kind,
            model: self.model.clone(),
            reason: self.reason,
            label: self.label.clone(),
            score: self.score,
            rationale: self.rationale.clone(),
            cost_usd: self.cost_usd,
            flip: nearest(&self.flips, self.model.as_ref()),
        }
    }
}

/// Returns the outcome of a strategy by what is known already.
pub(super) fn follow(strategy: &Strategy, known: &ChoiceContext<'_>) -> FlipOutcome {
    strategy.pick(known).map_or(FlipOutcome::Unasked, |pick| FlipOutcome::of(pick.model.as_ref()))
}

/// Returns the cost of the strategies within a strategy together.
pub(super) fn cost_of(stages: &[StrategyStage]) -> Option<f64> {
    stages.iter().filter_map(|stage| stage.cost_usd).reduce(|sum, cost| sum + cost)
}
