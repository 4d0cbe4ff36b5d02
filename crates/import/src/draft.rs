//! The configuration that is being put together, and how it is written.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::yaml_text::{YamlEntries, YamlValue, scalar};

/// The address that clients connect to where the file says none that is safe.
const LISTEN: &str = "127.0.0.1:8080";
/// The longest name that a provider, model or policy may have.
const MAX_NAME: usize = 128;

/// A configuration that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The address that clients connect to, if it is another than the default.
    pub(crate) listen: Option<String>,
    /// Sections of one line each, such as `retry`.
    pub(crate) sections: YamlEntries,
    pub(crate) clients: YamlEntries,
    pub(crate) providers: Vec<DraftProvider>,
    pub(crate) models: Vec<DraftModel>,
    pub(crate) policies: Vec<DraftPolicy>,
    pub(crate) default_provider: Option<String>,
    pub(crate) rule_headers: BTreeSet<String>,
    /// Set where a rule or a strategy asks the classifier.
    pub(crate) asks_classifier: bool,
}

/// A provider that is being put together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DraftProvider {
    pub(crate) name: String,
    /// The address and what belongs to it: `base_url`, `vertex`, `bedrock`, `dialects`.
    pub(crate) address: YamlEntries,
    pub(crate) keys: Vec<DraftKey>,
    /// Whether the client's own key goes upstream.
    pub(crate) passes_key: bool,
    /// Timeouts, breakers and the like.
    pub(crate) more: YamlEntries,
}

/// The variable that holds one of a provider's keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DraftKey {
    pub(crate) variable: String,
    /// The share of the requests, against the other keys'.
    pub(crate) weight: f64,
}

/// A model of the catalog that is being put together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DraftModel {
    pub(crate) name: String,
    pub(crate) provider: String,
    /// The provider's name for it.
    pub(crate) upstream: String,
    /// Prices, windows and the like.
    pub(crate) more: YamlEntries,
}

/// A policy that is being put together.
#[derive(Debug, Clone, Default)]
pub(crate) struct DraftPolicy {
    pub(crate) name: String,
    /// The names that clients ask for; none for any.
    pub(crate) models: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// Conditions and the models that they choose.
    pub(crate) rules: Vec<DraftRule>,
    pub(crate) strategy: Option<YamlValue>,
    pub(crate) fallback: Vec<String>,
    /// Affinity and the like.
    pub(crate) more: YamlEntries,
}

/// A rule that chooses a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DraftRule {
    pub(crate) when: String,
    pub(crate) model: String,
}

impl Draft {
    /// Returns `wanted` as a name that no other model of the catalog has.
    pub(crate) fn free_model_name(&self, wanted: &str) -> String {
        free_name(wanted, || self.models.iter().map(|model| model.name.as_str()))
    }

    /// Returns `wanted` as a name that no other provider has.
    pub(crate) fn free_provider_name(&self, wanted: &str) -> String {
        free_name(wanted, || self.providers.iter().map(|provider| provider.name.as_str()))
    }

    /// Returns `wanted` as a name that no other policy has.
    pub(crate) fn free_policy_name(&self, wanted: &str) -> String {
        free_name(wanted, || self.policies.iter().map(|policy| policy.name.as_str()))
    }

    /// Adds a provider, or finds the one that is the same but for its name; returns the name.
    pub(crate) fn provider(&mut self, provider: DraftProvider) -> String {
        let same = |own: &&DraftProvider| own.keys == provider.keys && own.has_address_of(&provider);
        if let Some(own) = self.providers.iter().find(same) {
            return own.name.clone();
        }
        let name = self.free_provider_name(&provider.name);
        self.providers.push(DraftProvider { name: name.clone(), ..provider });
        name
    }

    /// Returns the names of the variables that hold keys.
    pub(crate) fn variables(&self) -> BTreeSet<String> {
        let keys = self.providers.iter().flat_map(|provider| &provider.keys);
        keys.map(|key| key.variable.clone()).collect()
    }

