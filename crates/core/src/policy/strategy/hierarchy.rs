//! `hierarchy`: another strategy for each group of labels, such as domains.

use std::sync::Arc;

use super::doubt::ScoreLimits;
use super::pick::{ChoiceContext, Strategy, StrategyKind, StrategyPick, cost_of, follow};
use crate::config::{self, KeyPath, Name};
use crate::policy::decision::{Reason, StrategyStage};
use crate::policy::flip::{FlipCandidate, nearest};
use crate::policy::signals::Signal;
use crate::scores::{ClassifierFailure, HeadScores, Scores};

#[derive(Debug)]
pub(super) struct HierarchyStrategy {
    classifier: Name,
    head: Name,
    min_confidence: f64,
    limits: ScoreLimits,
    branches: Vec<(Vec<String>, Strategy)>,
    default: Box<Strategy>,
}

impl HierarchyStrategy {
    pub(super) fn new(
        path: &KeyPath,
        config: &config::HierarchyConfig,
        nested: impl Fn(&KeyPath, &config::StrategyConfig) -> Strategy,
    ) -> Self {
        let branches = config.branches.iter().enumerate().map(|(index, branch)| {
            let path = path.key("branches").index(index).key("strategy");
            (branch.labels.clone(), nested(&path, &branch.strategy))
        });
        Self {
            classifier: config.classifier.clone(),
            head: config.head.clone(),
            min_confidence: config.min_confidence.get(),
            limits: ScoreLimits { max_truncated_tokens: config.max_truncated_tokens, unfamiliar: config.unfamiliar },
            branches: branches.collect(),
            default: Box::new(nested(&path.key("default"), &config.default)),
        }
    }
}

impl StrategyKind for HierarchyStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let scores = known.signals.scores_or_ask(&self.classifier)?;
        let (strategy, mut stage) = self.branch(scores);
        let mut pick = strategy.pick(known)?;
        if let (true, Some(label), Ok(scores)) = (known.is_explained(), &stage.label, scores) {
            stage.flip = nearest(&self.flips(label, scores, known), pick.model.as_ref());
        }
        let mut stages = vec![stage];
        pick.hand_over(&mut stages);
        Ok(StrategyPick { rung: None, cost_usd: cost_of(&stages), stages, ..pick })
    }
}

impl HierarchyStrategy {
    fn branch(&self, scores: Result<&Scores, ClassifierFailure>) -> (&Strategy, StrategyStage) {
        let stage = |reason, top: Option<(&Arc<str>, f32)>| StrategyStage {
            strategy: "hierarchy",
            model: None,
            reason,
            label: top.map(|(label, _)| Arc::clone(label)),
            score: top.map(|(_, score)| score),
            rationale: None,
            cost_usd: None,
            flip: None,
        };
        let scores = match scores {
            Ok(scores) => scores,
            Err(degraded) => return (&self.default, stage(Reason::Degraded(degraded), None)),
        };
        let top = scores.head(&self.head).and_then(HeadScores::top);
        if let Some(doubt) = self.limits.doubt(scores) {
            return (&self.default, stage(doubt.reason(), top));
        }
        match top {
            Some((label, score)) if f64::from(score) >= self.min_confidence => {
                (self.branch_of(label), stage(Reason::Tier, top))
            }
            _ => (&self.default, stage(Reason::LowConfidence, top)),
        }
    }

    fn branch_of(&self, label: &str) -> &Strategy {
        let branch = self.branches.iter().find(|(labels, _)| labels.iter().any(|own| own == label));
        branch.map_or(&*self.default, |(_, strategy)| strategy)
    }

    /// Returns what other branches come to by what is known, and how the labels' probabilities would have led there.
    fn flips(&self, top: &Arc<str>, scores: &Scores, known: &ChoiceContext<'_>) -> Vec<FlipCandidate> {
        if let Some(doubt) = self.limits.doubt(scores) {
            return doubt.flip(follow(self.branch_of(top), known)).into_iter().collect();
        }
        let Some(head) = scores.head(&self.head) else { return Vec::new() };
        let seen = || head.labels.iter().zip(head.probabilities.iter().map(|p| f64::from(*p)));
        let best = seen().find(|(label, _)| *label == top).map_or(0.0, |(_, probability)| probability);
        let confidence = |label: &Arc<str>, value: f64, beyond| {
            let (of, label) = ("min_confidence", Some(Arc::clone(label)));
            FlipCandidate { of, label, value, threshold: self.min_confidence, beyond }
        };
        if best < self.min_confidence {
            let sure = |(label, value)| confidence(label, value, follow(self.branch_of(label), known));
            return seen().map(sure).collect();
        }
        let mut flips = vec![confidence(top, best, follow(&self.default, known))];
        // What the one gains the best one loses, until they are alike.
        flips.extend(seen().filter(|(label, _)| *label != top).map(|(label, value)| {
            let (threshold, beyond) = (f64::midpoint(best, value), follow(self.branch_of(label), known));
            FlipCandidate { of: "probability", label: Some(Arc::clone(label)), value, threshold, beyond }
        }));
        flips
    }
}
