//! The built-in list of hosted models: prices, windows, output limits, and abilities that they lack.
//!
//! The list is `known_models/models.json`, which `make prices` writes; it says where it is from and of which day. It is
//! parsed when the first model of a public provider is looked up. A provider is known by its host, so a server of one's
//! own has no list price, whatever its models are called.
//!
//! A wrong guess must not keep a model from a request: what the list does not say stays unknown, a window that is the
//! prompt's alone counts with the answer on top, and an output limit sends no request elsewhere.

mod names;
mod vendors;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

use super::catalog::{Capability, CatalogEntry};
use super::document::Config;
use super::price::{ServiceTierFactors, TokenPrice};
use super::problem::{ConfigProblem, KeyPath};
use super::values::Name;

/// The facts of a model at a public provider.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// The list price.
    pub price: TokenPrice,
    /// The context window in tokens: prompt and answer together.
    #[serde(default)]
    pub context: Option<u64>,
    /// The longest answer in tokens.
    #[serde(default)]
    pub max_output: Option<u64>,
    /// The abilities that the model is known to lack.
    #[serde(default)]
    pub lacks: Vec<Capability>,
}

/// A model of the built-in list, with the vendor whose it is.
#[derive(Debug, Clone, Copy)]
pub struct ListedModel {
    /// The vendor's name in the list, such as `openai`.
    pub vendor: &'static str,
    /// The model's name at the vendor.
    pub name: &'static str,
    /// The facts of the model.
    pub facts: &'static KnownModel,
}

/// The whole list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownModels {
    source: String,
    #[serde(rename = "license")]
    _license: String,
    date: String,
    vendors: BTreeMap<String, HashMap<String, KnownModel>>,
}

static LIST: LazyLock<KnownModels> = LazyLock::new(|| {
    let mut list: KnownModels =
        serde_json::from_str(include_str!("../../known_models/models.json")).expect("a file of ours that a test reads");
    for model in list.vendors.values_mut().flat_map(HashMap::values_mut) {
        // A tier that the list does not price is one that the service has not: its word changes nothing.
        model.price.service_tiers = model.price.service_tiers.or(ServiceTierFactors::NONE);
    }
    list
});

/// Returns the vendor that answers at `base_url`, if it is one that is known.
pub(super) fn vendor(base_url: &str) -> Option<&'static str> {
    vendors::of_url(base_url)
}

/// Returns the name of the vendor that answers at `base_url` in OpenTelemetry's conventions, if they know the vendor.
pub(super) fn vendor_in_conventions(base_url: &str) -> Option<&'static str> {
    vendors::convention_of_url(base_url)
}

/// Returns the day of the built-in list, such as `2026-11-29`.
#[must_use]
pub fn known_models_date() -> &'static str {
    &LIST.date
}

/// Returns every model of the built-in list, by vendor and name.
pub fn known_models() -> impl Iterator<Item = ListedModel> {
    LIST.vendors.iter().flat_map(|(vendor, models)| {
        let mut names: Vec<_> = models.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        names.into_iter().map(move |(name, facts)| ListedModel { vendor, name, facts })
    })
}

impl KnownModel {
    /// Returns what is built in about the model that a vendor of the list calls `name`.
    #[must_use]
    pub fn of_vendor(vendor: &str, name: &str) -> Option<&'static Self> {
        let models = LIST.vendors.get(vendor)?;
        names::spellings(name).find_map(|spelling| models.get(&*spelling))
    }

    /// Returns the abilities that the model has, as far as it is not known to lack them.
    pub fn abilities(&self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(|ability| !self.lacks.contains(ability))
    }

    /// Returns what is built in about the model that the provider at `base_url` calls `name`.
    #[must_use]
    pub fn find(base_url: &str, name: &str) -> Option<&'static Self> {
        Self::of_vendor(vendors::of_url(base_url)?, name)
    }

    /// Returns whether the built-in list has models of the vendor that answers at `base_url`.
    #[must_use]
    pub fn are_listed_at(base_url: &str) -> bool {
        vendors::of_url(base_url).is_some_and(|vendor| LIST.vendors.contains_key(vendor))
    }

    /// Returns the abilities that the model has, if it is known to lack any.
    fn supports(&self) -> Option<Vec<Capability>> {
        (!self.lacks.is_empty()).then(|| self.abilities().collect())
    }
}

