//! How a model is chosen when no rule did: one file for each kind of strategy.
//!
//! A strategy picks a model or abstains; what it must know first it asks for. Strategies may stand within each other:
//! where one abstains, its own `otherwise` serves, else what it stands in decides.

mod cascade;
mod doubt;
mod hierarchy;
mod judge;
mod problems;
mod similarity;
mod split;
mod threshold;
mod tiers;
mod utility;

use std::sync::Arc;

use self::cascade::Cascade;
use self::doubt::ScoreLimits;
use self::hierarchy::Hierarchy;
use self::judge::Judge;
pub(super) use self::problems::problems;
use self::similarity::Similarity;
pub(super) use self::split::place;
use self::split::{Random, Split};
use self::threshold::Threshold;
use self::tiers::Tiers;
use self::utility::Utility;
use super::affinity::Warm;
use super::decision::{By, Choice, Expected, Stage};
use super::draw::Draw;
use super::facts::{Detail, RequestFacts};
use super::lever::{Beyond, Lever, nearest};
use super::reason::Reason;
use super::signals::{Signal, Signals};
use crate::config::{self, Config, KeyPath, Name};
use crate::features::Features;

/// A strategy, ready to choose.
#[derive(Debug)]
pub(super) struct Strategy {
    form: Form,
    otherwise: Option<Name>,
}

#[derive(Debug)]
enum Form {
    Tiers(Tiers),
    Threshold(Threshold),
    Utility(Utility),
    Similarity(Similarity),
    Judge(Judge),
    Split(Split),
    Random(Random),
    Cascade(Cascade),
    Hierarchy(Hierarchy),
}

/// What a strategy chooses by.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) policy: &'k Name,
    pub(super) facts: &'k RequestFacts<'k>,
    pub(super) features: &'k Features,
    pub(super) signals: &'k Signals,
    /// Whose cache holds the beginning of the prompt.
    pub(super) warm: Option<Warm<'k>>,
}

/// What a strategy came to.
#[derive(Debug)]
pub(super) struct Pick {
    /// `None` when it abstains.
    model: Option<Name>,
    kind: &'static str,
    reason: Reason,
    rung: Option<usize>,
    label: Option<Arc<str>>,
    score: Option<f32>,
    /// Why, in a judge's words.
    rationale: Option<Arc<str>>,
    /// What would have changed it; only for an explanation.
    levers: Vec<Lever>,
    /// What was paid to ask, by it and the strategies within it.
    cost_usd: Option<f64>,
    draw: Option<Draw>,
    /// Only for an explanation.
    expected: Vec<(Name, Expected)>,
    stages: Vec<Stage>,
}

impl Strategy {
    /// Compiles the strategy that stands at `path` in a policy.
    pub(super) fn new(config: &Config, policy: &Name, path: &KeyPath, section: &config::Strategy) -> Self {
        let nested = |path: &KeyPath, section: &config::Strategy| Self::new(config, policy, path, section);
        let form = match section {
            config::Strategy::Tiers(tiers) => Form::Tiers(Tiers::new(tiers)),
            config::Strategy::Threshold(threshold) => Form::Threshold(Threshold::new(threshold)),
            config::Strategy::Utility(utility) => Form::Utility(Utility::new(config, utility)),
            config::Strategy::Similarity(similarity) => Form::Similarity(Similarity::new(path, similarity)),
            config::Strategy::Judge(judge) => Form::Judge(Judge::new(path, judge)),
            config::Strategy::Split(split) => Form::Split(Split::new(policy, split)),
            config::Strategy::Random(random) => Form::Random(Random::new(random)),
            config::Strategy::Cascade(stages) => Form::Cascade(Cascade::new(path, stages, nested)),
            config::Strategy::Hierarchy(hierarchy) => Form::Hierarchy(Hierarchy::new(path, hierarchy, nested)),
        };
        Self { form, otherwise: section.otherwise().cloned() }
    }

