//! What the holders of budgets have used, for operators.

use std::sync::Arc;

use pointsman_core::config::{BudgetConfig, BudgetHolder, Name};

use super::amounts::BudgetAmounts;
use super::ledger::BudgetLedger;
use super::{BudgetRoster, Budgets};
use crate::clients::{Client, Clients};

/// Sessions of a budget that are listed: those that have used most.
const SESSIONS: usize = 20;

/// The use of a budget by one of its holders, as this process knows it.
#[derive(Debug, Clone)]
pub(crate) struct BudgetUse {
    pub(crate) budget: BudgetConfig,
    pub(crate) holder: BudgetHolderName,
    pub(crate) used: BudgetAmounts,
    /// The share of the bound that is used most.
    pub(crate) used_ratio: f64,
    /// The end of the period, in seconds since 1970.
    pub(crate) resets_at: u64,
}

/// The name of a budget's holder.
#[derive(Debug, Clone)]
pub(crate) struct BudgetHolderName {
    /// The client's or team's name, the key's id, or the number of the session in hexadecimal.
    pub(crate) name: String,
    /// Whose key or session it is; `None` for a session of a request without a client.
    pub(crate) client: Option<Name>,
}

impl Budgets {
    /// Returns the use of every budget: by each client, team and key that it is for, and by the sessions that have used most.
    pub(crate) fn uses(&self, clients: &Clients, now: u64) -> Vec<BudgetUse> {
        let roster = self.roster.load();
        roster.all.iter().flat_map(|ledger| ledger_uses(&roster, ledger, clients, now)).collect()
    }
}

fn ledger_uses(roster: &BudgetRoster, ledger: &Arc<BudgetLedger>, clients: &Clients, now: u64) -> Vec<BudgetUse> {
    let listed = |name: String, client: Option<Name>, used: BudgetAmounts| BudgetUse {
        budget: ledger.config().clone(),
        holder: BudgetHolderName { name, client },
        used,
        used_ratio: ledger.share_of(used),
        resets_at: ledger.config().period.span_at(now).end,
    };
    let is_for = |client: &Client| ledger.config().is_for(Some(client.name()), client.team());
    match ledger.config().per {
        BudgetHolder::Client | BudgetHolder::Team => {
            let own = roster.shown.iter().filter(|(shown, ..)| Arc::ptr_eq(shown, ledger));
            own.map(|(_, holder, number)| listed(holder.to_string(), None, ledger.used(*number, now))).collect()
        }
        BudgetHolder::Key => {
            let own = clients.keys().into_iter().filter(|key| is_for(&key.client));
            own.map(|key| listed(key.id, Some(key.client.name().clone()), ledger.used(key.number, now))).collect()
        }
        BudgetHolder::Session => {
            let client = |owner| clients.iter().find(|client| client.number() == owner).map(Client::name).cloned();
            let most = ledger.sessions_that_used_most(now, SESSIONS);
            most.into_iter().map(|(own, used)| listed(own.session_name(), client(own.owner), used)).collect()
        }
    }
}
