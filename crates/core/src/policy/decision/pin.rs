//! The trace of a conversation's pin through a decision, and the part that is to be remembered.

use serde::Serialize;

use super::reason::Reason;
use super::trace::DecisionMaker;
use crate::config::Name;

/// The trace of a pin through one decision: the pin as it was, and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PinTrace {
    /// The pinned model, which the strategy had chosen for the conversation; `None` when there is none yet.
    pub model: Option<Name>,
    /// The model that answered the conversation's last request.
    pub last: Option<Name>,
    /// Seconds since the conversation's first request.
    pub age_seconds: u64,
    /// Seconds since the conversation's last request.
    pub idle_seconds: u64,
    /// Tells whether the request answers the model's tool calls.
    pub in_tool_loop: bool,
    /// The outcome of the pin.
    pub outcome: PinOutcome,
    /// The request's cost with the pinned model, which has its beginning in the cache, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stay_usd: Option<f64>,
    /// The request's cost with the strategy's choice, which has nothing of it in the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub move_usd: Option<f64>,
}

/// The outcome of a pin. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PinOutcome {
    /// The conversation had no pin.
    New,
    /// The strategy chose the same model again.
    Agreed,
    /// The pinned model stays.
    Kept,
    /// The model whose tool calls are answered stays.
    KeptToolLoop,
    /// The pinned model stays because a move would not make up for its broken prompt cache.
    KeptCache,
    /// The strategy's choice is the new one.
    Moved,
    /// The pinned model cannot serve the request.
    Constrained,
    /// A rule or the client chose.
    Overruled,
}

/// The part of a decision that is to be remembered for its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinUpdate {
    /// Nothing is to be remembered.
    Nothing,
    /// The model that answers; the pinned one stays as it is.
    Last,
    /// The model as the pinned one.
    Home,
}

impl PinOutcome {
    /// Every outcome, for the metrics to register up front.
    pub const ALL: [Self; 8] = [
        Self::New,
        Self::Agreed,
        Self::Kept,
        Self::KeptToolLoop,
        Self::KeptCache,
        Self::Moved,
        Self::Constrained,
        Self::Overruled,
    ];

    /// Returns the stable name used in metrics and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Agreed => "agreed",
            Self::Kept => "kept",
            Self::KeptToolLoop => "kept_tool_loop",
            Self::KeptCache => "kept_cache",
            Self::Moved => "moved",
            Self::Constrained => "constrained",
            Self::Overruled => "overruled",
        }
    }
}

impl PinUpdate {
    /// Returns what is to be remembered of a decision by a policy with affinity. What was chosen without a look at the
    /// prompt, or for a hindrance that may pass in a moment, is no reason to stay.
    pub(in crate::policy) const fn of(by: DecisionMaker, reason: Reason) -> Self {
        match (by, reason) {
            (DecisionMaker::Default, _) => Self::Nothing,
            (DecisionMaker::Rule(_) | DecisionMaker::Override, _) | (_, Reason::AffinityToolLoop) => Self::Last,
            (_, Reason::Moved(constraint)) if constraint.is_passing() => Self::Last,
            _ if reason.is_no_verdict() => Self::Last,
            _ => Self::Home,
        }
    }
}
