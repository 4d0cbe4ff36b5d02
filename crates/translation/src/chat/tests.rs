//! Chat completions against the neutral form, and there and back.

mod answers;
mod errors;
mod odd_bodies;
mod other_tools;
mod other_vendors;
mod own_api;
mod requests;
mod streams_read;
mod streams_written;

use serde_json::Value;

use super::Chat;
use crate::family::DialectFamily;
use crate::loss::LossReport;
use crate::neutral::{NeutralRequest, StreamEvent};
use crate::refusal::TranslationRefusal;
use crate::translation::{
    AnswerDetails, Api, EventReader, RequestMemo, RequestWriting, Translation, TranslationTarget,
};

/// The translation of this API into itself.
const OWN: Translation = Translation { client: DialectFamily::Chat, upstream: DialectFamily::Chat };

fn read<'b>(body: &'b str, losses: &mut LossReport) -> Result<NeutralRequest<'b>, TranslationRefusal> {
    Chat.read_request(body.as_bytes(), losses)
}

/// Reads a request that must be one, and what it loses in every other API.
fn read_whole(body: &str) -> (NeutralRequest<'_>, LossReport) {
    let mut losses = LossReport::default();
    let request = read(body, &mut losses).expect("a request");
    request.native.iter().filter_map(|field| field.loss.clone()).for_each(|loss| losses.note(loss));
    (request, losses)
}

/// Writes a request as one that was written in another API.
fn write_as(family: DialectFamily, mut request: NeutralRequest<'_>) -> (Value, LossReport) {
    request.family = Some(family);
    let (mut body, mut losses) = (Vec::new(), LossReport::default());
    let target = TranslationTarget { model: "upstream/model", max_output: None };
    let span = Chat.write_request(&request, &target, &mut RequestWriting { body: &mut body, losses: &mut losses });
    assert_eq!(&body[span], b"\"upstream/model\"");
    (serde_json::from_slice(&body).expect("JSON"), losses)
}

/// Reads a body of this API and writes it as one that was written in the messages API.
fn from_messages(body: &str) -> (Value, LossReport) {
    write_as(DialectFamily::Messages, read_whole(body).0)
}

fn details(memo: &RequestMemo) -> AnswerDetails<'_> {
    AnswerDetails { now: 1_700_000_000, unique: "u1", memo }
}

fn events_of(chunks: &[&str]) -> Vec<String> {
    let mut reader = Chat.event_reader();
    let mut found = Vec::new();
    for data in chunks {
        read_event(&mut *reader, data, &mut found);
    }
    reader.finish(&mut |event| found.push(shown(&event)));
    found
}

fn read_event(reader: &mut dyn EventReader, data: &str, found: &mut Vec<String>) {
    let event = crate::events::ServerEvent { name: "", data };
    reader.read(event, &mut |event| found.push(shown(&event)));
}

/// Shows an event in a short form.
fn shown(event: &StreamEvent<'_>) -> String {
    use crate::neutral::{PartDelta, PartKind};
    match event {
        StreamEvent::Begin { id, model, .. } => format!("begin {id:?} {model:?}"),
        StreamEvent::Open { part, choice, kind } => match kind {
            PartKind::Text => format!("open {part} of {choice} text"),
            PartKind::Refusal => format!("open {part} of {choice} refusal"),
            PartKind::Thinking { .. } => format!("open {part} of {choice} thinking"),
            PartKind::ToolCall { id, name, kind } => format!("open {part} of {choice} call {id} {name} {kind:?}"),
            PartKind::Native { kind, .. } => format!("open {part} of {choice} {kind}"),
        },
        StreamEvent::Delta { part, delta } => match delta {
            PartDelta::Text(text) => format!("{part} text {text}"),
            PartDelta::Arguments(text) => format!("{part} arguments {text}"),
            PartDelta::Sealed(seal) => format!("{part} seal {:?} {}", seal.maker, seal.text),
            PartDelta::Citation(raw) => format!("{part} citation {raw}"),
            PartDelta::Logprobs(raw) => format!("{part} logprobs {raw}"),
        },
        StreamEvent::Close { part } => format!("close {part}"),
        StreamEvent::Stop { choice, stop } => format!("stop {choice} {:?} {:?}", stop.reason, stop.detail),
        StreamEvent::Usage(usage) => format!("usage {} {}", usage.input, usage.output),
        StreamEvent::ServiceTier(tier) => format!("tier {tier}"),
        StreamEvent::End => "end".to_owned(),
        StreamEvent::Failed(error) => format!("failed {:?} {}", error.kind, error.message),
        StreamEvent::Unplaced(field) => format!("unplaced {}", field.as_str()),
        StreamEvent::KeepAlive => "keep-alive".to_owned(),
    }
}
