//! `threshold`: models by how a head's score compares with one threshold, or with a ladder of them.

use std::sync::Arc;

use super::doubt::ScoreLimits;
use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, Name};
use crate::policy::decision::{ModelExpectation, Reason};
use crate::policy::flip::{FlipCandidate, FlipOutcome};
use crate::policy::signals::Signal;
use crate::scores::HeadScores;

const KIND: &str = "threshold";

/// A model for each range of scores.
#[derive(Debug)]
pub(super) struct ThresholdStrategy {
    classifier: Name,
    head: Name,
    /// Least scores and their models, from 0 up.
    rungs: Vec<(f64, Name)>,
    limits: ScoreLimits,
}

impl ThresholdStrategy {
    pub(super) fn new(config: &config::ThresholdConfig) -> Self {
        let rungs = config.rungs().into_iter().map(|rung| (rung.at_least.get(), rung.model)).collect();
        let (classifier, head) = (config.classifier.clone(), config.head.clone());
        let limits = ScoreLimits { max_truncated_tokens: config.max_truncated_tokens, unfamiliar: config.unfamiliar };
        Self { classifier, head, rungs, limits }
    }
}

impl StrategyKind for ThresholdStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        Ok(match known.signals.scores_or_ask(&self.classifier)? {
            Err(degraded) => StrategyPick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(scores) => match self.limits.doubt(scores) {
                Some(doubt) => doubt.abstain(KIND, known, || self.by_score(scores.head(&self.head), known)),
                None => self.by_score(scores.head(&self.head), known),
            },
        })
    }
}

impl ThresholdStrategy {
    fn by_score(&self, scores: Option<&HeadScores>, known: &ChoiceContext<'_>) -> StrategyPick {
        let read = scores.and_then(|scores| Some((scores, scores.level()?, scores.top()?.0)));
        let Some((scores, score, label)) = read else { return StrategyPick::abstain(KIND, Reason::UnmappedLabel) };
        // Where the top threshold stands now, when it is moved to hold a target.
        let moved = known.facts.live.threshold(known.policy);
        let top = self.rungs.len().saturating_sub(1);
        let least = |rung: usize| moved.filter(|_| rung == top && rung > 0).unwrap_or(self.rungs[rung].0);
        let pick = match (0..self.rungs.len()).rev().find(|rung| score >= least(*rung)) {
            Some(rung) => {
                let pick =
                    StrategyPick { rung: Some(rung), ..StrategyPick::of(KIND, &self.rungs[rung].1, Reason::Threshold) };
                if known.is_explained() { self.explain(pick, scores, score, least) } else { pick }
            }
            None => StrategyPick::abstain(KIND, Reason::LowConfidence), // a score that is not a number is no confidence
        };
        #[expect(clippy::cast_possible_truncation, reason = "it came out of f32")]
        StrategyPick { label: Some(Arc::clone(label)), score: Some(score as f32), ..pick }
    }

    /// Adds where the score would have met another model, and what a pair's probabilities say of the two.
    fn explain(
        &self,
        pick: StrategyPick,
        scores: &HeadScores,
        score: f64,
        least: impl Fn(usize) -> f64,
    ) -> StrategyPick {
        let chosen = pick.rung.unwrap_or_default();
        // On the way down a rung begins below the threshold of the next.
        let edge = |rung: usize| least(if rung > chosen { rung } else { rung + 1 });
        let others = (0..self.rungs.len()).filter(|rung| *rung != chosen);
        let flips = others.map(|rung| FlipCandidate {
            of: KIND,
            label: None,
            value: score,
            threshold: edge(rung),
            beyond: FlipOutcome::Model(self.rungs[rung].1.clone()),
        });
        let flips = flips.collect();
        let expected = match (&*self.rungs, &*scores.labels) {
            ([weak, strong], [low, high]) => [(weak, low, 1.0 - score), (strong, high, score)]
                .map(|((_, model), label, chance)| {
                    (model.clone(), ModelExpectation::probability(&[label], &self.head, chance))
                })
                .into(),
            _ => Vec::new(),
        };
        StrategyPick { flips, expected, ..pick }
    }
}
