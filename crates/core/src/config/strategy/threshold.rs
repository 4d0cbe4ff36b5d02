//! The strategy `threshold`: models by the score of one head.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Name, OnUnfamiliar, Ratio};

/// Two models by the chance that only the strong one answers well, or several on a ladder of such thresholds.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdConfig {
    /// The classifier that is asked.
    pub classifier: Name,
    /// The head that is read. Default `strong_wins`. Its score is where the prompt stands on the scale of its labels, 0
    /// for the first and 1 for the last: with two labels the probability of the second.
    #[serde(default = "ThresholdConfig::default_head")]
    pub head: Name,
    /// The model from `threshold` on.
    #[serde(default)]
    pub strong: Option<Name>,
    /// The model below `threshold`.
    #[serde(default)]
    pub weak: Option<Name>,
    /// The least score that `strong` gets.
    #[serde(default)]
    pub threshold: Option<Ratio>,
    /// The models and the least scores that they get, one of them 0; in place of `strong`, `weak` and `threshold`.
    #[serde(default)]
    pub ladder: Vec<ThresholdStep>,
    /// The most tokens that may be cut because they did not fit the classifier; beyond it the strategy abstains.
    /// Default: however many.
    #[serde(default)]
    pub max_truncated_tokens: Option<u32>,
    /// The handling of prompts unlike any that the classifier learnt from. Default `abstain`.
    #[serde(default)]
    pub unfamiliar: OnUnfamiliar,
    /// The model when the classifier abstains, fails or is late; by default the strongest.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// A model of a ladder.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdStep {
    /// The least score that it gets.
    pub at_least: Ratio,
    /// The model.
    pub model: Name,
}

impl ThresholdConfig {
    /// Returns the ladder from the lowest score up, whichever way it was written. Empty only where validation refuses.
    #[must_use]
    pub fn rungs(&self) -> Vec<ThresholdStep> {
        let mut rungs = self.ladder.clone();
        if let (Some(strong), Some(weak), Some(threshold)) = (&self.strong, &self.weak, self.threshold) {
            rungs.push(ThresholdStep { at_least: Ratio::default(), model: weak.clone() });
            rungs.push(ThresholdStep { at_least: threshold, model: strong.clone() });
        }
        rungs.sort_by(|a, b| a.at_least.get().total_cmp(&b.at_least.get()));
        rungs
    }

    fn default_head() -> Name {
        Name::new("strong_wins").expect("a literal of letters is a name")
    }
}
