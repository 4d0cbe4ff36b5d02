//! One configuration's side of a replayed request: who answers it, and at what cost.

use pointsman_core::config::Config;
use pointsman_core::policy::{EscalationPlan, Reason};
use pointsman_core::usage::Usage;

use super::{PASSED, REFUSED};
use crate::decision_log::LoggedDecision;
use crate::engine::{MissingEvidence, ReplayedDecision};

/// A configuration, and its decision of a request.
#[derive(Clone, Copy)]
pub(super) struct ReplaySide<'d> {
    pub(super) config: &'d Config,
    pub(super) replayed: &'d ReplayedDecision,
}

/// The answer that a client gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SideAnswer<'d> {
    /// The model that answers, or the place of one.
    pub(super) model: &'d str,
    /// US dollars for answers that the client does not get, and for judges of answers; `None` where the log has them at
    /// other prices.
    beside: Option<f64>,
}

impl<'d> ReplaySide<'d> {
    /// Returns the answer to a logged request. `writer` is the configuration that stands for the one that wrote the log:
    /// what became of an answer that is checked is known only where it made the same checks.
    pub(super) fn answer(&self, logged: &LoggedDecision, writer: Self) -> Result<SideAnswer<'d>, MissingEvidence> {
        let decision = match self.replayed {
            ReplayedDecision::Chosen(decision, _) => decision,
            ReplayedDecision::Passed => return Ok(SideAnswer { model: PASSED, beside: Some(0.0) }),
            ReplayedDecision::Refused => return Ok(SideAnswer { model: REFUSED, beside: Some(0.0) }),
            ReplayedDecision::Unknown(lack) => return Err(lack.clone()),
        };
        let Some(plan) = decision.escalation.as_deref() else {
            return Ok(SideAnswer { model: decision.model.as_str(), beside: Some(0.0) });
        };
        let is_same = writer.plan().is_some_and(|own| own.config == plan.config);
        let answer = is_same.then(|| self.checked(logged, plan, writer)).flatten();
        answer.ok_or_else(|| MissingEvidence::Checks(plan.path.clone()))
    }

    /// Returns the cost of a request's logged tokens at the price of the model that answers, with what is paid beside.
    pub(super) fn cost(&self, logged: &LoggedDecision, answer: SideAnswer<'_>) -> Option<f64> {
        let usage = Usage { input: logged.input_tokens?, output: logged.output_tokens?, ..Usage::default() };
        Some(usage.cost(&self.config.models.get(answer.model)?.price?) + answer.beside?)
    }

    /// Returns the plan by which the answer is checked.
    fn plan(&self) -> Option<&'d EscalationPlan> {
        match self.replayed {
            ReplayedDecision::Chosen(decision, _) => decision.escalation.as_deref(),
            _ => None,
        }
    }

    /// Returns what the checks came to when the request was logged; `None` where it was not answered by this plan.
    fn checked(&self, logged: &LoggedDecision, plan: &'d EscalationPlan, writer: Self) -> Option<SideAnswer<'d>> {
        if logged.reason != Reason::Escalate.as_str() {
            return None;
        }
        let (first, answered_by) = (logged.model.as_deref()?, logged.answered_by.as_deref()?);
        let model = [plan.cheap(), plan.strong()].into_iter().find(|model| model.as_str() == answered_by)?;
        // A check's name may be followed by what became of the strong model.
        let name = |word: &str| word.split(';').next().unwrap_or_default().to_owned();
        let was_made = |word: &str| plan.checks().any(|own| own.as_str() == name(word));
        if first != plan.cheap().as_str() || !logged.escalated.as_deref().is_none_or(was_made) {
            return None;
        }
        // Tokens of an answer that nobody got are not in the log, so that they cannot be priced anew.
        let price = |side: &Self| Some(side.config.models.get(plan.cheap())?.price);
        let paid = logged.escalation_cost_usd.unwrap_or_default() + logged.judge_cost_usd.unwrap_or_default();
        Some(SideAnswer { model: model.as_str(), beside: (price(self) == price(&writer)).then_some(paid) })
    }
}
