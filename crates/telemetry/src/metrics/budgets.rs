//! The metrics of what clients and teams may spend, and of the keys that clients have.

use pointsman_core::config::Name;
use prometheus::{Gauge, IntCounter, IntGauge};

use super::family::{Family, Registry};
use super::{Metrics, definitions as define};

/// The outcomes of a budget for a request that it changes.
const OUTCOMES: [&str; 3] = ["moved", "refused", "unavailable"];

/// The metric families of budgets and of the registry of client keys.
pub(super) struct BudgetFamilies {
    used: Family<Gauge, 2>,
    hits: Family<IntCounter, 2>,
    keys: Family<IntGauge, 1>,
    keys_unread: IntCounter,
}

impl BudgetFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        Self {
            used: Family::register(registry, define::BUDGET_USED),
            hits: Family::register(registry, define::BUDGET_HITS),
            keys: Family::register(registry, define::CLIENT_KEYS),
            keys_unread: Family::register(registry, define::CLIENT_KEYS_UNREAD).with([]),
        }
    }
}

impl Metrics {
    /// Shows the use of budgets by these holders only.
    pub fn set_budgets(&self, held: &[(&Name, &Name)]) {
        let used = &self.held.budgets.used;
        used.retain(|[budget, holder]| held.iter().any(|(own, by)| ***own == **budget && ***by == **holder));
        used.add(held.iter().map(|(budget, holder)| [(*budget).into(), (*holder).into()]));
    }

    /// Shows the share of a budget that a client or team has used.
    pub fn budget_used(&self, budget: &Name, holder: &Name, share: f64) {
        self.held.budgets.used.with([budget.into(), holder.into()]).set(share);
    }

    /// Counts a request that a budget changed: `moved`, `refused` or `unavailable`.
    pub fn budget_hit(&self, budget: &Name, outcome: &'static str) {
        self.held.budgets.hits.with([budget.into(), outcome.into()]).inc();
    }

    /// Starts the counters of a budget at zero.
    pub fn expect_budget(&self, budget: &Name) {
        self.held.budgets.hits.add(OUTCOMES.into_iter().map(|outcome| [budget.into(), outcome.into()]));
    }

    /// Shows how many client keys of the registry stand so.
    pub fn client_keys(&self, standing: &'static str, keys: usize) {
        self.held.budgets.keys.with([standing.into()]).set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// Counts a look at the registry of client keys that failed.
    pub fn client_keys_unread(&self) {
        self.held.budgets.keys_unread.inc();
    }
}
