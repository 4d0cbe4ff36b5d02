//! What may still be spent: a request sets its worst case aside before it starts, so that requests under way cannot
//! overrun the cap together.

use std::cell::Cell;
use std::cmp::Ordering;

/// The money that may still be spent.
#[derive(Debug)]
pub(crate) struct JudgeBudget {
    left: Cell<f64>,
    under_way: Cell<usize>,
}

/// Money set aside; what is not paid back stays spent.
#[derive(Debug)]
pub(crate) struct BudgetReservation<'b> {
    budget: &'b JudgeBudget,
    amount: f64,
}

impl JudgeBudget {
    /// Takes a cap in US dollars; `None` is no cap.
    pub(crate) fn new(cap: Option<f64>) -> Self {
        Self { left: Cell::new(cap.unwrap_or(f64::INFINITY)), under_way: Cell::new(0) }
    }

    /// Sets `amount` aside; `None` when there is less.
    pub(crate) fn reserve(&self, amount: f64) -> Option<BudgetReservation<'_>> {
        // What is no number is not known to fit.
        if amount.partial_cmp(&self.left.get()).is_none_or(Ordering::is_gt) {
            return None;
        }
        self.left.set(self.left.get() - amount);
        self.under_way.set(self.under_way.get() + 1);
        Some(BudgetReservation { budget: self, amount })
    }

    /// Returns whether nothing is set aside.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.get() == 0
    }
}

impl BudgetReservation<'_> {
    /// Pays, and gives the rest back.
    pub(crate) fn pay(self, paid: f64) {
        self.budget.left.set(self.budget.left.get() + self.amount - paid);
    }
}

impl Drop for BudgetReservation<'_> {
    fn drop(&mut self) {
        self.budget.under_way.set(self.budget.under_way.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_under_way_cannot_overrun_the_cap_together() {
        let budget = JudgeBudget::new(Some(1.0));

        let first = budget.reserve(0.6).expect("enough");
        assert!(budget.reserve(0.6).is_none() && !budget.is_idle());
        first.pay(0.25);

        assert!(budget.is_idle());
        budget.reserve(0.75).expect("what was given back").pay(0.75);
        assert!(budget.reserve(0.01).is_none());
    }

    #[test]
    fn a_cap_or_an_amount_that_is_no_number_lets_nothing_start() {
        assert!(JudgeBudget::new(Some(f64::NAN)).reserve(0.01).is_none());
        assert!(JudgeBudget::new(Some(1.0)).reserve(f64::NAN).is_none());
    }

    #[test]
    fn without_a_cap_nothing_is_too_much() {
        assert!(JudgeBudget::new(None).reserve(1e300).is_some());
    }
}
