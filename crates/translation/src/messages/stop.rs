//! Reasons for which an answer has ended, read and written.

use std::borrow::Cow;

use crate::json::Fields;
use crate::json::writer::ObjectWriter;
use crate::neutral::{Stop, StopReason};

/// Reads why an answer has ended; `None` where it does not say.
pub(super) fn read<'b>(fields: &Fields<'b>) -> Option<Stop<'b>> {
    let reason = fields.text("stop_reason")?;
    Some(match &*reason {
        "end_turn" => Stop::of(StopReason::EndTurn),
        "max_tokens" => Stop::of(StopReason::MaxTokens),
        "stop_sequence" => Stop { reason: StopReason::StopText, detail: fields.text("stop_sequence") },
        "tool_use" => Stop::of(StopReason::ToolUse),
        // After a compaction the client is to send the turn back, as after a pause.
        "pause_turn" | "compaction" => Stop::of(StopReason::Pause),
        "refusal" => Stop { reason: StopReason::Refusal, detail: refusal_detail(fields) },
        "model_context_window_exceeded" => Stop::of(StopReason::ContextWindow),
        _ => Stop { reason: StopReason::Other, detail: Some(reason) },
    })
}

fn refusal_detail<'b>(fields: &Fields<'b>) -> Option<Cow<'b, str>> {
    let details = fields.object("stop_details")?;
    details.text("explanation").or_else(|| details.text("category"))
}

/// The kinds of parts in an answer, which its reason must fit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SaidParts {
    /// True of an answer with a call.
    pub(super) has_calls: bool,
    /// True of an answer with the words of a refusal.
    pub(super) has_refusal: bool,
}

/// Writes the fields that say why an answer has ended.
pub(super) fn write(object: &mut ObjectWriter<'_>, stop: &Stop<'_>, said: SaidParts) {
    let reason = match stop.reason {
        StopReason::EndTurn | StopReason::StopText | StopReason::ToolUse if said.has_refusal => "refusal",
        StopReason::EndTurn | StopReason::ToolUse if said.has_calls => "tool_use",
        StopReason::EndTurn | StopReason::ToolUse => "end_turn",
        StopReason::StopText => "stop_sequence",
        StopReason::MaxTokens => "max_tokens",
        StopReason::ContextWindow => "model_context_window_exceeded",
        StopReason::Pause => "pause_turn",
        // The API has no word for the others. They are no end of a turn, and this one says that there is no answer.
        StopReason::Refusal
        | StopReason::ContentFilter
        | StopReason::Recitation
        | StopReason::MalformedCall
        | StopReason::Failed
        | StopReason::Other => "refusal",
    };
    object.word("stop_reason", reason);
    match (reason, &stop.detail) {
        ("stop_sequence", Some(text)) => object.text("stop_sequence", text),
        _ => object.raw("stop_sequence", "null"),
    }
    if reason == "refusal" {
        write_details(object, stop);
    }
}

fn write_details(object: &mut ObjectWriter<'_>, stop: &Stop<'_>) {
    let mut details = ObjectWriter::of_type("refusal", object.key("stop_details"));
    let category = stop.detail.as_deref().and_then(category);
    details.value("category", &category);
    let explanation = stop.detail.as_deref().filter(|_| category.is_none()).or(match stop.reason {
        StopReason::ContentFilter => Some("content filter"),
        StopReason::Recitation => Some("recitation"),
        StopReason::MalformedCall => Some("malformed tool call"),
        StopReason::Failed => Some("failed"),
        _ => None,
    });
    details.value("explanation", &explanation);
    details.close();
}

/// Returns a category of refusals that this API knows.
fn category(detail: &str) -> Option<&'static str> {
    ["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"].into_iter().find(|known| *known == detail)
}
