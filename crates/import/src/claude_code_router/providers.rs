//! claude-code-router's providers and their models.

use std::collections::BTreeMap;

use super::capabilities::Capabilities;
use super::{model_facts, provider_keys};
use crate::draft::{Draft, DraftModel, DraftProvider, DraftRule, name_of};
use crate::expression::text_literal;
use crate::reader::SourceValue;
use crate::vendors::{VendorAddress, address_entries, clean_address};
use crate::yaml_text::{YamlEntries, YamlValue};

/// Ends of addresses that Pointsman adds itself, and the API that is asked there.
const ENDPOINTS: [(&str, &str); 4] =
    [("/chat/completions", "chat"), ("/messages", "messages"), ("/responses", "responses"), ("/models", "gemini")];
/// Transformers whose work the translation between APIs does.
const TRANSLATED: [&str; 9] =
    ["deepseek", "openrouter", "groq", "gemini", "cleancache", "openai", "vercel", "cerebras", "anthropic"];
const REASONS: [(&str, &str); 7] = [
    ("tooluse", "the client's `tool_choice` stays as it is"),
    ("enhancetool", "arguments of tool calls are not repaired"),
    ("reasoning", "a model's thoughts are translated by themselves"),
    ("sampling", "parameters that a model does not take are left out by themselves (docs/model-families.md)"),
    ("forcereasoning", "thoughts are asked for by `effort` of the model"),
    ("customparams", "`adapt.set` of the model sets parameters"),
    ("vertex-gemini", "a provider with `vertex` asks Vertex AI, with credentials of its own (docs/providers.md)"),
];

/// What version 3 says of a provider that chooses nothing.
const DESCRIPTIONS: [&str; 9] = [
    "id",
    "icon",
    "type",
    "provider",
    "protocolDetectionMode",
    "modelDescriptions",
    "model_descriptions",
    "modelDisplayNames",
    "model_display_names",
];
const PROVIDER_REASONS: [(&str, &str); 4] = [
    ("account", "no vendor is asked for what an account has left"),
    ("billing", "prices stand under `price` of a model"),
    ("extraHeaders", "clients' own headers go upstream; none are added"),
    ("headers", "clients' own headers go upstream; none are added"),
];
const FETCHED: &str = "models are those of the file: `pointsman doctor` says which of them a provider does not list";

/// A model of the catalog, and the names by which the other router knows it.
#[derive(Debug)]
struct RoutedModel {
    /// The provider's names, in lower case.
    providers: Vec<String>,
    /// The provider's name as it stands in the file.
    provider: String,
    model: String,
    catalog: String,
}

/// The models of the file, as they stand in the catalog.
#[derive(Debug, Default)]
pub(super) struct ProviderModels(Vec<RoutedModel>);

/// What the transformers of a provider or a model come to.
#[derive(Debug, Default)]
struct TransformerEffects {
    max_output: Option<u64>,
    dialect: Option<&'static str>,
}

impl ProviderModels {
    /// Reads the providers; `timeout` is in milliseconds.
    pub(super) fn read(root: &SourceValue<'_>, timeout: Option<f64>, draft: &mut Draft) -> Self {
        let mut own = Self::default();
        let list = root.get("Providers").or_else(|| root.get("providers"));
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let providers = list.map_or_else(Vec::new, |list| list.items());
        for model in providers.iter().filter_map(|provider| provider.get("models")).flat_map(|models| models.texts()) {
            *seen.entry(model.to_owned()).or_default() += 1;
        }
        for provider in &providers {
            if provider.flag_at("enabled") == Some(false) {
                provider.leave_out("the provider is not enabled");
                continue;
            }
            if own.read_provider(provider, timeout, &ModelNames { seen: &seen }, draft).is_none() {
                provider.leave_out_unsaid("it has no name, or no address (http://host:port/path)");
            }
        }
        own
    }

