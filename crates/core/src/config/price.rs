//! The price of a model's tokens: of each kind, of long prompts, of a service tier.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// The most steps of a price; the vendor with the most has three.
const MAX_STEPS: usize = 3;

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPrice {
    /// The price of the prompt's tokens.
    pub input: f64,
    /// The price of the answer's tokens.
    pub output: f64,
    /// The price of the prompt's tokens that the provider had in its cache; by default as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
    /// The price of the prompt's tokens that the provider wrote to its cache, for 5 minutes; by default 1.25 times
    /// `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    /// The price of tokens that were written for an hour; by default 1.6 times `cache_write`, which is twice `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<f64>,
    /// The price of the prompt's audio; by default as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_audio: Option<f64>,
    /// The price of the answer's audio; by default as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_audio: Option<f64>,
    /// The price of the prompt's images; by default as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_image: Option<f64>,
    /// The price of the answer's images; by default as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_image: Option<f64>,
    /// The price of the answer's reasoning; by default as `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<f64>,
    /// The prices of whole requests whose prompts are longer than so many tokens, three steps at most.
    #[serde(default, skip_serializing_if = "PriceSteps::is_empty")]
    pub above: PriceSteps,
    /// The factors of the service tiers that answers name.
    #[serde(default, skip_serializing_if = "ServiceTierFactors::is_empty")]
    pub service_tiers: ServiceTierFactors,
}

/// The prices of long prompts, from the shortest of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PriceSteps([Option<PriceStep>; MAX_STEPS]);

/// The price of a request whose prompt is long; what it leaves out changes as `input` or `output` does.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PriceStep {
    /// The length of a prompt above which this is the price, in tokens.
    pub tokens: u64,
    /// The price of the prompt's tokens.
    pub input: f64,
    /// The price of the answer's tokens.
    pub output: f64,
    /// The price of the prompt's tokens that the provider had in its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
    /// The price of the prompt's tokens that the provider wrote to its cache, for 5 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<f64>,
    /// The price of tokens that were written for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<f64>,
}

/// The factors by which service tiers multiply a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTierFactors {
    /// The factor of answers by `flex` processing. Default 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flex: Option<f64>,
    /// The factor of answers by `priority` processing. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<f64>,
    /// The factor of answers of a batch. Default 0.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<f64>,
    /// The factor of answers at Anthropic's speed `fast`. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<f64>,
    /// The factor of answers that Anthropic keeps in the US. Default 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us_only: Option<f64>,
}

/// The price of every kind of token, for a prompt of one length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenRates {
    /// Tokens of the prompt that are none of the others.
    pub input: f64,
    /// Tokens of the answer that are none of the others.
    pub output: f64,
    /// Tokens that were read from a cache.
    pub cached_input: f64,
    /// Tokens that were written to a cache, for 5 minutes.
    pub cache_write: f64,
    /// Tokens that were written to a cache, for an hour.
    pub cache_write_1h: f64,
    /// Audio in the prompt.
    pub input_audio: f64,
    /// Audio in the answer.
    pub output_audio: f64,
    /// Images in the prompt.
    pub input_image: f64,
    /// Images in the answer.
    pub output_image: f64,
    /// Reasoning.
    pub reasoning: f64,
}

impl TokenPrice {
    /// Makes a price of prompts and answers that knows no other difference.
    #[must_use]
    pub fn new(input: f64, output: f64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Returns what so many tokens cost in US dollars: of the prompt, of the prompt in the provider's cache, of the
    /// answer.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    pub fn of(&self, input: u64, cached: u64, output: u64) -> f64 {
        let rates = self.rates(input.saturating_add(cached));
        (input as f64 * rates.input + cached as f64 * rates.cached_input + output as f64 * rates.output) / 1e6
    }

    /// Returns the price of each kind of token for a request whose prompt has so many `tokens` in all.
    #[must_use]
    pub fn rates(&self, tokens: u64) -> TokenRates {
        let base = self.base_rates();
        let steps = self.above.iter().filter(|step| tokens > step.tokens);
        steps.max_by_key(|step| step.tokens).map_or(base, |step| step.rates(&base))
    }

