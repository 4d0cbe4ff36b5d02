//! `utility`: the most expected success, less what cost and latency are worth.
//!
//! With a head for each model's chance to succeed, choosing the largest `success - lambda * cost` traces the best
//! cost-quality curve that these chances allow as lambda goes from 0 up: the Lagrangian of the most success under a budget.

use super::{Known, Pick};
use crate::config::{self, Config, Name, Price};
use crate::policy::decision::{Expected, Flip};
use crate::policy::reason::Reason;
use crate::policy::signals::Signal;
use crate::scores::Scores;

const KIND: &str = "utility";

#[derive(Debug)]
pub(super) struct Utility {
    classifier: Name,
    /// From the weakest up.
    models: Vec<Contender>,
    lambda: f64,
    mu: f64,
    output_tokens: u64,
    max_truncated_tokens: Option<u32>,
}

/// A model, how likely it is to succeed, and its price.
#[derive(Debug)]
struct Contender {
    model: Name,
    success: Source,
    price: Option<Price>,
}

/// Where a chance to succeed comes from.
#[derive(Debug)]
enum Source {
    /// The probability of a head's label; without one where the prompt stands on the head's scale.
    Head(Name, Option<String>),
    Fixed(f64),
}

impl Source {
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
}

impl Utility {
    pub(super) fn new(config: &Config, section: &config::Utility) -> Self {
        let models = section.models.iter().filter_map(|model| {
            let price = config.models.get(model).and_then(|model| model.price);
            let own = section.success.get(model);
            let success = match own.and_then(|own| own.chance) {
                Some(chance) => Source::Fixed(chance.get()),
                None => Source::Head(section.head_of(model)?, own.and_then(|own| own.label.clone())),
            };
            Some(Contender { model: model.clone(), success, price })
        });
        Self {
            classifier: section.classifier.clone(),
            models: models.collect(),
            lambda: section.lambda,
            mu: section.mu,
            output_tokens: section.output_tokens,
            max_truncated_tokens: section.max_truncated_tokens,
        }
    }

    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        let scores = match known.signals.scores_or_ask(&self.classifier)? {
            Ok(scores) => scores,
            Err(degraded) => return Ok(Pick::abstain(KIND, Reason::Degraded(degraded))),
        };
        if let Some(none) = Pick::unless_read(KIND, scores, self.max_truncated_tokens) {
            return Ok(none);
        }
        let expected: Vec<_> = self.models.iter().filter_map(|model| self.expect(model, scores, known)).collect();
        let worth = |index: &usize| expected[*index].1.utility;
        // Of equals the first: the weakest is the cheapest as a rule.
        let best = (0..expected.len()).rev().max_by(|a, b| worth(a).total_cmp(&worth(b)));
        let Some(best) = best else { return Ok(Pick::abstain(KIND, Reason::UnmappedLabel)) };
        let (model, Expected { success, .. }) = &expected[best];
        let rung = self.models.iter().position(|own| own.model == *model);
        #[expect(clippy::cast_possible_truncation, reason = "it came out of f32")]
        let score = Some(*success as f32);
        let flip = self.flip(&expected, best);
        Ok(Pick { rung, score, flip, ..Pick::of(KIND, model, Reason::Utility) }.expecting(expected))
    }

    fn expect(
        &self,
        Contender { model, success, price }: &Contender,
        scores: &Scores,
        known: &Known<'_>,
    ) -> Option<(Name, Expected)> {
        let (features, live) = (known.features, known.facts.live);
        let success = success.chance(scores).filter(|success| success.is_finite())?;
        let seen = live.output_tokens(model).filter(|tokens| tokens.is_finite() && *tokens >= 0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above, saturates")]
        let usual = seen.map_or(self.output_tokens, |tokens| tokens as u64);
        let most = features.request.max_output_tokens;
        let output = if most > 0 { usual.min(most) } else { usual };
        let cost_usd = price.map(|price| {
            let tokens = features.tokens().tokens;
            let cached = known.warm.map_or(0, |warm| warm.tokens_of(model, tokens));
            price.of(tokens - cached, cached, output)
        });
        let first_byte_seconds = live.first_byte(model);
        let costs = self.lambda * cost_usd.unwrap_or_default() + self.mu * first_byte_seconds.unwrap_or_default();
        Some((model.clone(), Expected { success, cost_usd, first_byte_seconds, utility: success - costs }))
    }

    /// Returns the lambda nearest to ours at which another model would have been better than the best.
    fn flip(&self, expected: &[(Name, Expected)], best: usize) -> Option<Flip> {
        let (_, best) = &expected[best];
        let at = |other: &Expected| {
            // Where the two lines over lambda cross.
            let rest = |one: &Expected| one.utility + self.lambda * one.cost_usd.unwrap_or_default();
            let costs = other.cost_usd? - best.cost_usd?;
            let lambda = (rest(other) - rest(best)) / costs;
            Some(lambda).filter(|lambda| lambda.is_finite() && *lambda >= 0.0)
        };
        let crossings = expected.iter().filter_map(|(model, other)| Some((at(other)?, model)));
        let nearest = crossings.min_by(|a, b| (a.0 - self.lambda).abs().total_cmp(&(b.0 - self.lambda).abs()));
        nearest.map(|(lambda, model)| Flip { of: "lambda", threshold: lambda, model: model.clone() })
    }
}

impl Pick {
    fn expecting(self, expected: Vec<(Name, Expected)>) -> Self {
        Self { expected, ..self }
    }
}
