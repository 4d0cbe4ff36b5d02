//! `bandit`: the model that feedback speaks for, by Thompson sampling, less what its cost is worth.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Beta, Distribution as _};

use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, Config, Name};
use crate::features::TokenizerFamily;
use crate::policy::bandit::{AnswerCounts, BanditBelief};
use crate::policy::decision::{ModelExpectation, Reason};
use crate::policy::estimate::{CostEstimate, ModelRate};
use crate::policy::signals::Signal;
use crate::scores::Scores;

const KIND: &str = "bandit";

/// The label of every prompt where no classifier tells prompts apart, and of warm rates for labels that are not named.
const ANY: &str = "*";

#[derive(Debug)]
pub(super) struct BanditStrategy {
    classifier: Option<Name>,
    head: Name,
    arms: Vec<BanditArm>,
    lambda: f64,
    explore: f64,
    warm_weight: f64,
    output_tokens: u64,
}

/// A model, what it costs, and how good it is thought to be before any reward.
#[derive(Debug)]
struct BanditArm {
    model: Name,
    rate: Option<ModelRate>,
    success_head: Option<Name>,
    /// The chance of a good answer by label.
    rates: BTreeMap<String, f64>,
}

/// The outlook of one model for one request.
struct ArmOutlook {
    arm: usize,
    counts: AnswerCounts,
    drawn: f64,
    cost_usd: Option<f64>,
    output_tokens: u64,
    worth: f64,
}

impl BanditStrategy {
    pub(super) fn new(config: &Config, section: &config::BanditConfig) -> Self {
        let arm = |model: &Name| {
            let entry = config.models.get(model);
            let rate = entry.and_then(|entry| {
                let tokenizer = TokenizerFamily::of(entry.tokenizer_name(), entry.upstream_name(model));
                Some(ModelRate { price: entry.price?, tokenizer })
            });
            let rates = section.warm.rates.iter();
            let rates = rates.filter_map(|(label, rates)| Some((label.clone(), rates.get(model)?.get())));
            BanditArm { model: model.clone(), rate, success_head: section.success_head(model), rates: rates.collect() }
        };
        Self {
            classifier: section.classifier.clone(),
            head: section.head.clone(),
            arms: section.models.iter().map(arm).collect(),
            lambda: section.lambda,
            explore: section.explore.get(),
            warm_weight: section.warm.weight,
            output_tokens: section.output_tokens,
        }
    }
}

impl StrategyKind for BanditStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let Some(classifier) = &self.classifier else { return Ok(self.drawn(None, known)) };
        Ok(match known.signals.scores_or_ask(classifier)? {
            Ok(scores) => self.drawn(Some(scores), known),
            Err(degraded) => StrategyPick::abstain(KIND, Reason::Degraded(degraded)),
        })
    }
}

impl BanditStrategy {
    fn drawn(&self, scores: Option<&Scores>, known: &ChoiceContext<'_>) -> StrategyPick {
        let decided = scores.and_then(|scores| scores.head(&self.head)?.decided());
        let label = decided.map(|(label, _)| Arc::clone(label));
        let score = decided.map(|(_, score)| score);
        let mut chance = SmallRng::seed_from_u64(known.facts.live.draw().to_bits());
        let belief = known.facts.live.bandit(known.policy);
        let all = self.outlooks(
            PromptEvidence { scores, label: label.as_deref(), belief: belief.as_deref() },
            known,
            &mut chance,
        );
        let explores = chance.random_bool(self.explore);
        let best = if explores {
            all.get(chance.random_range(0..all.len().max(1)))
        } else {
            // Of equals the first: the weakest is the cheapest as a rule.
            all.iter().rev().max_by(|a, b| a.worth.total_cmp(&b.worth))
        };
        let Some(best) = best else { return StrategyPick::abstain(KIND, Reason::UnmappedLabel) };
        let reason = if explores { Reason::Exploration } else { Reason::Bandit };
        let pick = StrategyPick::of(KIND, &self.arms[best.arm].model, reason);
        let pick = StrategyPick { rung: Some(best.arm), label, score, ..pick };
        if !known.is_explained() {
            return pick;
        }
        let expected = all.iter().map(|one| (self.arms[one.arm].model.clone(), one.expected()));
        StrategyPick { expected: expected.collect(), ..pick }
    }

    fn outlooks(
        &self,
        prompted: PromptEvidence<'_>,
        known: &ChoiceContext<'_>,
        chance: &mut SmallRng,
    ) -> Vec<ArmOutlook> {
        let estimate = CostEstimate { features: known.features, live: known.facts.live, warm: known.warm };
        let outlook = |(arm, own): (usize, &BanditArm)| {
            let counts = self.warm(own, &prompted).with(prompted.counts(arm));
            let (good, bad) = counts.shape();
            // Both parameters are at least 1.
            let drawn = Beta::new(good, bad).map_or(0.5, |beta| beta.sample(chance));
            let output_tokens = estimate.output_tokens(&own.model, self.output_tokens);
            let cost_usd = own.rate.map(|rate| estimate.cost(&own.model, rate, output_tokens));
            let worth = drawn - self.lambda * cost_usd.unwrap_or_default();
            ArmOutlook { arm, counts, drawn, cost_usd, output_tokens, worth }
        };
        self.arms.iter().enumerate().map(outlook).collect()
    }

    /// Returns what is thought of a model before any reward, as counts of so many answers as that weighs.
    fn warm(&self, arm: &BanditArm, prompted: &PromptEvidence<'_>) -> AnswerCounts {
        let by_head = || {
            let level = prompted.scores?.head(arm.success_head.as_ref()?)?.level()?;
            level.is_finite().then_some(level.clamp(0.0, 1.0))
        };
        let by_rate = || arm.rates.get(prompted.label.unwrap_or(ANY)).or_else(|| arm.rates.get(ANY)).copied();
        by_head().or_else(by_rate).map_or_else(AnswerCounts::default, |chance| AnswerCounts {
            good: self.warm_weight * chance,
            bad: self.warm_weight * (1.0 - chance),
        })
    }
}

/// What is known of a prompt, and what is believed of the models.
#[derive(Clone, Copy)]
struct PromptEvidence<'p> {
    scores: Option<&'p Scores>,
    label: Option<&'p str>,
    belief: Option<&'p BanditBelief>,
}

impl PromptEvidence<'_> {
    fn counts(&self, arm: usize) -> AnswerCounts {
        self.belief.map_or_else(AnswerCounts::default, |belief| belief.counts(self.label.unwrap_or_default(), arm))
    }
}

impl ArmOutlook {
    fn expected(&self) -> ModelExpectation {
        let (mean, deviation) = self.counts.chance();
        let words = format!(
            "chance of a good answer by {:.0} answers, give or take {deviation:.2}; drawn: {:.3}",
            self.counts.weight(),
            self.drawn
        );
        ModelExpectation {
            success: Some(mean),
            success_is: Some(words),
            cost_usd: self.cost_usd,
            output_tokens: self.cost_usd.map(|_| self.output_tokens),
            first_byte_seconds: None,
            utility: Some(self.worth),
        }
    }
}
