//! `judge`: the model that another LLM chooses.

use std::sync::Arc;

use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, KeyPath, Name};
use crate::policy::decision::{Reason, UnansweredQuestion};
use crate::policy::flip::{FlipCandidate, FlipOutcome};
use crate::policy::signals::{Judgement, Signal};

const KIND: &str = "judge";

#[derive(Debug)]
pub(super) struct JudgeStrategy {
    path: Arc<str>,
    /// Labels and models, from the lowest tier up.
    choices: Vec<(Name, Name)>,
    /// As coarse as a confidence, so that one that is equal reaches it.
    min_confidence: f32,
}

impl JudgeStrategy {
    pub(super) fn new(path: &KeyPath, config: &config::JudgeConfig) -> Self {
        let choices = config.choices.iter().map(|choice| (choice.label().clone(), choice.model.clone()));
        #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 1")]
        let min_confidence = config.min_confidence.map_or(0.0, config::Ratio::get) as f32;
        Self { path: path.to_string().into(), choices: choices.collect(), min_confidence }
    }
}

impl StrategyKind for JudgeStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        let judgement = match known.signals.judgement(&self.path)? {
            Ok(judgement) => judgement,
            Err(UnansweredQuestion { failure, cost_usd }) => {
                return Ok(StrategyPick { cost_usd, ..StrategyPick::abstain(KIND, Reason::JudgeFailed(failure)) });
            }
        };
        let Judgement { label, confidence, rationale, cost_usd, .. } = judgement;
        let sure = confidence.unwrap_or(0.0);
        let mut pick = self.by_label(label, sure);
        if let Some(confidence) = confidence.filter(|_| known.is_explained() && self.min_confidence > 0.0) {
            let across = if sure >= self.min_confidence { f32::NEG_INFINITY } else { self.min_confidence };
            pick.flips.push(FlipCandidate {
                of: "min_confidence",
                label: Some(Arc::clone(label)),
                value: confidence.into(),
                threshold: self.min_confidence.into(),
                beyond: FlipOutcome::of(self.by_label(label, across).model.as_ref()),
            });
        }
        let (label, rationale) = (Some(Arc::clone(label)), rationale.clone());
        Ok(StrategyPick { label, score: *confidence, rationale, cost_usd: *cost_usd, ..pick })
    }
}

impl JudgeStrategy {
    /// Picks by a label of which the judge is so sure.
    fn by_label(&self, said: &str, sure: f32) -> StrategyPick {
        let Some(rung) = self.choices.iter().position(|(label, _)| **label == *said) else {
            return StrategyPick::abstain(KIND, Reason::UnmappedLabel);
        };
        if sure < self.min_confidence {
            return StrategyPick::abstain(KIND, Reason::LowConfidence);
        }
        StrategyPick { rung: Some(rung), ..StrategyPick::of(KIND, &self.choices[rung].1, Reason::Judge) }
    }
}
