//! The claim of a request: the part of its holder's allowances that its decision took, until it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    parts: Mutex<Vec<ClaimPart>>,
    is_settled: AtomicBool,
}

/// The part of a claim in one quota.
#[derive(Debug)]
struct ClaimPart {
    ledger: Arc<QuotaLedger>,
    reserved: QuotaReservation,
    /// True where the quota holds for the decision: no strong model answers in place of another once it is used up.
    is_held: bool,
    /// The estimated cost of the dearest strong model that may answer in place of the chosen one, in US dollars.
    substitute: f64,
}

/// What becomes of a model that would answer in place of the chosen one, where its quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubstituteRule {
    /// It is passed over.
    PassOver,
    /// It answers, and is counted: the client would get nothing at all.
    Serve,
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
        let parts = Mutex::new(Vec::with_capacity(ledgers.len()));
        let mut claim = QuotaClaim { party: party.clone(), parts, is_settled };
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
            let substitute = claiming.substitute(&ledger);
            let parts = claim.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
            parts.push(ClaimPart { ledger, reserved, is_held, substitute });
        }
        Ok(Some(claim))
    }
}

impl ClaimingDecision<'_> {
    fn reservation(&self, ledger: &QuotaLedger) -> QuotaReservation {
        if !ledger.quota.is_for(&self.decision.model) {
            return QuotaReservation::Nothing;
        }
        QuotaReservation::Answer(self.estimate(ledger, &self.decision.model))
    }

    /// Returns the estimated cost of the dearest strong model that may answer in place of the chosen one.
    fn substitute(&self, ledger: &QuotaLedger) -> f64 {
        let strong = self.decision.escalation.iter().map(|plan| plan.strong());
        let substitutes = self.decision.fallback.iter().chain(strong).filter(|model| ledger.quota.is_for(model));
        substitutes.map(|model| self.estimate(ledger, model)).fold(0.0, f64::max)
    }

    fn estimate(&self, ledger: &QuotaLedger, model: &Name) -> f64 {
        let Self { policy, features, live, .. } = *self;
        let counts = ledger.quota.counts_dollars();
        counts.then(|| policy.estimate(model, features, live)).flatten().unwrap_or_default()
    }
}

impl QuotaClaim {
    /// Takes what `model` needs that is about to answer in place of the chosen one, before it is asked; returns whether
    /// it may be.
    pub(crate) fn admit(&self, model: &Name, rule: SubstituteRule) -> bool {
        let now = seconds();
        let mut parts = self.parts();
        let mut taken = Vec::new();
        for (index, part) in parts.iter_mut().enumerate() {
            if part.reserved != QuotaReservation::Nothing || !part.ledger.quota.is_for(model) {
                continue;
            }
            let reserved = QuotaReservation::Answer(part.substitute);
            let change = part.ledger.quota.taken(reserved);
            if !part.is_held || rule == SubstituteRule::Serve {
                part.ledger.change(&self.party, change, now);
            } else if !part.ledger.take(&self.party, change, now) {
                for index in taken {
                    let part: &mut ClaimPart = &mut parts[index];
                    part.give_back(&self.party, now);
                }
                return false;
            }
            part.reserved = reserved;
            taken.push(index);
        }
        true
    }

    /// Settles the claim once: by the model that answered, or was still to answer when the client left, and the cost of
    /// its answer in US dollars; the estimate stands where nobody knows it.
    pub fn settle(&self, answered: Option<&Name>, cost: Option<f64>) {
        if self.is_settled.swap(true, Ordering::Relaxed) {
            return;
        }
        let now = seconds();
        for ClaimPart { ledger, reserved, .. } in &*self.parts() {
            let end = match answered {
                None => QuotaUse::Unanswered,
                Some(model) if ledger.quota.is_for(model) => QuotaUse::Strong(cost),
                Some(_) => QuotaUse::Other,
            };
            ledger.change(&self.party, ledger.quota.settled(*reserved, end), now);
        }
    }

    fn parts(&self) -> MutexGuard<'_, Vec<ClaimPart>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClaimPart {
    /// Gives back what was reserved for a model that is not asked after all.
    fn give_back(&mut self, party: &QuotaParty, now: u64) {
        let reserved = std::mem::replace(&mut self.reserved, QuotaReservation::Nothing);
        self.ledger.change(party, self.ledger.quota.settled(reserved, QuotaUse::Unanswered), now);
    }
}

impl Drop for QuotaClaim {
    fn drop(&mut self) {
        self.settle(None, None);
    }
}
