//! The shape of the strategy `judge`: another LLM is asked which model a prompt is for.

use serde::{Deserialize, Serialize};

use crate::config::{Name, Ratio, Span};

/// The model that another LLM chooses, by an answer whose JSON schema allows nothing but the choices' labels.
///
/// It reads the newest ask with what it answers, what the request looks like (tokens, temperature, files with their types and sizes,
/// XML) and what the choices' models cost and hold.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// What rules call it, to read its label as `judge.<name>.label`.
    #[serde(default)]
    pub name: Option<Name>,
    /// The model of the catalog that judges; asked at its provider over `/chat/completions`, never through Pointsman.
    pub judge: Name,
    /// What it chooses between, from the lowest tier up.
    pub choices: Vec<Choice>,
    /// Rules of yours that it is told beside the choices.
    #[serde(default)]
    pub instructions: Option<String>,
    /// How long a request waits for it. Default 2s.
    #[serde(default = "Judge::default_timeout")]
    pub timeout: Span,
    /// The most characters of the prompt that it reads; more are cut out of the middle. Default 4000.
    #[serde(default = "Judge::default_max_chars")]
    pub max_chars: usize,
    /// The most tokens that its answer may have: a label takes ten, a reasoning model thinks before. Default 512.
    #[serde(default = "Judge::default_max_tokens")]
    pub max_tokens: u32,
    /// Asks how sure it is, from 0 to 1; where it is less sure than this, or does not say, the strategy abstains.
    #[serde(default)]
    pub min_confidence: Option<Ratio>,
    /// Whether it says why in a sentence first, which explanations show. Default false.
    #[serde(default)]
    pub rationale: bool,
    /// Questions that may be open at once; one more is not asked. Default 32.
    #[serde(default = "Judge::default_max_concurrent")]
    pub max_concurrent: usize,
    /// How many answers are remembered.
    #[serde(default)]
    pub cache: JudgeCache,
    /// When it is left alone for a while.
    #[serde(default)]
    pub breaker: JudgeBreaker,
    /// The model when it gives no answer; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// What a judge can choose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What the judge answers; by default the model's name.
    #[serde(default)]
    pub label: Option<Name>,
    /// The model of the catalog.
    pub model: Name,
    /// What prompts are for it, as the judge reads it.
    pub description: String,
}

/// How many of a judge's answers are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeCache {
    /// The most answers; 0 remembers none. Default 10000.
    pub max_entries: usize,
    /// For how long. Default 1h.
    pub hold: Span,
}

/// When a judge that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeBreaker {
    /// After so many failures in a row, late answers included. Default 5.
    pub failures: u32,
    /// For so long; then one request tries it. Default 30s.
    pub rest: Span,
}

impl Choice {
    /// Returns what the judge answers to choose it.
    #[must_use]
    pub fn label(&self) -> &Name {
        self.label.as_ref().unwrap_or(&self.model)
    }
}

impl Judge {
    fn default_timeout() -> Span {
        Span::from_secs(2)
    }

    fn default_max_chars() -> usize {
        4000
    }

    fn default_max_tokens() -> u32 {
        512
    }

    fn default_max_concurrent() -> usize {
        32
    }
}

impl Default for JudgeCache {
    fn default() -> Self {
        Self { max_entries: 10_000, hold: Span::from_secs(3600) }
    }
}

impl Default for JudgeBreaker {
    fn default() -> Self {
        Self { failures: 5, rest: Span::from_secs(30) }
    }
}
