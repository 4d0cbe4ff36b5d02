//! The shape of a policy's `affinity`: how requests that belong together stay with one model.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::values::Span;

/// Keeps requests that belong together with the model that served the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Affinity {
    /// What requests that belong together have in common. Default `conversation`.
    #[serde(default)]
    pub key: AffinityKey,
    /// How long after its last request a conversation is forgotten. Default 1h.
    #[serde(default = "Affinity::default_hold")]
    pub hold: Span,
    /// When a conversation goes on with another model. Default `up_only`.
    #[serde(default, rename = "move")]
    pub moves: Moves,
    /// How long after a request providers still have its prompt in their caches; later a move costs nothing extra.
    /// Default 5m.
    #[serde(default = "Affinity::default_cache")]
    pub cache: Span,
    /// Conversations that this process remembers; the least used ones go. Default 100000.
    #[serde(default = "Affinity::default_max_entries")]
    pub max_entries: usize,
}

/// What requests that belong together have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AffinityKey {
    /// The session that the client names in a header or in the body, else how the conversation begins.
    #[default]
    Conversation,
    /// The client whose key came with the request.
    Client,
    /// The value of this header; requests without it are held to nothing.
    Header(String),
}

/// When a conversation goes on with another model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moves {
    /// When the strategy chooses one that stands higher in its order.
    #[default]
    UpOnly,
    /// When the strategy chooses another one, unless a lower one does not make up for the broken prompt cache.
    Free,
    /// Never, and the strategy is not asked again.
    Never,
}

impl Affinity {
    const fn default_hold() -> Span {
        Span::from_secs(60 * 60)
    }

    const fn default_cache() -> Span {
        Span(Duration::from_mins(5))
    }

    const fn default_max_entries() -> usize {
        100_000
    }
}
