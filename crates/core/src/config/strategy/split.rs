//! The strategies `split` and `random`: models by shares, without looking at the prompt.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Name;

/// Models by fixed shares, for A/B tests and canaries.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Models and their weights: `{small: 9, frontier: 1}` gives `frontier` a tenth.
    pub models: BTreeMap<Name, f64>,
    /// The unit that always falls on the same side. Default `conversation`.
    #[serde(default)]
    pub by: SplitBy,
    /// The seed of the draw: with another one the same conversation may fall on another side. By default the policy's
    /// name.
    #[serde(default)]
    pub seed: Option<String>,
}

impl SplitConfig {
    /// Returns the model with the most weight, the first of several: what stands in for the split is no canary.
    #[must_use]
    pub fn heaviest(&self) -> Option<&Name> {
        // The last of equals is the greatest to `max_by`.
        self.models.iter().rev().max_by(|a, b| a.1.total_cmp(b.1)).map(|(model, _)| model)
    }
}

/// The unit that always falls on the same side of a split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// A conversation, by its session header or its first turns.
    #[default]
    Conversation,
    /// A client, by its name in `clients`; without clients a conversation.
    Client,
    /// Requests with the same value of this header; without it a conversation.
    Header(String),
}

/// One of several models by chance, each request anew.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RandomConfig {
    /// The models; one that stands there twice comes twice as often.
    pub models: Vec<Name>,
}
