//! A row's way through the real path: chat body, prompt, features, classifier. What is measured is what would serve.

use std::time::Duration;

use pointsman_classifier::{Classifier, HeadSpec, ScoreRequest, ScoredHeads};
use pointsman_core::config::Name;
use pointsman_core::features::{Features, TextStructure, TokenCounter};
use pointsman_core::scores::{ClassifierFailure, HeadScores, Scores};
use tokio::time::Instant;

use super::EvaluateError;
use crate::dataset::{DatasetRow, GroundTruth};

/// The deadline of a prompt, its wait for those before it included; nobody is waiting behind a proxy here.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Asks one head of a classifier about rows, or one for each of several models.
pub(super) struct RowScorer<'c> {
    pub(super) classifier: &'c Classifier,
    pub(super) head: &'c HeadSpec,
    /// Models with the heads that say how likely each succeeds; empty when one head is asked.
    pub(super) models: &'c [(String, Name)],
}

/// The outcome of scoring a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RowOutcome {
    /// Left out: the row says that it stands in a held-out set.
    Contaminated,
    /// Left out: there is no text to judge, so that a policy would not ask either.
    Blank,
    /// Left out: the row's label is none of the head's.
    Unknown(UnknownLabel),
    /// Judged, where the file says which label is right.
    Judged(LabelPrediction),
    /// Ranked, where the file says how well models answer.
    Ranked(RankedRow),
}

/// A prompt's place on a head's scale beside what models made of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RankedRow {
    /// The prompt's place on the scale from the head's first label, 0, to its last, 1.
    pub(super) score: f64,
    /// The outcomes of the models.
    pub(super) truth: GroundTruth,
    /// Characters of the prompt.
    pub(super) chars: usize,
    /// The chance of each model to succeed, where models have heads of their own.
    pub(super) chances: Vec<f32>,
}

/// A label that the head does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownLabel {
    /// The line, from 1.
    pub(super) line: u64,
    /// The label.
    pub(super) label: String,
}

/// A label beside the truth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LabelPrediction {
    /// The right label's place in the head's order.
    pub(super) truth: usize,
    /// The place of the label that a policy would decide by, where both mistakes count alike.
    pub(super) predicted: usize,
    /// One probability a label.
    pub(super) probabilities: Vec<f32>,
    /// Characters of the prompt.
    pub(super) chars: usize,
}

