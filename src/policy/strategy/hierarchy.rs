//! `hierarchy`: another strategy for each group of labels, such as domains.

use std::sync::Arc;

use super::{Known, Pick, Strategy, is_cut};
use crate::config::{self, KeyPath, Name};
use crate::policy::decision::Stage;
use crate::policy::reason::Reason;
use crate::policy::signals::Signal;
use crate::scores::{Degraded, HeadScores, Scores};

#[derive(Debug)]
pub(super) struct Hierarchy {
    classifier: Name,
    head: Name,
    min_confidence: f64,
    max_truncated_tokens: Option<u32>,
    branches: Vec<(Vec<String>, Strategy)>,
    default: Box<Strategy>,
}

impl Hierarchy {
    pub(super) fn new(
        path: &KeyPath,
        config: &config::Hierarchy,
        nested: impl Fn(&KeyPath, &config::Strategy) -> Strategy,
    ) -> Self {
        let branches = config.branches.iter().enumerate().map(|(index, branch)| {
            let path = path.key("branches").index(index).key("strategy");
            (branch.labels.clone(), nested(&path, &branch.strategy))
        });
        Self {
            classifier: config.classifier.clone(),
            head: config.head.clone(),
            min_confidence: config.min_confidence.get(),
            max_truncated_tokens: config.max_truncated_tokens,
            branches: branches.collect(),
            default: Box::new(nested(&path.key("default"), &config.default)),
        }
    }

    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        let scores = known.signals.scores_or_ask(&self.classifier)?;
        let (strategy, stage) = self.branch(scores);
        let mut pick = strategy.pick(known)?;
        let mut stages = vec![stage];
        stages.append(&mut pick.stages);
        stages.push(pick.stage());
        Ok(Pick { rung: None, stages, ..pick })
    }

    fn branch(&self, scores: Result<&Scores, Degraded>) -> (&Strategy, Stage) {
        let stage = |reason, top: Option<(&Arc<str>, f32)>| Stage {
            strategy: "hierarchy",
            model: None,
            reason,
            label: top.map(|(label, _)| Arc::clone(label)),
            score: top.map(|(_, score)| score),
            cost_usd: None,
        };
        let scores = match scores {
            Ok(scores) => scores,
            Err(degraded) => return (&self.default, stage(Reason::Degraded(degraded), None)),
        };
        let top = scores.head(&self.head).and_then(HeadScores::top);
        match top {
            _ if is_cut(scores, self.max_truncated_tokens) => (&self.default, stage(Reason::Truncated, top)),
            Some((label, score)) if f64::from(score) >= self.min_confidence => {
                let branch = self.branches.iter().find(|(labels, _)| labels.iter().any(|own| **own == **label));
                (branch.map_or(&*self.default, |(_, strategy)| strategy), stage(Reason::Tier, top))
            }
            _ => (&self.default, stage(Reason::LowConfidence, top)),
        }
    }
}
