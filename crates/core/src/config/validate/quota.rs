//! Quotas: models that exist, bounds that mean something, and holders that can be told apart.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, KeyPath};
use crate::config::{Name, PolicyConfig, QuotaConfig, QuotaHolder};

/// Quotas of one policy.
const MOST: usize = 16;
const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 30);
const BURST: RangeInclusive<u32> = 1..=1_000_000;
const SESSIONS: RangeInclusive<usize> = 1..=1_000_000;

impl ConfigChecker<'_> {
    pub(super) fn quotas(&mut self, path: &KeyPath, policy: &PolicyConfig) {
        if policy.quotas.len() > MOST {
            self.wrong(path, format!("has {} quotas (allowed: {MOST})", policy.quotas.len()));
        }
        let mut names: BTreeSet<&Name> = BTreeSet::new();
        for (index, quota) in policy.quotas.iter().enumerate() {
            let path = path.index(index);
            if !names.insert(&quota.name) {
                let message = format!("`{}` is the name of another quota (allowed: a name of its own)", quota.name);
                self.wrong(&path.key("name"), message);
            }
            self.quota(&path, quota);
        }
    }

    fn quota(&mut self, path: &KeyPath, quota: &QuotaConfig) {
        if quota.models.is_empty() {
            self.wrong(&path.key("models"), "is empty (allowed: models of the catalog)");
        }
        for (index, model) in quota.models.iter().enumerate() {
            self.reference(&path.key("models").index(index), model, "models", "model");
        }
        self.reference(&path.key("otherwise"), &quota.otherwise, "models", "model");
        if quota.models.contains(&quota.otherwise) {
            let message = format!("`{}` is one of the `models` that the quota bounds", quota.otherwise);
            self.wrong(&path.key("otherwise"), message);
        }
        if quota.per == QuotaHolder::Client && self.config.clients.is_none() {
            self.wrong(&path.key("per"), "`client` needs `clients`, whose keys tell them apart (allowed: session)");
        }
        if quota.share.is_none() && quota.dollars.is_none() {
            self.wrong(path, "must hold `share` or `dollars`");
        }
        if quota.share.is_some_and(|share| share.get() >= 1.0) {
            self.wrong(&path.key("share"), "1 is out of bounds (allowed: 0 to below 1)");
        }
        self.within(&path.key("burst"), &quota.burst, &BURST);
        self.span(&path.key("window"), quota.window, &WINDOW);
        self.within(&path.key("max_sessions"), &quota.max_sessions, &SESSIONS);
        self.dollars_bound(path, quota);
    }

    /// Checks that dollars are a bound, and can be counted.
    fn dollars_bound(&mut self, path: &KeyPath, quota: &QuotaConfig) {
        let Some(dollars) = quota.dollars else { return };
        if !(dollars > 0.0 && dollars <= 1e9) {
            let message = "is out of bounds (allowed: above 0, at most 1000000000 US dollars)";
            self.wrong(&path.key("dollars"), message);
        }
        let unpriced = |name: &&Name| self.config.models.get(*name).is_some_and(|model| model.price.is_none());
        if let Some(model) = quota.models.iter().find(unpriced) {
            let message = format!("`{model}` has no `price` under `models`, so its cost is not known");
            self.wrong(&path.key("dollars"), message);
        }
    }
}
