//! `tiers`: models by the label of a head.

use std::sync::Arc;

use super::doubt::ScoreLimits;
use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, Name, TierRounding};
use crate::policy::decision::{ModelExpectation, Reason};
use crate::policy::flip::{FlipCandidate, FlipOutcome};
use crate::policy::signals::Signal;
use crate::scores::{HeadScores, LevelLean};

const KIND: &str = "tiers";

/// A model for each label.
#[derive(Debug)]
pub(super) struct TiersStrategy {
    classifier: Name,
    head: Name,
    /// Lowest first. Labels beside each other that have one model are one tier.
    tiers: Vec<LabelTier>,
    lean: LevelLean,
    min_confidence: f64,
    round: TierRounding,
    limits: ScoreLimits,
}

#[derive(Debug)]
struct LabelTier {
    model: Name,
    labels: Vec<Name>,
    /// The position of its first label.
    rung: usize,
}

/// A tier and how probable it is.
struct TierProbability<'s> {
    tier: usize,
    probability: f64,
    /// The most probable of its labels.
    label: &'s Arc<str>,
}

impl TiersStrategy {
    pub(super) fn new(config: &config::TiersConfig) -> Self {
        let mut tiers: Vec<LabelTier> = Vec::new();
        for (rung, (label, model)) in config.tiers.iter().enumerate() {
            match tiers.last_mut() {
                Some(tier) if tier.model == *model => tier.labels.push(label.clone()),
                _ => tiers.push(LabelTier { model: model.clone(), labels: vec![label.clone()], rung }),
            }
        }
        Self {
            classifier: config.classifier.clone(),
            head: config.head.clone(),
            tiers,
            lean: match config.lean {
                config::TierLean::Cheap => LevelLean::Cheap,
                config::TierLean::Even => LevelLean::Even,
                config::TierLean::Strong => LevelLean::Strong,
            },
            min_confidence: config.min_confidence.get(),
            round: config.round,
            limits: ScoreLimits { max_truncated_tokens: config.max_truncated_tokens, unfamiliar: config.unfamiliar },
        }
    }
}

impl StrategyKind for TiersStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        Ok(match known.signals.scores_or_ask(&self.classifier)? {
            Err(degraded) => StrategyPick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(scores) => match self.limits.doubt(scores) {
                Some(doubt) => doubt.abstain(KIND, known, || self.by_label(scores.head(&self.head), known)),
                None => self.by_label(scores.head(&self.head), known),
            },
        })
    }
}

impl TiersStrategy {
    fn by_label(&self, scores: Option<&HeadScores>, known: &ChoiceContext<'_>) -> StrategyPick {
        let Some((scores, (top, score))) = scores.and_then(|scores| Some((scores, scores.decided_by(self.lean)?)))
        else {
            return StrategyPick::abstain(KIND, Reason::UnmappedLabel);
        };
        // A score that is not a number is no confidence; it counts as the greatest.
        if scores.probabilities.iter().any(|probability| probability.is_nan()) {
            let none = StrategyPick::abstain(KIND, Reason::LowConfidence);
            return StrategyPick { label: Some(Arc::clone(top)), score: Some(score), ..none };
        }
        let Some(best) = self.chosen(scores) else {
            let none = StrategyPick::abstain(KIND, Reason::UnmappedLabel);
            return StrategyPick { label: Some(Arc::clone(top)), score: Some(score), ..none };
        };
        // Of the best tier, whichever is chosen: `min_confidence` asks for it, and calibration searches along it.
        let confidence = self.confidence(scores);
        #[expect(clippy::cast_possible_truncation, reason = "a sum of f32")]
        let score = confidence as f32;
        let pick = self.by_tier(best.tier, confidence);
        let pick = StrategyPick { label: Some(Arc::clone(best.label)), score: Some(score), ..pick };
        if known.is_explained() { self.explain(pick, &best, scores) } else { pick }
    }

