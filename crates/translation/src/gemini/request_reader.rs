//! Requests as clients of Google's write them, in either spelling.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::turn_reader::TurnReader;
use super::{config_reader, tool_reader};
use crate::conversion::schema::camel_case;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::NeutralRequest;
use crate::refusal::TranslationRefusal;

/// Reads a request's body. The path says the model and whether the answer is a stream.
pub(super) fn read<'b>(body: &'b [u8], losses: &mut LossReport) -> Result<NeutralRequest<'b>, TranslationRefusal> {
    let fields =
        Fields::of_document(body).map_err(|problem| TranslationRefusal::malformed("body", problem.to_string()))?;
    let mut request = NeutralRequest::new(Cow::Borrowed(""));
    let detail = match fields.either(["generationConfig", "generation_config"]) {
        Some(config) => config_reader::read(config, &mut request, losses)?,
        None => None,
    };
    let mut turns = TurnReader::new(losses, detail);
    if let Some(system) = fields.either(["systemInstruction", "system_instruction"]) {
        request.turns.push(turns.system(system)?);
    }
    let contents = fields.get("contents").ok_or_else(|| TranslationRefusal::malformed("contents", "missing"))?;
    turns.contents(contents, &mut request.turns)?;
    for (name, raw) in fields.iter().filter(|(_, raw)| !json::is_null(raw)) {
        match name {
            "tools" => tool_reader::tools(raw, &mut request, losses)?,
            "serviceTier" | "service_tier" => request.service_tier = tier(raw),
            "labels" => request.metadata = Some(raw),
            "store" => request.store = json::value(raw),
            other => top_field(other, raw, losses),
        }
    }
    if let Some(config) = fields.either(["toolConfig", "tool_config"]) {
        tool_reader::config(config, &mut request, losses);
    }
    Ok(request)
}

/// Notes a field of the request that no other API has a word for.
fn top_field(name: &str, raw: &RawValue, losses: &mut LossReport) {
    match name {
        // Read already; the path names the model.
        "contents" | "systemInstruction" | "system_instruction" | "generationConfig" | "generation_config"
        | "toolConfig" | "tool_config" | "model" => {}
        "cachedContent" | "cached_content" => losses.refused(Field::StoredState, "cachedContent"),
        "continuationToken" | "continuation_token" => losses.refused(Field::StoredState, "continuationToken"),
        "safetySettings" | "safety_settings" => {
            if filters(raw) {
                losses.dropped(Field::Safety);
            }
        }
        "modelArmorConfig" | "model_armor_config" => losses.dropped(Field::Safety),
        other => losses.dropped_at(Field::Other, camel_case(other)),
    }
}

/// Tells whether settings ask for a filter: other vendors have none that could be switched off.
fn filters(settings: &RawValue) -> bool {
    let settings = json::list(settings).unwrap_or_default();
    settings.iter().any(|setting| {
        let threshold = Fields::of(setting).and_then(|setting| setting.text("threshold"));
        !matches!(threshold.as_deref(), Some("OFF" | "BLOCK_NONE" | "HARM_BLOCK_THRESHOLD_UNSPECIFIED"))
    })
}

/// Reads a tier of service: the usual one is called `default` by the others.
fn tier(raw: &RawValue) -> Option<Cow<'_, str>> {
    let tier = json::text(raw)?;
    match &*tier.to_ascii_lowercase() {
        "unspecified" => None,
        "standard" => Some(Cow::Borrowed("default")),
        _ => Some(tier),
    }
}
