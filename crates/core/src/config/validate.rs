//! Rules that types cannot express: references, bounds, addresses. Finds every problem, stops at none.

mod admin;
mod affinity;
mod bandit;
mod budget;
mod classifier;
mod cloud;
mod collectors;
mod credential;
mod decision_log;
mod edge;
mod escalate;
mod ext_proc;
mod peers;
mod price;
mod prompt;
mod quota;
mod remote_classifier;
mod response_cache;
mod retry;
mod rules;
mod shadow_answers;
mod state;
mod store;
mod strategy;
mod target;
mod threshold;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::problem::{ConfigProblem, KeyPath, MAX_PROBLEMS, listed};
use super::{
    CatalogEntry, Config, Name, PolicyConfig, PolicyMode, ProviderConfig, ProviderTimeouts, RequestAdaptation,
    TimeSpan, nearest,
};

const CONTEXT: RangeInclusive<u64> = 1..=1_000_000_000;
/// Keys that Pointsman itself relies on: what is asked for, and how the answer comes.
const UNADAPTABLE: [&str; 2] = ["model", "stream"];
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);
/// The names that are compared with misspelt ones, in one file: each costs some microseconds.
const MAX_COMPARED: usize = 100_000;

/// Finds everything that is wrong with a configuration that could be read.
pub(super) fn check(config: &Config) -> Vec<ConfigProblem> {
    let mut checker = ConfigChecker { config, found: Vec::new(), declared: BTreeMap::new(), compared: 0 };
    checker.top_level();
    checker.prompt();
    for (name, provider) in &config.providers {
        checker.provider(&root("providers").key(name), provider);
    }
    for (name, model) in &config.models {
        checker.model(&root("models").key(name), model);
    }
    for (name, classifier) in &config.classifiers {
        checker.classifier(&root("classifiers").key(name), classifier);
    }
    let mut first: BTreeMap<&Name, usize> = BTreeMap::new();
    for (index, policy) in config.policies.iter().enumerate() {
        let path = root("policies").index(index);
        let before = *first.entry(&policy.name).or_insert(index);
        if before != index {
            checker.wrong(&path.key("name"), format!("`{}` is the name of policies[{before}] already", policy.name));
        }
        checker.policy(&path, policy);
    }
    checker.rule_headers();
    for (index, test) in config.tests.iter().enumerate() {
        checker.test(&root("tests").index(index), test);
    }
    checker.found
}

struct ConfigChecker<'c> {
    config: &'c Config,
    found: Vec<ConfigProblem>,
    /// The names that the sections declare, by section, those whose values are wrong too; and the models' `regions`.
    declared: BTreeMap<&'static str, BTreeSet<&'c str>>,
    /// The names that were compared with misspelt ones so far.
    compared: usize,
}

