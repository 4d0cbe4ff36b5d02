//! The budgets of clients, teams, keys and sessions: what each holder has used in this period, and the reservations of
//! requests that are under way.
//!
//! A request reserves its estimate in every budget that it falls under before it is sent, and is settled by its bill
//! when it is over. Without a store the counters are this process's own, which a restart forgets. With one they live in
//! the store, from which a process draws parts ahead of need, and asks for every request once little is left: one script
//! reserves in all of a request's budgets at once, so that replicas together admit no more than one would. Counters
//! outlive reloads: a reload is no way to a fresh allowance. Knows nothing of HTTP.

mod amounts;
mod counter;
mod holders;
mod lease;
mod ledger;
mod listing;
mod reservation;
mod settlement;
mod store_counter;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pointsman_core::config::{BudgetConfig, BudgetHolder, BudgetWithoutStore, Name};
use pointsman_telemetry::Metrics;

pub(crate) use self::amounts::BudgetAmounts;
use self::ledger::BudgetLedger;
pub(crate) use self::listing::BudgetUse;
pub(crate) use self::reservation::{BudgetReservation, DeferredSettlement};
use self::settlement::SettlementQueue;
use crate::clients::{Client, Clients};
use crate::store::SharedStore;

/// Every budget, and what its holders have used; outlives reloads.
pub(crate) struct Budgets {
    roster: ArcSwap<BudgetRoster>,
    settlements: Arc<SettlementQueue>,
    metrics: Arc<Metrics>,
}

/// The budgets of a configuration, by the clients that they are for.
#[derive(Default)]
struct BudgetRoster {
    all: Vec<Arc<BudgetLedger>>,
    by_client: HashMap<Name, Box<[Arc<BudgetLedger>]>>,
    /// Those of requests without a client.
    anonymous: Box<[Arc<BudgetLedger>]>,
    /// The clients and teams whose use the metrics show, by their budgets.
    shown: Vec<(Arc<BudgetLedger>, Name, u64)>,
}

/// The holder of a request's allowances.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BudgetParty<'p> {
    pub(crate) client: Option<&'p Client>,
    /// The number that tells the key apart that it came with.
    pub(crate) key: Option<u64>,
    /// The number that the requests of its session have in common; `None` where it is of none, as it holds no prompt.
    pub(crate) session: Option<u64>,
}

/// A budget that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BudgetExceeded {
    /// The budget's name.
    pub(crate) budget: Name,
    /// The holder that has used it.
    pub(crate) per: BudgetHolder,
    /// The bound that is reached, in words: `5 US dollars a day`.
    pub(crate) bound: String,
    /// The beginning of the next period, in seconds since 1970.
    pub(crate) resets_at: u64,
    /// Seconds until then.
    pub(crate) wait: u64,
}

/// The reason why a request may not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BudgetRefusal {
    /// A budget is used up.
    Exceeded(BudgetExceeded),
    /// The store does not answer, and the budget of this name does not go by less.
    Unavailable(Name),
}

