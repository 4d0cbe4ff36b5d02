//! The reservation of a request: its estimate in every budget that it falls under, until it is settled by its bill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_core::config::BudgetWithoutStore;
use tokio::time::Instant;

use super::amounts::{BudgetAmounts, BudgetBounds, BudgetUnit};
use super::counter::PeriodCounter;
use super::goes_on;
use super::lease::{LeaseReport, LeaseTerms};
use super::ledger::BudgetLedger;
use super::settlement::{SettlementQueue, TURN};
use super::store_counter::{ExchangeAnswer, ExchangePurpose, exchange};
use crate::store::{SharedStore, StoreUnavailable};

/// A part of a reservation: a budget, and its holder's counter.
type BudgetPart = (Arc<BudgetLedger>, Arc<PeriodCounter>);

/// The turns for which a request waits that would fit but for what other processes hold unused.
const PATIENCE: u32 = 5;

/// The reservation of a request. Given back when it is dropped, unless it was settled.
pub(crate) struct BudgetReservation {
    parts: Vec<BudgetPart>,
    estimate: BudgetAmounts,
    /// The way to the store; `None` where this process counts alone.
    settlements: Option<Arc<SettlementQueue>>,
    /// A bit for each part whose estimate was taken and is not settled; there are no more budgets than bits.
    taken: AtomicU64,
}

/// The estimate of a request whose bill comes later: it counts as what was used until then, in the period in which the
/// request was sent.
#[derive(Clone)]
pub(crate) struct DeferredSettlement {
    counters: Vec<Arc<PeriodCounter>>,
    estimate: BudgetAmounts,
    settlements: Option<Arc<SettlementQueue>>,
}

/// A reservation that was refused: the position of the part, and the unit; `None` where the store would have to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedPart {
    pub(super) part: usize,
    pub(super) unit: Option<BudgetUnit>,
}

/// A request that waits for the store, or has left meanwhile: what is granted to it and not taken is nobody's then, and
/// goes back in the next turn.
struct WaitingRequest<'r> {
    settlements: &'r SettlementQueue,
    reports: &'r [(Arc<PeriodCounter>, LeaseReport)],
}

/// The store's word on the parts that needed it.
enum StoreWord {
    Granted,
    Refused(RefusedPart),
    /// What other processes hold unused would be enough; they give it back within a turn or two.
    HeldByOthers(RefusedPart),
}

impl BudgetReservation {
    /// Makes a reservation that has taken nothing yet.
    pub(super) fn new(
        parts: Vec<BudgetPart>,
        estimate: BudgetAmounts,
        settlements: Option<Arc<SettlementQueue>>,
    ) -> Self {
        Self { parts, estimate, settlements, taken: AtomicU64::new(0) }
    }

    /// Takes the estimate from this process's own counters.
    pub(super) fn take_here(&self) -> Result<(), RefusedPart> {
        self.take_by_knowledge(BudgetLedger::hard_bounds)
    }

    /// Takes the estimate from what this process has drawn from the store, and asks the store where that is too little;
    /// from all counters or from none.
    ///
    /// # Errors
    /// When the store does not answer. What it may have granted all the same is held, and given back.
    pub(super) async fn take_in(&self, store: &SharedStore) -> Result<Result<(), RefusedPart>, StoreUnavailable> {
        let mut turns = 0;
        loop {
            let lacking = self.take_leads(store);
            if lacking.is_empty() {
                return Ok(Ok(()));
            }
            let refused = match self.ask(store, &lacking).await {
                Ok(StoreWord::Granted) => return Ok(Ok(())),
                Ok(StoreWord::HeldByOthers(_)) if turns < PATIENCE => None,
                Ok(StoreWord::HeldByOthers(refused) | StoreWord::Refused(refused)) => Some(Ok(Err(refused))),
                Err(error) => Some(Err(error)),
            };
            self.settle(BudgetAmounts::default());
            match refused {
                Some(refused) => return refused,
                None => tokio::time::sleep(TURN).await,
            }
            turns += 1;
        }
    }

    /// Takes the estimate from this process's own counters, as far as the budgets let it while the store is away.
    pub(super) fn take_without_store(&self) -> Result<(), RefusedPart> {
        let strict = self.parts.iter().position(|(ledger, _)| !goes_on(ledger.config().without_store));
        if let Some(part) = strict {
            return Err(RefusedPart { part, unit: None });
        }
        self.take_by_knowledge(|ledger| match ledger.config().without_store {
            BudgetWithoutStore::Allow => BudgetBounds::default(),
            BudgetWithoutStore::Local | BudgetWithoutStore::Refuse => ledger.hard_bounds(),
        })
    }

    fn take_by_knowledge(&self, bounds: impl Fn(&BudgetLedger) -> BudgetBounds) -> Result<(), RefusedPart> {
        for (part, (ledger, counter)) in self.parts.iter().enumerate() {
            let taken = counter.account().take_by_knowledge(self.estimate, bounds(ledger));
            if let Err(unit) = taken {
                self.settle(BudgetAmounts::default());
                return Err(RefusedPart { part, unit: Some(unit) });
            }
            self.mark_taken(part);
        }
        Ok(())
    }

