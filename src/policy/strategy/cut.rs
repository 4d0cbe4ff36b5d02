//! Prompts of which more was cut than a strategy puts up with: what was not read may be what matters.

use super::{Known, Pick};
use crate::policy::lever::{Beyond, Lever};
use crate::policy::reason::Reason;
use crate::scores::Scores;

/// How much was cut, and how much may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    tokens: u32,
    most: u32,
}

impl Cut {
    /// Returns what was cut of the prompt, if that is more than `most` tokens.
    pub(super) fn of(scores: &Scores, most: Option<u32>) -> Option<Self> {
        let (tokens, most) = (scores.truncated_tokens, most?);
        (tokens > most).then_some(Self { tokens, most })
    }

    /// Abstains from what a strategy of this kind would pick.
    pub(super) fn abstain(self, kind: &'static str, known: &Known<'_>, pick: impl FnOnce() -> Pick) -> Pick {
        let none = Pick::abstain(kind, Reason::Truncated);
        if !known.is_explained() {
            return none;
        }
        Pick { levers: vec![self.lever(Beyond::of(pick().model.as_ref()))], ..none }
    }

    /// Returns what comes of it where no more was cut than may be.
    pub(super) fn lever(self, beyond: Beyond) -> Lever {
        let (value, threshold) = (self.tokens.into(), self.most.into());
        Lever { of: "max_truncated_tokens", label: None, value, threshold, beyond }
    }
}
