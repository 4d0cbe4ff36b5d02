//! The claim of a request: the part of its holder's allowances that its decision took, until it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::policy::quota::{QuotaReservation, QuotaUse};
use pointsman_core::policy::{Decision, Policy, PolicyWorld, QuotaOutcome};

use super::{QuotaLedger, QuotaLedgers, QuotaParty};
use crate::router::seconds;

/// The claim of a request. Given back when it is dropped, unless it was settled: a request that nobody answers uses
/// nothing, except where its client left while a model worked on it.
#[derive(Debug)]
pub struct QuotaClaim {
    party: QuotaParty,
    parts: Vec<(Arc<QuotaLedger>, QuotaReservation)>,
    is_settled: AtomicBool,
}

/// A decision, and what its claim is worked out from.
#[derive(Clone, Copy)]
pub(in crate::router) struct ClaimingDecision<'c> {
    pub(in crate::router) policy: &'c Policy,
    pub(in crate::router) decision: &'c Decision,
    pub(in crate::router) features: &'c Features,
    pub(in crate::router) live: &'c dyn PolicyWorld,
}

impl QuotaLedgers {
    /// Takes what a decision needs of the allowances of `party`; `None` where its policy has no quotas.
    ///
    /// # Errors
    /// The position of a quota that another request has used up meanwhile: then nothing is taken.
    pub(in crate::router) fn claim(
        &self,
        party: &QuotaParty,
        claiming: ClaimingDecision<'_>,
    ) -> Result<Option<QuotaClaim>, usize> {
        let ClaimingDecision { policy, decision, .. } = claiming;
        if policy.quotas().is_empty() {
            return Ok(None);
        }
        let now = seconds();
        let is_served = decision.quota.as_ref().is_some_and(|trace| trace.outcome == QuotaOutcome::Served);
        let (ledgers, is_settled) = (self.of(policy.name()), AtomicBool::new(false));
        let mut claim = QuotaClaim { party: party.clone(), parts: Vec::with_capacity(ledgers.len()), is_settled };
        for (index, ledger) in ledgers.into_iter().enumerate() {
            let reserved = claiming.reservation(&ledger);
            let taken = ledger.quota.taken(reserved);
            let is_held = !is_served && ledger.quota.binds(decision.by);
            let has_room = match reserved {
                QuotaReservation::Nothing => true,
                QuotaReservation::Answer(_) if is_held => ledger.take(party, taken, now),
                QuotaReservation::Answer(_) => {
                    ledger.change(party, taken, now);
                    true
                }
            };
            if !has_room {
                return Err(index); // what other quotas gave is given back with the claim
            }
            claim.parts.push((ledger, reserved));
        }
        Ok(Some(claim))
    }
}

impl ClaimingDecision<'_> {
    fn reservation(&self, ledger: &QuotaLedger) -> QuotaReservation {
        let Self { policy, decision, features, live } = *self;
        let quota = &ledger.quota;
        if !quota.is_for(&decision.model) {
            return QuotaReservation::Nothing;
        }
        let estimate = if quota.counts_dollars() { policy.estimate(&decision.model, features, live) } else { None };
        QuotaReservation::Answer(estimate.unwrap_or_default())
    }
}

impl QuotaClaim {
    /// Settles the claim once: by the model that answered, or was still to answer when the client left, and the cost of
    /// its answer in US dollars; the estimate stands where nobody knows it.
    pub fn settle(&self, answered: Option<&Name>, cost: Option<f64>) {
        if self.is_settled.swap(true, Ordering::Relaxed) {
            return;
        }
        let now = seconds();
        for (ledger, reserved) in &self.parts {
            let end = match answered {
                None => QuotaUse::Unanswered,
                Some(model) if ledger.quota.is_for(model) => QuotaUse::Strong(cost),
                Some(_) => QuotaUse::Other,
            };
            ledger.change(&self.party, ledger.quota.settled(*reserved, end), now);
        }
    }
}

impl Drop for QuotaClaim {
    fn drop(&mut self) {
        self.settle(None, None);
    }
}