impl Budgets {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { roster: ArcSwap::default(), settlements: Arc::default(), metrics }
    }

    /// Takes the budgets of a configuration in. One keeps its counters as long as its name, holder and period stay.
    pub(crate) fn adopt(&self, budgets: &[BudgetConfig], clients: &Clients) {
        let before = self.roster.load_full();
        let ledger = |config: &BudgetConfig| {
            let known = before.all.iter().find(|known| known.counts_like(config));
            Arc::new(BudgetLedger::new(config, known.map(|known| &**known)))
        };
        let all: Vec<Arc<BudgetLedger>> = budgets.iter().map(ledger).collect();
        let of = |client: Option<&Client>| -> Box<[Arc<BudgetLedger>]> {
            let (name, team) = (client.map(Client::name), client.and_then(Client::team));
            all.iter().filter(|ledger| ledger.config().is_for(name, team)).cloned().collect()
        };
        let by_client = clients.iter().map(|client| (client.name().clone(), of(Some(client)))).collect();
        let mut shown: Vec<(Arc<BudgetLedger>, Name, u64)> = Vec::new();
        for client in clients.iter() {
            for ledger in of(Some(client)) {
                let holder = match ledger.config().per {
                    BudgetHolder::Client => Some((client.name(), client.number())),
                    BudgetHolder::Team => client.team().zip(client.team_number()),
                    BudgetHolder::Key | BudgetHolder::Session => None,
                };
                let Some((name, number)) = holder else { continue };
                if !shown.iter().any(|(known, own, _)| Arc::ptr_eq(known, &ledger) && own == name) {
                    shown.push((ledger, name.clone(), number));
                }
            }
        }
        self.metrics.set_budgets(&shown.iter().map(|(ledger, holder, _)| (ledger.name(), holder)).collect::<Vec<_>>());
        all.iter().for_each(|ledger| self.metrics.expect_budget(ledger.name()));
        let anonymous = of(None);
        self.roster.store(Arc::new(BudgetRoster { all, by_client, anonymous, shown }));
    }

    /// Returns whether any budget is for requests of `client`.
    #[must_use]
    pub(crate) fn concern(&self, client: Option<&Client>) -> bool {
        !self.roster.load().of(client).is_empty()
    }

    /// Returns whether a budget for requests of `client` bounds tokens, or what they cost.
    #[must_use]
    pub(crate) fn count_usage(&self, client: Option<&Client>) -> bool {
        let counts = |config: &BudgetConfig| config.dollars.is_some() || config.tokens.is_some();
        self.roster.load().of(client).iter().any(|ledger| counts(ledger.config()))
    }

    /// Returns whether a budget for requests of `client` tells sessions apart.
    #[must_use]
    pub(crate) fn tell_sessions_apart(&self, client: Option<&Client>) -> bool {
        self.roster.load().of(client).iter().any(|ledger| ledger.config().per == BudgetHolder::Session)
    }

    /// Returns the name of a budget of the party's that is used beyond its soft share, by what this process knows.
    #[must_use]
    pub(crate) fn tight(&self, party: BudgetParty<'_>, now: u64) -> Option<Name> {
        let roster = self.roster.load();
        let tight = roster.of(party.client).iter().find(|ledger| ledger.is_tight(party, now));
        tight.map(|ledger| ledger.name().clone())
    }

    /// Reserves the estimate of a request in every budget of its party, in all or in none.
    ///
    /// # Errors
    /// When one of them is used up, or the store does not answer and one may not go by less.
    pub(crate) async fn reserve(
        &self,
        party: BudgetParty<'_>,
        estimate: BudgetAmounts,
        now: u64,
        store: Option<&SharedStore>,
    ) -> Result<Option<BudgetReservation>, BudgetRefusal> {
        let parts: Vec<_> = {
            let roster = self.roster.load();
            let own = roster.of(party.client).iter();
            own.filter_map(|ledger| Some((Arc::clone(ledger), ledger.counter(party, now)?))).collect()
        };
        if parts.is_empty() {
            return Ok(None);
        }
        let settlements = store.map(|_| Arc::clone(&self.settlements));
        let reservation = BudgetReservation::new(parts, estimate, settlements);
        let taken = match store {
            None => reservation.take_here(),
            Some(store) => match reservation.take_in(store).await {
                Ok(taken) => taken,
                Err(_) => reservation.take_without_store(),
            },
        };
        match taken {
            Ok(()) => Ok(Some(reservation)),
            Err(refused) => {
                let ledger = reservation.ledger(refused.part);
                self.metrics.budget_hit(ledger.name(), if refused.unit.is_some() { "refused" } else { "unavailable" });
                Err(match refused.unit {
                    Some(unit) => BudgetRefusal::Exceeded(ledger.exceeded(unit, now)),
                    None => BudgetRefusal::Unavailable(ledger.name().clone()),
                })
            }
        }
    }

    /// Returns whether a budget of the party's is used up, by what this process knows.
    #[must_use]
    pub(crate) fn are_used_up(&self, party: BudgetParty<'_>, now: u64) -> bool {
        self.roster.load().of(party.client).iter().any(|ledger| ledger.is_used_up(party, now))
    }

    /// Adds to what the party has used, whatever is left: what was spent on its behalf before a request of it was sent,
    /// or without one.
    pub(crate) fn charge(&self, party: BudgetParty<'_>, amounts: BudgetAmounts, now: u64, store: Option<&SharedStore>) {
        if amounts.is_nothing() {
            return;
        }
        let roster = self.roster.load();
        for counter in roster.of(party.client).iter().filter_map(|ledger| ledger.counter(party, now)) {
            counter.account().add(amounts);
            if store.is_some() {
                self.settlements.push(&counter);
            }
        }
    }

    /// Counts a decision that moved to a cheaper model for the sake of a budget.
    pub(crate) fn count_move(&self, budget: &Name) {
        self.metrics.budget_hit(budget, "moved");
    }

    /// Shows in the metrics what clients and teams have used.
    pub(crate) fn show(&self, now: u64) {
        for (ledger, holder, number) in &self.roster.load().shown {
            self.metrics.budget_used(ledger.name(), holder, ledger.used_share(*number, now));
        }
    }

    /// Exchanges with `store` what was spent and what is held, for as long as the future is polled.
    pub(crate) async fn settle_in(&self, store: impl Fn() -> Option<SharedStore>) {
        self.settlements.run(store).await;
    }

    /// Gives back what is held, and waits until the store knows all that was spent.
    pub(crate) async fn settled(&self) {
        self.settlements.drained().await;
    }
}

impl BudgetRoster {
    fn of(&self, client: Option<&Client>) -> &[Arc<BudgetLedger>] {
        match client {
            Some(client) => self.by_client.get(client.name().as_str()).map(|own| &**own).unwrap_or_default(),
            None => &self.anonymous,
        }
    }
}

/// Returns whether a budget goes on counting for itself while the store is away.
const fn goes_on(rule: BudgetWithoutStore) -> bool {
    !matches!(rule, BudgetWithoutStore::Refuse)
}

impl std::fmt::Debug for Budgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budgets").finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "redis"))]
mod shared {
    mod tests;
}
#[cfg(test)]
mod tests;
