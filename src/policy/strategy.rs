//! How a model is chosen when no rule did: `tiers`, by the label of a classifier's head, or `threshold`, by its score.

mod threshold;

use std::sync::Arc;

use super::decision::{By, Choice, Reason};
use super::{Signal, Signals};
use crate::config::{self, KeyPath, Ladder, Name, nearest};
use crate::scores::HeadScores;

use self::threshold::Threshold;
pub(super) use self::threshold::head_problems;

/// How a model is chosen when no rule did.
#[derive(Debug)]
pub(super) enum Strategy {
    Tiers(Tiers),
    Threshold(Threshold),
}

/// A model for each label.
#[derive(Debug)]
pub(super) struct Tiers {
    classifier: Name,
    head: Name,
    ladder: Ladder,
    min_confidence: f64,
    max_truncated_tokens: Option<u32>,
    otherwise: Name,
}

impl Strategy {
    /// `otherwise` is the model that stands in where the strategy abstains.
    pub(super) fn new(config: &config::Strategy, otherwise: Name) -> Self {
        match config {
            config::Strategy::Tiers(tiers) => Self::Tiers(Tiers::new(tiers)),
            config::Strategy::Threshold(threshold) => Self::Threshold(Threshold::new(threshold, otherwise)),
        }
    }

    /// Returns whether it reads scores of `classifier`.
    pub(super) fn asks(&self, classifier: &Name) -> bool {
        let asked = match self {
            Self::Tiers(tiers) => &tiers.classifier,
            Self::Threshold(threshold) => threshold.classifier(),
        };
        asked == classifier
    }

    /// Returns the heads that it reads.
    pub(super) const fn heads(&self) -> &[Name] {
        match self {
            Self::Tiers(tiers) => std::slice::from_ref(&tiers.head),
            Self::Threshold(threshold) => std::slice::from_ref(threshold.head()),
        }
    }

    /// Chooses, or names the signal that it needs.
    pub(super) fn choose(&self, signals: &Signals) -> Result<Choice, Signal> {
        match self {
            Self::Tiers(tiers) => tiers.choose(signals),
            Self::Threshold(threshold) => threshold.choose(signals),
        }
    }
}

impl Tiers {
    fn new(config: &config::Tiers) -> Self {
        Self {
            classifier: config.classifier.clone(),
            head: config.head.clone(),
            ladder: config.tiers.clone(),
            min_confidence: config.min_confidence.get(),
            max_truncated_tokens: config.max_truncated_tokens,
            otherwise: config.otherwise.clone(),
        }
    }

    /// Chooses by the scores, or asks for them.
    fn choose(&self, signals: &Signals) -> Result<Choice, Signal> {
        match &signals.scores {
            None => Err(Signal::Scores { classifier: self.classifier.clone() }),
            Some(Err(degraded)) => Ok(self.abstain(Reason::Degraded(*degraded))),
            // What was not read may be what matters.
            Some(Ok(scores)) if self.max_truncated_tokens.is_some_and(|most| scores.truncated_tokens > most) => {
                Ok(self.abstain(Reason::Truncated))
            }
            Some(Ok(scores)) => Ok(self.by_label(scores.head(&self.head))),
        }
    }

    fn by_label(&self, scores: Option<&HeadScores>) -> Choice {
        let Some((label, score)) = scores.and_then(HeadScores::top) else {
            return self.abstain(Reason::UnmappedLabel);
        };
        let tier = self.ladder.iter().enumerate().find(|(_, (own, _))| own.as_str() == &**label);
        let choice = match tier {
            // A score that is not a number is no confidence.
            Some(_) if score.is_nan() || f64::from(score) < self.min_confidence => self.abstain(Reason::LowConfidence),
            Some((rung, (_, model))) => {
                Choice { model: model.clone(), rung: Some(rung), reason: Reason::Tier, ..self.abstain(Reason::Tier) }
            }
            None => self.abstain(Reason::UnmappedLabel),
        };
        Choice { label: Some(Arc::clone(label)), score: Some(score), ..choice }
    }

    fn abstain(&self, reason: Reason) -> Choice {
        let by = By::Strategy("tiers");
        Choice { model: self.otherwise.clone(), rung: None, by, reason, label: None, score: None, flip: None }
    }
}

/// Compares a policy's tiers with the labels of the head that it reads.
pub(super) fn label_problems(
    path: &KeyPath,
    tiers: &config::Tiers,
    labels: Option<&[Arc<str>]>,
) -> Vec<(KeyPath, String)> {
    let Some(labels) = labels else {
        let message = format!("classifier `{}` has no head `{}`", tiers.classifier, tiers.head);
        let key = if *tiers.head == *"tier" { "classifier" } else { "head" };
        return vec![(path.key(key), message)];
    };
    let path = path.key("tiers");
    let names = labels.iter().map(|label| &**label);
    let unmapped = names.clone().filter(|label| tiers.tiers.get(label).is_none());
    let unknown =
        tiers.tiers.iter().map(|(label, _)| label).filter(|label| !names.clone().any(|name| name == label.as_str()));
    let allowed = names.clone().collect::<Vec<_>>().join(", ");
    let unmapped = unmapped.map(|label| (path.clone(), format!("lacks the label `{label}` (required: {allowed})")));
    let unknown = unknown.map(|label| {
        let hint = nearest(label, names.clone()).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        (path.key(label), format!("head `{}` has no such label{hint} (allowed: {allowed})", tiers.head))
    });
    unmapped.chain(unknown).collect()
}
