//! Bifrost's providers: their keys, each with its models and its share.

use std::collections::BTreeSet;

use crate::credentials::{KeyReference, said_key};
use crate::deployments::Deployment;
use crate::draft::{Draft, DraftKey, DraftProvider, add_key, variable};
use crate::reader::SourceValue;
use crate::vendors::{VendorAddress, address_entries, clean_address};
use crate::yaml_text::{YamlEntries, YamlValue};

const KEY_REASONS: [(&str, &str); 3] = [
    ("blacklisted_models", "a client's `models: {deny}` keeps models from it; none are kept from a key"),
    ("use_for_batch_api", "batches pass through to the provider with any of its keys"),
    ("enabled", "a key that stands in the file is used"),
];
const PROVIDER_REASONS: [(&str, &str); 5] = [
    ("send_back_raw_response", "answers reach clients as the provider gives them, or translated"),
    ("send_back_raw_request", "answers reach clients as the provider gives them, or translated"),
    ("proxy_config", "requests go to providers directly: no proxy for them is known"),
    ("pricing_overrides", "prices stand under `price` of a model"),
    ("openai_config", "requests go as the client sends them"),
];
const NETWORK_REASONS: [(&str, &str); 4] = [
    ("extra_headers", "clients' own headers go upstream; none are added"),
    ("retry_backoff_initial", "`retry.pause` says how long to wait between attempts"),
    ("retry_backoff_max", "`retry.pause` says how long to wait between attempts"),
    ("insecure_skip_verify", "`tls: {verify: false}` of a provider says so"),
];

/// A provider of Bifrost's, and its keys.
pub(super) struct ProviderKeys<'s> {
    name: String,
    value: SourceValue<'s>,
    base_url: Option<String>,
    more: YamlEntries,
    pub(super) retries: Option<u64>,
}

/// One key of a provider: where it is used, for which models, and its share.
struct KeyUse {
    provider: DraftProvider,
    /// What clients ask for, and what the provider calls it.
    models: Vec<(String, String)>,
    weight: f64,
}

impl<'s> ProviderKeys<'s> {
    pub(super) fn read(name: &str, value: &SourceValue<'s>) -> Self {
        let network = value.get("network_config");
        let base_url = network.as_ref().and_then(|network| clean_address(network.get("base_url")?.text()?));
        let base_url =
            base_url.map(|url| if url.ends_with("/v1") || name == "gemini" { url } else { format!("{url}/v1") });
        let mut more = YamlEntries::new();
        let seconds = network.as_ref().and_then(|network| network.number_at("default_request_timeout_in_seconds"));
        if let Some(seconds) = seconds.filter(|seconds| (0.001..=3600.0).contains(seconds)) {
            let whole = YamlValue::milliseconds(seconds * 1000.0);
            more.push(("timeouts".to_owned(), YamlValue::map([("whole", whole)])));
        }
        if let Some(buffers) = value.get("concurrency_and_buffer_size") {
            if let Some(most) = buffers.count_at("concurrency").filter(|most| *most > 0) {
                more.push(("max_concurrent".to_owned(), YamlValue::count(most)));
            }
            if let Some(size) = buffers.get("buffer_size") {
                size.leave_out(
                    "no queue stands before a provider: one request too many is refused, or goes to a fallback",
                );
            }
        }
        let retries = network.as_ref().and_then(|network| network.count_at("max_retries"));
        if let Some(network) = &network {
            network.leave_out_all(&NETWORK_REASONS);
        }
        value.leave_out_all(&PROVIDER_REASONS);
        Self { name: name.to_owned(), value: value.clone(), base_url, more, retries }
    }

