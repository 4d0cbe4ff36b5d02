//! The strategy `utility`: success against cost and latency.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Name, OnUnfamiliar, Ratio};

/// The model with the highest expected success, less what its cost and its latency are worth.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UtilityConfig {
    /// The classifier that is asked.
    pub classifier: Name,
    /// The prefix of the model in the names of its heads, as `fit --task success` writes them: the chance that `small`
    /// succeeds is the second label of `success/small`. Default `success`.
    #[serde(default = "UtilityConfig::default_heads")]
    pub heads: Name,
    /// The models, from the weakest up; each needs a price.
    pub models: Vec<Name>,
    /// Other sources of some models' chances to succeed.
    #[serde(default)]
    pub success: BTreeMap<Name, SuccessSource>,
    /// The worth of a US dollar in chances to succeed: with 10, a cent more must bring 0.1 more. Default 10.
    #[serde(default = "UtilityConfig::default_lambda")]
    pub lambda: f64,
    /// The worth of a second until the answer's first byte, in chances to succeed. Default 0.
    #[serde(default)]
    pub mu: f64,
    /// The length of an answer that is assumed where no answers were seen yet, in tokens; never more than a request
    /// asks for. Default 400.
    #[serde(default = "UtilityConfig::default_output_tokens")]
    pub output_tokens: u64,
    /// The most tokens that may be cut because they did not fit the classifier; beyond it the strategy abstains.
    /// Default: however many.
    #[serde(default)]
    pub max_truncated_tokens: Option<u32>,
    /// The handling of prompts unlike any that the classifier learnt from. Default `abstain`.
    #[serde(default)]
    pub unfamiliar: OnUnfamiliar,
    /// The model when the classifier abstains, fails or is late; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// The source of a model's chance to succeed: `label` of `head`, or the same `chance` always.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SuccessSource {
    /// A head of the classifier, such as `strong_wins`.
    #[serde(default)]
    pub head: Option<Name>,
    /// The label whose probability it is, such as `weak`; by default the last.
    #[serde(default)]
    pub label: Option<String>,
    /// The chance, when no head knows it.
    #[serde(default)]
    pub chance: Option<Ratio>,
}

impl UtilityConfig {
    /// Returns the heads that it reads, each once.
    #[must_use]
    pub fn heads(&self) -> Vec<Name> {
        let mut heads: Vec<Name> = Vec::new();
        for head in self.models.iter().filter_map(|model| self.head_of(model)) {
            if !heads.contains(&head) {
                heads.push(head);
            }
        }
        heads
    }

    /// Returns the head for `model`; `None` when its chance is fixed, or the two names together are too long for one.
    #[must_use]
    pub fn head_of(&self, model: &Name) -> Option<Name> {
        match self.success.get(model) {
            Some(success) => success.head.clone(),
            None => Name::new(&format!("{}/{model}", self.heads)).ok(),
        }
    }

    fn default_heads() -> Name {
        Name::new("success").expect("a literal of letters is a name")
    }

    fn default_lambda() -> f64 {
        10.0
    }

    fn default_output_tokens() -> u64 {
        400
    }
}
