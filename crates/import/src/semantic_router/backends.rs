//! Semantic Router's back ends and models.

use std::collections::BTreeMap;

use pointsman_core::config::Effort;
use pointsman_core::model_family::ModelFamily;

use crate::credentials::{KeyReference, named_key, said_key};
use crate::draft::{Draft, DraftModel, DraftProvider, name_of};
use crate::reader::SourceValue;
use crate::vendors::{VendorAddress, address_entries, clean_address, host_of};
use crate::yaml_text::{YamlEntries, YamlValue};

const MODEL_REASONS: [(&str, &str); 6] = [
    ("external_model_ids", "the provider's own name of a model stands under `name`"),
    ("reasoning", "how an effort is spelt follows from the model's name (docs/model-families.md)"),
    ("reasoning_family", "how an effort is spelt follows from the model's name (docs/model-families.md)"),
    ("pii_policy", "rules with `deny` refuse requests (docs/policies.md)"),
    ("catalog", "no catalog of the other router's is read: give the model an address"),
    ("loras", "an adapter is a model of its own, by the name that the server has for it"),
];
const BACKEND_REASONS: [(&str, &str); 4] = [
    ("extra_headers", "clients' own headers go upstream; none are added"),
    ("chat_path", "paths follow from the API that is asked"),
    ("auth_header", "`key_header` of a provider says in which field its key goes"),
    ("auth_prefix", "`key_header` of a provider says in which field its key goes"),
];

/// The models of the catalog by their names in the file.
#[derive(Debug, Default)]
pub(super) struct BackendModels {
    models: BTreeMap<String, DraftModel>,
    order: Vec<String>,
    /// The effort where a decision only says that a model is to think.
    effort: Option<Effort>,
    /// The model where no decision is made.
    pub(super) default: Option<String>,
}

impl BackendModels {
    pub(super) fn read(root: &SourceValue<'_>, draft: &mut Draft) -> Self {
        let providers = root.get("providers");
        let defaults = providers.as_ref().and_then(|providers| providers.get("defaults"));
        let effort =
            root.text_at("default_reasoning_effort").or_else(|| defaults.as_ref()?.text_at("reasoning_effort"));
        let mut own = Self { effort: effort.and_then(Effort::of), ..Self::default() };
        let cards = root
            .get("routing")
            .and_then(|routing| routing.get("modelCards"))
            .map_or_else(Vec::new, |cards| cards.items());
        for model in
            providers.and_then(|providers| providers.get("models")).map_or_else(Vec::new, |models| models.items())
        {
            if own.read_model(&model, &cards, draft).is_none() {
                model.leave_out_unsaid("it has no name, or no back end with an address");
            }
        }
        own.read_older(root, draft);
        let said = root.get("default_model").or_else(|| defaults?.first(&["model", "default_model"]));
        own.default = said.and_then(|value| own.plain(value.text()?)).or_else(|| own.first());
        own
    }

    /// Returns the model of the catalog that the file calls `name`.
    fn plain(&self, name: &str) -> Option<String> {
        self.models.get(name).map(|model| model.name.clone())
    }

    fn first(&self) -> Option<String> {
        self.order.first().and_then(|name| self.plain(name))
    }

    /// Returns the model of the catalog that a decision refers to, with the effort that it wants.
    pub(super) fn referred(&self, value: &SourceValue<'_>, draft: &mut Draft) -> Option<String> {
        let name = value.get("model")?;
        let Some(model) = self.models.get(name.text()?) else {
            name.leave_out("no model of this name has an address in the file");
            return None;
        };
        value.take_all(&["reasoning_description", "reasoning_mode"]);
        if let Some(lora) = value.get("lora_name") {
            lora.leave_out("an adapter is a model of its own, by the name that the server has for it");
        }
        let said = value.get("reasoning_effort");
        let effort = said.as_ref().and_then(|said| Effort::of(said.text()?));
        let thinks = value.get("use_reasoning");
        let wanted = match (thinks.as_ref().and_then(SourceValue::flag), effort) {
            (Some(false), _) => Effort::None,
            (Some(true), effort) => effort.or(self.effort).unwrap_or(Effort::Medium),
            (None, Some(effort)) => effort,
            (None, None) => return Some(model.name.clone()),
        };
        let levels = ModelFamily::of(&model.upstream).map(ModelFamily::efforts).unwrap_or_default();
        let Some(fitting) = wanted.nearest(&levels) else {
            if let Some(value) = thinks.or(said).filter(|_| wanted != Effort::None) {
                value.leave_out("the model's name is of no family whose effort is known: `adapt.family` and `effort` of the model say it (docs/model-families.md)");
            }
            return Some(model.name.clone());
        };
        let name = format!("{}-{}", model.name, fitting.as_str());
        if !draft.models.iter().any(|own| own.name == name) {
            let mut variant = DraftModel { name: name.clone(), ..model.clone() };
            variant.more.push(("effort".to_owned(), YamlValue::text(fitting.as_str())));
            draft.models.push(variant);
        }
        Some(name)
    }