impl ConfigChecker<'_> {
    fn wrong(&mut self, path: &KeyPath, message: impl Into<String>) {
        if !self.is_full() {
            self.found.extend(self.config.problem(path, message));
        }
    }

    /// Tells whether more was found than is shown, so that nobody need look on.
    const fn is_full(&self) -> bool {
        self.found.len() > MAX_PROBLEMS
    }

    fn top_level(&mut self) {
        let config = self.config;
        if config.version != 1 {
            self.wrong(&root("version"), format!("version {} is not known (allowed: 1)", config.version));
        }
        self.listeners();
        self.ext_proc();
        self.decisions();
        self.limits();
        self.clients();
        self.client_keys();
        self.teams();
        self.budgets();
        self.retry(&root("retry"), &config.retry);
        self.state(&config.state);
        self.response_cache(config.response_cache);
        if let Some(log) = &config.decision_log {
            self.decision_log(log);
        }
        if let Some(store) = &config.store {
            self.store(store);
        }
        if let Some(tracing) = &config.tracing {
            self.tracing(tracing);
        }
        self.metrics(&config.metrics);
        if let Some(name) = &config.default_provider {
            self.reference(&root("default_provider"), name, "providers", "provider");
        }
    }

    fn provider(&mut self, path: &KeyPath, provider: &ProviderConfig) {
        let is_said = self.config.has_key(&path.key("base_url"));
        match check_base_url(&provider.base_url) {
            _ if !is_said && provider.is_cloud() => {} // made of a name that is checked
            _ if !is_said && provider.base_url.is_empty() => {
                self.wrong(&path.key("base_url"), "is required (allowed: an address, or `vertex` or `bedrock`)");
            }
            Err(message) => self.wrong(&path.key("base_url"), message),
            Ok(()) => {}
        }
        for (index, peer) in provider.peers.iter().enumerate() {
            if !is_host_and_port(peer) {
                let message = format!("`{peer}` is not an address (allowed: host:port, such as 10.0.0.7:8000)");
                self.wrong(&path.key("peers").index(index), message);
            }
        }
        let ProviderTimeouts { connect, first_byte, whole, idle, total } = provider.timeouts;
        let timeouts = [("connect", connect), ("first_byte", first_byte), ("whole", whole), ("idle", idle)];
        for (key, span) in timeouts.into_iter().chain(total.map(|total| ("total", total))) {
            self.span(&path.key("timeouts").key(key), span, &TIMEOUT);
        }
        self.credential(&path.key("credential"), &provider.credential);
        self.provider_keys(path, provider);
        self.clouds(path, provider);
        self.dialects(&path.key("dialects"), provider.dialects.as_deref());
        self.peers(path, provider);
    }

    fn model(&mut self, path: &KeyPath, model: &CatalogEntry) {
        self.reference(&path.key("provider"), &model.provider, "providers", "provider");
        if let Some(name) = &model.name
            && (name.is_empty() || name.len() > 256 || name.contains(char::is_control))
        {
            self.wrong(&path.key("name"), "must be 1 to 256 characters without control characters");
        }
        if let Some(price) = &model.price {
            self.price(&path.key("price"), price);
        }
        if let Some(context) = model.context {
            self.within(&path.key("context"), &context, &CONTEXT);
        }
        if let Some(output) = model.max_output {
            self.within(&path.key("max_output"), &output, &CONTEXT);
        }
        self.adapt(&path.key("adapt"), &model.adapt);
    }

    fn adapt(&mut self, path: &KeyPath, adapt: &RequestAdaptation) {
        let mut roles: BTreeMap<&str, &str> = BTreeMap::new();
        for (index, key) in adapt.drop.iter().enumerate() {
            self.adapted(&mut roles, &path.key("drop").index(index), key, "drop");
        }
        for (old, new) in &adapt.rename {
            let path = path.key("rename").key(old);
            self.adapted(&mut roles, &path, old, "rename");
            self.adapted(&mut roles, &path, new, "rename");
        }
        self.settings(path, &adapt.set, &mut roles);
    }

    /// Checks the keys of a `set` under `path`; `roles` are the keys that something else changes already.
    fn settings<'a>(
        &mut self,
        path: &KeyPath,
        set: &'a BTreeMap<String, Value>,
        roles: &mut BTreeMap<&'a str, &'a str>,
    ) {
        let mut whole = BTreeMap::new();
        for key in set.keys() {
            let path = path.key("set").key(key);
            let (top, member) = key.split_once('.').map_or((&**key, None), |(top, member)| (top, Some(member)));
            if member.is_some_and(|member| member.is_empty() || member.contains('.')) {
                self.wrong(&path, format!("`{key}` is not a key (allowed: `key` or `object.key`)"));
            }
            // Several members of one object may be set, but not the object as well.
            match whole.insert(top, member.is_none()) {
                Some(before) if before || member.is_none() => {
                    self.wrong(&path, format!("`{top}` is set as a whole and in parts (allowed: one of them)"));
                }
                Some(_) => {}
                None => self.adapted(roles, &path, top, "set"),
            }
        }
    }

    fn adapted<'a>(&mut self, roles: &mut BTreeMap<&'a str, &'a str>, path: &KeyPath, key: &'a str, role: &'a str) {
        if key.is_empty() {
            self.wrong(path, "a key must not be empty (allowed: a top-level key of the request)");
        } else if UNADAPTABLE.contains(&key) {
            self.wrong(path, format!("`{key}` cannot be adapted (allowed: any key but {})", UNADAPTABLE.join(", ")));
        } else if let Some(before) = roles.insert(key, role) {
            self.wrong(path, format!("`{key}` is in `{before}` already (allowed: one place for each key)"));
        }
    }

    fn policy(&mut self, path: &KeyPath, policy: &PolicyConfig) {
        for name in policy.matches.header.keys() {
            if name.parse::<http::HeaderName>().is_err() {
                self.wrong(&path.key("match").key("header").key(name), "is not a header's name");
            }
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            self.rule(&path.key("rules").index(index), rule);
        }
        for (index, model) in policy.fallback.iter().enumerate() {
            self.reference(&path.key("fallback").index(index), model, "models", "model");
        }
        for (index, region) in policy.regions.iter().enumerate() {
            self.region(&path.key("regions").index(index), region);
        }
        if policy.mode == PolicyMode::Shadow && policy.rollout.get() < 1.0 {
            self.wrong(&path.key("rollout"), "has no meaning with `mode: shadow`, which changes no request");
        }
        self.strategy(&path.key("strategy"), &policy.strategy);
        if let Some(affinity) = &policy.affinity {
            self.affinity(&path.key("affinity"), affinity);
        }
        if let Some(target) = &policy.target {
            self.target(&path.key("target"), policy, target);
        }
        self.quotas(&path.key("quotas"), policy);
        self.policy_budget(&path.key("budget"), policy);
        if let Some(section) = &policy.shadow_answers {
            self.shadow_answers(&path.key("shadow_answers"), section);
        }
        self.cache(&path.key("cache"), policy);
    }

    fn region(&mut self, path: &KeyPath, region: &Name) {
        let config = self.config;
        let regions = || config.models.values().filter_map(|model| Some(model.region.as_ref()?.as_str()));
        let known = self.declared.entry("regions").or_insert_with(|| regions().collect());
        if known.contains(region.as_str()) || self.found.len() > MAX_PROBLEMS {
            return;
        }
        let none = || "no model has a `region`".to_owned();
        let allowed = if known.is_empty() { none() } else { listed(known.iter().copied()) };
        self.wrong(path, format!("no model runs in `{region}` (allowed: {allowed})"));
    }

    fn reference(&mut self, path: &KeyPath, name: &Name, section: &'static str, what: &str) {
        let config = self.config;
        let declared = self.declared.entry(section).or_insert_with(|| config.declared(section).into_iter().collect());
        if declared.contains(name.as_str()) || self.found.len() > MAX_PROBLEMS {
            return;
        }
        self.compared += declared.len();
        let near = (self.compared <= MAX_COMPARED).then(|| nearest(name, declared.iter().copied())).flatten();
        let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        let allowed = if declared.is_empty() {
            format!("none is declared under `{section}`")
        } else {
            listed(config.declared(section))
        };
        self.wrong(path, format!("there is no {what} `{name}`{hint} (allowed: {allowed})"));
    }

    fn within<T: PartialOrd + std::fmt::Display>(&mut self, path: &KeyPath, value: &T, range: &RangeInclusive<T>) {
        if !range.contains(value) {
            self.wrong(path, format!("{value} is out of bounds (allowed: {} to {})", range.start(), range.end()));
        }
    }

    fn span(&mut self, path: &KeyPath, span: TimeSpan, range: &RangeInclusive<Duration>) {
        if !range.contains(&span.0) {
            let [got, least, most] = [span.0, *range.start(), *range.end()].map(humantime::format_duration);
            self.wrong(path, format!("{got} is out of bounds (allowed: {least} to {most})"));
        }
    }
}

