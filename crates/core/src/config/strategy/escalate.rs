//! The strategy `escalate`: a cheap model answers, its answer is checked, and a strong model answers where it fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::judge::{JudgeBreaker, JudgeCache, JudgeChoice, JudgeConfig, JudgeProtocol};
use crate::config::{Name, Ratio, TimeSpan};

/// The cheap model for every request, and the strong one where the cheap one's answer fails a check.
///
/// The client sees nothing of an answer that fails. Checks that need the whole answer hold it until it has come.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EscalateConfig {
    /// The model that answers first.
    pub cheap: Name,
    /// The model that answers where a check fails.
    pub strong: Name,
    /// The checks that an answer of the cheap model must pass; at least one.
    pub check: AnswerChecks,
    /// The limits of how much of an answer is held, and for how long.
    #[serde(default)]
    pub hold: HoldLimits,
    /// The model whose answer the client gets where a check cannot be made, such as while a judge is silent; it also
    /// serves where the strategy is not looked at. Default: `strong`.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// The checks of an answer, in the order in which they are made: those that cost nothing first.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnswerChecks {
    /// Fails an answer that was cut (`length`) or filtered (`content_filter`). Needs the end of the answer. Default
    /// false.
    pub finish_reason: bool,
    /// Fails an answer that refuses: by the API's own mark, or by how it begins. Of a stream the first words decide.
    /// Default false.
    pub refusal: bool,
    /// Fails an answer that is not what the request's `response_format` asks for: JSON, or JSON of its schema. Needs the
    /// whole answer, of requests that ask for a format alone. Default false.
    pub schema: bool,
    /// The least mean log probability of the answer's tokens, 0 at most. Asks for them where the client did not, and takes
    /// them out of the answer again. APIs without any pass. Needs the whole answer.
    pub min_logprob: Option<f64>,
    /// Another LLM says whether the answer is good enough. Needs the whole answer.
    pub judge: Option<AnswerJudgeConfig>,
    /// The cheap model is asked again, and must say the same. Needs the whole answer.
    pub self_consistency: Option<SelfConsistency>,
}

/// An LLM that reads a prompt and its answer, and says `good` or `bad`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerJudgeConfig {
    /// The model of the catalog that judges; asked at its provider, never through Pointsman.
    pub judge: Name,
    /// The API in which it is asked. Default `chat`: chat completions, whose answer is held to a schema.
    #[serde(default)]
    pub protocol: JudgeProtocol,
    /// Rules of yours that it is told beside the prompt and the answer.
    #[serde(default)]
    pub instructions: Option<String>,
    /// The longest that an answer waits for the judge. Default 5s.
    #[serde(default = "AnswerJudgeConfig::default_timeout")]
    pub timeout: TimeSpan,
    /// The most characters of the prompt and of the answer that it reads, each; more are cut out of the middle. Default
    /// 4000.
    #[serde(default = "AnswerJudgeConfig::default_max_chars")]
    pub max_chars: usize,
    /// The most tokens that its answer may have. Default 512.
    #[serde(default = "AnswerJudgeConfig::default_max_tokens")]
    pub max_tokens: u32,
    /// Asks how sure it is, from 0 to 1; where it is less sure than this, or does not say, the check cannot be made.
    #[serde(default)]
    pub min_confidence: Option<Ratio>,
    /// Questions that may be open at once; one more is not asked. Default 32.
    #[serde(default = "AnswerJudgeConfig::default_max_concurrent")]
    pub max_concurrent: usize,
    /// The failures after which the judge is left alone for a while.
    #[serde(default)]
    pub breaker: JudgeBreaker,
}

/// More answers of the cheap model to the same request, which must agree with the one that is held.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelfConsistency {
    /// The answers in all, the one that is held included. Default 3.
    pub n: u32,
    /// The least share of them that says the same as the one that is held. Default 0.67.
    pub agreement: Ratio,
    /// The most tokens that each of the others may have. Default 1024.
    pub max_tokens: u64,
    /// The longest that the answer waits for the others. Default 30s.
    pub timeout: TimeSpan,
}

/// The limits of how much of an answer is held, and for how long. Beyond them it goes out unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldLimits {
    /// The most bytes of an answer that are held. Default 262144.
    pub max_bytes: usize,
    /// The longest that a stream is held, from its first byte. Default 60s.
    pub max_time: TimeSpan,
    /// The pause after which the client of a held stream is sent a comment, so that nobody takes the connection for dead.
    /// Default 10s.
    pub keep_alive: TimeSpan,
}

/// The label by which a judge lets an answer pass.
pub const GOOD_ANSWER: &str = "good";

/// The label by which a judge fails an answer.
const BAD_ANSWER: &str = "bad";

impl EscalateConfig {
    /// Returns the model whose answer serves where a check cannot be made.
    #[must_use]
    pub fn stand_in(&self) -> &Name {
        self.otherwise.as_ref().unwrap_or(&self.strong)
    }
}

impl AnswerChecks {
    /// Returns whether there is no check at all.
    #[must_use]
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl AnswerJudgeConfig {
    /// Returns the judge as one of two choices, which asks about the answer: what is known of judges holds for it too.
    /// Answers are too many to be remembered.
    #[must_use]
    pub fn as_judge(&self, plan: &EscalateConfig) -> JudgeConfig {
        let choice = |label: &str, model: &Name, description: &str| JudgeChoice {
            label: Name::new(label).ok(),
            model: model.clone(),
            description: description.to_owned(),
        };
        JudgeConfig {
            name: None,
            judge: self.judge.clone(),
            protocol: self.protocol,
            choices: vec![
                choice(GOOD_ANSWER, &plan.cheap, "the answer is right, complete and does what was asked"),
                choice(BAD_ANSWER, &plan.strong, "the answer is wrong, incomplete, evasive or not what was asked"),
            ],
            instructions: self.instructions.clone(),
            timeout: self.timeout,
            max_chars: self.max_chars,
            max_tokens: self.max_tokens,
            min_confidence: self.min_confidence,
            rationale: false,
            max_concurrent: self.max_concurrent,
            cache: JudgeCache { max_entries: 0, ..JudgeCache::default() },
            breaker: self.breaker,
            otherwise: None,
        }
    }

    fn default_timeout() -> TimeSpan {
        TimeSpan::from_secs(5)
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

impl Default for SelfConsistency {
    fn default() -> Self {
        Self {
            n: 3,
            agreement: Ratio::new(0.67).expect("a literal between 0 and 1"),
            max_tokens: 1024,
            timeout: TimeSpan::from_secs(30),
        }
    }
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self { max_bytes: 256 << 10, max_time: TimeSpan::from_secs(60), keep_alive: TimeSpan::from_secs(10) }
    }
}