    fn add(&mut self, name: &str, model: DraftModel, draft: &mut Draft) {
        draft.models.push(model.clone());
        self.order.push(name.to_owned());
        self.models.insert(name.to_owned(), model);
    }

    fn read_model(&mut self, value: &SourceValue<'_>, cards: &[SourceValue<'_>], draft: &mut Draft) -> Option<()> {
        let name = value.text_at("name")?;
        value.leave_out_all(&MODEL_REASONS);
        let backends = value.get("backend_refs").map_or_else(Vec::new, |list| list.items());
        let first = backends.first()?;
        let spoken = match value.text_at("api_format") {
            Some("anthropic") => Some("messages"),
            Some("responses" | "openai_responses") => Some("responses"),
            _ => None,
        };
        let mut provider = backend(first, spoken)?;
        add_peers(&mut provider, &backends);
        if let Some(reliability) = value.get("reliability") {
            add_reliability(&mut provider, &reliability);
        }
        let mut more = YamlEntries::new();
        if let Some(price) = value.get("pricing") {
            add_price(&price, &mut more);
        }
        if let Some(card) = cards.iter().find(|card| card.text_at("name") == Some(name)) {
            add_card(card, &mut more);
        }
        let upstream = value.text_at("provider_model_id").unwrap_or(name).to_owned();
        let model =
            DraftModel { name: draft.free_model_name(name), provider: draft.provider(provider), upstream, more };
        self.add(name, model, draft);
        Some(())
    }

    /// Reads the older file: `vllm_endpoints`, and `model_config` that names them.
    fn read_older(&mut self, root: &SourceValue<'_>, draft: &mut Draft) {
        let endpoints = root.get("vllm_endpoints").map_or_else(Vec::new, |list| list.items());
        let configs = root.get("model_config").map_or_else(Vec::new, |configs| configs.entries());
        for (name, config) in configs {
            let preferred = config.get("preferred_endpoints").map_or_else(Vec::new, |list| list.texts());
            let is_meant = |endpoint: &&SourceValue<'_>| {
                preferred.is_empty() || endpoint.text_at("name").is_some_and(|own| preferred.contains(&own))
            };
            let own: Vec<SourceValue<'_>> = endpoints.iter().filter(is_meant).cloned().collect();
            config.leave_out_all(&MODEL_REASONS);
            let Some(mut provider) = own.first().and_then(|first| backend(first, None)) else {
                config.leave_out("no endpoint of the file is the one that it prefers");
                continue;
            };
            add_peers(&mut provider, &own);
            let mut more = YamlEntries::new();
            if let Some(price) = config.get("pricing") {
                add_price(&price, &mut more);
            }
            let entry = DraftModel {
                name: draft.free_model_name(name),
                provider: draft.provider(provider),
                upstream: name.to_owned(),
                more,
            };
            self.add(name, entry, draft);
        }
    }
}

/// Reads a back end: an address of its own, or a host and a port.
fn backend(value: &SourceValue<'_>, spoken: Option<&'static str>) -> Option<DraftProvider> {
    value.leave_out_all(&BACKEND_REASONS);
    value.take_all(&["provider", "api_version", "type"]);
    let base_url = match value.text_at("base_url") {
        Some(url) => clean_address(url)?,
        None => format!("{}://{}/v1", value.text_at("protocol").unwrap_or("http"), host_and_port(value)?),
    };
    let known = VendorAddress::at(&base_url);
    let named = value.text_at("name").map(name_of);
    let name = known.map(|vendor| vendor.name().to_owned()).or(named);
    let name = name.unwrap_or_else(|| name_of(host_of(&base_url).unwrap_or("server")));
    let keys = match value.text_at("api_key_env") {
        Some(variable) => vec![named_key(value, variable)],
        None => {
            let key =
                value.get("api_key").and_then(|key| said_key(&key, &name, known.and_then(|vendor| vendor.variable)));
            key.into_iter().collect()
        }
    };
    Some(DraftProvider { name, address: address_entries(&base_url, spoken), keys, ..DraftProvider::default() })
}

fn host_and_port(value: &SourceValue<'_>) -> Option<String> {
    let host = match (value.text_at("endpoint"), value.text_at("address")) {
        (Some(endpoint), _) => endpoint.trim_start_matches("http://").trim_start_matches("https://").to_owned(),
        (None, Some(address)) if address.contains(':') => format!("[{address}]:{}", value.count_at("port")?),
        (None, Some(address)) => format!("{address}:{}", value.count_at("port")?),
        (None, None) => return None,
    };
    clean_address(&host).and_then(|url| host_of(&url).map(str::to_owned))
}

