//! Whole answers, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::thoughts;
use super::tool_names::joined;
use super::{content_reader, error, usage};
use crate::conversion::tool_name;
use crate::json::{self, Fields};
use crate::neutral::{CallKind, NeutralAnswer, NeutralChoice, Part, PartBody, Stop, StopReason, ToolCall};
use crate::refusal::TranslationRefusal;

/// Reads a whole answer.
pub(super) fn read(body: &[u8]) -> Result<NeutralAnswer<'_>, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    if fields.get("output").is_none() && fields.get("error").is_none() {
        return Err(TranslationRefusal::malformed("output", "is missing"));
    }
    let mut choice = NeutralChoice { parts: Vec::new(), stop: Stop::of(StopReason::EndTurn), logprobs: None };
    for item in fields.list("output") {
        read_item(item, &mut choice);
    }
    choice.stop = stop(&fields, holds_of(&choice.parts));
    Ok(NeutralAnswer {
        id: fields.text("id"),
        model: fields.text("model"),
        created: created(&fields),
        choices: vec![choice],
        usage: fields.object("usage").as_ref().map(usage::read),
        service_tier: fields.text("service_tier"),
    })
}

/// Returns the moment at which an answer was made.
pub(super) fn created(fields: &Fields<'_>) -> Option<u64> {
    let created: f64 = fields.value("created_at")?;
    (created >= 0.0).then_some(created as u64)
}

/// Reads an item of the output.
pub(super) fn read_item<'b>(raw: &'b RawValue, choice: &mut NeutralChoice<'b>) {
    let Some(fields) = Fields::of(raw) else { return };
    let kind = fields.text("type").unwrap_or_default();
    match &*kind {
        "message" => {
            for part in fields.list("content").into_iter().filter_map(Fields::of) {
                if let Some(body) = said(&part) {
                    choice.parts.push(Part::new(body));
                    choice.logprobs = choice.logprobs.or_else(|| logprobs(&part));
                }
            }
        }
        "reasoning" => {
            let thought = thoughts::read(&fields);
            if !thought.text.is_empty() || thought.sealed.is_some() {
                choice.parts.push(Part::new(PartBody::Thinking(thought)));
            }
        }
        "function_call" | "custom_tool_call" => choice.parts.push(Part::new(PartBody::ToolCall(call(&fields)))),
        _ => choice.parts.push(Part::new(PartBody::Native { kind, raw })),
    }
}

/// Reads a part of a message of the model's.
pub(super) fn said<'b>(part: &Fields<'b>) -> Option<PartBody<'b>> {
    match part.text("type").as_deref() {
        Some("output_text") => Some(content_reader::text(part)),
        Some("refusal") => Some(PartBody::Refusal(part.text("refusal").unwrap_or_default())),
        _ => None,
    }
}

/// Returns the probabilities of a part's tokens.
pub(super) fn logprobs<'b>(part: &Fields<'b>) -> Option<&'b RawValue> {
    part.get("logprobs").filter(|raw| json::list(raw).is_some_and(|list| !list.is_empty()))
}

/// Reads a call of a function or of a tool of free text.
pub(super) fn call<'b>(fields: &Fields<'b>) -> ToolCall<'b> {
    let is_custom = fields.text("type").as_deref() == Some("custom_tool_call");
    let namespace = fields.text("namespace");
    ToolCall {
        id: fields.text("call_id").or_else(|| fields.text("id")).unwrap_or_default(),
        name: joined(namespace.as_deref(), tool_name::original(fields.text("name").unwrap_or_default())),
        arguments: fields.text(if is_custom { "input" } else { "arguments" }).unwrap_or_default(),
        kind: if is_custom { CallKind::Custom } else { CallKind::Function },
    }
}

/// The contents of an answer that its status does not tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holds {
    /// A call of a tool.
    pub(super) call: bool,
    /// The words of a refusal.
    pub(super) refusal: bool,
}

/// Returns what the parts of an answer hold.
pub(super) fn holds_of(parts: &[Part<'_>]) -> Holds {
    Holds {
        call: parts.iter().any(|part| matches!(part.body, PartBody::ToolCall(_))),
        refusal: parts.iter().any(|part| matches!(part.body, PartBody::Refusal(_))),
    }
}

/// Reads why an answer has ended.
pub(super) fn stop<'b>(fields: &Fields<'b>, holds: Holds) -> Stop<'b> {
    let status = fields.text("status");
    match status.as_deref() {
        None | Some("completed") if holds.call => Stop::of(StopReason::ToolUse),
        None | Some("completed") if holds.refusal => Stop::of(StopReason::Refusal),
        None | Some("completed") => Stop::of(StopReason::EndTurn),
        Some("incomplete") => incomplete(fields),
        Some("failed" | "cancelled") => Stop { reason: StopReason::Failed, detail: failure(fields) },
        Some(_) => Stop { reason: StopReason::Other, detail: status },
    }
}

fn incomplete<'b>(fields: &Fields<'b>) -> Stop<'b> {
    let detail = fields.object("incomplete_details").and_then(|details| details.text("reason"));
    let reason = match detail.as_deref() {
        Some("max_output_tokens" | "max_tokens") => return Stop::of(StopReason::MaxTokens),
        Some("content_filter") => return Stop::of(StopReason::ContentFilter),
        Some("max_messages") => StopReason::Pause,
        _ => StopReason::Other,
    };
    Stop { reason, detail }
}

fn failure<'b>(fields: &Fields<'b>) -> Option<Cow<'b, str>> {
    fields.object("error").and_then(|error| error::of_fields(&error, error::kind_in_stream(&error))).map(|e| e.message)
}