    fn base_rates(&self) -> TokenRates {
        let cache_write = self.cache_write.unwrap_or(self.input * 1.25);
        TokenRates {
            input: self.input,
            output: self.output,
            cached_input: self.cached_input.unwrap_or(self.input),
            cache_write,
            cache_write_1h: self.cache_write_1h.unwrap_or(cache_write * 1.6),
            input_audio: self.input_audio.unwrap_or(self.input),
            output_audio: self.output_audio.unwrap_or(self.output),
            input_image: self.input_image.unwrap_or(self.input),
            output_image: self.output_image.unwrap_or(self.output),
            reasoning: self.reasoning.unwrap_or(self.output),
        }
    }

    /// Returns every figure in dollars by its key, as far as it is there.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let optional = [
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_1h", self.cache_write_1h),
            ("input_audio", self.input_audio),
            ("output_audio", self.output_audio),
            ("input_image", self.input_image),
            ("output_image", self.output_image),
            ("reasoning", self.reasoning),
        ];
        let given = optional.into_iter().filter_map(|(key, dollars)| Some((key, dollars?)));
        [("input", self.input), ("output", self.output)].into_iter().chain(given)
    }

    /// Returns this price with what it leaves out as in `list`: in the same ratio to `input` or `output`.
    #[must_use]
    pub fn completed_by(self, list: &Self) -> Self {
        let input = |own: Option<f64>, listed: Option<f64>| own.or(Some(listed? * ratio(self.input, list.input)));
        let output = |own: Option<f64>, listed: Option<f64>| own.or(Some(listed? * ratio(self.output, list.output)));
        let above = if self.above.is_empty() {
            list.above.scaled(ratio(self.input, list.input), ratio(self.output, list.output))
        } else {
            self.above
        };
        Self {
            cached_input: input(self.cached_input, list.cached_input),
            cache_write: input(self.cache_write, list.cache_write),
            cache_write_1h: input(self.cache_write_1h, list.cache_write_1h),
            input_audio: input(self.input_audio, list.input_audio),
            output_audio: output(self.output_audio, list.output_audio),
            input_image: input(self.input_image, list.input_image),
            output_image: output(self.output_image, list.output_image),
            reasoning: output(self.reasoning, list.reasoning),
            above,
            service_tiers: self.service_tiers.or(list.service_tiers),
            ..self
        }
    }
}

impl PriceSteps {
    /// Returns whether the price is the same for prompts of every length.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Returns the steps.
    pub fn iter(&self) -> impl Iterator<Item = &PriceStep> {
        self.0.iter().flatten()
    }

    fn scaled(self, input: f64, output: f64) -> Self {
        Self(self.0.map(|step| step.map(|step| step.scaled(input, output))))
    }
}

impl<'de> Deserialize<'de> for PriceSteps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let steps = Vec::<PriceStep>::deserialize(deserializer)?;
        let mut room = [None; MAX_STEPS];
        if steps.len() > room.len() {
            return Err(D::Error::custom(format!("{} steps (allowed: {MAX_STEPS} at most)", steps.len())));
        }
        room.iter_mut().zip(steps).for_each(|(place, step)| *place = Some(step));
        Ok(Self(room))
    }
}