    /// Returns a deployment for every model of every key. Keys that serve all models serve the `wanted` ones.
    pub(super) fn deployments(&self, wanted: &BTreeSet<String>, draft: &mut Draft) -> Vec<Deployment> {
        let keys = self.value.get("keys").map_or_else(Vec::new, |keys| keys.items());
        let mut uses: Vec<KeyUse> = keys.iter().filter_map(|key| self.key(key, wanted)).collect();
        if keys.is_empty() {
            let own = self.provider(None).map(|provider| {
                let models = self.wanted(wanted);
                KeyUse { provider, models, weight: 1.0 }
            });
            uses.extend(own);
        }
        if uses.is_empty() && !keys.is_empty() {
            return Vec::new();
        }
        if uses.iter().all(|own| own.models.is_empty()) {
            self.note_no_models(&uses, draft);
        }
        let deployment = |own: &KeyUse, (model, upstream): &(String, String)| Deployment {
            group: format!("{}/{model}", self.name),
            provider: own.provider.clone(),
            upstream: upstream.clone(),
            weight: own.weight,
            more: Vec::new(),
        };
        uses.iter().flat_map(|own| own.models.iter().map(move |model| deployment(own, model))).collect()
    }

    /// A provider without a list of models is there for whatever is added.
    fn note_no_models(&self, uses: &[KeyUse], draft: &mut Draft) {
        let mut providers: Vec<DraftProvider> = Vec::new();
        for own in uses {
            let keys = own.provider.keys.iter().map(|key| DraftKey { weight: own.weight, ..key.clone() });
            match providers.iter_mut().find(|provider| provider.has_address_of(&own.provider)) {
                Some(provider) => keys.for_each(|key| add_key(&mut provider.keys, key)),
                None => providers.push(DraftProvider { keys: keys.collect(), ..own.provider.clone() }),
            }
        }
        let names: Vec<String> = providers.into_iter().map(|provider| draft.provider(provider)).collect();
        let Some((name, others)) = names.split_first() else { return };
        let others = if others.is_empty() { String::new() } else { format!(", or of {}", others.join(", ")) };
        self.value.change(format!(
            "no models are listed, so that it serves all: list those that clients ask for under `models`, as `{}/MODEL: {{provider: {name}, name: MODEL}}`{others}",
            self.name
        ));
    }

    fn wanted(&self, wanted: &BTreeSet<String>) -> Vec<(String, String)> {
        let own = wanted.iter().filter_map(|name| name.strip_prefix(&format!("{}/", self.name)));
        own.map(|model| (model.to_owned(), model.to_owned())).collect()
    }

    fn key(&self, key: &SourceValue<'_>, wanted: &BTreeSet<String>) -> Option<KeyUse> {
        key.take_all(&["id", "name"]);
        key.leave_out_all(&KEY_REASONS);
        let weight = key.number_at("weight").filter(|weight| *weight > 0.0).unwrap_or(1.0);
        let listed = key.get("models").map_or_else(Vec::new, |models| models.texts());
        let Some(provider) = self.provider(Some(key)) else {
            key.leave_out(format!(
                "the provider `{}` is not known here: give its address as `network_config.base_url`",
                self.name
            ));
            return None;
        };
        let names = self.deployment_names(key);
        let upstream =
            |model: &str| names.iter().find(|(own, _)| own == model).map_or(model, |(_, own)| own).to_owned();
        let mut models: Vec<(String, String)> = if listed.contains(&"*") || listed.is_empty() {
            let mut all = names.clone();
            all.extend(self.wanted(wanted).into_iter().filter(|(model, _)| !names.iter().any(|(own, _)| own == model)));
            all
        } else {
            listed.iter().map(|model| ((*model).to_owned(), upstream(model))).collect()
        };
        models.dedup();
        Some(KeyUse { provider, models, weight })
    }

    /// Names of models and what the provider calls them: deployments of Azure, aliases.
    fn deployment_names(&self, key: &SourceValue<'_>) -> Vec<(String, String)> {
        let places = ["azure_key_config", "bedrock_key_config", "vertex_key_config"];
        let configs = places.iter().filter_map(|place| key.get(place));
        let maps = configs.filter_map(|config| config.get("deployments")).chain(key.get("aliases"));
        let entries = maps.flat_map(|map| map.entries());
        entries.filter_map(|(model, name)| Some((model.to_owned(), name.text()?.to_owned()))).collect()
    }

