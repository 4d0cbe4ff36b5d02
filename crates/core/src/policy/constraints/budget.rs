//! The constraint `budget`: while a budget is nearly used up, dearer models are passed over where a cheaper one can serve.

use super::PolicyModels;
use crate::config::{Name, QuotaOnRules, SoftBudgetMove};
use crate::policy::decision::{Candidate, Constraint, DecisionMaker};
use crate::policy::facts::PolicyWorld;

impl PolicyModels {
    /// Returns the budget that is nearly used up, where the policy lets it hold for what `by` chose. What is decided
    /// without a look at the request is the operator's own choice.
    pub(in crate::policy) fn tight_budget(&self, by: DecisionMaker, live: &dyn PolicyWorld) -> Option<Name> {
        let is_bound = match by {
            DecisionMaker::Rule(_) => self.budget.rules == QuotaOnRules::Bound,
            DecisionMaker::Strategy(_) | DecisionMaker::Override | DecisionMaker::Affinity => true,
            DecisionMaker::Default | DecisionMaker::Constraints | DecisionMaker::Client | DecisionMaker::Catalog => {
                false
            }
        };
        if is_bound && self.budget.soft == SoftBudgetMove::Cheapest { live.tight_budget() } else { None }
    }

    /// Passes over every model that could serve the request but for the policy's `budget.otherwise`; where it names
    /// none, every one that is dearer than the cheapest. A model without a price is neither.
    pub(super) fn pass_over_dear(&self, candidates: &mut [Candidate]) {
        let serves = |candidate: &&Candidate| candidate.fits.is_ok();
        if self.budget.otherwise.is_empty() {
            let own = candidates.iter().take(self.own).filter(serves);
            let Some(least) = own.filter_map(cost).min_by(f64::total_cmp) else { return };
            pass_over(candidates, |candidate| cost(candidate).is_some_and(|cost| cost > least));
        } else if candidates.iter().filter(serves).any(|candidate| self.budget.otherwise.contains(&candidate.model)) {
            pass_over(candidates, |candidate| !self.budget.otherwise.contains(&candidate.model));
        }
    }

    /// Returns the models to try in place of one that a budget passes over, the first to be tried first.
    pub(super) fn cheaper(&self) -> impl Iterator<Item = usize> {
        let named = self.budget.otherwise.iter();
        let named = named.filter_map(|model| self.models.iter().position(|limits| limits.model == *model));
        named.chain(0..self.own)
    }
}

fn pass_over(candidates: &mut [Candidate], is_dear: impl Fn(&Candidate) -> bool) {
    for candidate in candidates.iter_mut().filter(|candidate| candidate.fits.is_ok()) {
        if is_dear(candidate) {
            candidate.fits = Err(Constraint::Budget);
        }
    }
}

fn cost(candidate: &Candidate) -> Option<f64> {
    candidate.price.map(|price| price.input + price.output)
}
