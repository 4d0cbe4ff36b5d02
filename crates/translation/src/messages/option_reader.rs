//! Thinking, the form of the answer, and fields that other APIs do not have, read.

use serde_json::value::RawValue;

use crate::conversion::effort;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, OutputFormat, Reasoning, ReasoningMode, ThoughtForm};

/// Reads how much the model thinks: `thinking` and the effort of `output_config`, and its format.
pub(super) fn read_reasoning<'b>(fields: &Fields<'b>, request: &mut NeutralRequest<'b>, losses: &mut LossReport) {
    let mut effort = None;
    if let Some(config) = fields.object("output_config") {
        for (name, value) in config.iter().filter(|(_, value)| !json::is_null(value)) {
            match name {
                "effort" => effort = json::text(value),
                "format" => read_format(value, request, losses),
                _ => losses.dropped_at(Field::Other, format!("output_config.{name}")),
            }
        }
    }
    let known = effort.as_deref().and_then(effort::named);
    if effort.is_some() && known.is_none() {
        losses.dropped(Field::Reasoning);
    }
    let Some(thinking) = fields.object("thinking") else {
        request.reasoning = known.map(|effort| Reasoning { mode: ReasoningMode::Effort(effort), form: None });
        return;
    };
    let mode = match thinking.text("type").as_deref() {
        Some("enabled") => {
            ReasoningMode::Budget { tokens: thinking.value("budget_tokens").unwrap_or(1024), effort: known }
        }
        Some("adaptive") => ReasoningMode::Adaptive { effort: known },
        Some(kind @ ("disabled" | "between_tools")) => {
            if kind == "between_tools" {
                // Models that cannot be kept from it otherwise are told so.
                losses.changed(Field::Reasoning, "between_tools: off");
            }
            if effort.is_some() {
                losses.changed(Field::Reasoning, "no effort beside disabled thinking");
            }
            ReasoningMode::Off
        }
        _ => return losses.dropped(Field::Reasoning),
    };
    request.reasoning = Some(Reasoning { mode, form: thought_form(&thinking, losses) });
    if thinking.get("block_binding").is_some() {
        losses.dropped_at(Field::Other, "thinking.block_binding");
    }
}

fn thought_form(thinking: &Fields<'_>, losses: &mut LossReport) -> Option<ThoughtForm> {
    match &*thinking.text("display")? {
        "omitted" => Some(ThoughtForm::Omitted),
        "summarized" => Some(ThoughtForm::Summary),
        other => {
            losses.changed(Field::ReasoningSummary, format!("{other}: a summary"));
            Some(ThoughtForm::Summary)
        }
    }
}

/// Reads the form of the answer.
pub(super) fn read_format<'b>(value: &'b RawValue, request: &mut NeutralRequest<'b>, losses: &mut LossReport) {
    let format = Fields::of(value);
    let schema = format.as_ref().and_then(|format| format.get("schema"));
    match (format.and_then(|format| format.text("type")).as_deref(), schema) {
        (Some("json_schema"), Some(schema)) => {
            // This API's answers always follow the schema.
            request.output = Some(OutputFormat::Schema { name: None, description: None, schema, strict: Some(true) });
        }
        _ => losses.dropped(Field::OutputFormat),
    }
}

/// Reads the name of the user; this API has no other metadata.
pub(super) fn read_metadata<'b>(value: &'b RawValue, request: &mut NeutralRequest<'b>, losses: &mut LossReport) {
    let Some(fields) = Fields::of(value) else { return losses.dropped(Field::Metadata) };
    request.user = fields.text("user_id");
    if fields.iter().any(|(name, _)| name != "user_id") {
        losses.dropped(Field::Metadata);
    }
}

/// Notes what becomes of a field that only this API has.
pub(super) fn note_own_field(name: &str, value: &RawValue, losses: &mut LossReport) {
    match (name, value.get()) {
        ("speed", "\"standard\"") | ("inference_geo", "\"global\"") | ("mcp_servers", "[]") => {}
        ("speed", _) => losses.dropped_at(Field::ServiceTier, "speed"),
        ("mcp_servers", _) => losses.refused(Field::McpServers, "mcp_servers"),
        ("container", _) => losses.refused(Field::Container, "container"),
        ("thread" | "compaction", _) => losses.refused(Field::StoredState, name),
        // A place where the prompt must be processed is a promise to somebody: no other API can keep it.
        ("inference_geo", place) => losses.refused(Field::InferenceGeo, place),
        ("context_management", _) if keeps_everything(value) => {}
        ("context_management", _) => losses.dropped_at(Field::Truncation, name),
        _ => losses.dropped_at(Field::Other, name),
    }
}

/// Tells whether rules of context management leave the conversation as it is: Claude Code sends such every time.
fn keeps_everything(rules: &RawValue) -> bool {
    let Some(rules) = Fields::of(rules) else { return false };
    rules.iter().all(|(name, _)| name == "edits")
        && rules.list("edits").into_iter().all(|edit| {
            Fields::of(edit).is_some_and(|edit| {
                edit.text("type").as_deref() == Some("clear_thinking_20251015")
                    && edit.text("keep").as_deref() == Some("all")
            })
        })
}