    /// Writes the configuration; `heading` becomes a comment at the top.
    pub(crate) fn written(&self, heading: &str, bundle: &str) -> String {
        let mut out = String::new();
        for line in heading.lines() {
            line_of(&mut out, &format!("# {line}"));
        }
        line_of(&mut out, "version: 1");
        let listen = self.listen.as_deref().unwrap_or(LISTEN);
        // An address of IPv6 begins as a list does.
        let is_bare = !listen.starts_with('[');
        let address = if is_bare { YamlValue::Plain(listen.to_owned()) } else { YamlValue::text(listen) };
        line_of(&mut out, &format!("listen: {}", YamlValue::map([("address", address)])));
        line_of(&mut out, "admin: {address: 127.0.0.1:9090}");
        for (key, value) in &self.sections {
            line_of(&mut out, &format!("{key}: {value}"));
        }
        if let Some(provider) = &self.default_provider {
            line_of(&mut out, &format!("default_provider: {}", scalar(provider)));
        }
        self.write_clients(&mut out);
        self.write_catalog(&mut out);
        if self.asks_classifier {
            line_of(&mut out, "\nclassifiers:");
            line_of(&mut out, &format!("  default: {{bundle: {}, deadline: 50ms}}", scalar(bundle)));
        }
        self.write_policies(&mut out);
        out
    }

    fn write_clients(&self, out: &mut String) {
        if !self.clients.is_empty() {
            line_of(out, "\nclients:");
        }
        for (name, client) in &self.clients {
            line_of(out, &format!("  {}: {client}", scalar(name)));
        }
    }

    fn write_catalog(&self, out: &mut String) {
        line_of(out, "\nproviders:");
        for provider in &self.providers {
            line_of(out, &format!("  {}:", scalar(&provider.name)));
            for (key, value) in provider.entries() {
                line_of(out, &format!("    {key}: {value}"));
            }
        }
        if !self.models.is_empty() {
            line_of(out, "\nmodels:");
        }
        for model in &self.models {
            line_of(out, &format!("  {}: {}", scalar(&model.name), model.value()));
        }
    }

    fn write_policies(&self, out: &mut String) {
        if !self.rule_headers.is_empty() {
            line_of(out, &format!("\nrule_headers: {}", YamlValue::texts(self.rule_headers.iter().cloned())));
        }
        if !self.policies.is_empty() {
            line_of(out, "\npolicies:");
        }
        for policy in &self.policies {
            policy.write(out);
        }
    }
}

impl DraftProvider {
    /// Tells whether both are asked in the same place and way, whatever their names and keys are.
    pub(crate) fn has_address_of(&self, other: &Self) -> bool {
        self.address == other.address && self.passes_key == other.passes_key && self.more == other.more
    }

    /// Returns whether it is a cloud, which answers models of the catalog only.
    pub(crate) fn is_cloud(&self) -> bool {
        self.address.iter().any(|(key, _)| key == "vertex" || key == "bedrock")
    }

    fn entries(&self) -> YamlEntries {
        let mut entries = self.address.clone();
        match self.keys.as_slice() {
            [] if self.passes_key => entries.push(("credential".to_owned(), YamlValue::text("passthrough"))),
            [] => {}
            [key] => entries.push(("credential".to_owned(), variable(&key.variable))),
            keys => entries.push(("keys".to_owned(), YamlValue::List(weighted(keys)))),
        }
        entries.extend(self.more.iter().cloned());
        entries
    }
}

impl DraftModel {
    fn value(&self) -> YamlValue {
        let mut entries = vec![("provider".to_owned(), YamlValue::text(&self.provider))];
        if self.upstream != self.name {
            entries.push(("name".to_owned(), YamlValue::text(&self.upstream)));
        }
        entries.extend(self.more.iter().cloned());
        YamlValue::Map(entries)
    }
}

