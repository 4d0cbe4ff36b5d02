//! Amounts that budgets count: whole numbers, so that they add up to the same everywhere.

use pointsman_core::config::BudgetConfig;

/// Billionths of a US dollar in one: the cheapest request costs thousands of them.
const NANODOLLARS: f64 = 1e9;

/// The amount of each unit, by [`BudgetUnit`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BudgetAmounts(pub(super) [i64; BudgetUnit::ALL.len()]);

/// The bound of each unit; `None` where it is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BudgetBounds(pub(super) [Option<i64>; BudgetUnit::ALL.len()]);

/// A unit that budgets are bounded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BudgetUnit {
    /// Billionths of a US dollar.
    Nanodollars,
    /// Tokens of prompts and answers.
    Tokens,
    /// Requests that a provider answers.
    Requests,
}

impl BudgetUnit {
    pub(super) const ALL: [Self; 3] = [Self::Nanodollars, Self::Tokens, Self::Requests];
}

impl BudgetAmounts {
    /// Makes the amounts of so many US dollars, tokens and requests.
    #[must_use]
    pub(crate) fn of(dollars: f64, tokens: u64, requests: u64) -> Self {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self([nanodollars(dollars), count(tokens), count(requests)])
    }

    /// Returns the US dollars.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people; a counter is below 2^53")]
    pub(crate) fn dollars(self) -> f64 {
        self.0[BudgetUnit::Nanodollars as usize] as f64 / NANODOLLARS
    }

    /// Returns the tokens.
    #[must_use]
    pub(crate) const fn tokens(self) -> i64 {
        self.0[BudgetUnit::Tokens as usize]
    }

    /// Returns the requests.
    #[must_use]
    pub(crate) const fn requests(self) -> i64 {
        self.0[BudgetUnit::Requests as usize]
    }

    /// Returns what is to be added to `self` to make `other`.
    pub(super) fn to(self, other: Self) -> Self {
        Self(std::array::from_fn(|unit| other.0[unit].saturating_sub(self.0[unit])))
    }

    /// Returns the sum of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|unit| self.0[unit].saturating_add(other.0[unit])))
    }

    /// Returns so many times the amounts.
    pub(super) fn times(self, factor: i64) -> Self {
        Self(self.0.map(|amount| amount.saturating_mul(factor)))
    }

    /// Returns the larger of both, unit by unit.
    pub(super) fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|unit| self.0[unit].max(other.0[unit])))
    }

    pub(super) fn is_nothing(self) -> bool {
        self.0 == [0; BudgetUnit::ALL.len()]
    }
}

impl BudgetBounds {
    pub(super) fn of(config: &BudgetConfig) -> Self {
        let count = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        Self([config.dollars.map(nanodollars), count(config.tokens), count(config.requests)])
    }

    /// Returns the first unit in which `amounts` do not fit beside what is used.
    pub(super) fn lack(self, used: BudgetAmounts, amounts: BudgetAmounts) -> Option<BudgetUnit> {
        let fits = |unit: usize, bound: i64| {
            used.0[unit] < bound && used.0[unit].checked_add(amounts.0[unit]).is_some_and(|after| after <= bound)
        };
        BudgetUnit::ALL
            .into_iter()
            .find(|unit| self.0[*unit as usize].is_some_and(|bound| !fits(*unit as usize, bound)))
    }

    /// Returns the share of the bound that is used most.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub(super) fn share_of(self, used: BudgetAmounts) -> f64 {
        let share = |(bound, used): (&Option<i64>, &i64)| bound.map(|bound| *used as f64 / bound.max(1) as f64);
        self.0.iter().zip(&used.0).filter_map(share).fold(0.0, f64::max)
    }
}

/// Rounds up, so that many small costs are not forgotten.
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn nanodollars(dollars: f64) -> i64 {
    (dollars.max(0.0) * NANODOLLARS).ceil() as i64
}