    /// Takes the estimate from every lead that has it; returns the parts whose leads have not.
    fn take_leads(&self, store: &SharedStore) -> Vec<usize> {
        let (now, is_away) = (Instant::now(), store.trouble().is_some());
        let lacks = |part: &usize| {
            let (ledger, counter) = &self.parts[*part];
            let has = !is_away && counter.account().take_lead(self.estimate, &terms(ledger, store), now);
            if has {
                self.mark_taken(*part);
            }
            !has
        };
        (0..self.parts.len()).filter(lacks).collect()
    }

    /// Asks the store for the estimate in the parts whose leads lack it.
    async fn ask(&self, store: &SharedStore, lacking: &[usize]) -> Result<StoreWord, StoreUnavailable> {
        let Some(settlements) = &self.settlements else { return Err(StoreUnavailable) };
        let now = Instant::now();
        let report = |part: &usize| {
            let (ledger, counter) = &self.parts[*part];
            let report = counter.account().ask(self.estimate, terms(ledger, store), now);
            (Arc::clone(counter), report)
        };
        let reports: Vec<(Arc<PeriodCounter>, LeaseReport)> = lacking.iter().map(report).collect();
        let _waiting = WaitingRequest { settlements, reports: &reports };
        let answer = exchange(store, settlements.process, ExchangePurpose::Reserve, &reports).await?;
        Ok(self.hear(lacking, &reports, &answer))
    }

    fn hear(
        &self,
        lacking: &[usize],
        reports: &[(Arc<PeriodCounter>, LeaseReport)],
        answer: &ExchangeAnswer,
    ) -> StoreWord {
        for ((part, (counter, report)), word) in lacking.iter().zip(reports).zip(&answer.accounts) {
            let mut account = counter.account();
            account.hear(report, word);
            if answer.refused.is_none() {
                account.add(self.estimate);
                self.mark_taken(*part);
            }
        }
        let Some((position, unit)) = answer.refused else { return StoreWord::Granted };
        let refused = RefusedPart { part: lacking[position], unit: Some(unit) };
        if reports[position].1.fits_without_others(&answer.accounts[position], unit) {
            StoreWord::HeldByOthers(refused)
        } else {
            StoreWord::Refused(refused)
        }
    }

    fn mark_taken(&self, part: usize) {
        self.taken.fetch_or(1 << part, Ordering::Relaxed);
        if let Some(settlements) = &self.settlements {
            settlements.push(&self.parts[part].1);
        }
    }

    /// Returns the budget at `part`.
    pub(super) fn ledger(&self, part: usize) -> &BudgetLedger {
        &self.parts[part].0
    }

    /// Returns the estimate.
    pub(crate) const fn estimate(&self) -> BudgetAmounts {
        self.estimate
    }

    /// Returns what is to be settled once the bill comes; `None` where nothing was taken.
    pub(crate) fn deferred(&self) -> Option<DeferredSettlement> {
        let taken = self.taken.load(Ordering::Relaxed);
        let parts = self.parts.iter().enumerate().filter(|(part, _)| taken & (1 << part) != 0);
        let counters: Vec<_> = parts.map(|(_, (_, counter))| Arc::clone(counter)).collect();
        let (estimate, settlements) = (self.estimate, self.settlements.clone());
        (!counters.is_empty()).then_some(DeferredSettlement { counters, estimate, settlements })
    }

    /// Replaces what was taken of the estimate by what the request has used. Counts once; never refuses.
    pub(crate) fn settle(&self, actual: BudgetAmounts) {
        let taken = self.taken.swap(0, Ordering::Relaxed);
        let correction = self.estimate.to(actual);
        if correction.is_nothing() {
            return;
        }
        let parts = self.parts.iter().enumerate().filter(|(part, _)| taken & (1 << part) != 0);
        parts.for_each(|(_, (_, counter))| add(counter, correction, self.settlements.as_deref()));
    }
}

impl DeferredSettlement {
    /// Replaces the estimate by what the request has used.
    pub(crate) fn settle(self, actual: BudgetAmounts) {
        let correction = self.estimate.to(actual);
        self.counters.iter().for_each(|counter| add(counter, correction, self.settlements.as_deref()));
    }
}

fn add(counter: &Arc<PeriodCounter>, amounts: BudgetAmounts, settlements: Option<&SettlementQueue>) {
    counter.account().add(amounts);
    if let Some(settlements) = settlements {
        settlements.push(counter);
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        for (counter, report) in self.reports {
            counter.account().end_wait(report.need);
            self.settlements.push(counter);
        }
    }
}

fn terms(ledger: &BudgetLedger, store: &SharedStore) -> LeaseTerms {
    LeaseTerms { bounds: ledger.hard_bounds(), lease: ledger.config().lease.0, store: store.number() }
}

impl Drop for BudgetReservation {
    fn drop(&mut self) {
        self.settle(BudgetAmounts::default());
    }
}

impl std::fmt::Debug for DeferredSettlement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeferredSettlement").field("estimate", &self.estimate).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for BudgetReservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BudgetReservation").field("estimate", &self.estimate).finish_non_exhaustive()
    }
}
