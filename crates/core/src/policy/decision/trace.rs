//! The way to a decision: what chose, which rules were tried, which strategies were asked, and what would have changed
//! the choice.

use std::sync::Arc;

use serde::Serialize;

use super::reason::Reason;
use crate::config::Name;

/// The part of a policy that chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionMaker {
    /// The rule with this position.
    Rule(usize),
    /// The strategy of this kind; of several within each other, the one that chose.
    Strategy(&'static str),
    /// The client, by the header `x-pointsman-model`.
    Override,
    /// The pin of the request's conversation.
    Affinity,
    /// No part: the strategy was not asked. The policy's `otherwise` serves, or its cheapest model where an agent keeps
    /// house.
    Default,
    /// The constraints, which left no model.
    Constraints,
    /// The list of what the client may use.
    Client,
    /// The catalog: the client asked for the model by its name, and no policy matched.
    Catalog,
}

/// A rule that was tried, and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleTrace {
    /// The rule's position.
    pub rule: usize,
    /// The rule's outcome.
    #[serde(flatten)]
    pub outcome: RuleOutcome,
}

/// The outcome of evaluating a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "error", rename_all = "snake_case")]
pub enum RuleOutcome {
    /// The rule was true.
    Matched,
    /// The rule was false.
    NotMatched,
    /// The rule failed, such as by a division by zero; counts as false, unless the rule denies and the request is the
    /// cause.
    Failed(String),
}

/// The choice of one strategy within another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrategyStage {
    /// The strategy's kind.
    pub strategy: &'static str,
    /// The model that the strategy chose; `None` when it abstained.
    pub model: Option<Name>,
    /// The reason for the choice, or for the abstention.
    pub reason: Reason,
    /// The label that the strategy went by.
    pub label: Option<Arc<str>>,
    /// The score that the strategy went by.
    pub score: Option<f32>,
    /// A judge's own words for its label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<Arc<str>>,
    /// The cost of asking, in US dollars; `None` where nothing is paid for, or not known.
    pub cost_usd: Option<f64>,
    /// The number that would have changed the choice; only in an explanation.
    pub flip: Option<Box<DecisionFlip>>,
}

/// A number of a strategy, or of a prediction, that would have changed a choice: its counterfactual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionFlip {
    /// The number that the choice hangs on: a key of the strategy (`threshold`, `min_confidence`, `lambda`,
    /// `max_truncated_tokens`), or what was predicted of a label, route or model (`probability`, `similarity`,
    /// `success`); where a rule chose, that it is true (`rule`), as 1 and 0.
    pub of: &'static str,
    /// The label, route or model that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Arc<str>>,
    /// The number's value.
    pub value: f64,
    /// The value on the other side of which the choice would be another.
    pub threshold: f64,
    /// The model on the other side of `threshold`; `None` where a later stage would decide that nobody asked.
    pub model: Option<Name>,
}

impl DecisionMaker {
    /// Returns the rule's position, if a rule chose.
    #[must_use]
    pub const fn rule(self) -> Option<usize> {
        match self {
            Self::Rule(index) => Some(index),
            _ => None,
        }
    }

    /// Returns the strategy's kind, if a strategy chose.
    #[must_use]
    pub const fn strategy(self) -> Option<&'static str> {
        match self {
            Self::Strategy(kind) => Some(kind),
            _ => None,
        }
    }
}
