//! `threshold`: models by how a head's score compares with one threshold, or with a ladder of them.

use std::sync::Arc;

use super::super::decision::{By, Choice, Flip, Reason};
use super::super::{Signal, Signals};
use crate::config::{self, KeyPath, Name};
use crate::scores::HeadScores;

/// A model for each range of scores.
#[derive(Debug)]
pub(in crate::policy) struct Threshold {
    classifier: Name,
    head: Name,
    /// Least scores and their models, from 0 up.
    rungs: Vec<(f64, Name)>,
    otherwise: Name,
}

impl Threshold {
    /// `otherwise` is the model that stands in where there are no scores.
    pub(super) fn new(config: &config::Threshold, otherwise: Name) -> Self {
        let rungs = config.rungs().into_iter().map(|rung| (rung.at_least.get(), rung.model)).collect();
        Self { classifier: config.classifier.clone(), head: config.head.clone(), rungs, otherwise }
    }

    pub(super) const fn classifier(&self) -> &Name {
        &self.classifier
    }

    pub(super) const fn head(&self) -> &Name {
        &self.head
    }

    /// Chooses by the scores, or asks for them.
    pub(super) fn choose(&self, signals: &Signals) -> Result<Choice, Signal> {
        match &signals.scores {
            None => Err(Signal::Scores { classifier: self.classifier.clone() }),
            Some(Err(degraded)) => Ok(self.abstain(Reason::Degraded(*degraded))),
            Some(Ok(scores)) => Ok(self.by_score(scores.head(&self.head))),
        }
    }

    fn by_score(&self, scores: Option<&HeadScores>) -> Choice {
        let known = scores.and_then(|scores| Some((scores.level()?, scores.top()?.0)));
        let Some((score, label)) = known else { return self.abstain(Reason::UnmappedLabel) };
        let choice = match self.rungs.iter().rposition(|(least, _)| score >= *least) {
            Some(rung) => Choice {
                model: self.rungs[rung].1.clone(),
                rung: Some(rung),
                flip: self.flip(rung, score),
                ..self.abstain(Reason::Threshold)
            },
            None => self.abstain(Reason::LowConfidence), // a score that is not a number is no confidence
        };
        #[expect(clippy::cast_possible_truncation, reason = "it came out of f32")]
        Choice { label: Some(Arc::clone(label)), score: Some(score as f32), ..choice }
    }

    /// Returns the threshold that is nearest to `score`, and the model on its other side.
    fn flip(&self, rung: usize, score: f64) -> Option<Flip> {
        let up = self.rungs.get(rung + 1).map(|(least, model)| (*least, model));
        let down = rung.checked_sub(1).map(|below| (self.rungs[rung].0, &self.rungs[below].1));
        let nearest = [up, down].into_iter().flatten().min_by(|a, b| {
            let distance = |threshold: f64| (threshold - score).abs();
            distance(a.0).total_cmp(&distance(b.0))
        });
        nearest.map(|(threshold, model)| Flip { threshold, model: model.clone() })
    }

    fn abstain(&self, reason: Reason) -> Choice {
        let by = By::Strategy("threshold");
        Choice { model: self.otherwise.clone(), rung: None, by, reason, label: None, score: None, flip: None }
    }
}

/// Says what is wrong with the head that a policy reads.
pub(in crate::policy) fn head_problems(
    path: &KeyPath,
    threshold: &config::Threshold,
    labels: Option<&[Arc<str>]>,
) -> Vec<(KeyPath, String)> {
    if labels.is_some() {
        return Vec::new();
    }
    let message = format!("classifier `{}` has no head `{}`", threshold.classifier, threshold.head);
    let key = if *threshold.head == *"strong_wins" { "classifier" } else { "head" };
    vec![(path.key(key), message)]
}
