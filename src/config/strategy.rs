//! The shape of a policy's `strategy`: how a model is chosen when no rule did.

use serde::{Deserialize, Serialize};

use super::threshold::Threshold;
use super::values::{Ladder, Name, Ratio};

/// How a model is chosen when no rule did.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", from = "ReadStrategy")]
pub enum Strategy {
    /// By the label of a classifier's head.
    Tiers(Tiers),
    /// By the score of a classifier's head.
    Threshold(Threshold),
}

/// [`Strategy`] as it is read: serde's `tag` would lose the places of everything in it, see [`super::read`].
#[derive(Deserialize)]
#[serde(rename = "kind", rename_all = "snake_case")]
enum ReadStrategy {
    Tiers(Tiers),
    Threshold(Threshold),
}

/// A model for each label of a head.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// The classifier that is asked.
    pub classifier: Name,
    /// The head that is read. Default `tier`.
    #[serde(default = "Tiers::default_head")]
    pub head: Name,
    /// Label to model, lowest tier first; must cover the head's labels.
    pub tiers: Ladder,
    /// Below this probability of the best label, `otherwise` decides. Default 0.
    #[serde(default = "Tiers::default_confidence")]
    pub min_confidence: Ratio,
    /// When more tokens than these did not fit the classifier and were cut, `otherwise` decides. Default: however many.
    #[serde(default)]
    pub max_truncated_tokens: Option<u32>,
    /// The model when the classifier abstains, fails or is late.
    pub otherwise: Name,
}

impl From<ReadStrategy> for Strategy {
    fn from(strategy: ReadStrategy) -> Self {
        match strategy {
            ReadStrategy::Tiers(tiers) => Self::Tiers(tiers),
            ReadStrategy::Threshold(threshold) => Self::Threshold(threshold),
        }
    }
}

impl Strategy {
    /// Returns the models that it chooses between, from the lowest tier up; a model may stand there more than once.
    #[must_use]
    pub fn ladder(&self) -> Vec<Name> {
        match self {
            Self::Tiers(tiers) => tiers.tiers.iter().map(|(_, model)| model.clone()).collect(),
            Self::Threshold(threshold) => threshold.rungs().into_iter().map(|rung| rung.model).collect(),
        }
    }

    /// Returns the model that serves when the classifier does not. `None` only where validation refuses.
    #[must_use]
    pub fn otherwise(&self) -> Option<Name> {
        match self {
            Self::Tiers(tiers) => Some(tiers.otherwise.clone()),
            Self::Threshold(threshold) => threshold.otherwise.clone().or_else(|| self.ladder().pop()),
        }
    }

    /// Returns the classifier that it asks, and the head that it reads.
    #[must_use]
    pub const fn asks(&self) -> (&Name, &Name) {
        match self {
            Self::Tiers(Tiers { classifier, head, .. }) | Self::Threshold(Threshold { classifier, head, .. }) => {
                (classifier, head)
            }
        }
    }
}

impl Tiers {
    fn default_head() -> Name {
        Name::new("tier").expect("a literal of letters is a name")
    }

    fn default_confidence() -> Ratio {
        Ratio::new(0.0).expect("zero is a ratio")
    }
}
