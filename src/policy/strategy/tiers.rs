//! `tiers`: models by the label of a head.

use std::sync::Arc;

use super::{Known, Pick};
use crate::config::{self, Name, Round};
use crate::policy::decision::Flip;
use crate::policy::reason::Reason;
use crate::policy::signals::Signal;
use crate::scores::HeadScores;

const KIND: &str = "tiers";

/// A model for each label.
#[derive(Debug)]
pub(super) struct Tiers {
    classifier: Name,
    head: Name,
    /// Lowest first. Labels beside each other that have one model are one tier.
    tiers: Vec<Tier>,
    min_confidence: f64,
    round: Round,
    max_truncated_tokens: Option<u32>,
}

#[derive(Debug)]
struct Tier {
    model: Name,
    labels: Vec<Name>,
    /// The position of its first label.
    rung: usize,
}

/// The most probable tier.
struct Best<'s> {
    tier: usize,
    probability: f64,
    /// The most probable of its labels.
    label: &'s Arc<str>,
}

impl Tiers {
    pub(super) fn new(config: &config::Tiers) -> Self {
        let mut tiers: Vec<Tier> = Vec::new();
        for (rung, (label, model)) in config.tiers.iter().enumerate() {
            match tiers.last_mut() {
                Some(tier) if tier.model == *model => tier.labels.push(label.clone()),
                _ => tiers.push(Tier { model: model.clone(), labels: vec![label.clone()], rung }),
            }
        }
        Self {
            classifier: config.classifier.clone(),
            head: config.head.clone(),
            tiers,
            min_confidence: config.min_confidence.get(),
            round: config.round,
            max_truncated_tokens: config.max_truncated_tokens,
        }
    }

    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        Ok(match known.signals.scores_or_ask(&self.classifier)? {
            Err(degraded) => Pick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(scores) => Pick::unless_read(KIND, scores, self.max_truncated_tokens)
                .unwrap_or_else(|| self.by_label(scores.head(&self.head))),
        })
    }

    fn by_label(&self, scores: Option<&HeadScores>) -> Pick {
        let Some((top, score)) = scores.and_then(HeadScores::top) else {
            return Pick::abstain(KIND, Reason::UnmappedLabel);
        };
        // A score that is not a number is no confidence; it counts as the greatest.
        if score.is_nan() {
            let none = Pick::abstain(KIND, Reason::LowConfidence);
            return Pick { label: Some(Arc::clone(top)), score: Some(score), ..none };
        }
        let Some(best) = scores.and_then(|scores| self.best(scores)) else {
            let none = Pick::abstain(KIND, Reason::UnmappedLabel);
            return Pick { label: Some(Arc::clone(top)), score: Some(score), ..none };
        };
        #[expect(clippy::cast_possible_truncation, reason = "a sum of f32")]
        let score = best.probability as f32;
        Pick { label: Some(Arc::clone(best.label)), score: Some(score), ..self.by_tier(&best) }
    }

    fn by_tier(&self, best: &Best<'_>) -> Pick {
        let tier = &self.tiers[best.tier];
        let is_sure = best.probability >= self.min_confidence;
        let above = self.tiers.get(best.tier + 1);
        match (is_sure, self.round, above) {
            (true, ..) => Pick { rung: Some(tier.rung), ..Pick::of(KIND, &tier.model, Reason::Tier) },
            (false, Round::Up, above) => {
                let up = above.unwrap_or(tier);
                let flip = above.map(|_| self.flip(&tier.model));
                Pick { rung: Some(up.rung), flip, ..Pick::of(KIND, &up.model, Reason::RoundedUp) }
            }
            (false, Round::None, _) => {
                Pick { flip: Some(self.flip(&tier.model)), ..Pick::abstain(KIND, Reason::LowConfidence) }
            }
        }
    }

    fn flip(&self, model: &Name) -> Flip {
        Flip { of: "min_confidence", threshold: self.min_confidence, model: model.clone() }
    }

    fn best<'s>(&self, scores: &'s HeadScores) -> Option<Best<'s>> {
        let probability = |label: &Name| {
            let index = scores.labels.iter().position(|own| **own == *label.as_str())?;
            Some((&scores.labels[index], f64::from(*scores.probabilities.get(index)?)))
        };
        let tiers = self.tiers.iter().enumerate().filter_map(|(tier, Tier { labels, .. })| {
            let (label, _) = labels.iter().filter_map(probability).max_by(|a, b| a.1.total_cmp(&b.1))?;
            Some(Best { tier, label, probability: labels.iter().filter_map(probability).map(|(_, p)| p).sum() })
        });
        tiers.max_by(|a, b| a.probability.total_cmp(&b.probability))
    }
}
