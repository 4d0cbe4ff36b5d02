//! A budget for each day, in UTC: what may be spent is taken first, and what was not is given back.
//!
//! In this process, or in the store where replicas share one: then each change is made only to the sum that it was
//! reckoned from, so that no two replicas spend the same dollar. A store that does not answer lets nothing be spent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman_core::config::Name;

use super::ShadowOutcome;
use crate::store::{SharedStore, StoreUnavailable};

const DAY: u64 = 24 * 60 * 60;

/// Tries to change a sum that other replicas change too.
const TRIES: usize = 16;

/// The time for which the store keeps a day's sum.
const KEPT: Duration = Duration::from_secs(2 * DAY);

/// Millionths of a US dollar, of which sums are made: whole numbers, which add up.
const MICROS: f64 = 1e6;

/// The budget of one policy.
#[derive(Debug)]
pub(super) struct DayBudget {
    key: String,
    max: u64,
    store: Option<SharedStore>,
    spent: SharedSpending,
}

/// The spending of every policy of the process's, whatever its configuration says meanwhile: a policy whose budget goes
/// and comes back has spent what it has spent.
#[derive(Debug, Default)]
pub(crate) struct ShadowSpending(Mutex<BTreeMap<Name, SharedSpending>>);

/// The spending of a policy, which the budgets before and after a reload share.
pub(super) type SharedSpending = Arc<Mutex<DaySpending>>;

/// The spending of a day, in millionths of a dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DaySpending {
    day: u64,
    micros: u64,
}

/// A part of a budget that is taken and not settled yet. One that is dropped stays spent.
#[derive(Debug)]
pub(crate) struct BudgetHold {
    day: u64,
    micros: u64,
}

impl ShadowSpending {
    /// Returns the spending of a policy.
    pub(super) fn of(&self, policy: &Name) -> SharedSpending {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(policy.clone()).or_default())
    }
}

impl BudgetHold {
    /// Returns what was taken, in US dollars.
    #[expect(clippy::cast_precision_loss, reason = "less than 2^52 millionths")]
    pub(crate) fn dollars(&self) -> f64 {
        self.micros as f64 / MICROS
    }
}

impl DayBudget {
    /// Makes the budget of a policy, of which `spent` is spent.
    pub(super) fn new(policy: &Name, max_per_day: f64, store: Option<SharedStore>, spent: SharedSpending) -> Self {
        let key = format!("shadow_answers:{policy}");
        Self { key, max: micros(max_per_day), store, spent }
    }

    /// Takes so many dollars.
    ///
    /// # Errors
    /// When less is left today, or the store does not say.
    pub(super) async fn reserve(&self, dollars: f64) -> Result<BudgetHold, ShadowOutcome> {
        let hold = BudgetHold { day: today(), micros: micros(dollars) };
        let Some(store) = &self.store else { return self.take(&hold) };
        let more = |spent: u64| Some(spent.saturating_add(hold.micros)).filter(|sum| *sum <= self.max);
        match self.change(store, hold.day, more).await {
            Ok(true) => Ok(hold),
            Ok(false) => Err(ShadowOutcome::OverBudget),
            Err(StoreUnavailable) => Err(ShadowOutcome::StoreUnavailable),
        }
    }

    /// Makes so many dollars of what was taken. What the store does not hear of stays taken.
    pub(super) async fn settle(&self, hold: BudgetHold, dollars: f64) {
        let (BudgetHold { day, micros: taken }, paid) = (hold, micros(dollars));
        let settled = |spent: u64| Some(spent.saturating_sub(taken).saturating_add(paid));
        match &self.store {
            Some(store) => {
                let _ = self.change(store, day, settled).await; // it stays spent, which is the safe side
            }
            None => {
                let mut spending = self.spending();
                if spending.day == day {
                    spending.micros = settled(spending.micros).unwrap_or(spending.micros);
                }
            }
        }
    }

