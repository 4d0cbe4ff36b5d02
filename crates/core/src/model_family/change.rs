//! A change that is made to a request's parameter so that it fits the model.

use std::borrow::Cow;

use serde::Serialize;

use super::FAMILIES;
use crate::config::Effort;

/// A change of one parameter: never with a value of the client's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ParameterChange {
    /// The parameter, as the client names it: a key, or `object.key`.
    pub parameter: Cow<'static, str>,
    /// The action.
    #[serde(flatten)]
    pub action: ParameterAction,
    /// The reason.
    #[serde(flatten)]
    pub reason: ChangeReason,
}

/// The action on a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", content = "to", rename_all = "snake_case")]
pub enum ParameterAction {
    /// It is left out.
    Dropped,
    /// It goes by this name.
    Renamed(Cow<'static, str>),
    /// It is this, as JSON.
    Set(String),
    /// It is this many tokens, and was more.
    Lowered(u64),
}

/// The reason of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum ChangeReason {
    /// The model's family takes it otherwise.
    Family {
        /// The family's name.
        family: &'static str,
        /// The source of the fact.
        source: &'static str,
    },
    /// The catalog names an effort for the model.
    Effort {
        /// The effort.
        effort: Effort,
    },
    /// The model's longest answer, or what the prompt leaves of its window.
    Limit,
    /// The model's API refused it in an earlier request.
    Refused,
}

/// Parameters that are changed by more than the rules of the table.
const COMMON: [&str; 11] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "reasoning_effort",
    "reasoning.effort",
    "output_config.effort",
    "thinking",
    "thinking.type",
    "thinking.budget_tokens",
    "enable_thinking",
    "chat_template_kwargs.enable_thinking",
];

impl ParameterChange {
    /// Returns the parameter as a word of the program, for what counts changes: `other` for one that only an API's
    /// answer has named.
    #[must_use]
    pub fn label(&self) -> &'static str {
        let of_table = FAMILIES.iter().flat_map(|family| family.rules()).map(|rule| rule.key);
        COMMON.into_iter().chain(of_table).find(|known| *known == self.parameter).unwrap_or("other")
    }
}
