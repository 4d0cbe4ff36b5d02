//! A policy's `quotas`: the part of one client's or session's answers that strong models may give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Name, Ratio, TimeSpan};

/// Bounds the answers that one client or session gets from strong models: a share of its answers, US dollars, or both.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaConfig {
    /// Shown in metrics, explanations and logs.
    pub name: Name,
    /// The holder of one allowance. Default `client`.
    #[serde(default)]
    pub per: QuotaHolder,
    /// The strong models: answers of all of them together are bounded.
    pub models: Vec<Name>,
    /// The share of the holder's answers that they may give, beyond `burst`.
    #[serde(default)]
    pub share: Option<Ratio>,
    /// Strong answers that a holder may have whatever its share: at first, and after a `window` without a request. With
    /// `share` only. Default 10.
    #[serde(default = "QuotaConfig::default_burst")]
    pub burst: u32,
    /// US dollars that they may cost in a `window`.
    #[serde(default)]
    pub dollars: Option<f64>,
    /// The time in which all of `dollars` come back, and after which a quiet holder is forgotten. Default 1h.
    #[serde(default = "QuotaConfig::default_window")]
    pub window: TimeSpan,
    /// The model that serves in their place once the allowance is used up.
    pub otherwise: Name,
    /// The effect on models that rules choose; they are counted in any case. Default `exempt`.
    #[serde(default)]
    pub rules: QuotaOnRules,
    /// The way on where no other model can serve the request. Default `serve`.
    #[serde(default)]
    pub without_alternative: QuotaWithoutAlternative,
    /// Sessions of one client that have an allowance of their own; any more share one. With `per: session` only. Default
    /// 1000.
    #[serde(default = "QuotaConfig::default_max_sessions")]
    pub max_sessions: usize,
}

/// The holder of one allowance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaHolder {
    /// The client whose key came with the request.
    #[default]
    Client,
    /// The session that the client names, else the conversation by how it begins: its system texts and its first ask.
    Session,
}

/// The effect of a quota on models that rules choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOnRules {
    /// The rule's model serves, whatever is left.
    #[default]
    Exempt,
    /// The quota holds for them too, as for all that a strategy chooses.
    Bound,
}

/// The way on where an allowance is used up and no other model can serve the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaWithoutAlternative {
    /// The strong model serves, and the holder owes the answer.
    #[default]
    Serve,
    /// The request is refused with 429.
    Refuse,
}

impl QuotaHolder {
    /// Returns the stable name used in metrics and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Session => "session",
        }
    }
}

impl QuotaConfig {
    const fn default_burst() -> u32 {
        10
    }

    const fn default_window() -> TimeSpan {
        TimeSpan::from_secs(60 * 60)
    }

    const fn default_max_sessions() -> usize {
        1000
    }
}
