//! The strategy `tiers`: models by the label of one head.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Name, OnUnfamiliar, Ratio, TierModels};

/// A model for each label of a head.
///
/// Labels beside each other with the same model are one tier, with their probabilities together.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TiersConfig {
    /// The classifier that is asked.
    pub classifier: Name,
    /// The head that is read. Default `tier`.
    #[serde(default = "TiersConfig::default_head")]
    pub head: Name,
    /// Label to model, lowest tier first; must cover the head's labels.
    pub tiers: TierModels,
    /// The mistake that is avoided more: a model that is dearer than need be (`cheap`), one that is too weak (`strong`),
    /// or both alike (`even`). Default `even`.
    #[serde(default)]
    pub lean: TierLean,
    /// The probability of the best tier below which the strategy abstains, or rounds up. Default 0.
    #[serde(default)]
    pub min_confidence: Ratio,
    /// The handling of tiers below `min_confidence`. Default `none`.
    #[serde(default)]
    pub round: TierRounding,
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

/// The mistake that a `tiers` strategy avoids more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TierLean {
    /// A model that is dearer than need be counts more than one that is too weak.
    Cheap,
    /// Both mistakes count alike.
    #[default]
    Even,
    /// A model that is too weak counts more than one that is dearer than need be.
    Strong,
}

/// The handling of a tier that a strategy is not sure of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TierRounding {
    /// The strategy abstains.
    #[default]
    None,
    /// The strategy takes the next tier above; the highest stays.
    Up,
}

impl TiersConfig {
    fn default_head() -> Name {
        Name::new("tier").expect("a literal of letters is a name")
    }
}