    /// Chooses, or names the signal that it needs. `stand_in` serves where the whole strategy abstains.
    pub(super) fn choose(&self, known: &Known<'_>, stand_in: &Name) -> Result<Choice, Signal> {
        let mut pick = self.pick(known)?;
        pick.serve_abstention(stand_in);
        let Pick { model, kind, reason, rung, label, score, rationale, cost_usd, draw, expected, stages, levers } =
            pick;
        let flip = nearest(&levers, model.as_ref());
        let model = model.unwrap_or_else(|| stand_in.clone());
        let plain = Choice::plain(By::Strategy(kind), &model, reason);
        Ok(Choice { rung, label, score, rationale, flip, cost_usd, draw, expected, stages, ..plain })
    }

    /// Picks a model or abstains, or names the signal that it needs.
    fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        let mut pick = match &self.form {
            Form::Tiers(tiers) => tiers.pick(known),
            Form::Threshold(threshold) => threshold.pick(known),
            Form::Utility(utility) => utility.pick(known),
            Form::Similarity(similarity) => similarity.pick(known),
            Form::Judge(judge) => judge.pick(known),
            Form::Split(split) => Ok(split.pick(known)),
            Form::Random(random) => Ok(random.pick(known)),
            Form::Cascade(cascade) => cascade.pick(known),
            Form::Hierarchy(hierarchy) => hierarchy.pick(known),
        }?;
        if let Some(otherwise) = &self.otherwise {
            pick.serve_abstention(otherwise);
        }
        Ok(pick)
    }
}

impl Known<'_> {
    /// Returns whether it is worked out what would have changed the choice, and what models are expected to do.
    fn is_explained(&self) -> bool {
        self.facts.detail == Detail::Explanation
    }
}

/// Returns what a strategy comes to by what is known already.
fn follow(strategy: &Strategy, known: &Known<'_>) -> Beyond {
    strategy.pick(known).map_or(Beyond::Unasked, |pick| Beyond::of(pick.model.as_ref()))
}

/// Returns what the strategies within a strategy cost together.
fn cost_of(stages: &[Stage]) -> Option<f64> {
    stages.iter().filter_map(|stage| stage.cost_usd).reduce(|sum, cost| sum + cost)
}

impl Pick {
    fn of(kind: &'static str, model: &Name, reason: Reason) -> Self {
        Self { model: Some(model.clone()), ..Self::abstain(kind, reason) }
    }

    fn abstain(kind: &'static str, reason: Reason) -> Self {
        Self {
            model: None,
            kind,
            reason,
            rung: None,
            label: None,
            score: None,
            rationale: None,
            levers: Vec::new(),
            cost_usd: None,
            draw: None,
            expected: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// Takes `model` where it abstains, now or beyond a threshold.
    fn serve_abstention(&mut self, model: &Name) {
        if !self.levers.is_empty() {
            let by = Beyond::Model(model.clone());
            self.levers.iter_mut().for_each(|lever| lever.follow_abstention(&by));
        }
        if self.model.is_none() {
            self.model = Some(model.clone());
        }
    }

    /// Hands its stages over to a strategy that it stands in, and adds itself if it is not one of them.
    fn hand_over(&mut self, stages: &mut Vec<Stage>) {
        let own = self.stages.len();
        let is_told = self.stages.last().is_some_and(|last| last.model == self.model);
        stages.append(&mut self.stages);
        if !is_told {
            // What its own stages cost is theirs.
            stages.push(Stage { cost_usd: self.cost_usd.filter(|_| own == 0), ..self.stage() });
        }
    }

    /// Returns how it is shown as a part of the strategy that asked it.
    fn stage(&self) -> Stage {
        Stage {
            strategy: self.kind,
            model: self.model.clone(),
            reason: self.reason,
            label: self.label.clone(),
            score: self.score,
            rationale: self.rationale.clone(),
            cost_usd: self.cost_usd,
            flip: nearest(&self.levers, self.model.as_ref()),
        }
    }
}