impl CatalogEntry {
    /// Takes from the built-in list what the entry, which is `name` in the catalog, leaves out.
    fn complete(&mut self, name: &Name, base_url: &str) {
        let Some(known) = KnownModel::find(base_url, self.upstream_name(name)) else { return };
        self.known = Some(known);
        self.price = Some(self.price.map_or(known.price, |price| price.completed_by(&known.price)));
        self.context = self.context.or_else(|| names::window(self.upstream_name(name)).or(known.context));
        self.supports = self.supports.take().or_else(|| known.supports());
    }
}

impl Config {
    /// Fills in what the built-in list says of models and the file does not.
    pub(super) fn with_known_models(mut self) -> Self {
        for (name, model) in &mut self.models {
            if let Some(provider) = self.providers.get(&model.provider) {
                model.complete(name, &provider.base_url);
            }
        }
        self
    }

    /// Finds prices that differ from the built-in list, and models of public providers that it does not have.
    #[must_use]
    pub fn price_warnings(&self) -> Vec<ConfigProblem> {
        let models = self.models.iter();
        let found = models.filter_map(|(name, model)| {
            let path = KeyPath::root().key("models").key(name);
            match (model.known, self.providers.get(&model.provider)) {
                (Some(known), _) => self.problem(&path.key("price"), difference(&model.price?, &known.price)?),
                (None, Some(provider)) if model.price.is_none() => {
                    let vendor =
                        vendors::of_url(&provider.base_url).filter(|vendor| LIST.vendors.contains_key(*vendor))?;
                    self.problem(&path.key("name"), unknown(model.upstream_name(name), vendor))
                }
                _ => None,
            }
        });
        found.collect()
    }
}

/// Says which figures of a price differ from the list's by more than a thousandth; `None` when none does.
fn difference(own: &TokenPrice, list: &TokenPrice) -> Option<String> {
    let listed: BTreeMap<_, _> = list.figures().collect();
    // What was left out has been taken from the list, in the ratio of what was not.
    let taken: BTreeMap<_, _> = TokenPrice::new(own.input, own.output).completed_by(list).figures().collect();
    let differs = |(key, dollars): &(&'static str, f64)| {
        taken.get(key).is_none_or(|taken| matches!(*key, "input" | "output") || !is_near(*dollars, *taken))
            && listed.get(key).is_some_and(|listed| !is_near(*dollars, *listed))
    };
    let figures: Vec<(&str, f64)> = own.figures().filter(differs).collect();
    if figures.is_empty() {
        return None;
    }
    let said = |figures: &mut dyn Iterator<Item = (&str, f64)>| {
        figures.map(|(key, dollars)| format!("{key} {}", rounded(dollars))).collect::<Vec<_>>().join(", ")
    };
    Some(format!(
        "{} US dollars per million tokens; the built-in list of {} has {}",
        said(&mut figures.iter().copied()),
        LIST.date,
        said(&mut figures.iter().filter_map(|(key, _)| Some((*key, *listed.get(key)?)))),
    ))
}

fn unknown(name: &str, vendor: &str) -> String {
    format!(
        "the built-in list of {} ({}) has no model `{name}` of {vendor}: without `price` its answers cost nothing in \
         metrics, limits and logs",
        LIST.date, LIST.source,
    )
}

fn is_near(one: f64, other: f64) -> bool {
    (one - other).abs() <= one.abs().max(other.abs()) / 1000.0
}

/// Returns `dollars` without the dust of a multiplication.
fn rounded(dollars: f64) -> f64 {
    (dollars * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests;
