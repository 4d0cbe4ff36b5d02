//! The counts of a run, as its report has them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::answers::AnswerRow;

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CollectCounts {
    /// Prompts that were read.
    pub prompts: u64,
    /// Rows of the file that ask nothing.
    pub skipped: u64,
    /// Answers of this run.
    pub answered: u64,
    /// Requests of this run without an answer.
    pub failed: u64,
    /// Answers that stood in the file already.
    pub known: u64,
    /// Failures that stood in the file already; `--retry-failed` sends their requests again.
    pub failed_before: u64,
    /// Requests that were not sent.
    pub not_asked: u64,
    /// US dollars that answers of this run cost.
    pub cost_usd: f64,
    /// US dollars that the judges of policies cost.
    pub judge_cost_usd: f64,
    /// Answers of this run whose cost nobody knows.
    pub unpriced: u64,
    /// The reason why the run is over.
    pub ended: CollectEnd,
    /// The targets that were given up, with their last failure.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub given_up: BTreeMap<String, String>,
    /// The counts of each model and policy.
    pub targets: BTreeMap<String, TargetCounts>,
}

/// Counts of one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TargetCounts {
    /// Answers of this run.
    pub answered: u64,
    /// Requests of this run without an answer.
    pub failed: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// US dollars, judges included.
    pub cost_usd: f64,
}

/// The reason why a run is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectEnd {
    /// Every prompt was asked.
    #[default]
    Done,
    /// The next request might have cost more than was left.
    Budget,
    /// Someone ended the run.
    Interrupted,
}

/// The progress of a run.
#[derive(Debug)]
pub struct CollectProgress<'c> {
    /// The counts so far.
    pub counts: &'c CollectCounts,
    /// Answers that are settled: of this run, or known before.
    pub settled: u64,
}

impl CollectCounts {
    /// Counts an answer, or its failure.
    pub(super) fn add(&mut self, row: &AnswerRow) {
        let target = self.targets.entry(row.asked.clone()).or_default();
        let (cost, judged) = (row.cost_usd.unwrap_or_default(), row.judge_cost_usd.unwrap_or_default());
        self.cost_usd += cost;
        self.judge_cost_usd += judged;
        target.cost_usd += cost + judged;
        target.input_tokens += row.input_tokens.unwrap_or_default();
        target.output_tokens += row.output_tokens.unwrap_or_default();
        if row.error.is_some() {
            self.failed += 1;
            target.failed += 1;
        } else {
            self.answered += 1;
            target.answered += 1;
            self.unpriced += u64::from(row.cost_usd.is_none());
        }
    }

    /// Returns the answers that are settled.
    pub(super) const fn settled(&self) -> u64 {
        self.answered + self.failed + self.known + self.failed_before
    }
}
