//! The part that all kinds of strategy share: the context of a choice, the pick, and what stands in for an abstention.

use std::fmt;
use std::sync::Arc;

use crate::config::Name;
use crate::features::Features;
use crate::policy::decision::{By, Choice, Draw, Expected, Reason, Stage};
use crate::policy::estimate::Warm;
use crate::policy::facts::{Detail, RequestFacts};
use crate::policy::flip::{Beyond, Lever, nearest};
use crate::policy::signals::{RequestEvidence, Signal, Signals};

/// One kind of strategy, ready to choose.
pub(super) trait StrategyKind: fmt::Debug + Send + Sync {
    /// Picks a model or abstains, or names the signal that it needs.
    fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal>;
}

/// A strategy, ready to choose.
#[derive(Debug)]
pub(in crate::policy) struct Strategy {
    pub(super) kind: Box<dyn StrategyKind>,
    pub(super) otherwise: Option<Name>,
}

/// The context in which a strategy chooses.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Known<'k> {
    pub(in crate::policy) policy: &'k Name,
    pub(in crate::policy) facts: &'k RequestFacts<'k>,
    pub(in crate::policy) features: &'k Features,
    pub(in crate::policy) signals: &'k Signals,
    /// The model whose cache holds the beginning of the prompt.
    pub(in crate::policy) warm: Option<Warm<'k>>,
}

/// The pick of a strategy: a model or an abstention, and the way to it.
#[derive(Debug)]
pub(super) struct Pick {
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
    pub(super) flips: Vec<Lever>,
    /// The cost of asking, of this strategy and the strategies within it.
    pub(super) cost_usd: Option<f64>,
    pub(super) draw: Option<Draw>,
    /// Expectations of the models; only for an explanation.
    pub(super) expected: Vec<(Name, Expected)>,
    pub(super) stages: Vec<Stage>,
}

impl Strategy {
    /// Chooses, or names the signal that it needs. `stand_in` serves where the whole strategy abstains.
    pub(in crate::policy) fn choose(&self, known: &Known<'_>, stand_in: &Name) -> Result<Choice, Signal> {
        let mut pick = self.pick(known)?;
        pick.serve_abstention(stand_in);
        let Pick { model, kind, reason, rung, label, score, rationale, cost_usd, draw, expected, stages, flips } = pick;
        let flip = nearest(&flips, model.as_ref());
        let model = model.unwrap_or_else(|| stand_in.clone());
        let plain = Choice::plain(By::Strategy(kind), &model, reason);
        Ok(Choice { rung, label, score, rationale, flip, cost_usd, draw, expected, stages, ..plain })
    }

    /// Picks a model or abstains, or names the signal that it needs.
    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        let mut pick = self.kind.pick(known)?;
        if let Some(otherwise) = &self.otherwise {
            pick.serve_abstention(otherwise);
        }
        Ok(pick)
    }
}

impl Known<'_> {
    /// Returns the evidence of the request.
    pub(in crate::policy) fn evidence(&self) -> RequestEvidence<'_> {
        RequestEvidence { facts: self.facts, features: self.features, signals: self.signals }
    }

    /// Returns whether the decision is to be explained: what would have changed it, and what models are expected to do.
    pub(in crate::policy) fn is_explained(&self) -> bool {
        self.facts.detail == Detail::Explanation
    }
}

impl Pick {
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
        }
    }

    /// Takes `model` where it abstains, now or beyond a threshold.
    pub(super) fn serve_abstention(&mut self, model: &Name) {
        if !self.flips.is_empty() {
            let by = Beyond::Model(model.clone());
            self.flips.iter_mut().for_each(|flip| flip.follow_abstention(&by));
        }
        if self.model.is_none() {
            self.model = Some(model.clone());
        }
    }

    /// Hands its stages over to a strategy that it stands in, and adds itself if it is not one of them.
    pub(super) fn hand_over(&mut self, stages: &mut Vec<Stage>) {
        let own = self.stages.len();
        let is_told = self.stages.last().is_some_and(|last| last.model == self.model);
        stages.append(&mut self.stages);
        if !is_told {
            // What its own stages cost is theirs.
            stages.push(Stage { cost_usd: self.cost_usd.filter(|_| own == 0), ..self.stage() });
        }
    }

    /// Returns the stage that shows the pick as a part of the strategy that asked.
    pub(super) fn stage(&self) -> Stage {
        Stage {
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
pub(super) fn follow(strategy: &Strategy, known: &Known<'_>) -> Beyond {
    strategy.pick(known).map_or(Beyond::Unasked, |pick| Beyond::of(pick.model.as_ref()))
}

/// Returns the cost of the strategies within a strategy together.
pub(super) fn cost_of(stages: &[Stage]) -> Option<f64> {
    stages.iter().filter_map(|stage| stage.cost_usd).reduce(|sum, cost| sum + cost)
}
