//! Behaviours of the API's readers and writers.

mod answer_reading;
mod answer_writing;
mod any_stream;
mod client_requests;
mod errors;
mod own_requests;
mod stream_reading;
mod stream_writing;
mod upstream_requests;
mod upstream_tools;

use serde_json::Value;

use super::Responses;
use crate::loss::{Field, LossKind, LossReport};
use crate::neutral::{NeutralRequest, StreamEvent};
use crate::translation::{AnswerDetails, Api, RequestMemo, RequestWriting, TranslationTarget};

/// Reads a request that has the form of its API.
fn read(body: &str) -> (NeutralRequest<'_>, LossReport) {
    let mut losses = LossReport::default();
    let request = Responses.read_request(body.as_bytes(), &mut losses).expect("a request");
    (request, losses)
}

/// Writes a request for a model called `gpt-6`.
fn write(request: &NeutralRequest<'_>) -> (Value, LossReport) {
    let mut losses = LossReport::default();
    let mut body = Vec::new();
    let target = TranslationTarget { model: "gpt-6", max_output: None };
    let span = Responses.write_request(request, &target, &mut RequestWriting { body: &mut body, losses: &mut losses });
    assert_eq!(&body[span], b"\"gpt-6\"");
    (serde_json::from_slice(&body).expect("JSON"), losses)
}

/// Reads a request and writes it again.
fn again(body: &str) -> Value {
    write(&read(body).0).0
}

/// Returns the memo of a request.
fn memo(body: &str) -> RequestMemo {
    Responses.memo(&read(body).0, body.as_bytes())
}

fn details(memo: &RequestMemo) -> AnswerDetails<'_> {
    AnswerDetails { now: 1_800_000_000, unique: "u1", memo }
}

/// Writes a stream's events.
fn stream(events: &[StreamEvent<'_>], memo: &RequestMemo) -> Vec<Value> {
    let mut writer = Responses.event_writer(&details(memo));
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    let text = String::from_utf8(out).expect("text");
    let events: Vec<Value> = text
        .split_terminator("\n\n")
        .filter(|event| !event.starts_with(':'))
        .map(|event| {
            let (name, data) = event.split_once("\ndata: ").expect("a name and data");
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
    events
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}

/// Returns the kind of every loss of a field.
fn kinds(losses: &LossReport, field: Field) -> Vec<LossKind> {
    losses.losses().iter().filter(|loss| loss.field == field).map(|loss| loss.kind).collect()
}
