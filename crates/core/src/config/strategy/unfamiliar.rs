//! The handling of prompts that lie beyond a classifier's training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The handling of a prompt in a script, a language or of n-grams that the classifier never learnt, as the bundle says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnfamiliar {
    /// The strategy abstains.
    #[default]
    Abstain,
    /// The strategy goes by the scores all the same.
    Judge,
}
