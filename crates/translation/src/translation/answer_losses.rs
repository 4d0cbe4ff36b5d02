//! The parts of an answer that its client's API has no words for.

use serde_json::value::RawValue;

use super::Api;
use crate::conversion::cited_page;
use crate::json::Fields;
use crate::loss::{Field, LossReport};
use crate::neutral::{NeutralAnswer, PartBody, PartDelta, PartKind, StreamEvent};

/// Notes what a client of `api` does not get of a whole answer.
pub(crate) fn of_answer(api: &dyn Api, answer: &NeutralAnswer<'_>, losses: &mut LossReport) {
    for part in answer.choices.iter().flat_map(|choice| &choice.parts) {
        let lost = match &part.body {
            PartBody::Text { citations: Some(citations), .. } => is_lost(api, citations).then_some(Field::Citations),
            PartBody::Native { kind, raw } => (!api.says_native(kind, raw)).then(|| field_of(kind, raw)),
            body => medium(body).filter(|_| !api.says_media()),
        };
        if let Some(field) = lost {
            losses.dropped(field);
        }
    }
}

/// Notes what a client of `api` does not get of an event.
pub(crate) fn of_event(api: &dyn Api, event: &StreamEvent<'_>, losses: &mut LossReport) {
    match event {
        StreamEvent::Open { kind: PartKind::Native { kind, raw }, .. } if !api.says_native(kind, raw) => {
            losses.dropped(field_of(kind, raw));
        }
        StreamEvent::Delta { delta: PartDelta::Citation(raw), .. } if is_lost(api, raw) => {
            losses.dropped(Field::Citations);
        }
        StreamEvent::Unplaced(field) => losses.dropped(*field),
        _ => {}
    }
}

fn is_lost(api: &dyn Api, citations: &RawValue) -> bool {
    cited_page::is_any(citations) && !api.says_citation(citations)
}

fn medium(body: &PartBody<'_>) -> Option<Field> {
    match body {
        PartBody::Image(_) => Some(Field::Images),
        PartBody::Document(_) => Some(Field::Documents),
        PartBody::Audio(_) => Some(Field::Audio),
        PartBody::Video(_) => Some(Field::Video),
        _ => None,
    }
}

/// Returns the field of a part that only its own API knows.
fn field_of(kind: &str, raw: &RawValue) -> Field {
    let media_type =
        Fields::of(raw).and_then(|fields| fields.either(["mimeType", "mime_type"]).and_then(crate::json::text));
    match kind {
        "inlineData" | "fileData" => match media_type.as_deref().and_then(|kind| kind.split('/').next()) {
            Some("image") => Field::Images,
            Some("audio") => Field::Audio,
            Some("video") => Field::Video,
            _ => Field::Documents,
        },
        "image_generation_call" => Field::Images,
        "executableCode" | "codeExecutionResult" | "toolCall" | "toolResponse" => Field::ServerTools,
        _ if ["_call", "_tool_use", "_tool_result"].iter().any(|end| kind.ends_with(end)) => Field::ServerTools,
        _ => Field::Items,
    }
}
