//! Tests of the API of messages, on literal bodies.

mod answers;
mod cleaning;
mod errors;
mod prefills;
mod requests_read;
mod requests_written;
mod round_trips;
mod stream_order;
mod streams_read;
mod streams_written;
mod turns_written;

use serde_json::Value;
use serde_json::value::RawValue;

use super::Messages;
use crate::loss::LossReport;
use crate::neutral::{NeutralRequest, Part, Turn, TurnRole};
use crate::translation::{AnswerDetails, Api, RequestMemo, RequestWriting, TranslationTarget};

const TARGET: TranslationTarget<'_> = TranslationTarget { model: "claude-opus-5", max_output: None };

/// Reads a request that has the form of the API.
fn read(body: &str) -> (NeutralRequest<'_>, LossReport) {
    let mut losses = LossReport::default();
    let request = Messages.read_request(body.as_bytes(), &mut losses).expect("a request");
    (request, losses)
}

/// Writes a request; what was lost is as a header has it.
fn write(request: &NeutralRequest<'_>) -> (Value, String) {
    let (value, losses) = write_for(request, &TARGET);
    (value, losses.to_string())
}

fn write_for(request: &NeutralRequest<'_>, target: &TranslationTarget<'_>) -> (Value, LossReport) {
    let mut losses = LossReport::default();
    let mut body = Vec::new();
    let mut writing = RequestWriting { body: &mut body, losses: &mut losses };
    let span = Messages.write_request(request, target, &mut writing);
    let text = String::from_utf8(body).expect("text");
    assert_eq!(text[span], format!("{:?}", target.model), "the place of the model's name");
    (serde_json::from_str(&text).expect("JSON"), losses)
}

/// Makes a request of one user's turn, with a limit.
fn request() -> NeutralRequest<'static> {
    let mut request = NeutralRequest::new("any".into());
    request.max_tokens = Some(100);
    request.turns = vec![turn(TurnRole::User, vec![Part::text("hi")])];
    request
}

fn turn<'b>(role: TurnRole, parts: Vec<Part<'b>>) -> Turn<'b> {
    Turn { role, name: None, parts }
}

/// Makes JSON that lives as long as the tests.
fn raw(json: &str) -> &'static RawValue {
    Box::leak(RawValue::from_string(json.to_owned()).expect("JSON"))
}

/// Gives details of an answer to `use_them`.
fn with_details<T>(use_them: impl FnOnce(&AnswerDetails<'_>) -> T) -> T {
    use_them(&AnswerDetails { now: 1, unique: "u1", memo: &RequestMemo::default() })
}
