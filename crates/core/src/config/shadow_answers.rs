//! A policy's `shadow_answers`: another model that is asked some of the same requests, so that answers can be compared.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Name, Ratio};

/// Sends a share of a policy's requests to another model too, once their clients' answers are over. Nobody gets those
/// answers: they are written into the decision log, to be graded.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowAnswersConfig {
    /// The other model. Its price must be known.
    pub model: Name,
    /// The share of the policy's requests, 0 to 1; at most `decision_log.answers.sample`, so that both answers are
    /// written.
    pub sample: Ratio,
    /// US dollars that they may cost in a day (UTC). What a request may cost at most is taken before it is sent.
    pub max_per_day: f64,
    /// Shadow requests that may be open at a time; one more is not sent. Default 4.
    #[serde(default = "ShadowAnswersConfig::default_max_concurrency")]
    pub max_concurrency: usize,
    /// The longest shadow answer, in tokens; the client's own limit where that is lower. Default 4096.
    #[serde(default = "ShadowAnswersConfig::default_max_tokens")]
    pub max_tokens: u64,
}

impl ShadowAnswersConfig {
    const fn default_max_concurrency() -> usize {
        4
    }

    const fn default_max_tokens() -> u64 {
        4096
    }
}
