//! The bill of an answer: its tokens of every kind, and what they cost at a model's price.

use serde_json::Value;

use super::counts::ReportedCounts;
use super::{AnswerFormat, UsageBounds};
use crate::config::{ServiceTierFactors, TokenPrice};

/// Tokens that a request used.
#[expect(clippy::struct_excessive_bools, reason = "facts of an answer, each by itself")]
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Tokens of the prompt, `cached` and written ones included.
    pub input: u64,
    /// Tokens of the answer, `reasoning` ones included.
    pub output: u64,
    /// Tokens of the prompt that the upstream had in its cache.
    pub cached: u64,
    /// Tokens of the prompt that the upstream wrote to its cache, for 5 minutes or as long as it always does.
    pub written: u64,
    /// Tokens of the prompt that the upstream wrote to its cache for an hour.
    pub written_1h: u64,
    /// Tokens of the answer that nobody sees.
    pub reasoning: u64,
    /// Tokens of the prompt that are audio.
    pub input_audio: u64,
    /// Tokens of the answer that are audio.
    pub output_audio: u64,
    /// Tokens of the prompt that are images.
    pub input_image: u64,
    /// Tokens of the answer that are images.
    pub output_image: u64,
    /// The service tier that answered.
    pub tier: ServiceTier,
    /// Tells whether the answer was given at Anthropic's speed `fast`.
    pub is_fast: bool,
    /// Tells whether the answer was made in the US alone, which Anthropic charges for.
    pub is_us_only: bool,
    /// The cost in US dollars, where the provider says it.
    pub billed: Option<f64>,
    /// Tells whether `input` or `output` was estimated because the upstream did not say.
    pub estimated: bool,
    /// Tells whether the upstream said more than its model can have used, so that none of it counts, or less than the
    /// prompt and the answer have, so that the estimate counts.
    pub disbelieved: bool,
}

/// A tier of a provider's service, which has a price of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServiceTier {
    /// The tier of the list price.
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Later and cheaper.
    Batch,
}

impl Usage {
    /// Returns what the `usage` object of an answer in `format` says; `None` unless it counts the prompt and the answer,
    /// and if any of it is beyond `bounds`.
    #[must_use]
    pub fn of_value(usage: &Value, format: AnswerFormat, bounds: &UsageBounds) -> Option<Self> {
        let counts = Some(format.counts(usage).summed(format)).filter(|counts| bounds.allow(counts))?;
        Some(Self { input: counts.input?, output: counts.output?, ..Self::of_parts(&counts) }.consistent())
    }

    /// Returns whether an answer can have used it.
    #[must_use]
    pub fn is_within(&self, bounds: &UsageBounds) -> bool {
        self.input <= bounds.input
            && self.output <= bounds.output
            && self.billed.is_none_or(|dollars| dollars <= bounds.dollars)
    }

    /// Returns it with the estimate of an input that the upstream did not say truly, and without a bill for that.
    #[must_use]
    pub fn with_estimated_input(self, input: u64) -> Self {
        Self { input, billed: None, estimated: true, disbelieved: true, ..self }.consistent()
    }

    /// Returns the parts of the input and the output that were `counted`.
    pub(super) fn of_parts(counted: &ReportedCounts) -> Self {
        Self {
            input: 0,
            output: 0,
            cached: counted.cached.unwrap_or_default(),
            written: counted.written_briefly(),
            written_1h: counted.written_1h.unwrap_or_default(),
            reasoning: counted.reasoning.unwrap_or_default(),
            input_audio: counted.input_audio.unwrap_or_default(),
            output_audio: counted.output_audio.unwrap_or_default(),
            input_image: counted.input_image.unwrap_or_default(),
            output_image: counted.output_image.unwrap_or_default(),
            tier: counted.tier.unwrap_or_default(),
            is_fast: counted.is_fast.unwrap_or_default(),
            is_us_only: counted.is_us_only.unwrap_or_default(),
            billed: counted.billed,
            estimated: false,
            disbelieved: false,
        }
    }

    /// Returns it with no part above its whole.
    pub(super) fn consistent(self) -> Self {
        let Self { input, output, .. } = self;
        Self {
            cached: self.cached.min(input),
            written: self.written.min(input),
            written_1h: self.written_1h.min(input),
            reasoning: self.reasoning.min(output),
            input_audio: self.input_audio.min(input),
            output_audio: self.output_audio.min(output),
            input_image: self.input_image.min(input),
            output_image: self.output_image.min(output),
            ..self
        }
    }

    /// Returns what was paid in US dollars: what the provider says, else what this costs at `price`; `None` without both.
    #[must_use]
    pub fn paid(&self, price: Option<&TokenPrice>) -> Option<f64> {
        self.billed.or_else(|| price.map(|price| self.cost(price)))
    }

    /// Returns what this costs in US dollars at `price`, whatever its provider says that it costs.
    #[must_use]
    pub fn cost(&self, price: &TokenPrice) -> f64 {
        let rates = price.rates(self.input);
        let prompt = [
            (self.cached, rates.cached_input),
            (self.written_1h, rates.cache_write_1h),
            (self.written, rates.cache_write),
            (self.input_audio, rates.input_audio),
            (self.input_image, rates.input_image),
        ];
        let answer = [
            (self.output_audio, rates.output_audio),
            (self.output_image, rates.output_image),
            (self.reasoning, rates.reasoning),
        ];
        let dollars = dollars_of(self.input, &prompt, rates.input) + dollars_of(self.output, &answer, rates.output);
        dollars * self.factor(price.service_tiers) / 1e6
    }

    fn factor(&self, factors: ServiceTierFactors) -> f64 {
        let tier = match self.tier {
            ServiceTier::Standard => 1.0,
            ServiceTier::Flex => factors.flex.unwrap_or(0.5),
            ServiceTier::Priority => factors.priority.unwrap_or(2.0),
            ServiceTier::Batch => factors.batch.unwrap_or(0.5),
        };
        let speed = if self.is_fast { factors.fast.unwrap_or(2.0) } else { 1.0 };
        let place = if self.is_us_only { factors.us_only.unwrap_or(1.1) } else { 1.0 };
        tier * speed * place
    }
}

impl ServiceTier {
    /// Returns the tier that OpenAI, and who speaks like it, calls `word`.
    pub(super) fn of_word(word: &str) -> Self {
        match word {
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            "batch" => Self::Batch,
            _ => Self::Standard,
        }
    }
}

/// Returns what `all` tokens cost: each of the `parts` at its own rate, the rest at `rate`. Parts that overlap are counted
/// once, as the first.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn dollars_of(all: u64, parts: &[(u64, f64)], rate: f64) -> f64 {
    let mut rest = all;
    let mut dollars = 0.0;
    for (tokens, rate) in parts {
        let taken = rest.min(*tokens);
        rest -= taken;
        dollars += taken as f64 * rate;
    }
    dollars + rest as f64 * rate
}
