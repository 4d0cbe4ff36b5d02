//! One entry of LiteLLM's `model_list`.

use pointsman_core::config::Effort;

use super::provider::{self, ModelAddress};
use super::routing::RouterSettings;
use crate::deployments::Deployment;
use crate::draft::Draft;
use crate::efforts::fitting_effort;
use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

/// Parameters of a request that a deployment brings, and that the catalog sets.
const REQUEST_PARAMETERS: [&str; 8] =
    ["temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed", "stop", "n"];
/// What a model may lack, by LiteLLM's name and ours.
const ABILITIES: [(&str, &str); 5] = [
    ("supports_function_calling", "tools"),
    ("supports_vision", "images"),
    ("supports_audio_input", "audio"),
    ("supports_pdf_input", "files"),
    ("supports_response_schema", "json_schema"),
];
const REASONS: [(&str, &str); 5] = [
    ("extra_headers", "clients' own headers go upstream; none are added"),
    ("headers", "clients' own headers go upstream; none are added"),
    ("organization", "a key belongs to one organisation; no header names another"),
    ("max_retries", "`retry.max_attempts` counts for all models"),
    ("guardrails", "rules with `deny` take the place of guardrails (docs/policies.md)"),
];

/// Reads an entry; nothing, with findings, where it cannot be served.
pub(super) fn read(item: &SourceValue<'_>, settings: &RouterSettings<'_>, draft: &mut Draft) -> Option<Deployment> {
    let name = item.get("model_name")?;
    let group = name.text()?.to_owned();
    let Some(params) = item.get("litellm_params").filter(SourceValue::is_map) else {
        item.leave_out("it has no `litellm_params`, so that no model stands for it");
        return None;
    };
    if group.contains('*') {
        wildcard(item, &params, draft);
        return None;
    }
    let Some(ModelAddress { mut provider, upstream }) = provider::find(&params) else {
        item.leave_out("its provider is not known here, so that no model stands for it");
        return None;
    };
    settings.add_limits(&mut provider.more);
    add_timeouts(&params, &mut provider.more);
    if let Some(most) = params.count_at("max_parallel_requests") {
        provider.more.push(("max_concurrent".to_owned(), YamlValue::count(most)));
    }
    let info = item.get("model_info");
    let mut more = YamlEntries::new();
    add_price(&params, info.as_ref(), &mut more);
    if let Some(info) = &info {
        add_facts(info, &mut more);
    }
    if let Some(region) = params.text_at("region_name") {
        more.push(("region".to_owned(), YamlValue::text(region)));
    }
    add_effort(&params, &upstream, &mut more);
    add_parameters(&params, &mut more);
    params.leave_out_all(&REASONS);
    let weight = weight_of(item, &params);
    Some(Deployment { group, provider, upstream, weight, more })
}

/// Models by pattern: one provider may get everything that no policy and no model matches.
fn wildcard(item: &SourceValue<'_>, params: &SourceValue<'_>, draft: &mut Draft) {
    let is_everything = item.text_at("model_name") == Some("*");
    let Some(ModelAddress { provider, .. }) = provider::find(params) else { return };
    let is_cloud = provider.is_cloud();
    let name = draft.provider(provider);
    params.take();
    if is_everything && !is_cloud && draft.default_provider.is_none() {
        draft.default_provider = Some(name);
        return;
    }
    item.change(format!(
        "models by pattern are not taken apart: list the ones that clients ask for under `models` (provider `{name}` is there), or set `default_provider`"
    ));
}

fn add_timeouts(params: &SourceValue<'_>, more: &mut YamlEntries) {
    let seconds = |key: &str| params.number_at(key).filter(|seconds| (0.001..=3600.0).contains(seconds));
    let mut timeouts = YamlEntries::new();
    if let Some(first) = seconds("stream_timeout") {
        timeouts.push(("first_byte".to_owned(), span(first)));
    }
    if let Some(whole) = seconds("timeout") {
        timeouts.push(("whole".to_owned(), span(whole)));
    }
    if !timeouts.is_empty() {
        more.retain(|(key, _)| key != "timeouts");
        more.push(("timeouts".to_owned(), YamlValue::Map(timeouts)));
    }
}

/// Returns a length of time as the configuration has it.
pub(super) fn span(seconds: f64) -> YamlValue {
    YamlValue::milliseconds(seconds * 1000.0)
}