impl RowScorer<'_> {
    /// Judges one row.
    pub(super) async fn judge(&self, row: &DatasetRow) -> Result<RowOutcome, EvaluateError> {
        if row.contaminated {
            return Ok(RowOutcome::Contaminated);
        }
        let truth = match &row.truth {
            GroundTruth::Label(label) => match self.head.label(label) {
                Some(place) => Some(place),
                None => return Ok(RowOutcome::Unknown(UnknownLabel { line: row.line, label: label.clone() })),
            },
            GroundTruth::Pair { .. } | GroundTruth::Models(_) => None,
        };
        let judged = match self.logged(row).filter(|_| row.asked.text.is_empty()) {
            Some(scores) => Ok(scores),
            None => self.scores(row).await,
        };
        let scores = match judged {
            Ok(scores) => scores,
            Err(ClassifierFailure::NoText) => return Ok(RowOutcome::Blank),
            Err(reason) => return Err(EvaluateError::Unscored { line: row.line, reason: reason.as_str() }),
        };
        match truth {
            Some(truth) => self.judgement(&scores, truth, row).map(RowOutcome::Judged),
            None => self.ranked(&scores, row).map(RowOutcome::Ranked),
        }
    }

    /// Returns what the head said when the request was decided.
    fn logged(&self, row: &DatasetRow) -> Option<Scores> {
        let (name, probabilities) = row.logged_scores.as_ref()?.get_key_value(self.head.name.as_str())?;
        let in_order = self.head.labels.iter().map(|label| probabilities.get(label.as_str()).copied());
        let head = HeadScores {
            head: name.as_str().into(),
            labels: self.head.labels.iter().map(|label| label.as_str().into()).collect(),
            probabilities: in_order.collect::<Option<_>>()?,
            known: None,
            levels: self.classifier.levels(name).cloned(),
        };
        Some(Scores::of(vec![head]))
    }

    fn ranked(&self, scores: &Scores, row: &DatasetRow) -> Result<RankedRow, EvaluateError> {
        let unscored = || EvaluateError::Unscored { line: row.line, reason: "no_scores" };
        let chance = |(_, head): &(String, Name)| scores.head(head.as_str())?.probabilities.last().copied();
        let chances = self.models.iter().map(chance).collect::<Option<Vec<f32>>>().ok_or_else(unscored)?;
        let score = match self.models {
            [] => scores.head(self.head.name.as_str()).ok_or_else(unscored)?.level().unwrap_or_default(),
            // Which two models are to be told apart is known once all rows are.
            _ => 0.0,
        };
        Ok(RankedRow { score, truth: row.truth.clone(), chars: row.chars(), chances })
    }

    /// Judges the newest turn and, where it does not stand by itself, what it answers, as the router does.
    async fn scores(&self, row: &DatasetRow) -> Result<Scores, ClassifierFailure> {
        let request = row.asked.request();
        let prompt = request.prompt();
        let features = Features::of(&prompt, &TokenCounter::new());
        let Some(before) = prompt.answered_text() else { return self.classified(prompt.newest_ask(), &features).await };
        let answered = self.classified(before, &features.clone().with_text(TextStructure::of(before))).await?;
        if !prompt.ask().adds() {
            return Ok(answered);
        }
        let reply = self.classified(prompt.newest_ask(), &features).await?;
        Ok(self.higher(reply, answered))
    }

    async fn classified(&self, text: &str, features: &Features) -> Result<Scores, ClassifierFailure> {
        let heads: Vec<Name> = match self.models {
            [] => vec![self.head.name.clone()],
            models => models.iter().map(|(_, head)| head.clone()).collect(),
        };
        let ask = ScoreRequest {
            text,
            features,
            deadline: Instant::now() + PATIENCE,
            heads: &heads,
            scored: ScoredHeads::Read,
        };
        let scores = self.classifier.score(ask).await?;
        // Scores that stood in for the encoder's are not what is evaluated.
        scores.source.degraded().map_or(Ok(scores), Err)
    }

    /// Returns the scores of a reply where its label stands higher in the head's order, else those of what it answers.
    fn higher(&self, reply: Scores, answered: Scores) -> Scores {
        let place = |scores: &Scores| {
            let decided = scores.head(self.head.name.as_str())?.decided()?;
            self.head.label(decided.0)
        };
        if place(&reply) > place(&answered) { reply } else { answered }
    }

    fn judgement(&self, scores: &Scores, truth: usize, row: &DatasetRow) -> Result<LabelPrediction, EvaluateError> {
        let head = scores.head(self.head.name.as_str());
        let top = head.and_then(|head| Some((head, self.head.label(head.decided()?.0)?)));
        let (head, predicted) = top.ok_or(EvaluateError::Unscored { line: row.line, reason: "no_scores" })?;
        let (probabilities, chars) = (head.probabilities.clone(), row.chars());
        Ok(LabelPrediction { truth, predicted, probabilities, chars })
    }
}

impl UnknownLabel {
    /// Returns the error that names the labels that `head` has.
    pub(super) fn error(self, head: &HeadSpec) -> EvaluateError {
        let labels = head.labels.iter().map(ToString::to_string);
        let aliases = head.aliases.iter().map(|(alias, label)| format!("{alias} for {label}"));
        EvaluateError::UnknownLabel {
            line: self.line,
            label: self.label,
            head: head.name.to_string(),
            allowed: labels.chain(aliases).collect::<Vec<_>>().join(", "),
        }
    }
}
