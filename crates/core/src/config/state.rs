//! The `state` section: how long it is remembered which provider keeps what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::TimeSpan;

/// The memory of which provider keeps what clients may name again: responses, files, sealed reasoning and the like.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// The time for which a response, an item of one or sealed reasoning is remembered after it was last seen. Default
    /// 24h.
    pub hold: TimeSpan,
    /// The time for which a file, a container, a conversation, a vector store, a batch and the like is remembered after
    /// it was last seen. Default 30d.
    pub hold_objects: TimeSpan,
    /// Names of either kind that this process remembers; the least used ones go. Default 100000.
    pub max_entries: usize,
}

/// The rule by which a conversation that holds what one provider sealed goes to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateRule {
    /// The conversation stays with the provider that sealed it.
    #[default]
    Stay,
    /// Encrypted reasoning, signed thinking and ids of items are left out, where the API allows it, and the conversation
    /// goes on anywhere.
    Strip,
}

impl Default for StateConfig {
    fn default() -> Self {
        let day = 24 * 60 * 60;
        Self { hold: TimeSpan::from_secs(day), hold_objects: TimeSpan::from_secs(30 * day), max_entries: 100_000 }
    }
}
