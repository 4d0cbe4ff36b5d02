//! What policies hold: conversations to models, thresholds to targets, and the store that replicas share it through.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Checker, KeyPath, is_variable, root};
use crate::config::{Affinity, AffinityKey, Name, Policy, Redis, Store, StoreUrl, Strategy, Target, Threshold};

const HOLD: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(168)];
const CACHE: [Duration; 2] = [Duration::ZERO, Duration::from_hours(24)];
const ENTRIES: RangeInclusive<usize> = 1..=10_000_000;
const STORE_TIMEOUT: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];
const DRIFT: RangeInclusive<f64> = 0.01..=100.0;

impl Checker<'_> {
    pub(super) fn store(&mut self, Store::Redis(redis): &Store) {
        let path = root("store").key("redis");
        self.span(&path.key("timeout"), redis.timeout, STORE_TIMEOUT);
        if matches!(&redis.url, StoreUrl::Plain(url) if redis.tls.is_some() && !StoreUrl::has_tls(url)) {
            self.wrong(&path.key("tls"), "has no meaning for this url (allowed: with rediss:// or valkeys:// only)");
        }
        let path = path.key("url");
        match &redis.url {
            // Never repeats the value: it may hold a password, put here by mistake.
            StoreUrl::Plain(url) if url.split_once("://").is_some_and(|(_, rest)| rest.contains('@')) => {
                self.wrong(
                    &path,
                    "must not hold a user or password (allowed: {env: VARIABLE} or {file: PATH} for such a URL)",
                );
            }
            StoreUrl::Plain(url) if !StoreUrl::has_scheme(url) => {
                let allowed = Redis::SCHEMES.map(|scheme| format!("{scheme}://")).join(", ");
                self.wrong(&path, format!("is not the URL of a store (allowed: {allowed})"));
            }
            StoreUrl::Env { env } if !is_variable(env) => {
                self.wrong(&path.key("env"), "must be the name of an environment variable, never the URL itself");
            }
            StoreUrl::File { file } if file.as_os_str().is_empty() => {
                self.wrong(&path.key("file"), "must be the path of a file, never the URL itself");
            }
            _ => {}
        }
    }

    pub(super) fn affinity(&mut self, path: &KeyPath, affinity: &Affinity) {
        self.span(&path.key("hold"), affinity.hold, HOLD);
        self.span(&path.key("cache"), affinity.cache, CACHE);
        self.within(&path.key("max_entries"), &affinity.max_entries, &ENTRIES);
        match &affinity.key {
            AffinityKey::Header(name) if name.parse::<http::HeaderName>().is_err() => {
                self.wrong(&path.key("key").key("header"), format!("`{name}` is not a header's name"));
            }
            AffinityKey::Client if self.config.clients.is_none() => {
                self.wrong(&path.key("key"), "`client` needs `clients`, whose keys tell them apart");
            }
            _ => {}
        }
    }

    pub(super) fn target(&mut self, path: &KeyPath, policy: &Policy, target: &Target) {
        let aims = [
            ("share", target.share.is_some()),
            ("cost_per_hour", target.cost_per_hour.is_some()),
            ("cost_per_1k", target.cost_per_1k.is_some()),
        ];
        if aims.iter().filter(|(_, is_there)| *is_there).count() != 1 {
            self.wrong(path, "must hold exactly one of `share`, `cost_per_hour` and `cost_per_1k`");
        }
        for (key, dollars) in [("cost_per_hour", target.cost_per_hour), ("cost_per_1k", target.cost_per_1k)] {
            if dollars.is_some_and(|dollars| !(dollars > 0.0 && dollars <= 1e9)) {
                self.wrong(&path.key(key), "is out of bounds (allowed: above 0, at most 1000000000 US dollars)");
            }
        }
        self.within(&path.key("max_drift"), &target.max_drift, &DRIFT);
        if let (Some(min), Some(max)) = (target.min, target.max)
            && min >= max
        {
            self.wrong(&path.key("min"), format!("{} is not below `max`, which is {}", min.get(), max.get()));
        }
        match policy.strategy.thresholds().as_slice() {
            [threshold] => self.target_of(path, target, threshold),
            [] => {
                let kind = policy.strategy.kind();
                self.wrong(
                    path,
                    format!(
                        "has no threshold to move: the strategy is `{kind}` (allowed: `threshold`, also within another)"
                    ),
                );
            }
            several => {
                let count = several.len();
                self.wrong(path, format!("cannot tell which of {count} `threshold` strategies to move (allowed: one)"));
            }
        }
    }

    fn target_of(&mut self, path: &KeyPath, target: &Target, threshold: &Threshold) {
        let rungs = threshold.rungs();
        let [.., below, top] = rungs.as_slice() else {
            let message = "has no threshold to move: the ladder has one model only";
            return self.wrong(path, message);
        };
        for (index, model) in target.strong.iter().enumerate() {
            self.reference(&path.key("strong").index(index), model, "models", "model");
        }
        if !target.strong.is_empty() && !target.strong.contains(&top.model) {
            let message = format!("lacks `{}`, the model above the threshold that is moved", top.model);
            self.wrong(&path.key("strong"), message);
        }
        if target.strong.contains(&below.model) {
            let message =
                format!("holds `{}`, the model below the threshold: moving it would change nothing", below.model);
            self.wrong(&path.key("strong"), message);
        }
        if let Some(min) = target.min.filter(|min| *min < below.at_least) {
            let message = format!("{} is below the ladder's next threshold, {}", min.get(), below.at_least.get());
            self.wrong(&path.key("min"), message);
        }
        if target.share.is_none() {
            self.priced(path, [&below.model, &top.model]);
        }
    }

    fn priced(&mut self, path: &KeyPath, models: [&Name; 2]) {
        let price = |model: &Name| self.config.models.get(model).map(|model| model.price);
        match models.map(price) {
            [Some(Some(below)), Some(Some(top))] if top.input + top.output <= below.input + below.output => {
                let message = format!(
                    "`{}` does not cost more than `{}`, so its share does not move the cost",
                    models[1], models[0]
                );
                self.wrong(path, message);
            }
            prices => {
                let unpriced = models.iter().zip(prices).find(|(_, price)| *price == Some(None));
                if let Some((model, _)) = unpriced {
                    self.wrong(path, format!("`{model}` has no `price` under `models`, so its cost is not known"));
                }
            }
        }
    }
}

impl Strategy {
    /// Returns the `threshold` strategies among it and those within it.
    #[must_use]
    pub fn thresholds(&self) -> Vec<&Threshold> {
        let mut found = Vec::new();
        self.visit(&KeyPath::root(), &mut |_, strategy| {
            if let Self::Threshold(threshold) = strategy {
                found.push(threshold);
            }
        });
        found
    }
}
