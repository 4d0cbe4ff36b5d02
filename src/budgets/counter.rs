//! The counter of one holder in one period; changes without a lock.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pointsman_core::config::BudgetSpan;

use super::amounts::{BudgetAmounts, BudgetBounds, BudgetUnit};

/// The holder of a counter: who it is, and which of its sessions, 0 where that makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct HolderNumber {
    pub(super) owner: u64,
    pub(super) session: u64,
}

/// What one holder has used of a budget in one period.
#[derive(Debug)]
pub(super) struct PeriodCounter {
    pub(super) holder: HolderNumber,
    pub(super) span: BudgetSpan,
    /// The name of the counter in the store.
    pub(super) key: Box<str>,
    used: [AtomicI64; BudgetUnit::ALL.len()],
    /// The part of `used` that the store has not been told.
    untold: [AtomicI64; BudgetUnit::ALL.len()],
    /// True while the counter waits for its turn to be told.
    pub(super) is_queued: AtomicBool,
}

impl PeriodCounter {
    pub(super) fn new(holder: HolderNumber, span: BudgetSpan, key: String) -> Self {
        let (used, untold) = Default::default();
        Self { holder, span, key: key.into(), used, untold, is_queued: AtomicBool::new(false) }
    }

    pub(super) fn used(&self) -> BudgetAmounts {
        BudgetAmounts(std::array::from_fn(|unit| self.used[unit].load(Ordering::Relaxed)))
    }

    /// Adds `amounts` where all of it fits within `bounds`.
    ///
    /// # Errors
    /// The unit of which too little is left; then nothing is added.
    pub(super) fn try_add(&self, amounts: BudgetAmounts, bounds: BudgetBounds) -> Result<(), BudgetUnit> {
        for (index, unit) in BudgetUnit::ALL.into_iter().enumerate() {
            let amount = amounts.0[index];
            let fits = |used: i64| {
                let after = used.checked_add(amount)?;
                bounds.0[index].is_none_or(|bound| used < bound && after <= bound).then_some(after)
            };
            if self.used[index].fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
                for (before, used) in self.used.iter().enumerate().take(index) {
                    used.fetch_sub(amounts.0[before], Ordering::Relaxed);
                }
                return Err(unit);
            }
        }
        Ok(())
    }

    /// Adds `amounts`, whatever is left.
    pub(super) fn add(&self, amounts: BudgetAmounts) {
        for (used, amount) in self.used.iter().zip(amounts.0) {
            used.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Takes over what the store says.
    pub(super) fn heard(&self, used: BudgetAmounts) {
        for (own, used) in self.used.iter().zip(used.0) {
            own.store(used, Ordering::Relaxed);
        }
    }

    /// Notes what the store has not been told.
    pub(super) fn note(&self, amounts: BudgetAmounts) {
        for (untold, amount) in self.untold.iter().zip(amounts.0) {
            untold.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Takes what the store has not been told.
    pub(super) fn take_untold(&self) -> BudgetAmounts {
        BudgetAmounts(std::array::from_fn(|unit| self.untold[unit].swap(0, Ordering::Relaxed)))
    }
}
