//! The token counts of an answer, as far as its upstream has said them.

use serde_json::Value;

use super::{AnswerFormat, ServiceTier};

/// The counts that an upstream has said so far, each as it said it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ReportedCounts {
    /// The prompt's tokens: all of them, or in Anthropic's API those that no cache had part in.
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
    /// Prompt and answer together.
    pub(super) total: Option<u64>,
    pub(super) cached: Option<u64>,
    /// Tokens that were written to a cache, for whatever time.
    pub(super) written: Option<u64>,
    pub(super) written_5m: Option<u64>,
    pub(super) written_1h: Option<u64>,
    pub(super) reasoning: Option<u64>,
    pub(super) input_audio: Option<u64>,
    pub(super) output_audio: Option<u64>,
    pub(super) input_image: Option<u64>,
    pub(super) output_image: Option<u64>,
    pub(super) tier: Option<ServiceTier>,
    pub(super) is_fast: Option<bool>,
    pub(super) is_us_only: Option<bool>,
    /// The cost in US dollars.
    pub(super) billed: Option<f64>,
}

impl ReportedCounts {
    /// Returns these counts over `older` ones of the same answer, one by one: what is said now counts, but 0 is no news
    /// where there was a number.
    pub(super) fn over(self, older: Self) -> Self {
        let count = |new: Option<u64>, old: Option<u64>| new.filter(|new| *new > 0).or(old).or(new);
        Self {
            input: count(self.input, older.input),
            output: count(self.output, older.output),
            total: count(self.total, older.total),
            cached: count(self.cached, older.cached),
            written: count(self.written, older.written),
            written_5m: count(self.written_5m, older.written_5m),
            written_1h: count(self.written_1h, older.written_1h),
            reasoning: count(self.reasoning, older.reasoning),
            input_audio: count(self.input_audio, older.input_audio),
            output_audio: count(self.output_audio, older.output_audio),
            input_image: count(self.input_image, older.input_image),
            output_image: count(self.output_image, older.output_image),
            tier: self.tier.or(older.tier),
            is_fast: self.is_fast.or(older.is_fast),
            is_us_only: self.is_us_only.or(older.is_us_only),
            billed: self.billed.or(older.billed),
        }
    }

    /// Returns the counts without those of an output that is not believed, and without the bill for it.
    pub(super) fn without_output(self) -> Self {
        Self { output: None, reasoning: None, output_audio: None, output_image: None, billed: None, ..self }
    }

    /// Returns the counts with every part in the input or the output that it belongs to.
    pub(super) fn summed(self, format: AnswerFormat) -> Self {
        let by_time = sum(self.written_5m, self.written_1h);
        let written = self.written.max(by_time);
        let counts = Self { written, ..self };
        match format {
            AnswerFormat::Anthropic => Self { input: counts.input.map(|input| counts.with_cache(input)), ..counts },
            _ => counts.with_remainder(),
        }
    }

    /// Returns how many tokens were written to a cache for 5 minutes, which is what an upstream means that does not say.
    pub(super) fn written_briefly(&self) -> u64 {
        self.written.unwrap_or_default().saturating_sub(self.written_1h.unwrap_or_default())
    }

    fn with_cache(&self, input: u64) -> u64 {
        input.saturating_add(self.cached.unwrap_or_default()).saturating_add(self.written.unwrap_or_default())
    }

    /// Finds a place for what is in the total alone: tokens of a cache that the input leaves out, else reasoning that
    /// the output does (xAI, Gemini).
    fn with_remainder(self) -> Self {
        let (Some(input), Some(total)) = (self.input, self.total) else { return self };
        let remainder = total.saturating_sub(input.saturating_add(self.output.unwrap_or_default()));
        let is_cache = remainder == self.with_cache(0) && self.reasoning != Some(remainder);
        match (remainder, is_cache) {
            (0, _) => self,
            (_, true) => Self { input: Some(input.saturating_add(remainder)), ..self },
            (_, false) => Self { output: Some(total.saturating_sub(input)), ..self },
        }
    }
}

/// Returns the first number above 0 among the `places` in `usage`, each a path of keys, else a 0 that is there.
pub(super) fn first_count(usage: &Value, places: &[&[&str]]) -> Option<u64> {
    let counts = places.iter().filter_map(|path| path.iter().fold(usage, |value, key| &value[*key]).as_u64());
    counts.fold(None, |found, count| found.filter(|found| *found > 0).or(Some(count)))
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or_default().saturating_add(other.unwrap_or_default())),
    }
}
