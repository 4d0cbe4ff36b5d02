//! The trace of a quota through a decision that it bounded.

use serde::Serialize;

use crate::config::{Name, QuotaHolder};

/// The trace of a quota that was used up where its strong models were the choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotaTrace {
    /// The quota's name in its policy.
    pub name: Name,
    /// The holder of the allowance.
    pub per: QuotaHolder,
    /// The outcome for the request.
    pub outcome: QuotaOutcome,
}

/// The outcome of a quota that is used up. Bounded: safe as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOutcome {
    /// Another model serves.
    Moved,
    /// The strong model serves, as no other can.
    Served,
    /// The request is refused, as no other model can serve it.
    Refused,
}

impl QuotaOutcome {
    /// Every outcome, for the metrics to register up front.
    pub const ALL: [Self; 3] = [Self::Moved, Self::Served, Self::Refused];

    /// Returns the stable name used in metrics and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Served => "served",
            Self::Refused => "refused",
        }
    }
}
