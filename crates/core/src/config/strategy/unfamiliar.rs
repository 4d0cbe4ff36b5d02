//! What strategies do with prompts that lie beyond a classifier's training.

use serde::{Deserialize, Serialize};

/// What a strategy does where the bundle says that a prompt is in a script, a language or of n-grams that it never learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnfamiliar {
    /// It abstains.
    #[default]
    Abstain,
    /// It goes by the scores all the same.
    Judge,
}
