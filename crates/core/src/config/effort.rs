//! The effort that a model thinks with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The effort that a model thinks with, from none to all that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// No thinking.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// As much as most models think by themselves.
    Medium,
    /// Much.
    High,
    /// More than `high`.
    Xhigh,
    /// All that the model has.
    Max,
}

impl Effort {
    /// Every effort, the least first.
    pub const ALL: [Self; 7] = [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// Returns the word that the APIs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Returns the effort that `word` is.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }

    /// Returns the one of `levels` that is nearest; of two that are as near, the higher. `None` without any.
    #[must_use]
    pub fn nearest(self, levels: &[Self]) -> Option<Self> {
        let place = |effort: Self| effort as u8;
        let distance = |level: &Self| (place(*level).abs_diff(place(self)), std::cmp::Reverse(place(*level)));
        levels.iter().copied().min_by_key(distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_level_is_taken_and_of_two_the_higher() {
        use Effort::{High, Low, Max, Medium, Minimal, None, Xhigh};
        for (asked, levels, expected) in [
            (Medium, &[Low, Medium, High][..], Some(Medium)),
            (None, &[Low, Medium, High], Some(Low)),
            (Max, &[Low, Medium, High], Some(High)),
            (Minimal, &[None, Low, Medium], Some(Low)),
            (Xhigh, &[Low, Medium, High, Max], Some(Max)),
            (Low, &[None, High], Some(High)),
            (High, &[], Option::None),
        ] {
            assert_eq!(asked.nearest(levels), expected, "{asked:?} of {levels:?}");
        }
    }

    #[test]
    fn every_effort_is_read_back_from_its_word() {
        for effort in Effort::ALL {
            assert_eq!(Effort::of(effort.as_str()), Some(effort));
        }
        assert_eq!(Effort::of("hard"), None);
    }
}
