//! A policy of a configuration, decided anew over answers that are there already: nothing is asked or paid.

use std::collections::BTreeMap;
use std::time::Instant;

use pointsman_core::config::Name;
use pointsman_core::policy::Decision;

use super::prompts::ComparedPrompt;
use super::{ComparisonError, RoutedChoice};
use crate::engine::{OfflineEngine, ReplayedDecision};

/// A policy of a configuration, and whose answers stand for those of the catalog's models.
#[derive(Debug)]
pub struct OfflinePolicy {
    /// The configuration.
    pub engine: OfflineEngine,
    /// The policy.
    pub policy: Name,
    /// Models of the file by the catalog's models that they stand in for; others go by their own name.
    pub stand_ins: BTreeMap<String, String>,
}

/// The decision of one prompt.
pub(super) enum OfflineDecision {
    /// A model, with the time that the choice took in microseconds.
    Chosen(RoutedChoice, f64),
    /// The reason why the prompt alone does not decide it.
    Undecided(String),
}

impl OfflinePolicy {
    /// Loads what the first decision needs, so that no prompt's time has it.
    pub(super) async fn warm_up(&mut self, prompts: &[ComparedPrompt]) -> Result<(), ComparisonError> {
        match prompts.first() {
            Some(first) => self.decide(first).await.map(drop),
            None => Ok(()),
        }
    }

    /// Decides a prompt.
    pub(super) async fn decide(&mut self, prompt: &ComparedPrompt) -> Result<OfflineDecision, ComparisonError> {
        let undecided = |reason: &str| Ok(OfflineDecision::Undecided(reason.to_owned()));
        let Some(asked) = &prompt.asked else { return undecided("conversations that no user turn ends") };
        if asked.is_reply() {
            return undecided("replies, which need more than their words");
        }
        let started = Instant::now();
        let decided = self.engine.decide_prompt(&self.policy, asked).await?;
        let took = started.elapsed().as_secs_f64() * 1e6;
        match decided {
            ReplayedDecision::Chosen(decision, _) => Ok(OfflineDecision::Chosen(self.choice(&decision), took)),
            ReplayedDecision::Passed => undecided("the policy lets them pass"),
            ReplayedDecision::Refused => undecided("the policy refuses them"),
            ReplayedDecision::Unknown(lack) => undecided(&format!("no prompt holds the {lack}")),
        }
    }

    fn choice(&self, decision: &Decision) -> RoutedChoice {
        let model = decision.model.as_str();
        RoutedChoice {
            model: self.stand_ins.get(model).cloned().unwrap_or_else(|| model.to_owned()),
            label: decision.label.as_deref().map(str::to_owned),
            score: decision.score.map(f64::from),
            reason: Some(decision.reason.as_str().to_owned()),
        }
    }
}
