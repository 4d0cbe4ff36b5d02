//! A row's way through the real path: chat body, prompt, features, classifier. What is measured is what would serve.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::EvaluateError;
use super::dataset::Row;
use crate::classifier::{Classifier, HeadSpec};
use crate::features::{Features, TokenCounter};
use crate::prompt::{Dialect, Prompt};
use crate::scores::{Degraded, Scores};

/// How long a prompt may take, its wait for those before it included; nobody is waiting behind a proxy here.
const PATIENCE: Duration = Duration::from_secs(600);

/// Asks one head of a classifier about rows.
pub(super) struct Judge<'c> {
    pub(super) classifier: &'c Classifier,
    pub(super) head: &'c HeadSpec,
}

/// What became of one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// Left out: the row says that it stands in a held-out set.
    Contaminated,
    /// Left out: there is no text to judge, so that a policy would not ask either.
    Blank,
    /// Judged.
    Judged(Judgement),
}

/// A label beside the truth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    /// The right label's place in the head's order.
    pub(super) truth: usize,
    /// The place of the label that the policy would see on top.
    pub(super) predicted: usize,
    /// One probability a label.
    pub(super) probabilities: Vec<f32>,
    /// Characters of the prompt.
    pub(super) chars: usize,
}

impl Judge<'_> {
    /// Judges one row.
    pub(super) async fn judge(&self, row: &Row) -> Result<Outcome, EvaluateError> {
        if row.contaminated {
            return Ok(Outcome::Contaminated);
        }
        let truth = self.head.label(&row.label).ok_or_else(|| self.unknown(row))?;
        match self.scores(&row.prompt).await {
            Ok(scores) => self.judgement(&scores, truth, row).map(Outcome::Judged),
            Err(Degraded::NoText) => Ok(Outcome::Blank),
            Err(reason) => Err(EvaluateError::Unscored { line: row.line, reason: reason.as_str() }),
        }
    }

    async fn scores(&self, text: &str) -> Result<Scores, Degraded> {
        let body = json!({"model": "evaluate", "messages": [{"role": "user", "content": text}]}).to_string();
        let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body of our own parses");
        let features = Features::of(&prompt, &TokenCounter::new());
        self.classifier.classify(prompt.newest_user_turn(), &features, Instant::now() + PATIENCE).await
    }

    fn judgement(&self, scores: &Scores, truth: usize, row: &Row) -> Result<Judgement, EvaluateError> {
        let head = scores.head(self.head.name.as_str());
        let top = head.and_then(|head| Some((head, self.head.label(head.top()?.0)?)));
        let (head, predicted) = top.ok_or(EvaluateError::Unscored { line: row.line, reason: "no_scores" })?;
        let (probabilities, chars) = (head.probabilities.clone(), row.prompt.chars().count());
        Ok(Judgement { truth, predicted, probabilities, chars })
    }

    fn unknown(&self, row: &Row) -> EvaluateError {
        let labels = self.head.labels.iter().map(ToString::to_string);
        let aliases = self.head.aliases.iter().map(|(alias, label)| format!("{alias} for {label}"));
        EvaluateError::UnknownLabel {
            line: row.line,
            label: row.label.clone(),
            head: self.head.name.to_string(),
            allowed: labels.chain(aliases).collect::<Vec<_>>().join(", "),
        }
    }
}
