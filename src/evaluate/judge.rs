//! A row's way through the real path: chat body, prompt, features, classifier. What is measured is what would serve.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::EvaluateError;
use super::dataset::{Row, Truth};
use crate::classifier::{Ask, Classifier, HeadSpec};
use crate::features::{Features, TokenCounter};
use crate::prompt::{Dialect, Prompt};
use crate::scores::{Degraded, HeadScores, Scores, Source};

/// How long a prompt may take, its wait for those before it included; nobody is waiting behind a proxy here.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

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
    /// Judged, where the file says which label is right.
    Judged(Judgement),
    /// Ranked, where the file says how well models answer.
    Ranked(Ranked),
}

/// A prompt's place on a head's scale beside what models made of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    /// Where on the scale from the head's first label, 0, to its last, 1.
    pub(super) score: f64,
    /// What the models made of it.
    pub(super) truth: Truth,
    /// Characters of the prompt.
    pub(super) chars: usize,
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
        let truth = self.truth(row)?;
        let judged = match self.logged(row).filter(|_| row.prompt.is_empty()) {
            Some(scores) => Ok(scores),
            None => self.scores(&row.prompt).await,
        };
        let scores = match judged {
            Ok(scores) => scores,
            Err(Degraded::NoText) => return Ok(Outcome::Blank),
            Err(reason) => return Err(EvaluateError::Unscored { line: row.line, reason: reason.as_str() }),
        };
        match truth {
            Some(truth) => self.judgement(&scores, truth, row).map(Outcome::Judged),
            None => self.ranked(&scores, row).map(Outcome::Ranked),
        }
    }

    /// Returns what the head said when the request was decided.
    fn logged(&self, row: &Row) -> Option<Scores> {
        let (name, probabilities) = row.logged_scores.as_ref()?.get_key_value(self.head.name.as_str())?;
        let in_order = self.head.labels.iter().map(|label| probabilities.get(label.as_str()).copied());
        let head = HeadScores {
            head: name.as_str().into(),
            labels: self.head.labels.iter().map(|label| label.as_str().into()).collect(),
            probabilities: in_order.collect::<Option<_>>()?,
        };
        Some(Scores { source: Source::Encoder, heads: vec![head], tokens: 0, truncated_tokens: 0 })
    }

    /// Returns the right label's place, if the row names a label.
    fn truth(&self, row: &Row) -> Result<Option<usize>, EvaluateError> {
        let Truth::Label(label) = &row.truth else { return Ok(None) };
        self.head.label(label).map(Some).ok_or_else(|| self.unknown(row.line, label))
    }

    fn ranked(&self, scores: &Scores, row: &Row) -> Result<Ranked, EvaluateError> {
        let head = scores.head(self.head.name.as_str());
        let head = head.ok_or(EvaluateError::Unscored { line: row.line, reason: "no_scores" })?;
        Ok(Ranked {
            score: head.level().unwrap_or_default(),
            truth: row.truth.clone(),
            chars: row.prompt.chars().count(),
        })
    }

    async fn scores(&self, text: &str) -> Result<Scores, Degraded> {
        let features = features(text);
        let heads = std::slice::from_ref(&self.head.name);
        let ask = Ask { text, features: &features, deadline: Instant::now() + PATIENCE, heads };
        let scores = self.classifier.judge(ask).await?;
        // Scores that stood in for the encoder's are not what is evaluated.
        scores.source.degraded().map_or(Ok(scores), Err)
    }

    fn judgement(&self, scores: &Scores, truth: usize, row: &Row) -> Result<Judgement, EvaluateError> {
        let head = scores.head(self.head.name.as_str());
        let top = head.and_then(|head| Some((head, self.head.label(head.top()?.0)?)));
        let (head, predicted) = top.ok_or(EvaluateError::Unscored { line: row.line, reason: "no_scores" })?;
        let (probabilities, chars) = (head.probabilities.clone(), row.prompt.chars().count());
        Ok(Judgement { truth, predicted, probabilities, chars })
    }

    fn unknown(&self, line: u64, label: &str) -> EvaluateError {
        let labels = self.head.labels.iter().map(ToString::to_string);
        let aliases = self.head.aliases.iter().map(|(alias, label)| format!("{alias} for {label}"));
        EvaluateError::UnknownLabel {
            line,
            label: label.to_owned(),
            head: self.head.name.to_string(),
            allowed: labels.chain(aliases).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Returns the features of a chat request whose one user turn is `text`.
pub(super) fn features(text: &str) -> Features {
    let body = json!({"model": "evaluate", "messages": [{"role": "user", "content": text}]}).to_string();
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body of our own parses");
    Features::of(&prompt, &TokenCounter::new())
}
