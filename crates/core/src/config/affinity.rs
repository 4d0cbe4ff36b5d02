//! A policy's `affinity`: how requests that belong together stay with one model.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::TimeSpan;

/// Keeps requests that belong together with the model that served the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AffinityConfig {
    /// The property that requests of one conversation share. Default `conversation`.
    #[serde(default)]
    pub key: AffinityKey,
    /// The time after its last request for which a conversation is remembered. Default 1h.
    #[serde(default = "AffinityConfig::default_hold")]
    pub hold: TimeSpan,
    /// The rule by which a conversation goes on with another model. Default `up_only`.
    #[serde(default, rename = "move")]
    pub moves: MoveRule,
    /// The time after a request for which providers have its prompt in their caches; later a move costs nothing extra.
    /// Default 5m.
    #[serde(default = "AffinityConfig::default_cache")]
    pub cache: TimeSpan,
    /// Conversations that this process remembers; the least used ones go. Default 100000.
    #[serde(default = "AffinityConfig::default_max_entries")]
    pub max_entries: usize,
}

/// The property that requests of one conversation share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AffinityKey {
    /// The session that the client names in a header or in the body, else how the conversation begins.
    #[default]
    Conversation,
    /// The client whose key came with the request.
    Client,
    /// The value of this header; requests without it belong to no conversation.
    Header(String),
}

/// A rule by which a conversation goes on with another model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveRule {
    /// A model that stands higher in the strategy's order is taken.
    #[default]
    UpOnly,
    /// Any other model that the strategy chooses is taken, unless a lower one does not make up for the broken prompt
    /// cache.
    Free,
    /// The model stays, and the strategy is not asked again.
    Never,
}

impl AffinityConfig {
    const fn default_hold() -> TimeSpan {
        TimeSpan::from_secs(60 * 60)
    }

    const fn default_cache() -> TimeSpan {
        TimeSpan(Duration::from_mins(5))
    }

    const fn default_max_entries() -> usize {
        100_000
    }
}