/// Several back ends of one model are peers of one provider.
fn add_peers(provider: &mut DraftProvider, backends: &[SourceValue<'_>]) {
    let mut peers = Vec::new();
    for (index, value) in backends.iter().enumerate() {
        value.take_all(&["name", "provider", "protocol", "type"]);
        if index > 0 {
            note_other_key(&backends[0], value);
        }
        if let Some(weight) = value.get("weight") {
            if backends.len() > 1 {
                weight.change("peers of a provider have no shares: `balance` says how one is chosen");
            } else {
                weight.take();
            }
        }
        match host_and_port(value) {
            Some(peer) => peers.push(peer),
            None if backends.len() > 1 => {
                value.leave_out("peers are hosts with a port; this one has an address of its own");
            }
            None => {}
        }
    }
    if peers.len() > 1 {
        let has_ports =
            peers.iter().all(|peer| peer.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()));
        if has_ports {
            provider.more.push(("peers".to_owned(), YamlValue::texts(peers)));
        }
    }
}

/// Notes the key of a peer that is not the one of the first, with which the provider asks all of them.
fn note_other_key(first: &SourceValue<'_>, value: &SourceValue<'_>) {
    const OTHER: &str = "peers of a provider are asked with its one key, that of the first: give this one a provider";
    for place in ["api_key_env", "api_key"] {
        let Some((key, text)) = value.get(place).and_then(|key| Some((key.clone(), key.text()?))) else { continue };
        if first.text_at(place) == Some(text) {
            continue;
        }
        if place == "api_key" && KeyReference::of(text) == KeyReference::Inline {
            key.conceal(format!("a key stands here; it was not copied: {OTHER}"));
        } else {
            key.leave_out(OTHER);
        }
    }
}

fn add_reliability(provider: &mut DraftProvider, value: &SourceValue<'_>) {
    if let Some(policy) = value.get("lb_policy") {
        match policy.text() {
            Some("least_request" | "least_requests") => {
                provider.more.push(("balance".to_owned(), YamlValue::text("least_requests")));
            }
            Some("round_robin") => {}
            _ => policy.leave_out("`balance` has round_robin, least_requests and prefix_hash"),
        }
    }
    if let Some(path) = value.text_at("health_check_path") {
        let mut check = vec![("path".to_owned(), YamlValue::text(path))];
        for (key, own) in [("health_check_interval", "interval"), ("health_check_timeout", "timeout")] {
            if let Some(span) = value.text_at(key) {
                check.push((own.to_owned(), YamlValue::Text(span.to_owned())));
            }
        }
        provider.more.push(("health_check".to_owned(), YamlValue::Map(check)));
    }
    let mut breaker = YamlEntries::new();
    if let Some(failures) = value.count_at("consecutive_5xx").filter(|failures| *failures > 0) {
        breaker.push(("consecutive_failures".to_owned(), YamlValue::count(failures)));
    }
    if let Some(rest) = value.text_at("base_ejection_time") {
        breaker.push(("backoff".to_owned(), YamlValue::Text(rest.to_owned())));
    }
    if !breaker.is_empty() {
        provider.more.push(("breaker".to_owned(), YamlValue::Map(breaker)));
    }
    value.leave_out_all(&[
        ("retry_count", "`retry.max_attempts` counts for all models"),
        ("retry_on", "`retry` says after what a request is tried again"),
        ("max_ejection_percent", "when every peer is ejected, all are tried again"),
    ]);
}

fn add_price(value: &SourceValue<'_>, more: &mut YamlEntries) {
    if value.text_at("currency").is_some_and(|currency| !currency.eq_ignore_ascii_case("usd")) {
        return value.leave_out("prices are in US dollars");
    }
    let cost = |key: &str| value.number_at(key).filter(|cost| *cost >= 0.0).map(YamlValue::number);
    let (Some(input), Some(output)) = (cost("prompt_per_1m"), cost("completion_per_1m")) else { return };
    let mut price = vec![("input".to_owned(), input), ("output".to_owned(), output)];
    let more_of = [("cached_input_per_1m", "cached_input"), ("cache_write_per_1m", "cache_write")];
    price.extend(more_of.into_iter().filter_map(|(key, own)| Some((own.to_owned(), cost(key)?))));
    more.push(("price".to_owned(), YamlValue::Map(price)));
}

fn add_card(card: &SourceValue<'_>, more: &mut YamlEntries) {
    if let Some(context) = card.count_at("context_window_size").filter(|tokens| *tokens > 0) {
        more.push(("context".to_owned(), YamlValue::count(context)));
    }
    if let Some(output) = card.count_at("max_output_tokens").filter(|tokens| *tokens > 0) {
        more.push(("max_output".to_owned(), YamlValue::count(output)));
    }
}
