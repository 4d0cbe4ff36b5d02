//! Figures of rows beside the tiers that served them, with their intervals.

use serde::Serialize;

use super::rows::{ExpectedLevel, RowKind};
use super::served::ServedTier;
use crate::statistics::ConfidenceInterval;

/// A row, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlacedRow {
    pub(super) kind: RowKind,
    pub(super) level: ExpectedLevel,
    pub(super) tier: ServedTier,
}

/// Figures of a group of rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlausibilityFigures {
    /// Prompts of the group.
    pub prompts: u64,
    /// Conversations of the group.
    pub conversations: u64,
    /// Hard prompts that the top tier serves.
    pub hard_at_top: PlacedShare,
    /// Hard prompts that the bottom tier serves.
    pub hard_at_bottom: PlacedShare,
    /// Trivial prompts that the top tier serves.
    pub trivial_at_top: PlacedShare,
    /// Trivial prompts that the bottom tier serves.
    pub trivial_at_bottom: PlacedShare,
    /// Trivial conversations at the bottom and hard ones at the top, of both; those of the middle level are left out.
    pub conversations_right: PlacedShare,
    /// Prompts of the middle level, by tier.
    pub middle_prompts: TierCounts,
    /// Conversations of the middle level, by tier.
    pub middle_conversations: TierCounts,
}

/// A share of a group's rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PlacedShare {
    /// Rows that the share counts.
    pub hits: u64,
    /// Rows that could count.
    pub n: u64,
    /// The share; `None` of no rows.
    pub share: Option<f64>,
    /// The share's interval.
    pub ci95: Option<ConfidenceInterval>,
}

/// Rows by the tier that serves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TierCounts {
    /// Rows that the bottom tier serves.
    pub bottom: u64,
    /// Rows that the middle tier serves.
    pub middle: u64,
    /// Rows that the top tier serves.
    pub top: u64,
}

impl PlausibilityFigures {
    /// Counts `rows`; `seed` decides the draws of the intervals.
    pub(super) fn of(rows: impl Iterator<Item = PlacedRow>, seed: u64) -> Self {
        use ExpectedLevel::{Hard, Middle, Trivial};
        let rows: Vec<PlacedRow> = rows.collect();
        let of = |kind, level| TierCounts::of(rows.iter().filter(|row| row.kind == kind && row.level == level));
        let count = |kind| rows.iter().filter(|row| row.kind == kind).count() as u64;
        let (hard, trivial) = (of(RowKind::Prompt, Hard), of(RowKind::Prompt, Trivial));
        let (hard_turns, trivial_turns) = (of(RowKind::Conversation, Hard), of(RowKind::Conversation, Trivial));
        let share = |hits, n| PlacedShare::of(hits, n, seed);
        Self {
            prompts: count(RowKind::Prompt),
            conversations: count(RowKind::Conversation),
            hard_at_top: share(hard.top, hard.n()),
            hard_at_bottom: share(hard.bottom, hard.n()),
            trivial_at_top: share(trivial.top, trivial.n()),
            trivial_at_bottom: share(trivial.bottom, trivial.n()),
            conversations_right: share(hard_turns.top + trivial_turns.bottom, hard_turns.n() + trivial_turns.n()),
            middle_prompts: of(RowKind::Prompt, Middle),
            middle_conversations: of(RowKind::Conversation, Middle),
        }
    }

    /// Iterates over the shares with the names that they have in JSON.
    pub fn shares(&self) -> impl Iterator<Item = (&'static str, PlacedShare)> {
        [
            ("hard_at_top", self.hard_at_top),
            ("hard_at_bottom", self.hard_at_bottom),
            ("trivial_at_top", self.trivial_at_top),
            ("trivial_at_bottom", self.trivial_at_bottom),
            ("conversations_right", self.conversations_right),
        ]
        .into_iter()
    }
}

impl PlacedShare {
    fn of(hits: u64, n: u64, seed: u64) -> Self {
        let known = n > 0;
        Self {
            hits,
            n,
            share: known.then(|| hits as f64 / n as f64),
            ci95: known.then(|| ConfidenceInterval::of_share(hits, n, seed)),
        }
    }
}

impl TierCounts {
    fn of<'r>(rows: impl Iterator<Item = &'r PlacedRow>) -> Self {
        rows.fold(Self { bottom: 0, middle: 0, top: 0 }, |mut counts, row| {
            match row.tier {
                ServedTier::Bottom => counts.bottom += 1,
                ServedTier::Middle => counts.middle += 1,
                ServedTier::Top => counts.top += 1,
            }
            counts
        })
    }

    const fn n(self) -> u64 {
        self.bottom + self.middle + self.top
    }
}
