//! A decision is data: a header, a metric's label, a log field, an assertion.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::affinity::{Keep, PinTrace};
use super::constraints::Candidate;
use super::draw::Draw;
use super::reason::Reason;
use crate::config::Name;

/// Which model a policy chose, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The model's name in the catalog.
    pub model: Name,
    /// The policy that chose.
    pub policy: Name,
    /// What in the policy chose.
    pub by: By,
    /// Why this model.
    pub reason: Reason,
    /// The classifier's best label, when it was asked and answered.
    pub label: Option<Arc<str>>,
    /// What the strategy went by: the best label's probability, the head's score beside the thresholds, or the judge's confidence.
    pub score: Option<f32>,
    /// Why, in a judge's own words; as private as the prompt, which they may quote.
    pub rationale: Option<Arc<str>>,
    /// What would have changed the strategy's choice, the nearest of it; only in an explanation, and `None` where no number
    /// decided.
    pub flip: Option<Box<Flip>>,
    /// What it cost to ask judges, in US dollars; `None` where nothing is paid for, or not known.
    pub cost_usd: Option<f64>,
    /// Every model the policy can choose, in its order.
    pub candidates: Vec<Candidate>,
    /// The models to try next when the chosen one's provider fails: the policy's `fallback`, without the models that
    /// cannot serve the request.
    pub fallback: Vec<Name>,
    /// The rules that were tried, up to the one that matched.
    pub rules: Vec<RuleTrace>,
    /// The strategies within a strategy that were asked, in that order.
    pub stages: Vec<Stage>,
    /// Top-level parameters of the request that rules set.
    pub set: BTreeMap<String, Value>,
    /// What became of the model that the request was held to; `None` when the policy holds none.
    pub pin: Option<PinTrace>,
    /// What is to be remembered for the requests that belong with it.
    pub keep: Keep,
}

/// A request that a policy refuses.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// The policy that refuses; `None` when the client named one that it may not.
    pub policy: Option<Name>,
    /// What in the policy refuses.
    pub by: By,
    /// The HTTP status, 400 to 499.
    pub status: u16,
    /// The error's code in the answer.
    pub code: &'static str,
    /// What the client is told.
    pub message: String,
    /// Every model the policy can choose, in its order.
    pub candidates: Vec<Candidate>,
    /// The rules that were tried, up to the one that matched.
    pub rules: Vec<RuleTrace>,
}

/// What one strategy within another came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// Its kind.
    pub strategy: &'static str,
    /// The model that it chose; `None` when it abstained.
    pub model: Option<Name>,
    /// Why.
    pub reason: Reason,
    /// The label that it went by.
    pub label: Option<Arc<str>>,
    /// The score that it went by.
    pub score: Option<f32>,
    /// Why, in a judge's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<Arc<str>>,
    /// What it cost to ask, in US dollars; `None` where nothing is paid for, or not known.
    pub cost_usd: Option<f64>,
    /// What would have changed it; only in an explanation.
    pub flip: Option<Box<Flip>>,
}

/// What would have changed a choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    /// What the choice hangs on: a key of the strategy (`threshold`, `min_confidence`, `lambda`, `max_truncated_tokens`), or
    /// what was predicted of a label, route or model (`probability`, `similarity`, `success`); where a rule chose, that it is
    /// true (`rule`), as 1 and 0.
    pub of: &'static str,
    /// The label, route or model that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Arc<str>>,
    /// Where it stands.
    pub value: f64,
    /// The value on the other side of which the choice would be another.
    pub threshold: f64,
    /// The model on its other side; `None` where a later stage would decide that nobody asked.
    pub model: Option<Name>,
}

/// What in a policy chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The rule with this position.
    Rule(usize),
    /// The strategy of this kind; of several within each other, the one that chose.
    Strategy(&'static str),
    /// The client, by the header `x-pointsman-model`.
    Override,
    /// What the request was held to.
    Affinity,
    /// Nothing: the strategy was not asked. The policy's `otherwise` serves, or its cheapest model where an agent keeps house.
    Default,
    /// The constraints, which left no model.
    Constraints,
    /// What its client may use.
    Client,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleTrace {
    /// The rule's position.
    pub rule: usize,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: RuleOutcome,
}

/// What came of evaluating a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", content = "error", rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It was true.
    Matched,
    /// It was false.
    NotMatched,
    /// It failed, such as by a division by zero; counts as false.
    Failed(String),
}

/// A model before the constraints.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) model: Name,
    /// The tier, when a label chose it.
    pub(super) rung: Option<usize>,
    pub(super) by: By,
    pub(super) reason: Reason,
    pub(super) label: Option<Arc<str>>,
    pub(super) score: Option<f32>,
    pub(super) rationale: Option<Arc<str>>,
    pub(super) flip: Option<Box<Flip>>,
    pub(super) cost_usd: Option<f64>,
    /// How to choose again, where chance chose.
    pub(super) draw: Option<Draw>,
    pub(super) expected: Vec<(Name, Expected)>,
    pub(super) stages: Vec<Stage>,
    pub(super) pin: Option<PinTrace>,
}

/// What is expected of a model. What is not known is left out, never guessed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Expected {
    /// What the strategy holds of the model, by a calibrated score or a similarity; `success_is` says what that means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<f64>,
    /// What `success` is, such as ``probability of `right` (head `success/small`)``.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_is: Option<String>,
    /// What the request costs at the catalog's prices, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How many tokens of an answer are in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Seconds until answers begin lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_seconds: Option<f64>,
    /// What the strategy maximises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utility: Option<f64>,
}

impl Choice {
    pub(super) fn plain(by: By, model: &Name, reason: Reason) -> Self {
        Self {
            model: model.clone(),
            rung: None,
            by,
            reason,
            label: None,
            score: None,
            rationale: None,
            flip: None,
            cost_usd: None,
            draw: None,
            expected: Vec::new(),
            stages: Vec::new(),
            pin: None,
        }
    }
}

impl Expected {
    /// Returns what a calibrated probability of `labels` says of a model.
    pub(super) fn probability<L: AsRef<str>>(labels: &[L], head: &Name, probability: f64) -> Self {
        Self { success: Some(probability), success_is: Some(Self::words(labels, head)), ..Self::default() }
    }

    /// Says what the probability of `labels` is.
    pub(super) fn words<L: AsRef<str>>(labels: &[L], head: &Name) -> String {
        let labels = labels.iter().map(|label| format!("`{}`", label.as_ref())).collect::<Vec<_>>().join(" or ");
        format!("probability of {labels} (head `{head}`)")
    }
}

impl By {
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
