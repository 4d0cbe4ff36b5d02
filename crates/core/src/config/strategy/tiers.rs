//! The shape of the strategy `tiers`: models by the label of one head.

use serde::{Deserialize, Serialize};

use crate::config::{Ladder, Name, OnUnfamiliar, Ratio};

/// A model for each label of a head.
///
/// Labels beside each other with the same model are one tier, with their probabilities together.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// The classifier that is asked.
    pub classifier: Name,
    /// The head that is read. Default `tier`.
    #[serde(default = "Tiers::default_head")]
    pub head: Name,
    /// Label to model, lowest tier first; must cover the head's labels.
    pub tiers: Ladder,
    /// Below this probability of the best tier it abstains, or rounds up. Default 0.
    #[serde(default)]
    pub min_confidence: Ratio,
    /// What happens below `min_confidence`. Default `none`.
    #[serde(default)]
    pub round: Round,
    /// When more tokens than these did not fit the classifier and were cut, it abstains. Default: however many.
    #[serde(default)]
    pub max_truncated_tokens: Option<u32>,
    /// What happens when the classifier never learnt from texts like the prompt. Default `abstain`.
    #[serde(default)]
    pub unfamiliar: OnUnfamiliar,
    /// The model when the classifier abstains, fails or is late; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// What a strategy does with a tier that it is not sure of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Round {
    /// It abstains.
    #[default]
    None,
    /// It takes the next tier above; the highest stays.
    Up,
}

impl Tiers {
    fn default_head() -> Name {
        Name::new("tier").expect("a literal of letters is a name")
    }
}
