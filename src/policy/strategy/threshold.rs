//! `threshold`: models by how a head's score compares with one threshold, or with a ladder of them.

use std::sync::Arc;

use super::{Known, Pick};
use crate::config::{self, Name};
use crate::policy::decision::Flip;
use crate::policy::reason::Reason;
use crate::policy::signals::Signal;
use crate::scores::HeadScores;

const KIND: &str = "threshold";

/// A model for each range of scores.
#[derive(Debug)]
pub(super) struct Threshold {
    classifier: Name,
    head: Name,
    /// Least scores and their models, from 0 up.
    rungs: Vec<(f64, Name)>,
    max_truncated_tokens: Option<u32>,
}

impl Threshold {
    pub(super) fn new(config: &config::Threshold) -> Self {
        let rungs = config.rungs().into_iter().map(|rung| (rung.at_least.get(), rung.model)).collect();
        let (classifier, head) = (config.classifier.clone(), config.head.clone());
        Self { classifier, head, rungs, max_truncated_tokens: config.max_truncated_tokens }
    }

    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        Ok(match known.signals.scores_or_ask(&self.classifier)? {
            Err(degraded) => Pick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(scores) => Pick::unless_read(KIND, scores, self.max_truncated_tokens)
                .unwrap_or_else(|| self.by_score(scores.head(&self.head), known.facts.live.threshold(known.policy))),
        })
    }

    /// `moved` is where the top threshold stands now, when it is moved to hold a target.
    fn by_score(&self, scores: Option<&HeadScores>, moved: Option<f64>) -> Pick {
        let known = scores.and_then(|scores| Some((scores.level()?, scores.top()?.0)));
        let Some((score, label)) = known else { return Pick::abstain(KIND, Reason::UnmappedLabel) };
        let top = self.rungs.len().saturating_sub(1);
        let least = |rung: usize| moved.filter(|_| rung == top && rung > 0).unwrap_or(self.rungs[rung].0);
        let pick = match (0..self.rungs.len()).rev().find(|rung| score >= least(*rung)) {
            Some(rung) => {
                let flip = self.flip(rung, score, least);
                Pick { rung: Some(rung), flip, ..Pick::of(KIND, &self.rungs[rung].1, Reason::Threshold) }
            }
            None => Pick::abstain(KIND, Reason::LowConfidence), // a score that is not a number is no confidence
        };
        #[expect(clippy::cast_possible_truncation, reason = "it came out of f32")]
        Pick { label: Some(Arc::clone(label)), score: Some(score as f32), ..pick }
    }

    /// Returns the threshold that is nearest to `score`, and the model on its other side.
    fn flip(&self, rung: usize, score: f64, least: impl Fn(usize) -> f64) -> Option<Flip> {
        let up = self.rungs.get(rung + 1).map(|(_, model)| (least(rung + 1), model));
        let down = rung.checked_sub(1).map(|below| (least(rung), &self.rungs[below].1));
        let nearest = [up, down].into_iter().flatten().min_by(|a, b| {
            let distance = |threshold: f64| (threshold - score).abs();
            distance(a.0).total_cmp(&distance(b.0))
        });
        nearest.map(|(threshold, model)| Flip { of: KIND, threshold, model: model.clone() })
    }
}
