//! The strategy `judge`: another LLM is asked which model a prompt is for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Name, Ratio, TimeSpan};

/// The model that another LLM chooses, by an answer whose JSON schema allows nothing but the choices' labels.
///
/// It reads the newest ask with what it answers, what the request looks like (tokens, temperature, files with their
/// types and sizes, XML) and what the choices' models cost and hold.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeConfig {
    /// The name by which rules read its label: `judge.<name>.label`.
    #[serde(default)]
    pub name: Option<Name>,
    /// The model of the catalog that judges; asked at its provider, never through Pointsman.
    pub judge: Name,
    /// The API that the judge is asked in. Default `chat`.
    #[serde(default)]
    pub protocol: JudgeProtocol,
    /// The choices, from the lowest tier up.
    pub choices: Vec<JudgeChoice>,
    /// Rules of yours that it is told beside the choices.
    #[serde(default)]
    pub instructions: Option<String>,
    /// The longest that a request waits for the judge. Default 2s.
    #[serde(default = "JudgeConfig::default_timeout")]
    pub timeout: TimeSpan,
    /// The most characters of the prompt that it reads; more are cut out of the middle. Default 4000.
    #[serde(default = "JudgeConfig::default_max_chars")]
    pub max_chars: usize,
    /// The most tokens that its answer may have: a label takes ten, a reasoning model thinks before. Default 512.
    #[serde(default = "JudgeConfig::default_max_tokens")]
    pub max_tokens: u32,
    /// Asks how sure it is, from 0 to 1; where it is less sure than this, or does not say, the strategy abstains.
    #[serde(default)]
    pub min_confidence: Option<Ratio>,
    /// Asks for a reason in a sentence first, which explanations show. Default false.
    #[serde(default)]
    pub rationale: bool,
    /// Questions that may be open at once; one more is not asked. Default 32.
    #[serde(default = "JudgeConfig::default_max_concurrent")]
    pub max_concurrent: usize,
    /// Limits of the cache of answers.
    #[serde(default)]
    pub cache: JudgeCache,
    /// The failures after which the judge is left alone for a while.
    #[serde(default)]
    pub breaker: JudgeBreaker,
    /// The model when it gives no answer; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// The API that a judge is asked in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgeProtocol {
    /// Chat completions with a JSON schema, said in whichever API the provider speaks.
    #[default]
    Chat,
    /// OpenAI's decisions, `/v1/decisions`: a choice with a probability for every option. Another Pointsman speaks it too.
    Decisions,
    /// TypeSafe's System One, `/v1/systemone`.
    Systemone,
}

/// A choice that a judge can make.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeChoice {
    /// The judge's answer for it; by default the model's name.
    #[serde(default)]
    pub label: Option<Name>,
    /// The model of the catalog.
    pub model: Name,
    /// The prompts that are for it, as the judge reads them described.
    pub description: String,
}

/// Limits of the cache of a judge's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeCache {
    /// The most answers; 0 remembers none. Default 10000.
    pub max_entries: usize,
    /// The longest that an answer is remembered. Default 1h.
    pub hold: TimeSpan,
}

/// The failures after which a judge is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeBreaker {
    /// The number of failures in a row, late answers included. Default 5.
    pub failures: u32,
    /// The rest; then one request tries the judge. Default 30s.
    pub rest: TimeSpan,
}

impl JudgeChoice {
    /// Returns what the judge answers to choose it.
    #[must_use]
    pub fn label(&self) -> &Name {
        self.label.as_ref().unwrap_or(&self.model)
    }
}

impl JudgeConfig {
    fn default_timeout() -> TimeSpan {
        TimeSpan::from_secs(2)
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
        Self { max_entries: 10_000, hold: TimeSpan::from_secs(3600) }
    }
}

impl Default for JudgeBreaker {
    fn default() -> Self {
        Self { failures: 5, rest: TimeSpan::from_secs(30) }
    }
}
