//! Switchyard's targets: models at upstreams, by a name of their own or where a route has them.

use std::collections::BTreeMap;

use crate::credentials::{KeyReference, named_key, said_key};
use crate::draft::{Draft, DraftModel, DraftProvider, name_of};
use crate::reader::SourceValue;
use crate::vendors::{VendorAddress, address_entries, clean_address, host_of};
use crate::yaml_text::{YamlEntries, YamlValue};

/// Where Switchyard asks when nobody says.
const OPENAI: &str = "https://api.openai.com/v1";
const REASONS: [(&str, &str); 6] = [
    ("system_prompt", "no prompt is added to a conversation: it stays the client's"),
    ("extra_headers", "clients' own headers go upstream; none are added"),
    ("output_dir", "no files are written"),
    ("context_window", "the window stands under `context` of the model"),
    ("tool_calling", "what a model lacks stands under `supports`"),
    ("vision", "what a model lacks stands under `supports`"),
];

/// The targets of a file, as models of the catalog.
pub(super) struct TargetCatalog<'s> {
    /// The model of the catalog for each name of a target.
    models: BTreeMap<String, String>,
    clients: BTreeMap<String, DraftProvider>,
    /// What the older YAML says for every target.
    defaults: Option<SourceValue<'s>>,
    retries: Option<u64>,
}

impl<'s> TargetCatalog<'s> {
    pub(super) fn read(root: &SourceValue<'s>, draft: &mut Draft) -> Self {
        let mut own =
            Self { models: BTreeMap::new(), clients: BTreeMap::new(), defaults: root.get("defaults"), retries: None };
        let clients = root.get("llm_clients").or_else(|| root.get("endpoints"));
        for (name, client) in clients.map_or_else(Vec::new, |clients| clients.entries()) {
            if let Some(provider) = own.client(name, &client) {
                own.clients.insert(name.to_owned(), provider);
            }
        }
        for (name, target) in root.get("targets").map_or_else(Vec::new, |targets| targets.entries()) {
            let Some(model) = own.target(name, &target, draft) else {
                target.leave_out("its client is not in the file, or has no address");
                continue;
            };
            own.models.insert(name.to_owned(), model);
        }
        own
    }

    pub(super) const fn retries(&self) -> Option<u64> {
        self.retries
    }

    /// Returns the model of the catalog for what a route names: a target, a model's own name, or a whole target.
    pub(super) fn model(&mut self, value: &SourceValue<'s>, draft: &mut Draft) -> Option<String> {
        if value.is_map() {
            let wanted = value.first(&["model", "id"])?.text()?.to_owned();
            let provider = self.client(&wanted, value)?;
            return Some(add(draft, provider, &wanted, value));
        }
        let name = value.text()?;
        if let Some(model) = self.models.get(name) {
            return Some(model.clone());
        }
        // The older YAML names the model itself, at the address of `defaults`.
        let defaults = self.defaults.clone();
        let Some(provider) = defaults.and_then(|defaults| self.client(name, &defaults)) else {
            value.leave_out(format!("the file has no target {name}"));
            return None;
        };
        Some(add(draft, provider, name, value))
    }

    /// Reads a client, an endpoint, or a target with an address of its own.
    fn client(&mut self, name: &str, value: &SourceValue<'s>) -> Option<DraftProvider> {
        let inherited = |key: &str| value.get(key).or_else(|| self.defaults.as_ref()?.get(key));
        let base_url = match inherited("base_url") {
            Some(said) => match said.text().map(|text| (KeyReference::of(text), text)) {
                Some((KeyReference::Variable(name), _)) => {
                    said.change(format!(
                        "the address stands in the variable {name}: write it in the place of the `.invalid` host"
                    ));
                    format!("https://{}.invalid", name.to_ascii_lowercase().replace('_', "-"))
                }
                Some((_, text)) => clean_address(text)?,
                None => return None,
            },
            None => OPENAI.to_owned(),
        };
        let known = VendorAddress::at(&base_url);
        let provider =
            known.map_or_else(|| name_of(host_of(&base_url).unwrap_or(name)), |known| known.name().to_owned());
        let spoken = inherited("format").and_then(|format| dialect_of(format.text()?));
        let address = address_entries(&base_url, spoken);
        let key = match value.text_at("api_key_env") {
            Some(variable) => Some(named_key(value, variable)),
            None => inherited("api_key").and_then(|key| said_key(&key, &provider, None)),
        };
        let passes_key = value.flag_at("forward_auth") == Some(true);
        let mut more = YamlEntries::new();
        let seconds = inherited("timeout_secs").and_then(|seconds| seconds.number());
        if let Some(seconds) = seconds.filter(|seconds| (0.001..=3600.0).contains(seconds)) {
            let whole = YamlValue::milliseconds(seconds * 1000.0);
            more.push(("timeouts".to_owned(), YamlValue::map([("whole", whole)])));
        }
        if let Some(retries) = inherited("max_retries").and_then(|retries| retries.count()) {
            self.retries = Some(self.retries.map_or(retries, |own| own.max(retries)));
        }
        value.leave_out_all(&REASONS);
        Some(DraftProvider { name: provider, address, keys: key.into_iter().collect(), passes_key, more })
    }

