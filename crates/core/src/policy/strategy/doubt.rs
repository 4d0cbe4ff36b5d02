//! Prompts whose scores a strategy does not go by: more was cut than it puts up with, or they lie beyond the training.

use super::pick::{ChoiceContext, StrategyPick};
use crate::config::OnUnfamiliar;
use crate::policy::decision::Reason;
use crate::policy::flip::{FlipCandidate, FlipOutcome};
use crate::scores::Scores;

/// The limits within which a strategy goes by scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScoreLimits {
    pub(super) max_truncated_tokens: Option<u32>,
    pub(super) unfamiliar: OnUnfamiliar,
}

/// The reason for which a strategy does not go by scores.
#[derive(Debug, Clone, Copy)]
pub(super) enum ScoreDoubt {
    /// More tokens were cut than may be: what was not read may be what matters.
    Cut { tokens: u32, most: u32 },
    /// The classifier never learnt from texts like this one.
    Unfamiliar,
}

impl ScoreLimits {
    /// Returns the doubt for which a strategy does not go by `scores`, if there is one.
    pub(super) fn doubt(self, scores: &Scores) -> Option<ScoreDoubt> {
        if self.unfamiliar == OnUnfamiliar::Abstain && scores.familiarity.unfamiliar.is_some() {
            return Some(ScoreDoubt::Unfamiliar);
        }
        let (tokens, most) = (scores.truncated_tokens, self.max_truncated_tokens?);
        (tokens > most).then_some(ScoreDoubt::Cut { tokens, most })
    }
}

impl ScoreDoubt {
    /// Returns the reason for which a strategy abstains.
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Cut { .. } => Reason::Truncated,
            Self::Unfamiliar => Reason::Unfamiliar,
        }
    }

    /// Abstains from what a strategy of this kind would pick.
    pub(super) fn abstain(
        self,
        kind: &'static str,
        known: &ChoiceContext<'_>,
        pick: impl FnOnce() -> StrategyPick,
    ) -> StrategyPick {
        let none = StrategyPick::abstain(kind, self.reason());
        if !known.is_explained() {
            return none;
        }
        StrategyPick { flips: self.flip(FlipOutcome::of(pick().model.as_ref())).into_iter().collect(), ..none }
    }

    /// Returns the flip of a prompt that was cut, which leads to `beyond`; what is unfamiliar hangs on no one number.
    pub(super) fn flip(self, beyond: FlipOutcome) -> Option<FlipCandidate> {
        let Self::Cut { tokens, most } = self else { return None };
        let (value, threshold) = (tokens.into(), most.into());
        Some(FlipCandidate { of: "max_truncated_tokens", label: None, value, threshold, beyond })
    }
}
