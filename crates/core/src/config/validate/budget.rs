//! Budgets, teams and the registry of client keys: holders that can be told apart, and bounds that can be counted.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, KeyPath, root};
use crate::config::{BudgetConfig, BudgetHolder, ClientKeysConfig, PolicyConfig, SoftBudgetMove};

/// Budgets of one configuration.
const MOST: usize = 64;
const SESSIONS: RangeInclusive<usize> = 1..=1_000_000;
const COUNT: RangeInclusive<u64> = 1..=1_000_000_000_000;
/// US dollars; a counter in billionths of a dollar is exact up to nine millions, wherever it is added up.
const DOLLARS: RangeInclusive<f64> = 0.000_001..=1_000_000.0;
/// A part that is held for longer is missed by others for as long, should its process die.
const LEASE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
const REFRESH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

impl ConfigChecker<'_> {
    pub(super) fn budgets(&mut self) {
        let (config, path) = (self.config, root("budgets"));
        if config.budgets.len() > MOST {
            self.wrong(&path, format!("has {} budgets (allowed: {MOST})", config.budgets.len()));
        }
        let mut names = BTreeSet::new();
        for (index, budget) in config.budgets.iter().enumerate() {
            let path = path.index(index);
            if !names.insert(&budget.name) {
                let message = format!("`{}` is the name of another budget (allowed: a name of its own)", budget.name);
                self.wrong(&path.key("name"), message);
            }
            self.budget(&path, budget);
        }
    }

    fn budget(&mut self, path: &KeyPath, budget: &BudgetConfig) {
        let config = self.config;
        if budget.per != BudgetHolder::Session && config.clients.is_none() {
            let message =
                format!("`{}` needs `clients`, whose keys tell them apart (allowed: session)", budget.per.as_str());
            self.wrong(&path.key("per"), message);
        }
        if budget.per == BudgetHolder::Team && config.teams.is_empty() {
            self.wrong(&path.key("per"), "`team` needs `teams` (allowed: client, key, session)");
        }
        if budget.dollars.is_none() && budget.tokens.is_none() && budget.requests.is_none() {
            self.wrong(path, "must hold `dollars`, `tokens` or `requests`");
        }
        if budget.dollars.is_some_and(|dollars| !DOLLARS.contains(&dollars)) {
            let message = "is out of bounds (allowed: 0.000001 to 1000000 US dollars)";
            self.wrong(&path.key("dollars"), message);
        }
        for (key, amount) in [("tokens", budget.tokens), ("requests", budget.requests)] {
            if let Some(amount) = amount {
                self.within(&path.key(key), &amount, &COUNT);
            }
        }
        if budget.soft.get() <= 0.0 {
            self.wrong(&path.key("soft"), "0 is out of bounds (allowed: above 0, at most 1)");
        }
        self.within(&path.key("max_sessions"), &budget.max_sessions, &SESSIONS);
        self.span(&path.key("lease"), budget.lease, &LEASE);
    }

    pub(super) fn policy_budget(&mut self, path: &KeyPath, policy: &PolicyConfig) {
        for (index, model) in policy.budget.otherwise.iter().enumerate() {
            self.reference(&path.key("otherwise").index(index), model, "models", "model");
        }
        if policy.budget.soft == SoftBudgetMove::Keep && !policy.budget.otherwise.is_empty() {
            self.wrong(&path.key("otherwise"), "has no meaning with `soft: keep`, which moves no choice");
        }
    }

    pub(super) fn teams(&mut self) {
        for (name, team) in &self.config.teams {
            self.client_policies(&root("teams").key(name), team.policies.as_deref());
        }
    }

    pub(super) fn client_keys(&mut self) {
        let path = root("client_keys");
        match &self.config.client_keys {
            None => return,
            Some(ClientKeysConfig::File(file)) if file.as_os_str().is_empty() => {
                self.wrong(&path.key("file"), "must be the path of a file");
            }
            Some(ClientKeysConfig::Store(stored)) => {
                if self.config.store.is_none() {
                    self.wrong(&path.key("store"), "needs `store`, which is not configured (allowed: {file: PATH})");
                }
                self.span(&path.key("store").key("refresh"), stored.refresh, &REFRESH);
            }
            Some(ClientKeysConfig::File(_)) => {}
        }
        if self.config.clients.is_none() {
            self.wrong(&path, "needs `clients`, whose keys it holds");
        }
    }
}
