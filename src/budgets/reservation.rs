//! The reservation of a request: its estimate in every budget that it falls under, until it is settled by its bill.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pointsman_core::config::BudgetWithoutStore;

use super::amounts::{BudgetAmounts, BudgetBounds, BudgetUnit};
use super::counter::PeriodCounter;
use super::goes_on;
use super::ledger::BudgetLedger;
use super::settlement::SettlementQueue;
use super::store_counter::{StoredAddition, StoredAnswer};
use crate::store::{SharedStore, StoreUnavailable};

/// A part of a reservation: a budget, and its holder's counter.
type BudgetPart = (Arc<BudgetLedger>, Arc<PeriodCounter>);

/// The reservation of a request. Given back when it is dropped, unless it was settled.
pub(crate) struct BudgetReservation {
    parts: Vec<BudgetPart>,
    estimate: BudgetAmounts,
    /// The way to the store; `None` where this process counts alone.
    settlements: Option<Arc<SettlementQueue>>,
    /// True from the moment when the estimate was taken until it is settled.
    is_held: AtomicBool,
}

/// A reservation that was refused: the position of the part, and the unit; `None` where the store would have to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedPart {
    pub(super) part: usize,
    pub(super) unit: Option<BudgetUnit>,
}

impl BudgetReservation {
    /// Makes a reservation that has taken nothing yet.
    pub(super) fn new(
        parts: Vec<BudgetPart>,
        estimate: BudgetAmounts,
        settlements: Option<Arc<SettlementQueue>>,
    ) -> Self {
        Self { parts, estimate, settlements, is_held: AtomicBool::new(false) }
    }

    /// Takes the estimate from this process's own counters.
    pub(super) fn take_here(&self) -> Result<(), RefusedPart> {
        self.take_by(BudgetLedger::hard_bounds)
    }

    /// Takes the estimate from the store's counters, from all or from none.
    ///
    /// # Errors
    /// When the store does not answer. It may have taken the estimate all the same: then the budgets count it twice,
    /// and allow less.
    pub(super) async fn take_in(&self, store: &SharedStore) -> Result<Result<(), RefusedPart>, StoreUnavailable> {
        let addition = |(ledger, counter): &BudgetPart| StoredAddition {
            key: counter.key.clone(),
            amounts: self.estimate,
            bounds: ledger.hard_bounds(),
            span: counter.span,
        };
        let StoredAnswer { refused, used } = StoredAddition::add_all(store, self.parts.iter().map(addition)).await?;
        for ((_, counter), used) in self.parts.iter().zip(used) {
            counter.heard(used);
        }
        Ok(refused.map_or(Ok(()), |(part, unit)| Err(RefusedPart { part, unit: Some(unit) })))
    }

    /// Takes the estimate from this process's own counters, as far as the budgets let it while the store is away.
    pub(super) fn take_without_store(&self) -> Result<(), RefusedPart> {
        let strict = self.parts.iter().position(|(ledger, _)| !goes_on(ledger.config().without_store));
        if let Some(part) = strict {
            return Err(RefusedPart { part, unit: None });
        }
        self.take_by(|ledger| match ledger.config().without_store {
            BudgetWithoutStore::Allow => BudgetBounds::default(),
            BudgetWithoutStore::Local | BudgetWithoutStore::Refuse => ledger.hard_bounds(),
        })?;
        self.tell(self.estimate);
        Ok(())
    }

    fn take_by(&self, bounds: impl Fn(&BudgetLedger) -> BudgetBounds) -> Result<(), RefusedPart> {
        for (part, (ledger, counter)) in self.parts.iter().enumerate() {
            if let Err(unit) = counter.try_add(self.estimate, bounds(ledger)) {
                let back = self.estimate.to(BudgetAmounts::default());
                self.parts[..part].iter().for_each(|(_, counter)| counter.add(back));
                return Err(RefusedPart { part, unit: Some(unit) });
            }
        }
        Ok(())
    }

    /// Holds the estimate, which was taken, until it is settled.
    pub(super) fn hold(&self) {
        self.is_held.store(true, Ordering::Relaxed);
    }

    /// Returns the budget at `part`.
    pub(super) fn ledger(&self, part: usize) -> &BudgetLedger {
        &self.parts[part].0
    }

    /// Returns the estimate.
    pub(crate) const fn estimate(&self) -> BudgetAmounts {
        self.estimate
    }

    /// Replaces the estimate by what the request has used. Counts once; never refuses.
    pub(crate) fn settle(&self, actual: BudgetAmounts) {
        if !self.is_held.swap(false, Ordering::Relaxed) {
            return;
        }
        let correction = self.estimate.to(actual);
        if correction.is_nothing() {
            return;
        }
        self.parts.iter().for_each(|(_, counter)| counter.add(correction));
        self.tell(correction);
    }

    /// Leaves it to the store's queue to tell the store of an addition.
    fn tell(&self, addition: BudgetAmounts) {
        let Some(settlements) = &self.settlements else { return };
        for (_, counter) in &self.parts {
            counter.note(addition);
            settlements.push(counter);
        }
    }
}

impl Drop for BudgetReservation {
    fn drop(&mut self) {
        self.settle(BudgetAmounts::default());
    }
}

impl std::fmt::Debug for BudgetReservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BudgetReservation").field("estimate", &self.estimate).finish_non_exhaustive()
    }
}