impl DraftPolicy {
    fn write(&self, out: &mut String) {
        line_of(out, &format!("  - name: {}", scalar(&self.name)));
        let mut matches = YamlEntries::new();
        if !self.models.is_empty() {
            matches.push(("model".to_owned(), YamlValue::texts(self.models.iter().map(|name| pattern_of(name)))));
        }
        if !self.headers.is_empty() {
            let headers = self.headers.iter().map(|(name, value)| (name.clone(), YamlValue::text(value))).collect();
            matches.push(("header".to_owned(), YamlValue::Map(headers)));
        }
        if !matches.is_empty() {
            line_of(out, &format!("    match: {}", YamlValue::Map(matches)));
        }
        if !self.rules.is_empty() {
            line_of(out, "    rules:");
        }
        for rule in &self.rules {
            let rule = [("when", YamlValue::text(&rule.when)), ("use", YamlValue::text(&rule.model))];
            line_of(out, &format!("      - {}", YamlValue::map(rule)));
        }
        if let Some(strategy) = &self.strategy {
            line_of(out, &format!("    strategy: {strategy}"));
        }
        if !self.fallback.is_empty() {
            let mut fallback: Vec<&str> = Vec::new();
            for model in &self.fallback {
                if !fallback.contains(&model.as_str()) {
                    fallback.push(model);
                }
            }
            line_of(out, &format!("    fallback: {}", YamlValue::texts(fallback)));
        }
        for (key, value) in &self.more {
            line_of(out, &format!("    {key}: {value}"));
        }
    }
}

/// Adds a key to those of a provider; one that is there gets the share of both.
pub(crate) fn add_key(keys: &mut Vec<DraftKey>, key: DraftKey) {
    match keys.iter_mut().find(|own| own.variable == key.variable) {
        Some(own) => own.weight += key.weight,
        None => keys.push(key),
    }
}

/// Makes the strategy that always takes one model.
pub(crate) fn always(model: &str) -> YamlValue {
    YamlValue::map([("kind", YamlValue::text("random")), ("models", YamlValue::texts([model]))])
}

/// Makes the strategy that gives each conversation to one of `models`, by their shares.
pub(crate) fn split(models: &[(String, f64)]) -> YamlValue {
    let even = models.iter().all(|(_, weight)| *weight <= 0.0);
    let share =
        |(model, weight): &(String, f64)| (model.clone(), YamlValue::number(if even { 1.0 } else { weight.max(0.0) }));
    let shares = models.iter().filter(|(_, weight)| even || *weight > 0.0).map(share).collect();
    YamlValue::map([("kind", YamlValue::text("split")), ("models", YamlValue::Map(shares))])
}

/// Makes the source of a secret that a variable holds.
pub(crate) fn variable(name: &str) -> YamlValue {
    YamlValue::map([("env", YamlValue::text(name))])
}

/// Returns `text` with `-` for every character that a name cannot have.
pub(crate) fn name_of(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._:/-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(allowed).take(MAX_NAME - 8).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// Returns `text` as a pattern, with `?` for every character that a pattern cannot have.
fn pattern_of(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || "{}\\!".contains(c) { '?' } else { c }).take(256).collect()
}

/// Returns `wanted`, with a number where one of `names` is that already.
fn free_name<'n, N: Iterator<Item = &'n str>>(wanted: &str, names: impl Fn() -> N) -> String {
    let wanted = name_of(wanted);
    let is_free = |name: &String| names().all(|own| own != name);
    // A file may give thousands of models one name: the numbers before the last one are not tried again.
    let alike = names().filter(|name| name.starts_with(&wanted)).count();
    let numbered = (alike.max(1) + 1..).map(|number| format!("{wanted}-{number}"));
    std::iter::once(wanted.clone()).chain(numbered).find(is_free).unwrap_or_default()
}

/// Keys with whole weights of 1 to 1,000.
fn weighted(keys: &[DraftKey]) -> Vec<YamlValue> {
    let most = keys.iter().map(|key| key.weight).fold(0.0, f64::max);
    let is_whole = |scale: &f64| {
        let whole = |weight: f64| (weight - weight.round()).abs() < 1e-6 && (1.0..=1000.0).contains(&weight);
        keys.iter().all(|key| whole(key.weight * scale))
    };
    let scale = [1.0, 10.0, 100.0, 1000.0].into_iter().find(is_whole).unwrap_or(1000.0 / most);
    let even = keys.iter().all(|key| (key.weight - most).abs() < 1e-9);
    let value = |key: &DraftKey| {
        let mut entries = vec![("env".to_owned(), YamlValue::text(&key.variable))];
        if !even {
            let weight = (key.weight * scale).round().clamp(1.0, 1000.0);
            entries.push(("weight".to_owned(), YamlValue::number(weight)));
        }
        YamlValue::Map(entries)
    };
    keys.iter().map(value).collect()
}

fn line_of(out: &mut String, line: &str) {
    writeln!(out, "{line}").expect("writing to a text");
}
