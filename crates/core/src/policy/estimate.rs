//! The estimate of a request's cost with a model, before anybody has answered it.

use super::decision::{Candidate, ModelExpectation};
use super::facts::PolicyWorld;
use crate::config::{Name, TokenPrice};
use crate::features::{Features, TokenizerFamily};

/// The length of an answer that is assumed where no answers were seen yet, in tokens.
pub(super) const USUAL_OUTPUT: u64 = 400;

/// The prices of a model, and the tokenizer by which it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModelRate {
    pub(super) price: TokenPrice,
    pub(super) tokenizer: TokenizerFamily,
}

/// A model that has the beginning of a prompt in its cache.
#[derive(Clone, Copy)]
pub(super) struct WarmCache<'k> {
    pub(super) model: &'k Name,
    /// The part of the prompt that is in the cache, 0 to 1.
    pub(super) share: f64,
}

/// The estimate of a request's cost, before a model has answered it.
#[derive(Clone, Copy)]
pub(super) struct CostEstimate<'e> {
    pub(super) features: &'e Features,
    pub(super) live: &'e dyn PolicyWorld,
    /// The model whose cache holds the beginning of the prompt.
    pub(super) warm: Option<WarmCache<'e>>,
}

impl WarmCache<'_> {
    /// Returns how many of a prompt's `tokens` are in the cache of `model`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count below 2^52"
    )]
    pub(super) fn tokens_of(&self, model: &Name, tokens: u64) -> u64 {
        if self.model == model { (tokens as f64 * self.share) as u64 } else { 0 }
    }
}

impl CostEstimate<'_> {
    /// Returns how long an answer of `model` is likely to be, in tokens: as lately, or `usual`, and no longer than was
    /// asked for.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a count, saturates")]
    pub(super) fn output_tokens(&self, model: &Name, usual: u64) -> u64 {
        let seen = self.live.output_tokens(model).filter(|tokens| tokens.is_finite() && *tokens >= 0.0);
        let likely = seen.map_or(usual, |tokens| tokens as u64);
        match self.features.request.max_output_tokens {
            0 => likely,
            most => likely.min(most),
        }
    }

    /// Returns what the prompt, in the model's own tokens, and an answer of `output_tokens` cost at most, in US
    /// dollars.
    pub(super) fn cost(&self, model: &Name, rate: ModelRate, output_tokens: u64) -> f64 {
        if let Some(prompt) = self.live.prompt() {
            self.features.count_for(prompt, rate.tokenizer);
        }
        let tokens = self.features.tokens_of(rate.tokenizer);
        let cached = self.warm.map_or(0, |warm| warm.tokens_of(model, tokens));
        rate.price.of(tokens.saturating_sub(cached), cached, output_tokens)
    }

    /// Adds to every candidate what it is expected to cost and when to begin, where the strategy did not say.
    pub(super) fn complete(&self, candidates: &mut [Candidate]) {
        for Candidate { model, price, tokenizer, expected, .. } in candidates {
            let known = expected.take().unwrap_or_default();
            let output = self.output_tokens(model, USUAL_OUTPUT);
            let rate = price.map(|price| ModelRate { price, tokenizer: *tokenizer });
            let priced = rate.map(|rate| (self.cost(model, rate, output), output));
            let expects = ModelExpectation {
                cost_usd: known.cost_usd.or(priced.map(|(cost, _)| cost)),
                output_tokens: known.output_tokens.or(priced.map(|(_, output)| output)),
                first_byte_seconds: known.first_byte_seconds.or_else(|| self.live.first_byte(model)),
                ..known
            };
            *expected = Some(expects).filter(|expects| *expects != ModelExpectation::default());
        }
    }
}
