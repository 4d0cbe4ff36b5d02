//! claude-code-router's providers and their models.

use std::collections::BTreeMap;

use super::named;
use crate::credentials::provider_key;
use crate::draft::{Draft, DraftModel, DraftProvider, name_of};
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

/// The models of the catalog by the other router's name for them, `provider,model`.
#[derive(Debug, Default)]
pub(super) struct ProviderModels(BTreeMap<String, String>);

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
        names: &ModelNames<'_>,
        draft: &mut Draft,
    ) -> Option<()> {
        let name = value.text_at("name")?;
        let address = value.first(&["api_base_url", "baseurl", "base_url"])?;
        let text = address.text()?;
        let base_url = without_endpoint(&clean_address(text)?);
        let transformer = value.first(&["transformer", "transformers"]);
        let effects = transformer.as_ref().map(TransformerEffects::read).unwrap_or_default();
        let by_address = ENDPOINTS.iter().find(|(end, _)| text.trim_end_matches('/').ends_with(end));
        let written = address_entries(&base_url, effects.dialect.or(by_address.map(|(_, dialect)| *dialect)));
        let usual = VendorAddress::at(&base_url).and_then(|vendor| vendor.variable);
        let key = value.first(&["api_key", "apikey"]);
        let keys = key.and_then(|key| provider_key(Some(&key), name, usual)).into_iter().collect();
        let mut more = YamlEntries::new();
        if let Some(timeout) = timeout {
            let whole = YamlValue::milliseconds(timeout);
            more.push(("timeouts".to_owned(), YamlValue::map([("whole", whole)])));
        }
        let provider = DraftProvider { name: name_of(name), address: written, keys, passes_key: false, more };
        let provider = draft.provider(provider);
        for model in value.get("models").map_or_else(Vec::new, |models| models.texts()) {
            let own = transformer.as_ref().and_then(|transformer| transformer.get(model));
            let max_output =
                own.as_ref().and_then(|own| TransformerEffects::read(own).max_output).or(effects.max_output);
            let entry = DraftModel {
                name: draft.free_model_name(&names.of(name, model)),
                provider: provider.clone(),
                upstream: model.to_owned(),
                more: max_output.map(|most| ("max_output".to_owned(), YamlValue::count(most))).into_iter().collect(),
            };
            self.0.insert(format!("{name},{model}"), entry.name.clone());
            draft.models.push(entry);
        }
        Some(())
    }

    /// Returns the model of the catalog that a route names, `provider,model`; notes one that is not there.
    pub(super) fn find(&self, value: &SourceValue<'_>) -> Option<String> {
        let text = value.text()?;
        let (provider, model) = text.split_once(',')?;
        let found = self.0.get(&format!("{},{}", provider.trim(), model.trim())).cloned();
        if found.is_none() {
            value.leave_out("no provider of the file has this model");
        }
        found
    }

    /// Adds a policy for each model by the other router's name, which `/model provider,model` asks for.
    pub(super) fn add_policies(&self, draft: &mut Draft) {
        for (name, model) in &self.0 {
            let policy = named(draft, name, model);
            draft.policies.push(policy);
        }
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

fn without_endpoint(address: &str) -> String {
    let bare = ENDPOINTS.iter().find_map(|(end, _)| address.strip_suffix(end)).unwrap_or(address);
    bare.trim_end_matches('/').to_owned()
}
