//! What version 3 knows of a provider's models: windows, prices, abilities, parameters.

use crate::reader::SourceValue;
use crate::yaml_text::{YamlEntries, YamlValue};

const ABILITIES: [&str; 5] = ["tools", "images", "audio", "files", "json_schema"];
/// Prices by our name and by the other router's, both in US dollars for a million tokens.
const PRICES: [(&str, &[&str]); 4] = [
    ("input", &["inputUsdPerMillionTokens"]),
    ("output", &["outputUsdPerMillionTokens"]),
    ("cached_input", &["cacheReadUsdPerMillionTokens"]),
    ("cache_write", &["cacheWriteUsdPerMillionTokens", "cacheWrite5mUsdPerMillionTokens"]),
];

/// Returns what a provider at `provider` says of its `model`.
pub(super) fn read(provider: &SourceValue<'_>, model: &str) -> YamlEntries {
    let mut facts = YamlEntries::new();
    let metadata = provider.first(&["modelMetadata", "model_metadata"]);
    if let Some(own) = metadata.and_then(|metadata| metadata.get(model)) {
        let count = |keys: &[&str]| {
            let place = own.first(keys)?;
            place.count().filter(|tokens| *tokens > 0).map(YamlValue::count)
        };
        let window = count(&["contextWindow", "context_window"]);
        let window = window.or_else(|| count(&["maxContextWindow", "max_context_window"]));
        own.take_all(&["maxContextWindow", "max_context_window", "contextWindowPinned", "context_window_pinned"]);
        facts.extend(window.map(|tokens| ("context".to_owned(), tokens)));
        let answer = count(&["maxOutputTokens", "max_output_tokens", "outputTokens", "output_tokens"]);
        facts.extend(answer.map(|tokens| ("max_output".to_owned(), tokens)));
        add_price(&own, &mut facts);
        add_abilities(&own, &mut facts);
    }
    add_parameters(provider, &mut facts);
    facts
}

fn add_price(own: &SourceValue<'_>, facts: &mut YamlEntries) {
    let Some(pricing) = own.get("pricing") else { return };
    let cost = |keys: &[&str]| {
        let said = keys.iter().find_map(|key| pricing.number_at(key));
        said.filter(|cost| *cost >= 0.0).map(YamlValue::number)
    };
    let price: YamlEntries = PRICES.iter().filter_map(|(name, keys)| Some(((*name).to_owned(), cost(keys)?))).collect();
    if ["input", "output"].iter().all(|half| price.iter().any(|(name, _)| name == half)) {
        facts.push(("price".to_owned(), YamlValue::Map(price)));
    } else {
        pricing.leave_out("a price has one for the prompt and one for the answer");
    }
}

fn add_abilities(own: &SourceValue<'_>, facts: &mut YamlEntries) {
    let Some(capabilities) = own.get("capabilities") else { return };
    capabilities.take_all(&["webSearch", "web_search"]);
    let sees = capabilities.first(&["imageInput", "image_input"]).and_then(|flag| flag.flag());
    if sees == Some(false) {
        let rest = ABILITIES.into_iter().filter(|ability| *ability != "images");
        facts.push(("supports".to_owned(), YamlValue::texts(rest)));
    }
}

/// Parameters that every request to the provider gets.
fn add_parameters(provider: &SourceValue<'_>, facts: &mut YamlEntries) {
    let Some(body) = provider.first(&["extraBody", "extra_body"]) else { return };
    let mut set = YamlEntries::new();
    for (key, value) in body.entries() {
        let Some(text) = value.text() else {
            value.leave_out("`adapt.set` takes no lists and objects from the other router's file");
            continue;
        };
        let is_literal = value.is_plain() && (text.parse::<f64>().is_ok() || matches!(text, "true" | "false"));
        let written = if is_literal { YamlValue::Plain(text.to_owned()) } else { YamlValue::text(text) };
        set.push((key.to_owned(), written));
    }
    if !set.is_empty() {
        facts.push(("adapt".to_owned(), YamlValue::map([("set", YamlValue::Map(set))])));
    }
}