    fn provider(&self, key: Option<&SourceValue<'_>>) -> Option<DraftProvider> {
        let more = self.more.clone();
        let name = self.name.clone();
        if let Some(config) = key.and_then(|key| key.get("azure_key_config")) {
            config.take_all(&["api_version"]);
            let address = address_of(&config.get("endpoint")?)?;
            let keys = self.own_key(key, Some("AZURE_API_KEY"));
            return Some(DraftProvider {
                name,
                address: address_entries(&address, None),
                keys,
                passes_key: false,
                more,
            });
        }
        if let Some(config) = key.and_then(|key| key.get("bedrock_key_config")) {
            let address = vec![("bedrock".to_owned(), bedrock(&config))];
            let keys = self.own_key(key, None);
            return Some(DraftProvider { name, address, keys, passes_key: false, more });
        }
        if let Some(config) = key.and_then(|key| key.get("vertex_key_config")) {
            let address = vec![("vertex".to_owned(), vertex(&config))];
            return Some(DraftProvider { name, address, keys: Vec::new(), passes_key: false, more });
        }
        let custom = self.value.get("custom_provider_config");
        let base_type = custom.and_then(|custom| custom.text_at("base_provider_type"));
        let vendor = VendorAddress::of(&self.name).or_else(|| VendorAddress::of(base_type?));
        let base_url = self.base_url.clone().or_else(|| vendor.map(|vendor| vendor.base_url.to_owned()))?;
        let spoken = (base_type == Some("anthropic")).then_some("messages");
        let keys = self.own_key(key, VendorAddress::of(&self.name).and_then(|vendor| vendor.variable));
        Some(DraftProvider { name, address: address_entries(&base_url, spoken), keys, passes_key: false, more })
    }

    fn own_key(&self, key: Option<&SourceValue<'_>>, usual: Option<&str>) -> Vec<DraftKey> {
        let value = key.and_then(|key| key.get("value"));
        value.and_then(|value| said_key(&value, &self.name, usual)).into_iter().collect()
    }
}

/// Returns the address at `value`; of one that a variable holds, a stand-in that answers nobody.
fn address_of(value: &SourceValue<'_>) -> Option<String> {
    let text = value.text()?;
    if let KeyReference::Variable(name) = KeyReference::of(text) {
        value
            .change(format!("the address stands in the variable {name}: write it in the place of the `.invalid` host"));
        return Some(format!("https://{}.invalid/openai/v1", name.to_ascii_lowercase().replace('_', "-")));
    }
    clean_address(text)
}

fn bedrock(config: &SourceValue<'_>) -> YamlValue {
    let mut entries = vec![("region".to_owned(), YamlValue::text(said(config, "region", "us-east-1")))];
    let part = |key: &str, usual: &str| said_key(&config.get(key)?, "aws", Some(usual));
    let parts = (part("access_key", "AWS_ACCESS_KEY_ID"), part("secret_key", "AWS_SECRET_ACCESS_KEY"));
    if let (Some(id), Some(secret)) = parts {
        let parts = [("id", variable(&id.variable)), ("secret", variable(&secret.variable))];
        entries.push(("credentials".to_owned(), YamlValue::map([("access_key", YamlValue::map(parts))])));
    }
    YamlValue::Map(entries)
}

fn vertex(config: &SourceValue<'_>) -> YamlValue {
    if let Some(credentials) = config.get("auth_credentials") {
        credentials.leave_out(
            "the account of the machine is taken: `credentials: {file: KEY.json}` takes a key file (docs/providers.md)",
        );
    }
    config.take_all(&["project_number"]);
    let entries =
        [("project", said(config, "project_id", "my-project")), ("location", said(config, "region", "global"))];
    YamlValue::map(entries.map(|(key, value)| (key, YamlValue::text(value))))
}

/// Returns the text under `key`; of one that a variable holds, and of none, `otherwise`.
fn said(config: &SourceValue<'_>, key: &str, otherwise: &str) -> String {
    let Some(value) = config.get(key) else { return otherwise.to_owned() };
    let text = value.text().unwrap_or(otherwise);
    if let KeyReference::Variable(name) = KeyReference::of(text) {
        value.change(format!("it stands in the variable {name}: write it in the place of `{otherwise}`"));
        return otherwise.to_owned();
    }
    text.to_owned()
}
