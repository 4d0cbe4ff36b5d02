//! The task of a fit in its own words: what rows teach, what heads read, which heads come of it, in which forms.

use serde::Serialize;

use super::loss::LinkFunction;

/// The task that rows teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FitTask {
    /// The tier that a prompt needs.
    Tier,
    /// A choice between two models: whether only the strong one answers the prompt.
    StrongWeak,
    /// The chance of each model to answer the prompt.
    Success,
    /// The domain of the prompt.
    Domain,
}

/// The loss by which regressions over ordered labels, the levels, learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelLoss {
    /// Cross-entropy or, where labels have an order, the ordinal loss, whichever is better on held-out rows.
    #[default]
    Auto,
    /// Cross-entropy of labels: their order does not count.
    CrossEntropy,
    /// Least squares on the number of the level, with thresholds.
    Regression,
    /// Cross-entropy of steps, each of which is whether the level is above one.
    Ordinal,
}

/// The blocks of inputs that heads read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FitInputs {
    /// Embedding, features and n-grams; a lexical form of each head beside it.
    Full,
    /// Features and n-grams: no encoder needed.
    Lexical,
    /// Embedding and features.
    Dense,
}

/// The meaning of learners' outputs, and the heads that come of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LearningGoal {
    /// One head over so many labels.
    Choice(usize),
    /// Chances of the strong and the weak model to be right: one head of two labels, whether only the strong one is.
    Pair,
    /// Chances of so many models to be right: one head of two labels each.
    Each(usize),
}

/// The form of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadForm {
    /// Reads all that there is.
    Full,
    /// Needs no encoder.
    Lexical,
}

impl FitTask {
    /// Returns the task's name, as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::StrongWeak => "strong_weak",
            Self::Success => "success",
            Self::Domain => "domain",
        }
    }

    /// Returns whether rows teach labels, rather than outcomes.
    pub(super) const fn has_labels(self) -> bool {
        matches!(self, Self::Tier | Self::Domain)
    }

    /// Returns the name of the task's head; of success heads, what stands before the model.
    pub(super) const fn head(self) -> &'static str {
        match self {
            Self::StrongWeak => "strong_wins",
            other => other.as_str(),
        }
    }
}

impl LevelLoss {
    /// Returns the loss's name, as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::CrossEntropy => "cross-entropy",
            Self::Regression => "regression",
            Self::Ordinal => "ordinal",
        }
    }

    /// Returns whether only labels with an order can be learnt so.
    pub(super) const fn needs_order(self) -> bool {
        matches!(self, Self::Regression | Self::Ordinal)
    }
}

impl FitInputs {
    /// Returns whether the encoder is needed.
    #[must_use]
    pub const fn embedding(self) -> bool {
        matches!(self, Self::Full | Self::Dense)
    }

    /// Returns whether n-grams are read.
    pub(super) const fn ngrams(self) -> bool {
        matches!(self, Self::Full | Self::Lexical)
    }
}

impl LearningGoal {
    /// Returns the link from outputs to probabilities.
    pub(super) const fn link(self) -> LinkFunction {
        if matches!(self, Self::Choice(_)) { LinkFunction::Softmax } else { LinkFunction::Sigmoid }
    }

    /// Returns the number of outputs of a learner.
    pub(super) const fn outputs(self) -> usize {
        match self {
            Self::Choice(outputs) | Self::Each(outputs) => outputs,
            Self::Pair => 2,
        }
    }

    /// Returns the number of heads.
    pub(super) const fn heads(self) -> usize {
        if let Self::Each(heads) = self { heads } else { 1 }
    }

    /// Returns the number of labels of each head.
    pub(super) const fn labels(self) -> usize {
        if let Self::Choice(labels) = self { labels } else { 2 }
    }

    /// Returns how likely each label of a head should be, from a sample's target.
    pub(super) fn truth(self, target: &[f32], head: usize) -> Vec<f32> {
        let event = match self {
            Self::Choice(_) => return target.to_vec(),
            Self::Pair => f32::from(u8::from(target[0] > target[1])),
            Self::Each(_) => target[head],
        };
        vec![1.0 - event, event]
    }
}