    fn read_provider(
        &mut self,
        value: &SourceValue<'_>,
        timeout: Option<f64>,
        all_names: &ModelNames<'_>,
        draft: &mut Draft,
    ) -> Option<()> {
        let name = value.text_at("name")?;
        let capabilities = Capabilities::read(value);
        let address =
            value.first(&["api_base_url", "baseUrl", "baseurl", "base_url"]).or_else(|| capabilities.address())?;
        let text = address.text()?;
        let base_url = with_version(without_endpoint(&clean_address(text)?));
        let transformer = value.first(&["transformer", "transformers"]);
        let effects = transformer.as_ref().map(TransformerEffects::read).unwrap_or_default();
        let by_address = ENDPOINTS.iter().find(|(end, _)| text.trim_end_matches('/').ends_with(end));
        let mut written = address_entries(&base_url, effects.dialect.or(by_address.map(|(_, dialect)| *dialect)));
        capabilities.write(&base_url, &mut written);
        let keys = provider_keys::read(value, name, VendorAddress::at(&base_url).and_then(|vendor| vendor.variable));
        value.take_all(&DESCRIPTIONS);
        value.leave_out_all(&PROVIDER_REASONS);
        for key in ["autoFetchModels", "auto_fetch_models"] {
            if let Some(fetches) = value.get(key).filter(|value| value.flag() == Some(true)) {
                fetches.leave_out(FETCHED);
            }
        }
        let mut more = YamlEntries::new();
        if let Some(timeout) = timeout {
            let whole = YamlValue::milliseconds(timeout);
            more.push(("timeouts".to_owned(), YamlValue::map([("whole", whole)])));
        }
        let provider = DraftProvider { name: name_of(name), address: written, keys, passes_key: false, more };
        let provider = draft.provider(provider);
        let names = ["id", "provider"].iter().filter_map(|key| value.text_at(key));
        let providers: Vec<String> = std::iter::once(name).chain(names).map(str::to_lowercase).collect();
        for model in value.get("models").map_or_else(Vec::new, |models| models.texts()) {
            let own = transformer.as_ref().and_then(|transformer| transformer.get(model));
            let max_output =
                own.as_ref().and_then(|own| TransformerEffects::read(own).max_output).or(effects.max_output);
            let mut more = model_facts::read(value, model);
            if let Some(most) = max_output {
                more.retain(|(key, _)| key != "max_output");
                more.push(("max_output".to_owned(), YamlValue::count(most)));
            }
            let entry = DraftModel {
                name: draft.free_model_name(&all_names.of(name, model)),
                provider: provider.clone(),
                upstream: model.to_owned(),
                more,
            };
            self.0.push(RoutedModel {
                providers: providers.clone(),
                provider: name.to_owned(),
                model: model.to_owned(),
                catalog: entry.name.clone(),
            });
            draft.models.push(entry);
        }
        Some(())
    }

    /// Returns the model of the catalog that a route names, `provider,model`, `provider/model` or, where only one
    /// provider has it, `model`; notes one that is not there.
    pub(super) fn find(&self, value: &SourceValue<'_>) -> Option<String> {
        let found = self.named(value.text()?);
        if found.is_none() {
            value.leave_out("no provider of the file has this model");
        }
        found.map(str::to_owned)
    }

    fn named(&self, text: &str) -> Option<&str> {
        let split = text.split_once(',').or_else(|| text.split_once('/'));
        let both = split.map(|(provider, model)| (provider.trim().to_lowercase(), model.trim()));
        let of_provider = both.and_then(|(provider, model)| {
            let has = |own: &&RoutedModel| own.providers.contains(&provider) && own.model.eq_ignore_ascii_case(model);
            self.0.iter().find(has)
        });
        let same = |own: &&RoutedModel| own.model == text;
        let alike = |own: &&RoutedModel| own.model.eq_ignore_ascii_case(text);
        let found = of_provider.or_else(|| self.only(same)).or_else(|| self.only(alike));
        found.map(|own| own.catalog.as_str())
    }

