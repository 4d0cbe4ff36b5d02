//! One budget of the configuration, and the counters of its holders.

use std::sync::Arc;

use pointsman_core::config::{BudgetBeyond, BudgetConfig, BudgetHolder, Name};

use super::amounts::{BudgetAmounts, BudgetBounds, BudgetUnit};
use super::counter::{HolderNumber, PeriodCounter};
use super::holders::HolderTable;
use super::{BudgetExceeded, BudgetParty};
use crate::clients::Client;

/// Holders of a budget that is not per session which have a counter of their own.
const HOLDERS: usize = 10_000;

/// One budget of the configuration, and the counters of its holders.
pub(super) struct BudgetLedger {
    config: BudgetConfig,
    bounds: BudgetBounds,
    /// Passed on to the ledger that a reload makes of the same budget.
    holders: Arc<HolderTable>,
}

impl BudgetLedger {
    /// Makes the ledger of `config`, with the counters of the one before it.
    pub(super) fn new(config: &BudgetConfig, before: Option<&Self>) -> Self {
        let made = || {
            let most = if config.per == BudgetHolder::Session { config.max_sessions } else { HOLDERS };
            let BudgetConfig { name, per, period, .. } = config;
            // What is in braces makes all of them neighbours in a cluster: a script may change several.
            Arc::new(HolderTable::new(most, format!("{{budget}}:{name}:{}:{}", per.as_str(), period.as_str())))
        };
        let holders = before.map_or_else(made, |before| Arc::clone(&before.holders));
        Self { config: config.clone(), bounds: BudgetBounds::of(config), holders }
    }

    /// Returns whether the counters of both are the same.
    pub(super) fn counts_like(&self, config: &BudgetConfig) -> bool {
        let own = &self.config;
        let is_same_size = own.per != BudgetHolder::Session || own.max_sessions == config.max_sessions;
        own.name == config.name && own.per == config.per && own.period == config.period && is_same_size
    }

    pub(super) const fn name(&self) -> &Name {
        &self.config.name
    }

    pub(super) const fn config(&self) -> &BudgetConfig {
        &self.config
    }

    /// Returns the bounds beyond which requests are refused.
    pub(super) fn hard_bounds(&self) -> BudgetBounds {
        match self.config.beyond {
            BudgetBeyond::Refuse => self.bounds,
            BudgetBeyond::Serve => BudgetBounds::default(),
        }
    }

    /// Returns the counter of the party's holder now; `None` where it has no such holder.
    pub(super) fn counter(&self, party: BudgetParty<'_>, now: u64) -> Option<Arc<PeriodCounter>> {
        Some(self.holders.counter(self.holder(party)?, self.config.period.span_at(now)))
    }

    /// Returns whether the party's holder has used more than the soft share.
    pub(super) fn is_tight(&self, party: BudgetParty<'_>, now: u64) -> bool {
        let Some(holder) = self.holder(party) else { return false };
        let counter = self.holders.find(holder, self.config.period.span_at(now));
        counter.is_some_and(|counter| self.bounds.share_of(counter.account().used()) >= self.config.soft.get())
    }

    /// Returns whether the party's holder has nothing left, where that refuses requests.
    pub(super) fn is_used_up(&self, party: BudgetParty<'_>, now: u64) -> bool {
        let Some(holder) = self.holder(party) else { return false };
        let counter = self.holders.find(holder, self.config.period.span_at(now));
        let lack = |used| self.hard_bounds().lack(used, BudgetAmounts::default());
        counter.is_some_and(|counter| lack(counter.account().used()).is_some())
    }

    /// Returns what the client, team or key of this number has used.
    pub(super) fn used(&self, owner: u64, now: u64) -> BudgetAmounts {
        let found = self.holders.find(HolderNumber { owner, session: 0 }, self.config.period.span_at(now));
        found.map(|counter| counter.account().used()).unwrap_or_default()
    }

    /// Returns the share that the client or team of this number has used.
    pub(super) fn used_share(&self, owner: u64, now: u64) -> f64 {
        self.share_of(self.used(owner, now))
    }

    /// Returns the share of the bound that is used most.
    pub(super) fn share_of(&self, used: BudgetAmounts) -> f64 {
        self.bounds.share_of(used)
    }

    /// Returns the `most` sessions of now that have used most, and what they have used.
    pub(super) fn sessions_that_used_most(&self, now: u64, most: usize) -> Vec<(HolderNumber, BudgetAmounts)> {
        let counters = self.holders.counters(self.config.period.span_at(now));
        let mut used: Vec<_> = counters.map(|counter| (counter.holder, counter.account().used())).collect();
        used.sort_by(|(_, one), (_, other)| self.share_of(*other).total_cmp(&self.share_of(*one)));
        used.truncate(most);
        used
    }

    /// Describes the bound of `unit`, which is reached.
    pub(super) fn exceeded(&self, unit: BudgetUnit, now: u64) -> BudgetExceeded {
        let BudgetConfig { name, per, dollars, tokens, requests, period, .. } = &self.config;
        let amount = match unit {
            BudgetUnit::Nanodollars => format!("{} US dollars", dollars.unwrap_or_default()),
            BudgetUnit::Tokens => format!("{} tokens", tokens.unwrap_or_default()),
            BudgetUnit::Requests => format!("{} requests", requests.unwrap_or_default()),
        };
        let resets_at = period.span_at(now).end;
        let bound = format!("{amount} a {}", period.as_str());
        BudgetExceeded { budget: name.clone(), per: *per, bound, resets_at, wait: resets_at.saturating_sub(now) }
    }

    fn holder(&self, party: BudgetParty<'_>) -> Option<HolderNumber> {
        let (owner, session) = match self.config.per {
            BudgetHolder::Client => (party.client?.number(), 0),
            BudgetHolder::Team => (party.client?.team_number()?, 0),
            BudgetHolder::Key => (party.key?, 0),
            BudgetHolder::Session => (party.client.map_or(0, Client::number), party.session?),
        };
        Some(HolderNumber { owner, session })
    }
}
