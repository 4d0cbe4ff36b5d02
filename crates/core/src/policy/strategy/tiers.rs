//! `tiers`: models by the label of a head.

use std::sync::Arc;

use super::doubt::ScoreLimits;
use super::pick::{Known, Pick, StrategyKind};
use crate::config::{self, Name, Round};
use crate::policy::decision::{Expected, Reason};
use crate::policy::flip::{Beyond, Lever};
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
    limits: ScoreLimits,
}

#[derive(Debug)]
struct Tier {
    model: Name,
    labels: Vec<Name>,
    /// The position of its first label.
    rung: usize,
}

/// A tier and how probable it is.
struct Seen<'s> {
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
            limits: ScoreLimits { max_truncated_tokens: config.max_truncated_tokens, unfamiliar: config.unfamiliar },
        }
    }
}

impl StrategyKind for Tiers {
    fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        Ok(match known.signals.scores_or_ask(&self.classifier)? {
            Err(degraded) => Pick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(scores) => match self.limits.doubt(scores) {
                Some(doubt) => doubt.abstain(KIND, known, || self.by_label(scores.head(&self.head), known)),
                None => self.by_label(scores.head(&self.head), known),
            },
        })
    }
}

impl Tiers {
    fn by_label(&self, scores: Option<&HeadScores>, known: &Known<'_>) -> Pick {
        let Some((top, score)) = scores.and_then(HeadScores::top) else {
            return Pick::abstain(KIND, Reason::UnmappedLabel);
        };
        // A score that is not a number is no confidence; it counts as the greatest.
        if score.is_nan() {
            let none = Pick::abstain(KIND, Reason::LowConfidence);
            return Pick { label: Some(Arc::clone(top)), score: Some(score), ..none };
        }
        let best = |scores| self.seen(scores).max_by(|a, b| a.probability.total_cmp(&b.probability));
        let Some((scores, best)) = scores.and_then(|scores| Some((scores, best(scores)?))) else {
            let none = Pick::abstain(KIND, Reason::UnmappedLabel);
            return Pick { label: Some(Arc::clone(top)), score: Some(score), ..none };
        };
        #[expect(clippy::cast_possible_truncation, reason = "a sum of f32")]
        let score = best.probability as f32;
        let pick = Pick { label: Some(Arc::clone(best.label)), score: Some(score), ..self.by_tier(&best) };
        if known.is_explained() { self.explain(pick, &best, scores) } else { pick }
    }

    fn by_tier(&self, best: &Seen<'_>) -> Pick {
        let tier = &self.tiers[best.tier];
        if best.probability >= self.min_confidence {
            return Pick { rung: Some(tier.rung), ..Pick::of(KIND, &tier.model, Reason::Tier) };
        }
        match self.round {
            Round::Up => {
                let up = self.tiers.get(best.tier + 1).unwrap_or(tier);
                Pick { rung: Some(up.rung), ..Pick::of(KIND, &up.model, Reason::RoundedUp) }
            }
            Round::None => Pick::abstain(KIND, Reason::LowConfidence),
        }
    }

    /// Iterates over the tiers that the head has labels for.
    fn seen<'s>(&self, scores: &'s HeadScores) -> impl Iterator<Item = Seen<'s>> {
        let probability = |label: &Name| {
            let index = scores.labels.iter().position(|own| **own == *label.as_str())?;
            Some((&scores.labels[index], f64::from(*scores.probabilities.get(index)?)))
        };
        self.tiers.iter().enumerate().filter_map(move |(tier, Tier { labels, .. })| {
            let (label, _) = labels.iter().filter_map(probability).max_by(|a, b| a.1.total_cmp(&b.1))?;
            Some(Seen { tier, label, probability: labels.iter().filter_map(probability).map(|(_, p)| p).sum() })
        })
    }

    /// Adds which probabilities would have met another model, and how probable each model's tiers are.
    fn explain(&self, pick: Pick, best: &Seen<'_>, scores: &HeadScores) -> Pick {
        let mut flips = vec![self.confidence(best, best.probability)];
        for other in self.seen(scores).filter(|other| other.tier != best.tier) {
            // What the one gains the best one loses, until they are alike.
            let alike = f64::midpoint(best.probability, other.probability);
            flips.push(Lever {
                of: "probability",
                label: Some(Arc::clone(other.label)),
                value: other.probability,
                threshold: alike,
                beyond: Beyond::of(self.by_tier(&Seen { probability: alike, ..other }).model.as_ref()),
            });
            // Both may be too small to be sure of.
            if alike < self.min_confidence {
                flips.push(self.confidence(&other, other.probability));
            }
        }
        let mut models: Vec<(&Name, Vec<&str>, f64)> = Vec::new();
        for Seen { tier, probability, .. } in self.seen(scores) {
            let Tier { model, labels, .. } = &self.tiers[tier];
            let place = models.iter().position(|(own, ..)| *own == model).unwrap_or_else(|| {
                models.push((model, Vec::new(), 0.0));
                models.len() - 1
            });
            models[place].1.extend(labels.iter().map(Name::as_str));
            models[place].2 += probability;
        }
        let expected = models.into_iter().map(|(model, labels, probability)| {
            (model.clone(), Expected::probability(&labels, &self.head, probability))
        });
        Pick { flips, expected: expected.collect(), ..pick }
    }

    /// Returns what comes of it where `seen` crosses the confidence that is asked for.
    fn confidence(&self, seen: &Seen<'_>, probability: f64) -> Lever {
        let is_sure = probability >= self.min_confidence;
        let across = if is_sure { f64::NEG_INFINITY } else { self.min_confidence };
        Lever {
            of: "min_confidence",
            label: Some(Arc::clone(seen.label)),
            value: probability,
            threshold: self.min_confidence,
            beyond: Beyond::of(self.by_tier(&Seen { probability: across, ..*seen }).model.as_ref()),
        }
    }
}
