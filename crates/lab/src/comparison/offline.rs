//! A policy of a configuration, decided anew over answers that are there already: nothing is asked or paid.

use std::collections::BTreeMap;
use std::time::Instant;

use pointsman_core::answer_check::RequestedFormat;
use pointsman_core::config::Name;
use pointsman_core::policy::{AnswerCheck, Decision};

use super::escalation::{OfflineVerdict, verdicts};
use super::prompts::ComparedPrompt;
use super::{ComparisonError, RoutedChoice};
use crate::dataset::asked::AskedPrompt;
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

/// The choice of a model for one prompt.
pub(super) struct OfflineChoice {
    pub(super) choice: RoutedChoice,
    /// The time that the choice took, in microseconds.
    pub(super) took_us: f64,
    /// The checks of the model's answers, where the policy checks them.
    pub(super) checked: Option<CheckedAnswers>,
}

/// The checks of a cheap model's answers to one prompt.
pub(super) struct CheckedAnswers {
    pub(super) cheap: String,
    pub(super) strong: String,
    /// The verdict on each answer, in their order.
    pub(super) verdicts: Vec<OfflineVerdict>,
}

/// The decision of one prompt.
pub(super) enum OfflineDecision {
    /// A model.
    Chosen(OfflineChoice),
    /// The reason why the prompt alone does not decide it.
    Undecided(String),
}

impl CheckedAnswers {
    /// Returns the choice that stands for all answers to the prompt: the model that gives most of them, the cheap one in a tie,
    /// and the check that failed first.
    fn shown(&self, choice: RoutedChoice, reason: &str) -> RoutedChoice {
        let failed: Vec<&str> =
            self.verdicts.iter().filter_map(|verdict| verdict.failed).map(AnswerCheck::as_str).collect();
        let of = self.verdicts.len();
        let reason = match failed[..] {
            [] => reason.to_owned(),
            [first, ..] if failed.len() == of => format!("{reason}: {first}"),
            [first, ..] => format!("{reason}: {first} ({} of {of})", failed.len()),
        };
        let is_escalated = failed.len() * 2 > of;
        let model = if is_escalated { self.strong.clone() } else { self.cheap.clone() };
        RoutedChoice { model, reason: Some(reason), ..choice }
    }
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
            ReplayedDecision::Chosen(decision, _) => Ok(self.checked(&decision, prompt, took)),
            ReplayedDecision::Passed => undecided("the policy lets them pass"),
            ReplayedDecision::Refused => undecided("the policy refuses them"),
            ReplayedDecision::Unknown(lack) => undecided(&format!("no prompt holds the {lack}")),
        }
    }

    /// Makes the checks of a decision's plan, if it has one.
    fn checked(&self, decision: &Decision, prompt: &ComparedPrompt, took_us: f64) -> OfflineDecision {
        let choice = self.choice(decision);
        let Some(plan) = &decision.escalation else {
            return OfflineDecision::Chosen(OfflineChoice { choice, took_us, checked: None });
        };
        let rows = prompt.answers.get(&choice.model).map(Vec::as_slice).unwrap_or_default();
        let format = prompt.asked.as_ref().map_or(RequestedFormat::Free, AskedPrompt::format);
        let verdicts = match verdicts(plan, rows, &format) {
            Ok(verdicts) => verdicts,
            Err(check) => return OfflineDecision::Undecided(format!("no row holds the check `{}`", check.as_str())),
        };
        let checked = CheckedAnswers { cheap: choice.model.clone(), strong: self.name_of(plan.strong()), verdicts };
        let choice = checked.shown(choice, decision.reason.as_str());
        OfflineDecision::Chosen(OfflineChoice { choice, took_us, checked: Some(checked) })
    }

    fn name_of(&self, model: &str) -> String {
        self.stand_ins.get(model).cloned().unwrap_or_else(|| model.to_owned())
    }

    fn choice(&self, decision: &Decision) -> RoutedChoice {
        RoutedChoice {
            model: self.name_of(&decision.model),
            label: decision.label.as_deref().map(str::to_owned),
            score: decision.score.map(f64::from),
            reason: Some(decision.reason.as_str().to_owned()),
        }
    }
}