impl Serialize for PriceSteps {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl PriceStep {
    /// Returns every figure in dollars by its key, as far as it is there.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let optional = [
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_1h", self.cache_write_1h),
        ];
        let given = optional.into_iter().filter_map(|(key, dollars)| Some((key, dollars?)));
        [("input", self.input), ("output", self.output)].into_iter().chain(given)
    }

    fn rates(&self, base: &TokenRates) -> TokenRates {
        let (input, output) = (ratio(self.input, base.input), ratio(self.output, base.output));
        TokenRates {
            input: self.input,
            output: self.output,
            cached_input: self.cached_input.unwrap_or(base.cached_input * input),
            cache_write: self.cache_write.unwrap_or(base.cache_write * input),
            cache_write_1h: self.cache_write_1h.unwrap_or(base.cache_write_1h * input),
            input_audio: base.input_audio * input,
            output_audio: base.output_audio * output,
            input_image: base.input_image * input,
            output_image: base.output_image * output,
            reasoning: base.reasoning * output,
        }
    }

    fn scaled(self, input: f64, output: f64) -> Self {
        let scale = |dollars: Option<f64>| dollars.map(|dollars| dollars * input);
        Self {
            tokens: self.tokens,
            input: self.input * input,
            output: self.output * output,
            cached_input: scale(self.cached_input),
            cache_write: scale(self.cache_write),
            cache_write_1h: scale(self.cache_write_1h),
        }
    }
}

impl ServiceTierFactors {
    /// The factors of a service that has one tier.
    pub const NONE: Self =
        Self { flex: Some(1.0), priority: Some(1.0), batch: Some(1.0), fast: Some(1.0), us_only: Some(1.0) };

    /// Returns whether no factor is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns these factors, and those of `others` where there is none.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            flex: self.flex.or(others.flex),
            priority: self.priority.or(others.priority),
            batch: self.batch.or(others.batch),
            fast: self.fast.or(others.fast),
            us_only: self.us_only.or(others.us_only),
        }
    }

    /// Returns every factor by its key, as far as it is there.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let Self { flex, priority, batch, fast, us_only } = *self;
        let given = [("flex", flex), ("priority", priority), ("batch", batch), ("fast", fast), ("us_only", us_only)];
        given.into_iter().filter_map(|(key, factor)| Some((key, factor?)))
    }
}

/// Returns `one` by `other`; 1 where the other is nothing.
fn ratio(one: f64, other: f64) -> f64 {
    if other > 0.0 { one / other } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn what_a_price_leaves_out_follows_from_input_and_output() {
        let rates = TokenPrice::new(3.0, 15.0).rates(10);

        assert!(near(rates.cached_input, 3.0) && near(rates.cache_write, 3.75) && near(rates.cache_write_1h, 6.0));
        assert!(near(rates.reasoning, 15.0) && near(rates.input_audio, 3.0) && near(rates.output_image, 15.0));
    }

    #[test]
    fn a_prompt_above_a_step_pays_its_price_for_every_token() {
        let text = r#"{"input": 2, "output": 10, "cached_input": 0.2, "above": [
            {"tokens": 32000, "input": 4, "output": 15}, {"tokens": 200000, "input": 6, "output": 20, "cached_input": 1}]}"#;
        let price: TokenPrice = serde_json::from_str(text).expect("a price");

        let input = |tokens| price.rates(tokens).input;
        assert_eq!([input(32_000), input(32_001), input(200_000), input(200_001)], [2.0, 4.0, 4.0, 6.0]);
        assert!(near(price.rates(40_000).cached_input, 0.4), "doubles as the input does");
        assert!(near(price.rates(300_000).cached_input, 1.0), "as it is said");
        assert_eq!(serde_json::from_str::<TokenPrice>(&serde_json::to_string(&price).expect("JSON")).ok(), Some(price));
    }

    #[test]
    fn four_steps_are_refused() {
        let step = r#"{"tokens": 1, "input": 4, "output": 15}"#;
        let text = format!(r#"{{"input": 2, "output": 10, "above": [{step}, {step}, {step}, {step}]}}"#);

        let error = serde_json::from_str::<TokenPrice>(&text).expect_err("too many").to_string();
        assert!(error.starts_with("4 steps (allowed: 3 at most)"), "{error}");
    }

    #[test]
    fn a_price_is_completed_in_the_ratio_of_the_list() {
        let list = TokenPrice { cached_input: Some(0.5), reasoning: Some(16.0), ..TokenPrice::new(2.0, 8.0) };

        let half = TokenPrice::new(1.0, 4.0).completed_by(&list);

        assert_eq!((half.input, half.cached_input, half.reasoning), (1.0, Some(0.25), Some(8.0)));
    }
}
