//! The most and the least that an answer can have used: what an upstream says beyond them is a mistake or a lie.
//!
//! One number that is too large would lock a client out for years and add dollars to counters that never go down. One
//! that is too small switches off the limits of tokens and dollars.

use super::bill::Usage;
use super::counts::ReportedCounts;
use crate::config::TokenPrice;

/// The most tokens of a prompt, and of an answer, that are believed of a model whose window nobody says: more than any
/// window there is.
const CEILING: u64 = 1 << 24;

/// The most US dollars that a provider's own bill is believed to be where the model has no price.
const CEILING_DOLLARS: f64 = 100.0;

/// The factor by which a provider's own bill may exceed what its tokens cost: service tiers, regions, modalities.
const BILL_FACTOR: f64 = 4.0;

/// US dollars beside the tokens: searches and other tools that a provider charges for.
const TOOLS_DOLLARS: f64 = 1.0;

/// The most bytes of an answer's text that are believed to be one of its tokens, on average. Runs of one character are
/// one token of up to 128 bytes, so that a text may have a few of those besides.
const BYTES_OF_TOKEN: u64 = 64;

/// Bytes of runs of one character.
const BYTES_OF_RUNS: u64 = 1024;

/// Returns whether an answer with so many bytes of text has more tokens than its upstream says.
pub(super) fn has_more_text(bytes: u64, said: u64) -> bool {
    let most = if said == 0 { 0 } else { said.saturating_mul(BYTES_OF_TOKEN).saturating_add(BYTES_OF_RUNS) };
    bytes > most
}

/// The most that an answer of a model is believed to have used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsageBounds {
    /// Tokens of the prompt, those of a cache included.
    pub input: u64,
    /// Tokens of the answer, those of its reasoning included.
    pub output: u64,
    /// US dollars, where the provider says them itself.
    pub dollars: f64,
}

impl UsageBounds {
    /// The bounds of a model of which nothing is known.
    pub const UNKNOWN_MODEL: Self = Self { input: CEILING, output: CEILING, dollars: CEILING_DOLLARS };

    /// Returns the bounds of a model with this window and longest answer, as far as they are known.
    #[must_use]
    pub fn of_model(context: Option<u64>, max_output: Option<u64>, price: Option<&TokenPrice>) -> Self {
        let input = context.unwrap_or(CEILING);
        let output = max_output.unwrap_or(input);
        let whole = Usage { input, output, ..Usage::default() };
        let dollars = price.map_or(CEILING_DOLLARS, |price| TOOLS_DOLLARS + BILL_FACTOR * whole.cost(price));
        Self { input, output, dollars }
    }

    /// Returns the bounds with at least `tokens` of prompt: a request for embeddings has many, each with a window.
    #[must_use]
    pub fn with_input(self, tokens: u64) -> Self {
        Self { input: self.input.max(tokens), ..self }
    }

    /// Returns whether an answer can have used what its upstream says.
    pub(super) fn allow(&self, said: &ReportedCounts) -> bool {
        let within = |counts: &[Option<u64>], bound: u64| counts.iter().flatten().all(|count| *count <= bound);
        let prompt = [said.input, said.cached, said.written, said.written_1h, said.input_audio, said.input_image];
        let answer = [said.output, said.reasoning, said.output_audio, said.output_image];
        within(&prompt, self.input)
            && within(&answer, self.output)
            && said.billed.is_none_or(|dollars| dollars <= self.dollars)
    }
}
