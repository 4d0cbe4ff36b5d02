//! The strategies that hold others: `cascade` and `hierarchy`.
//!
//! This file and [`strategy`](super) name each other, because strategies nest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StrategyConfig;
use crate::config::{Name, OnUnfamiliar, Ratio};

/// Strategies that are asked one after the other, until one does not abstain.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CascadeConfig {
    /// The strategies, the cheapest first; their own `otherwise` has no meaning here.
    pub stages: Vec<StrategyConfig>,
    /// The model when all abstain; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// A strategy for each group of a head's labels, such as domains.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HierarchyConfig {
    /// The classifier that is asked.
    pub classifier: Name,
    /// The head that is read. Default `domain`.
    #[serde(default = "HierarchyConfig::default_head")]
    pub head: Name,
    /// The probability of the best label below which `default` decides. Default 0.
    #[serde(default)]
    pub min_confidence: Ratio,
    /// The most tokens that may be cut because they did not fit the classifier; beyond it `default` decides. Default:
    /// however many.
    #[serde(default)]
    pub max_truncated_tokens: Option<u32>,
    /// The handling of prompts unlike any that the classifier learnt from. Default `abstain`: `default` decides.
    #[serde(default)]
    pub unfamiliar: OnUnfamiliar,
    /// Groups of labels and their strategies.
    pub branches: Vec<HierarchyBranch>,
    /// The strategy for labels of no branch, and where the classifier is not sure or does not answer.
    pub default: Box<StrategyConfig>,
    /// The model where a branch abstains that does not say; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// One group of labels.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HierarchyBranch {
    /// The labels.
    pub labels: Vec<String>,
    /// The strategy for prompts with these labels.
    pub strategy: StrategyConfig,
}

impl HierarchyConfig {
    /// Iterates over its strategies, the default's last.
    pub fn strategies(&self) -> impl Iterator<Item = &StrategyConfig> {
        self.branches.iter().map(|branch| &branch.strategy).chain([&*self.default])
    }

    fn default_head() -> Name {
        Name::new("domain").expect("a literal of letters is a name")
    }
}