fn root(key: &str) -> KeyPath {
    KeyPath::root().key(key)
}

/// The message never repeats the URL when it holds a password.
fn check_base_url(text: &str) -> Result<(), String> {
    const ALLOWED: &str = "(allowed: http(s)://host[:port][/prefix])";
    let refuse = |what: &str| Err(format!("{what} {ALLOWED}"));
    let Ok(url) = text.parse::<http::Uri>() else { return refuse("is not a URL") };
    let Some(authority) = url.authority() else { return refuse("is not a URL with a host") };
    match url.scheme_str() {
        Some("http" | "https") if authority.as_str().contains('@') => refuse("must not hold a user or password"),
        Some("http" | "https") if authority.host().is_empty() => refuse("has no host"),
        Some("http" | "https") if url.query().is_some() || text.contains('#') => {
            refuse("must not have a query or fragment")
        }
        Some("http" | "https") if has_bad_port(authority) => refuse("has no valid port"),
        Some("http" | "https") => Ok(()),
        _ => refuse("must begin with http:// or https://"),
    }
}

fn has_bad_port(authority: &http::uri::Authority) -> bool {
    let after_host = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    !after_host.is_empty() && authority.port_u16().is_none_or(|port| port == 0)
}

/// `host:port`; an IPv6 address stands in brackets.
fn is_host_and_port(peer: &str) -> bool {
    let Some((host, port)) = peer.rsplit_once(':') else { return false };
    let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    (is_name || is_v6) && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}