    fn target(&mut self, name: &str, target: &SourceValue<'s>, draft: &mut Draft) -> Option<String> {
        let upstream = target.first(&["id", "model"])?.text()?;
        let client = target.first(&["llm_client", "endpoint"]);
        let provider = match client {
            Some(client) => {
                let mut provider = self.clients.get(client.text()?)?.clone();
                // An endpoint has no format of its own; its targets have.
                if let Some(dialect) = target.text_at("format").and_then(dialect_of)
                    && let Some((_, spoken)) = provider.address.iter_mut().find(|(key, _)| key == "dialects")
                {
                    *spoken = YamlValue::texts([dialect]);
                }
                provider
            }
            None => self.client(name, target)?,
        };
        target.leave_out_all(&REASONS);
        let provider = draft.provider(provider);
        let model = DraftModel {
            name: draft.free_model_name(name),
            provider,
            upstream: upstream.to_owned(),
            more: adaptations(target),
        };
        draft.models.push(model.clone());
        Some(model.name)
    }
}

/// Adds a model that has no target of its own, or finds it.
fn add(draft: &mut Draft, provider: DraftProvider, upstream: &str, value: &SourceValue<'_>) -> String {
    let provider = draft.provider(provider);
    let more = adaptations(value);
    let same = |own: &&DraftModel| own.provider == provider && own.upstream == upstream && own.more == more;
    if let Some(own) = draft.models.iter().find(same) {
        return own.name.clone();
    }
    let name = draft.free_model_name(&name_of(upstream));
    draft.models.push(DraftModel { name: name.clone(), provider, upstream: upstream.to_owned(), more });
    name
}

/// What a target adds to a request's body.
fn adaptations(target: &SourceValue<'_>) -> YamlEntries {
    let Some(extra) = target.get("extra_body") else { return YamlEntries::new() };
    let set: YamlEntries = extra.entries().into_iter().map(|(key, value)| (key.to_owned(), copied(&value))).collect();
    if set.iter().any(|(key, _)| matches!(key.as_str(), "model" | "stream")) || set.is_empty() {
        extra.leave_out("`model` and `stream` are Pointsman's own");
        return YamlEntries::new();
    }
    extra.change("`adapt.set` gives every request these values, also one that says others");
    vec![("adapt".to_owned(), YamlValue::map([("set", YamlValue::Map(set))]))]
}

fn copied(value: &SourceValue<'_>) -> YamlValue {
    if value.is_map() {
        let entries = value.entries().into_iter().map(|(key, value)| (key.to_owned(), copied(&value)));
        return YamlValue::Map(entries.collect());
    }
    if value.is_list() {
        return YamlValue::List(value.items().iter().map(copied).collect());
    }
    let text = value.text().unwrap_or_default().to_owned();
    let is_value = text.parse::<f64>().is_ok() || matches!(text.as_str(), "true" | "false");
    if value.is_plain() && is_value { YamlValue::Plain(text) } else { YamlValue::Text(text) }
}

/// Returns our name for one of Switchyard's wire formats.
fn dialect_of(format: &str) -> Option<&'static str> {
    match format {
        "openai_chat" | "openai" => Some("chat"),
        "openai_responses" | "responses" => Some("responses"),
        "anthropic_messages" | "anthropic" => Some("messages"),
        _ => None,
    }
}