    /// Returns the tier of the label that the head's thresholds decide; the most probable tier where the head has none,
    /// or no tier has that label. `None` where no label of the head has a model.
    fn chosen<'s>(&self, scores: &'s HeadScores) -> Option<TierProbability<'s>> {
        let by_level = || {
            scores.levels.as_ref()?;
            let (label, _) = scores.decided_by(self.lean)?;
            let chosen = self.seen(scores).find(|seen| self.tiers[seen.tier].has(label))?;
            Some(TierProbability { label, ..chosen })
        };
        by_level().or_else(|| self.seen(scores).max_by(|a, b| a.probability.total_cmp(&b.probability)))
    }

    /// Returns the probability of the most probable tier, which `min_confidence` asks for.
    fn confidence(&self, scores: &HeadScores) -> f64 {
        self.seen(scores).map(|seen| seen.probability).fold(0.0, f64::max)
    }

    fn by_tier(&self, tier: usize, confidence: f64) -> StrategyPick {
        let own = &self.tiers[tier];
        if confidence >= self.min_confidence {
            return StrategyPick { rung: Some(own.rung), ..StrategyPick::of(KIND, &own.model, Reason::Tier) };
        }
        match self.round {
            TierRounding::Up => {
                let up = self.tiers.get(tier + 1).unwrap_or(own);
                StrategyPick { rung: Some(up.rung), ..StrategyPick::of(KIND, &up.model, Reason::RoundedUp) }
            }
            TierRounding::None => StrategyPick::abstain(KIND, Reason::LowConfidence),
        }
    }

    /// Iterates over the tiers that the head has labels for.
    fn seen<'s>(&self, scores: &'s HeadScores) -> impl Iterator<Item = TierProbability<'s>> {
        let probability = |label: &Name| {
            let index = scores.labels.iter().position(|own| **own == *label.as_str())?;
            Some((&scores.labels[index], f64::from(*scores.probabilities.get(index)?)))
        };
        self.tiers.iter().enumerate().filter_map(move |(tier, LabelTier { labels, .. })| {
            let (label, _) = labels.iter().filter_map(probability).max_by(|a, b| a.1.total_cmp(&b.1))?;
            Some(TierProbability {
                tier,
                label,
                // Labels that hold apart from each other can add up to more; the sum bounds that any of them holds.
                probability: labels.iter().filter_map(probability).map(|(_, p)| p).sum::<f64>().clamp(0.0, 1.0),
            })
        })
    }

    /// Adds which numbers would have met another model, and how probable each model's tiers are.
    fn explain(&self, pick: StrategyPick, best: &TierProbability<'_>, scores: &HeadScores) -> StrategyPick {
        let mut flips = vec![self.surer(best, self.confidence(scores))];
        if scores.levels.is_some() {
            flips.extend(self.borders(best, scores));
        } else {
            flips.extend(self.rivals(best, scores));
        }
        let mut models: Vec<(&Name, Vec<&str>, f64)> = Vec::new();
        for TierProbability { tier, probability, .. } in self.seen(scores) {
            let LabelTier { model, labels, .. } = &self.tiers[tier];
            let place = models.iter().position(|(own, ..)| *own == model).unwrap_or_else(|| {
                models.push((model, Vec::new(), 0.0));
                models.len() - 1
            });
            models[place].1.extend(labels.iter().map(Name::as_str));
            models[place].2 = (models[place].2 + probability).clamp(0.0, 1.0);
        }
        let expected = models.into_iter().map(|(model, labels, probability)| {
            (model.clone(), ModelExpectation::probability(&labels, &self.head, probability))
        });
        StrategyPick { flips, expected: expected.collect(), ..pick }
    }

    /// Returns the probabilities at which another tier would be the most probable one.
    fn rivals(&self, best: &TierProbability<'_>, scores: &HeadScores) -> Vec<FlipCandidate> {
        let mut flips = Vec::new();
        for other in self.seen(scores).filter(|other| other.tier != best.tier) {
            // What the one gains the best one loses, until they are alike.
            let alike = f64::midpoint(best.probability, other.probability);
            flips.push(FlipCandidate {
                of: "probability",
                label: Some(Arc::clone(other.label)),
                value: other.probability,
                threshold: alike,
                beyond: FlipOutcome::of(self.by_tier(other.tier, alike).model.as_ref()),
            });
            // Both may be too small to be sure of.
            if alike < self.min_confidence {
                flips.push(self.surer(&other, other.probability));
            }
        }
        flips
    }

    /// Returns the thresholds of the head's level beyond which the label has another tier.
    fn borders(&self, best: &TierProbability<'_>, scores: &HeadScores) -> Vec<FlipCandidate> {
        let Some((levels, level)) = scores.levels.as_ref().zip(scores.level()) else { return Vec::new() };
        let (thresholds, place) = (levels.of(self.lean), levels.place(level, self.lean));
        let border = |label: usize| {
            // A label above begins at its own threshold, one below ends at that of the next.
            let threshold = f64::from(*thresholds.get(if label > place { label - 1 } else { label })?);
            let name = &scores.labels[label];
            let tier = self.tiers.iter().position(|tier| tier.has(name)).filter(|tier| *tier != best.tier)?;
            let beyond = FlipOutcome::of(self.by_tier(tier, self.confidence(scores)).model.as_ref());
            Some(FlipCandidate { of: "level", label: Some(Arc::clone(name)), value: level, threshold, beyond })
        };
        (0..scores.labels.len()).filter(|label| *label != place).filter_map(border).collect()
    }

    /// Returns what comes of it where the confidence in `seen` crosses the one that is asked for.
    fn surer(&self, seen: &TierProbability<'_>, confidence: f64) -> FlipCandidate {
        let is_sure = confidence >= self.min_confidence;
        let across = if is_sure { f64::NEG_INFINITY } else { self.min_confidence };
        FlipCandidate {
            of: "min_confidence",
            label: Some(Arc::clone(seen.label)),
            value: confidence,
            threshold: self.min_confidence,
            beyond: FlipOutcome::of(self.by_tier(seen.tier, across).model.as_ref()),
        }
    }
}

impl LabelTier {
    fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|own| **own == *label)
    }
}