    /// Returns the model that `is_meant`, where it is one alone.
    fn only<'m>(&'m self, is_meant: impl Fn(&&'m RoutedModel) -> bool) -> Option<&'m RoutedModel> {
        let mut all = self.0.iter().filter(is_meant);
        all.next().filter(|_| all.next().is_none())
    }

    /// Returns the first model of the provider that is `preferred`, or else of any.
    pub(super) fn first_of(&self, preferred: Option<&str>) -> Option<String> {
        let preferred = preferred.unwrap_or_default().to_lowercase();
        let own = self.0.iter().find(|own| own.providers.contains(&preferred)).or_else(|| self.0.first());
        own.map(|own| own.catalog.clone())
    }

    /// Adds a policy for each model by the other router's name, which `/model provider,model` asks for.
    pub(super) fn add_policies(&self, draft: &mut Draft) {
        let mut named: Vec<(String, &str)> =
            self.0.iter().map(|own| (format!("{},{}", own.provider, own.model), own.catalog.as_str())).collect();
        named.sort();
        named.dedup_by(|a, b| a.0 == b.0);
        for (name, model) in named {
            let policy = super::named(draft, &name, model);
            draft.policies.push(policy);
        }
    }

    /// Returns a rule for each model by the names that clients of version 3 ask for it by.
    pub(super) fn rules_by_name(&self) -> Vec<DraftRule> {
        let rule = |own: &RoutedModel| {
            let mut names = vec![format!("{}/{}", own.provider, own.model), format!("{},{}", own.provider, own.model)];
            if self.named(&own.model) == Some(&own.catalog) {
                names.push(own.model.clone());
            }
            let names: Vec<String> = names.iter().map(|name| text_literal(name)).collect();
            DraftRule { when: format!("request.model in [{}]", names.join(", ")), model: own.catalog.clone() }
        };
        self.0.iter().map(rule).collect()
    }
}

/// The names of models in the catalog: their own where only one provider has the model.
struct ModelNames<'n> {
    seen: &'n BTreeMap<String, usize>,
}

impl ModelNames<'_> {
    fn of(&self, provider: &str, model: &str) -> String {
        match self.seen.get(model) {
            Some(1) => model.to_owned(),
            _ => format!("{provider}/{model}"),
        }
    }
}

impl TransformerEffects {
    fn read(transformer: &SourceValue<'_>) -> Self {
        let mut own = Self::default();
        for used in transformer.get("use").map_or_else(Vec::new, |list| list.items()) {
            let parts = used.items();
            let Some(name) = parts.first().and_then(SourceValue::text) else { continue };
            let options = parts.get(1);
            let lower = name.to_ascii_lowercase();
            match lower.as_str() {
                "maxtoken" | "maxcompletiontokens" => {
                    own.max_output = options.and_then(|options| options.count_at("max_tokens"));
                }
                "anthropic" => own.dialect = Some("messages"),
                "gemini" => own.dialect = Some("gemini"),
                _ => {}
            }
            if let Some((_, why)) = REASONS.iter().find(|(own, _)| *own == lower) {
                used.leave_out(*why);
            } else if TRANSLATED.contains(&lower.as_str()) {
                if let Some(options) = options {
                    options
                        .leave_out("options of a transformer: `adapt.set` of the model sets parameters of a request");
                }
            } else if own.max_output.is_none() {
                used.leave_out(
                    "a transformer of the other router's: requests are translated by themselves (docs/translation.md)",
                );
            }
        }
        own
    }
}

/// Returns the address with the version that its vendor's API has, where only the host is said.
pub(super) fn with_version(address: String) -> String {
    let vendor = VendorAddress::at(&address).filter(|vendor| vendor.base_url.ends_with("/v1beta"));
    let is_bare = address.split_once("://").is_some_and(|(_, rest)| !rest.contains('/'));
    vendor.filter(|_| is_bare).map_or(address, |vendor| vendor.base_url.to_owned())
}

pub(super) fn without_endpoint(address: &str) -> String {
    let bare = ENDPOINTS.iter().find_map(|(end, _)| address.strip_suffix(end)).unwrap_or(address);
    bare.trim_end_matches('/').to_owned()
}