    fn take(&self, hold: &BudgetHold) -> Result<BudgetHold, ShadowOutcome> {
        let mut spending = self.spending();
        // The day that another request has begun just now, or that a clock has gone back from, goes on.
        let day = if spending.day == hold.day + 1 { spending.day } else { hold.day };
        let spent = if spending.day == day { spending.micros } else { 0 };
        let sum = spent.saturating_add(hold.micros);
        if sum > self.max {
            return Err(ShadowOutcome::OverBudget);
        }
        *spending = DaySpending { day, micros: sum };
        Ok(BudgetHold { day, micros: hold.micros })
    }

    /// Changes the sum of a day in the store; false where `change` does not want it changed.
    async fn change(
        &self,
        store: &SharedStore,
        day: u64,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Result<bool, StoreUnavailable> {
        let key = format!("{}:{day}", self.key);
        for _ in 0..TRIES {
            let before = store.get(&key).await?;
            let spent = before.as_deref().and_then(|text| str::from_utf8(text).ok()?.parse().ok()).unwrap_or_default();
            let Some(sum) = change(spent) else { return Ok(false) };
            if store.replace(&key, before, sum.to_string().into_bytes(), KEPT).await? {
                return Ok(true);
            }
        }
        Err(StoreUnavailable)
    }

    fn spending(&self) -> MutexGuard<'_, DaySpending> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns millionths of a dollar, rounded up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and no cost is below 0")]
fn micros(dollars: f64) -> u64 {
    (dollars * MICROS).ceil() as u64
}

fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(max: f64) -> DayBudget {
        DayBudget::new(&Name::new("auto").expect("a valid name"), max, None, SharedSpending::default())
    }

    #[tokio::test]
    async fn no_more_is_taken_than_there_is_and_what_was_not_spent_comes_back() {
        let budget = budget(1.0);

        let first = budget.reserve(0.6).await.expect("enough is left");
        assert_eq!(budget.reserve(0.5).await.expect_err("too much"), ShadowOutcome::OverBudget);
        budget.settle(first, 0.1).await;
        let second = budget.reserve(0.9).await.expect("enough is left");
        budget.settle(second, 0.9).await;

        assert_eq!(budget.reserve(0.000_001).await.expect_err("nothing is left"), ShadowOutcome::OverBudget);
        assert_eq!(budget.spending().micros, 1_000_000);
    }

    #[tokio::test]
    async fn what_is_never_settled_stays_spent_and_a_reload_forgets_nothing() {
        let (policy, spending) = (Name::new("auto").expect("a valid name"), ShadowSpending::default());
        let before = DayBudget::new(&policy, 1.0, None, spending.of(&policy));
        let _unsettled = before.reserve(0.75).await.expect("enough is left");
        drop(before);

        let after = DayBudget::new(&policy, 2.0, None, spending.of(&policy));

        assert_eq!(after.spending().micros, 750_000);
        assert!(after.reserve(1.5).await.is_err() && after.reserve(1.25).await.is_ok());
    }

    #[tokio::test]
    async fn a_new_day_has_a_budget_of_its_own() {
        let budget = budget(1.0);
        *budget.spending() = DaySpending { day: today() - 1, micros: 1_000_000 };

        assert!(budget.reserve(1.0).await.is_ok());
    }

    #[tokio::test]
    async fn a_request_from_before_midnight_does_not_make_the_new_day_forget_what_was_spent() {
        let budget = budget(1.0);
        *budget.spending() = DaySpending { day: today() + 1, micros: 1_000_000 };

        assert_eq!(budget.reserve(0.5).await.expect_err("it is spent"), ShadowOutcome::OverBudget);

        *budget.spending() = DaySpending { day: today() + 1, micros: 250_000 };
        let hold = budget.reserve(0.5).await.expect("enough is left");
        budget.settle(hold, 0.25).await;
        assert_eq!(*budget.spending(), DaySpending { day: today() + 1, micros: 500_000 });
    }
}
