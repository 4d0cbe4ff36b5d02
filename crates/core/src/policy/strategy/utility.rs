//! `utility`: the most expected success, less what cost and latency are worth.
//!
//! With a head for each model's chance to succeed, choosing the largest `success - lambda * cost` traces the best
//! cost-quality curve that these chances allow as lambda goes from 0 up: the Lagrangian of the most success under a
//! budget.

use super::doubt::ScoreLimits;
use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, Config, Name};
use crate::features::TokenizerFamily;
use crate::policy::decision::{ModelExpectation, Reason};
use crate::policy::estimate::{CostEstimate, ModelRate};
use crate::policy::flip::{FlipCandidate, FlipOutcome};
use crate::policy::signals::Signal;
use crate::scores::Scores;

const KIND: &str = "utility";

#[derive(Debug)]
pub(super) struct UtilityStrategy {
    classifier: Name,
    /// From the weakest up.
    models: Vec<UtilityModel>,
    lambda: f64,
    mu: f64,
    output_tokens: u64,
    limits: ScoreLimits,
}

/// A model, how likely it is to succeed, and what it costs.
#[derive(Debug)]
struct UtilityModel {
    model: Name,
    success: ChanceSource,
    rate: Option<ModelRate>,
}

/// The outlook of one model for one request: its success, its cost, its utility.
#[derive(Clone, Copy)]
struct ModelOutlook<'u> {
    contender: &'u UtilityModel,
    success: f64,
    cost_usd: Option<f64>,
    output_tokens: u64,
    first_byte_seconds: Option<f64>,
    utility: f64,
}

/// The source of a model's chance to succeed.
#[derive(Debug)]
enum ChanceSource {
    /// The probability of a head's label; without one where the prompt stands on the head's scale.
    Head(Name, Option<String>),
    Fixed(f64),
}

impl ChanceSource {
    fn chance(&self, scores: &Scores) -> Option<f64> {
        match self {
            Self::Fixed(chance) => Some(*chance),
            Self::Head(head, None) => scores.head(head)?.level(),
            Self::Head(head, Some(label)) => {
                let head = scores.head(head)?;
                let index = head.labels.iter().position(|own| **own == **label)?;
                head.probabilities.get(index).copied().map(f64::from)
            }
        }
    }

    /// Says what the chance is.
    fn in_words(&self, scores: &Scores) -> String {
        match self {
            Self::Fixed(_) => "chance of a right answer, as configured".to_owned(),
            Self::Head(head, Some(label)) => ModelExpectation::words(&[label], head),
            Self::Head(head, None) => match scores.head(head).map(|scores| &*scores.labels) {
                Some([_, high]) => ModelExpectation::words(&[high], head),
                _ => format!("place on the scale of the head `{head}`"),
            },
        }
    }
}

impl UtilityStrategy {
    pub(super) fn new(config: &Config, section: &config::UtilityConfig) -> Self {
        let models = section.models.iter().filter_map(|model| {
            let entry = config.models.get(model);
            let rate = entry.and_then(|entry| {
                let tokenizer = TokenizerFamily::of(entry.tokenizer_name(), entry.upstream_name(model));
                Some(ModelRate { price: entry.price?, tokenizer })
            });
            let own = section.success.get(model);
            let success = match own.and_then(|own| own.chance) {
                Some(chance) => ChanceSource::Fixed(chance.get()),
                None => ChanceSource::Head(section.head_of(model)?, own.and_then(|own| own.label.clone())),
            };
            Some(UtilityModel { model: model.clone(), success, rate })
        });
        Self {
            classifier: section.classifier.clone(),
            models: models.collect(),
            lambda: section.lambda,
            mu: section.mu,
            output_tokens: section.output_tokens,
            limits: ScoreLimits { max_truncated_tokens: section.max_truncated_tokens, unfamiliar: section.unfamiliar },
        }
    }
}

impl StrategyKind for UtilityStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let scores = match known.signals.scores_or_ask(&self.classifier)? {
            Ok(scores) => scores,
            Err(degraded) => return Ok(StrategyPick::abstain(KIND, Reason::Degraded(degraded))),
        };
        Ok(match self.limits.doubt(scores) {
            Some(doubt) => doubt.abstain(KIND, known, || self.by_worth(scores, known)),
            None => self.by_worth(scores, known),
        })
    }
}

