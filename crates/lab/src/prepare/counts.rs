//! The counts of a preparation, as its report has them.

use std::collections::BTreeMap;

use serde::Serialize;

/// The reason why a row is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Nobody asks anything: a blank prompt, a conversation without a human, a logged request without its text.
    Empty,
    /// The text is garbled.
    Garbled,
    /// The language is none of those that are kept.
    Language,
    /// A row before has the same words, whatever their case and punctuation.
    Duplicate,
    /// A row before has nearly the same words.
    NearDuplicate,
    /// The moderation endpoint flags the prompt.
    Flagged,
}

/// Counts of a preparation.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PrepareCounts {
    /// Rows that were read.
    pub read: u64,
    /// Rows that were written.
    pub written: u64,
    /// Rows that were dropped, by the reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Rows whose text was cleaned.
    pub cleaned: u64,
    /// Rows that got another id, because a row before has theirs.
    pub renamed: u64,
    /// Rows that the moderation endpoint did not judge; they stand in `<out>.unmoderated.jsonl`.
    pub unmoderated: u64,
    /// Rows that were written, by language; `unknown` where a text does not tell.
    pub languages: BTreeMap<String, u64>,
    /// Rows that were written, by split.
    pub splits: BTreeMap<String, u64>,
    /// The counts of harder variants, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<VariantCounts>,
}

/// Counts of harder variants.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VariantCounts {
    /// Variants that are kept, those of runs before included.
    pub kept: u64,
    /// Variants that stood in the file of a run before, kept or not.
    pub known: u64,
    /// Variants that the judge does not find harder.
    pub not_harder: u64,
    /// Variants that the judge finds no answer to.
    pub not_answerable: u64,
    /// Variants that are like the prompt that they were made of, or like another variant of it.
    pub same: u64,
    /// Rows that no variants are made of: conversations, and prompts of more than 8,000 bytes.
    pub without: u64,
    /// Variants without a usable answer; another run asks again.
    pub failed: u64,
    /// US dollars that this run cost, where prices are known.
    pub cost_usd: f64,
    /// True when the budget ended the run.
    pub stopped_by_budget: bool,
}

impl PrepareCounts {
    /// Counts a dropped row.
    pub(super) fn drop(&mut self, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// Returns the counts of dropped rows in words.
    pub(super) fn dropped_in_words(&self) -> String {
        let words = self.dropped.iter().map(|(reason, count)| {
            let name = serde_json::to_string(reason).unwrap_or_default();
            format!("{} {count}", name.trim_matches('"'))
        });
        words.collect::<Vec<_>>().join(", ")
    }
}
