//! What a bundle says of one head: its labels, what it reads and how it is made up.

use std::collections::BTreeMap;

use pointsman_core::config::Name;
use pointsman_core::scores::LevelThresholds;
use serde::{Deserialize, Serialize};

use super::error::{HeadSpecError, ManifestError};
use super::{CalibrationCurve, GateSpec, MixtureMember, NeighbourVote, StopConfidence, TreesSpec, levels};

/// A small model over the embedding and the features.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSpec {
    /// The name that policies use.
    pub name: Name,
    /// The meaning of the outputs.
    pub kind: HeadKind,
    /// The names of its outputs, at least two, each once.
    pub labels: Vec<Name>,
    /// Other names of the labels in data sets, such as the model that a label stands for; only evaluation and training
    /// ask.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, Name>,
    /// The blocks that it reads, in this order; none in a sequence classification, which reads the logits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputBlock>,
    /// The activation between its layers. Default `relu`.
    #[serde(default)]
    pub activation: Activation,
    /// Divides the logits before the softmax; above 0.
    pub temperature: f32,
    /// A curve over the probabilities after that, where a temperature alone does not calibrate them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isotonic: Option<CalibrationCurve>,
    /// As a vote of the nearest exemplars: the first layer holds their embeddings, the second what they speak for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<NeighbourVote>,
    /// As trees: they stand in the heads file in place of layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trees: Option<TreesSpec>,
    /// As a mixture: the heads whose probabilities it pools, in place of inputs and weights of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<MixtureMember>,
    /// The gate for prompts unlike those that the head was fitted on: which head tells them, and which one scores them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateSpec>,
    /// True for a head that only mixtures and gates use; it is offered to no policy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// The head whose lexical form it is: it reads no embedding and stands in when the encoder cannot or need not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_for: Option<Name>,
    /// As a lexical form: the probability of its label from which on the encoder need not run, one for all labels or
    /// one for each. Without it, the form only serves when the encoder cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<StopConfidence>,
    /// The thresholds on the expected level that decide its label; without them the most probable label is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levels: Option<LevelThresholds>,
}

/// The meaning of a head's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One label holds: a logit a label, probabilities by softmax.
    Multinomial,
    /// Labels from the lowest to the highest, a logit less than labels: the k-th says how probable a label above the
    /// k-th is. Probabilities are the differences. With two labels, the one logit says how probable the second is.
    Ordinal,
    /// Each label holds or does not, whatever the others: a logit a label, probabilities by sigmoid, so that they need
    /// not sum to one.
    Independent,
}

/// A block of a head's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputBlock {
    /// The encoder's output.
    Embedding,
    /// The dense features of the bundle's features file.
    Features,
    /// Hashed words and pieces of words, sparse.
    Ngrams,
}

/// The activation between a head's layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x * Phi(x)`, exact rather than the tanh approximation.
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

impl HeadSpec {
    /// Returns the heads that it is made of besides its own weights.
    pub fn parts(&self) -> impl Iterator<Item = &Name> {
        let gate = self.gate.iter().flat_map(|gate| [&gate.head, &gate.otherwise]);
        self.mix.iter().map(|share| &share.head).chain(gate)
    }

    /// Returns the index of the label that `text` names, itself or by an alias. Names have no spaces, so
    /// `-` and `_` stand for those of a data set.
    #[must_use]
    pub fn label(&self, text: &str) -> Option<usize> {
        let name = self.aliases.get(text).map_or(text, Name::as_str);
        let same = |label: &str| {
            let space = |c| if matches!(c, '-' | '_') { ' ' } else { c };
            label.chars().map(space).eq(name.chars().map(space))
        };
        let exact = self.labels.iter().position(|label| label.as_str() == name);
        exact.or_else(|| self.labels.iter().position(|label| same(label.as_str())))
    }

    /// Returns how many logits its labels need.
    #[must_use]
    pub fn logits(&self) -> usize {
        match self.kind {
            HeadKind::Multinomial | HeadKind::Independent => self.labels.len(),
            HeadKind::Ordinal => self.labels.len().saturating_sub(1),
        }
    }

    /// Returns the manifest's error for a problem of this head.
    pub(super) fn error(&self, problem: HeadSpecError) -> ManifestError {
        ManifestError::Head { head: self.name.clone(), problem }
    }

    /// Checks what needs no other head.
    pub(super) fn check(&self) -> Result<(), HeadSpecError> {
        if self.labels.len() < 2 {
            return Err(HeadSpecError::TooFewLabels { labels: self.labels.len() });
        }
        if let Some(label) = repeated(&self.labels) {
            return Err(HeadSpecError::LabelTwice { label: label.clone() });
        }
        self.check_aliases()?;
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(HeadSpecError::Temperature { value: self.temperature });
        }
        levels::check(self).map_err(HeadSpecError::Levels)
    }

    fn check_aliases(&self) -> Result<(), HeadSpecError> {
        let bad = |(alias, label): &(&String, &Name)| {
            !self.labels.contains(label) || self.labels.iter().any(|known| known.as_str() == alias.as_str())
        };
        match self.aliases.iter().find(bad) {
            Some((alias, label)) => {
                Err(HeadSpecError::Alias { alias: alias.clone(), label: label.clone(), labels: self.labels.clone() })
            }
            None => Ok(()),
        }
    }
}

/// Returns the first item that is there twice.
pub(super) fn repeated<T: PartialEq>(items: &[T]) -> Option<&T> {
    items.iter().enumerate().find(|(index, item)| items[..*index].contains(item)).map(|(_, item)| item)
}
