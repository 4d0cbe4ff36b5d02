//! Requests, read.

use serde_json::value::RawValue;

use super::content_reader::{BlockPlace, ContentReader, mark};
use super::{option_reader, tool_reader};
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralRequest, Turn, TurnRole};
use crate::refusal::TranslationRefusal;

/// Reads a request.
pub(super) fn read<'b>(body: &'b [u8], losses: &mut LossReport) -> Result<NeutralRequest<'b>, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    let mut request = NeutralRequest::new(fields.text("model").unwrap_or_default());
    // The usage is a part of every stream of this API's.
    request.include_usage = true;
    read_system(&fields, &mut request, losses)?;
    read_turns(&fields, &mut request, losses)?;
    tool_reader::read_tools(fields.get("tools"), &mut request, losses);
    tool_reader::read_tool_choice(fields.get("tool_choice"), &mut request, losses);
    option_reader::read_reasoning(&fields, &mut request, losses);
    for (name, value) in fields.iter().filter(|(_, value)| !json::is_null(value)) {
        read_option(name, value, &mut request, losses);
    }
    Ok(request)
}

fn read_system<'b>(
    fields: &Fields<'b>,
    request: &mut NeutralRequest<'b>,
    losses: &mut LossReport,
) -> Result<(), TranslationRefusal> {
    let Some(system) = fields.get("system") else { return Ok(()) };
    let mut reader = ContentReader::new(losses, BlockPlace::System);
    let parts = reader.content(system).ok_or_else(|| TranslationRefusal::malformed("system", "no text and no list"))?;
    if !parts.is_empty() {
        request.turns.push(Turn { role: TurnRole::System, name: None, parts });
    }
    Ok(())
}

fn read_turns<'b>(
    fields: &Fields<'b>,
    request: &mut NeutralRequest<'b>,
    losses: &mut LossReport,
) -> Result<(), TranslationRefusal> {
    let turns = fields.get("messages").and_then(json::objects);
    let turns = turns.ok_or_else(|| TranslationRefusal::malformed("messages", "no list"))?;
    request.turns.reserve(turns.len());
    for (index, fields) in turns.into_iter().enumerate() {
        let turn = fields.and_then(|fields| read_turn(&fields, index, losses));
        request.turns.push(turn.ok_or_else(|| {
            TranslationRefusal::malformed(format!("messages[{index}]"), "no turn with a role and a content")
        })?);
    }
    if request.turns.last().is_some_and(|last| last.role == TurnRole::Assistant) {
        losses.changed(Field::Prefill, "a turn of the model's at the end");
    }
    Ok(())
}

fn read_turn<'b>(fields: &Fields<'b>, index: usize, losses: &mut LossReport) -> Option<Turn<'b>> {
    let role = match &*fields.text("role")? {
        "user" => TurnRole::User,
        "assistant" => TurnRole::Assistant,
        "system" => TurnRole::System,
        _ => return None,
    };
    for (name, _) in fields.iter().filter(|(name, value)| !matches!(*name, "role" | "content") && !json::is_null(value))
    {
        losses.dropped_at(Field::Other, format!("messages[{index}].{name}"));
    }
    let mut reader = ContentReader::new(losses, BlockPlace::Turn(index));
    let parts = reader.content(fields.get("content")?)?;
    Some(Turn { role, name: None, parts })
}

/// Reads one of the fields that stand for themselves.
fn read_option<'b>(name: &str, value: &'b RawValue, request: &mut NeutralRequest<'b>, losses: &mut LossReport) {
    match name {
        // Read beside, or without a meaning of its own: what Vertex and Bedrock want in the body.
        "model" | "messages" | "system" | "tools" | "tool_choice" | "thinking" | "output_config"
        | "anthropic_version" => {}
        "max_tokens" => request.max_tokens = json::value(value),
        "stream" => request.stream = json::value(value).unwrap_or(false),
        "temperature" => request.sampling.temperature = json::value(value),
        "top_p" => request.sampling.top_p = json::value(value),
        "top_k" => request.sampling.top_k = json::value(value),
        "stop_sequences" => {
            let texts = json::list(value).unwrap_or_default();
            request.sampling.stop = texts.into_iter().filter_map(json::text).collect();
        }
        "cache_control" => request.cache.marks_all = mark(value),
        "metadata" => option_reader::read_metadata(value, request, losses),
        "output_format" => option_reader::read_format(value, request, losses),
        "service_tier" => request.service_tier = json::text(value).filter(|tier| tier != "auto"),
        _ => option_reader::note_own_field(name, value, losses),
    }
}