fn add_price(params: &SourceValue<'_>, info: Option<&SourceValue<'_>>, more: &mut YamlEntries) {
    let cost = |key: &str| {
        let said = params.number_at(key).or_else(|| info?.number_at(key));
        said.filter(|cost| *cost >= 0.0).map(|cost| YamlValue::number(cost * 1e6))
    };
    let costs = ["input_cost_per_token", "output_cost_per_token"].map(cost);
    let [Some(input), Some(output)] = costs else {
        let said = ["input_cost_per_token", "output_cost_per_token"].iter().find_map(|key| {
            let place = params.get(key).or_else(|| info?.get(key));
            place.filter(|place| place.number().is_some())
        });
        if let Some(said) = said {
            said.leave_out("a price has one for the prompt and one for the answer");
        }
        return;
    };
    let mut price = vec![("input".to_owned(), input), ("output".to_owned(), output)];
    let cached = [("cache_read_input_token_cost", "cached_input"), ("cache_creation_input_token_cost", "cache_write")];
    price.extend(cached.into_iter().filter_map(|(key, own)| Some((own.to_owned(), cost(key)?))));
    more.push(("price".to_owned(), YamlValue::Map(price)));
}

fn add_facts(info: &SourceValue<'_>, more: &mut YamlEntries) {
    info.take_all(&["id", "mode", "base_model", "db_model"]);
    if let Some(context) = info.count_at("max_input_tokens").filter(|tokens| *tokens > 0) {
        more.push(("context".to_owned(), YamlValue::count(context)));
    }
    let output = info.count_at("max_output_tokens");
    if let Some(output) = output.or_else(|| info.count_at("max_tokens")).filter(|tokens| *tokens > 0) {
        more.push(("max_output".to_owned(), YamlValue::count(output)));
    }
    let lacks = |(key, _): &&(&str, &str)| info.flag_at(key) == Some(false);
    let lacking: Vec<&str> = ABILITIES.iter().filter(lacks).map(|(_, own)| *own).collect();
    if !lacking.is_empty() {
        let has = ABILITIES.iter().map(|(_, own)| *own).filter(|own| !lacking.contains(own));
        more.push(("supports".to_owned(), YamlValue::texts(has)));
    }
}

fn add_effort(params: &SourceValue<'_>, upstream: &str, more: &mut YamlEntries) {
    let Some(value) = params.get("reasoning_effort") else { return };
    let Some(wanted) = value.text().and_then(Effort::of) else {
        return value.leave_out("this is no effort (none, minimal, low, medium, high, xhigh, max)");
    };
    match fitting_effort(upstream, wanted) {
        Some(effort) => {
            if effort != wanted {
                value.change(format!("the model has no such effort: `{}` is the nearest", effort.as_str()));
            }
            more.push(("effort".to_owned(), YamlValue::text(effort.as_str())));
        }
        None => value.leave_out("the model's family has no effort to choose"),
    }
}

fn add_parameters(params: &SourceValue<'_>, more: &mut YamlEntries) {
    let mut set = YamlEntries::new();
    for key in REQUEST_PARAMETERS {
        let Some(value) = params.get(key) else { continue };
        if value.is_map() || value.is_list() {
            continue;
        }
        let text = value.text().unwrap_or_default().to_owned();
        let written = if value.is_plain() && text.parse::<f64>().is_ok() {
            YamlValue::Plain(text)
        } else {
            YamlValue::Text(text)
        };
        set.push((key.to_owned(), written));
        value.change("`adapt.set` gives every request this value, also one that says another");
    }
    if !set.is_empty() {
        more.push(("adapt".to_owned(), YamlValue::map([("set", YamlValue::Map(set))])));
    }
}

/// The share of a deployment: its weight, or else its limits, as LiteLLM's simple shuffle has it.
fn weight_of(item: &SourceValue<'_>, params: &SourceValue<'_>) -> f64 {
    let mut weight = params.number_at("weight");
    for key in ["rpm", "tpm"] {
        let limit = params.get(key).or_else(|| item.get(key));
        let Some(limit) = limit else { continue };
        let share = limit.number();
        if weight.is_none() {
            weight = share;
        }
        limit.change("it counts as a share beside other deployments of the name, and limits nothing: a key rests after the vendor's 429");
    }
    weight.filter(|weight| *weight > 0.0).unwrap_or(1.0)
}