impl UtilityStrategy {
    fn by_worth(&self, scores: &Scores, known: &ChoiceContext<'_>) -> StrategyPick {
        let all: Vec<_> = self.models.iter().filter_map(|model| self.outlook(model, scores, known)).collect();
        // Of equals the first: the weakest is the cheapest as a rule.
        let best = all.iter().rev().max_by(|a, b| a.utility.total_cmp(&b.utility));
        let Some(best) = best else { return StrategyPick::abstain(KIND, Reason::UnmappedLabel) };
        let model = &best.contender.model;
        let rung = self.models.iter().position(|own| own.model == *model);
        #[expect(clippy::cast_possible_truncation, reason = "it came out of f32")]
        let score = Some(best.success as f32);
        let pick = StrategyPick { rung, score, ..StrategyPick::of(KIND, model, Reason::Utility) };
        if !known.is_explained() {
            return pick;
        }
        let expected = all.iter().map(|one| (one.contender.model.clone(), one.expected(scores)));
        StrategyPick { flips: self.flips(&all, best), expected: expected.collect(), ..pick }
    }

    fn outlook<'u>(
        &self,
        contender: &'u UtilityModel,
        scores: &Scores,
        known: &ChoiceContext<'_>,
    ) -> Option<ModelOutlook<'u>> {
        let UtilityModel { model, success, rate } = contender;
        let success = success.chance(scores).filter(|success| success.is_finite())?;
        let estimate = CostEstimate { features: known.features, live: known.facts.live, warm: known.warm };
        let output_tokens = estimate.output_tokens(model, self.output_tokens);
        let cost_usd = rate.map(|rate| estimate.cost(model, rate, output_tokens));
        let first_byte_seconds = known.facts.live.first_byte(model);
        let costs = self.lambda * cost_usd.unwrap_or_default() + self.mu * first_byte_seconds.unwrap_or_default();
        let utility = success - costs;
        Some(ModelOutlook { contender, success, cost_usd, output_tokens, first_byte_seconds, utility })
    }

    /// Returns at which lambdas other models would have been better than the best; where none would, how likely they
    /// would have to succeed.
    fn flips(&self, all: &[ModelOutlook<'_>], best: &ModelOutlook<'_>) -> Vec<FlipCandidate> {
        let others = || all.iter().filter(|other| other.contender.model != best.contender.model);
        let flip = |of, other: &ModelOutlook<'_>, value, threshold| FlipCandidate {
            of,
            label: None,
            value,
            threshold,
            beyond: FlipOutcome::Model(other.contender.model.clone()),
        };
        let crossings = others().filter_map(|other| Some(flip("lambda", other, self.lambda, self.meet(other, best)?)));
        let crossings: Vec<_> = crossings.collect();
        if !crossings.is_empty() {
            return crossings;
        }
        let enough = |other: &ModelOutlook<'_>| other.success + best.utility - other.utility;
        let likelier = others().map(|other| FlipCandidate {
            label: Some(other.contender.model.as_str().into()),
            ..flip("success", other, other.success, enough(other))
        });
        likelier.filter(|flip| flip.threshold <= 1.0).collect() // nothing is more than certain
    }

    /// Returns the lambda at which two models are worth the same: where their lines over lambda cross.
    fn meet(&self, other: &ModelOutlook<'_>, best: &ModelOutlook<'_>) -> Option<f64> {
        let rest = |one: &ModelOutlook<'_>| one.utility + self.lambda * one.cost_usd.unwrap_or_default();
        let lambda = (rest(other) - rest(best)) / (other.cost_usd? - best.cost_usd?);
        Some(lambda).filter(|lambda| lambda.is_finite() && *lambda >= 0.0)
    }
}

impl ModelOutlook<'_> {
    fn expected(&self, scores: &Scores) -> ModelExpectation {
        ModelExpectation {
            success: Some(self.success),
            success_is: Some(self.contender.success.in_words(scores)),
            cost_usd: self.cost_usd,
            output_tokens: self.cost_usd.map(|_| self.output_tokens),
            first_byte_seconds: self.first_byte_seconds,
            utility: Some(self.utility),
        }
    }
}
