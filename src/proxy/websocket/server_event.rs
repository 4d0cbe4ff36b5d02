//! The events of an answer as messages to the client, and errors in the words of the protocol.

use bytes::{Buf, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::history::items_of_output;

/// The fields of a refused request's answer that its error event repeats: when to ask again, and what was decided.
const SHOWN: [&str; 4] = ["retry-after", "retry-after-ms", "x-should-retry", "x-request-id"];

/// The prefixes of such fields.
const SHOWN_PREFIXES: [&str; 2] = ["x-pointsman-", "x-ratelimit-"];

/// A reader of server-sent events.
#[derive(Debug)]
pub(super) struct EventReader {
    unread: BytesMut,
    /// The bytes of `unread` in which no line ends.
    searched: usize,
    data: String,
    limit: usize,
}

/// An event that is longer than it may be, or is no text.
#[derive(Debug, thiserror::Error)]
#[error("an event of the answer is too long, or no text")]
pub(super) struct EventError;

/// The facts of an event that a session needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum EventMeaning {
    /// The event is only passed on.
    #[default]
    Passes,
    /// An item of the output is complete.
    Item(String),
    /// The response is complete: its id, and its output's items.
    Complete { id: String, output: String },
    /// The response failed, or is incomplete.
    Ended,
    /// An error in the shape of a stream.
    Error,
}

/// An error of a request, as its event says it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ErrorEvent {
    pub(super) status: u16,
    /// The object `error`: its type, code, message and parameter.
    pub(super) error: Map<String, Value>,
    pub(super) headers: Map<String, Value>,
    pub(super) sequence_number: Option<Value>,
}

impl EventReader {
    /// Makes one that reads events up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { unread: BytesMut::new(), searched: 0, data: String::new(), limit }
    }

    /// Takes what came.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.unread.extend_from_slice(chunk);
    }

    /// Returns the data of the next event that has ended; `None` where more has to come.
    ///
    /// # Errors
    /// When an event is too long, or no text.
    pub(super) fn next(&mut self) -> Result<Option<String>, EventError> {
        while let Some(end) = memchr_newline(&self.unread[self.searched..]).map(|at| self.searched + at) {
            let line = std::str::from_utf8(&self.unread[..end]).map_err(|_| EventError)?;
            let line = line.strip_suffix('\r').unwrap_or(line);
            let is_event_s_end = line.is_empty() && !self.data.is_empty();
            if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
            self.unread.advance(end + 1);
            self.searched = 0;
            if is_event_s_end {
                return Ok(Some(std::mem::take(&mut self.data)));
            }
        }
        self.searched = self.unread.len();
        if self.unread.len() + self.data.len() > self.limit { Err(EventError) } else { Ok(None) }
    }
}

fn memchr_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

impl EventMeaning {
    /// Reads the data of an event.
    pub(super) fn of(data: &str) -> Self {
        #[derive(Deserialize)]
        struct Kind<'d> {
            #[serde(borrow)]
            r#type: std::borrow::Cow<'d, str>,
        }
        #[derive(Deserialize)]
        struct ItemDone<'d> {
            #[serde(borrow)]
            item: &'d RawValue,
        }
        #[derive(Deserialize)]
        struct CompletionEvent<'d> {
            #[serde(borrow)]
            response: Response<'d>,
        }
        #[derive(Deserialize)]
        struct Response<'d> {
            id: String,
            #[serde(borrow, default)]
            output: Vec<&'d RawValue>,
        }
        let Ok(Kind { r#type }) = serde_json::from_str(data) else { return Self::Passes };
        match &*r#type {
            "response.output_item.done" => serde_json::from_str::<ItemDone<'_>>(data)
                .map(|done| Self::Item(items_of_output(&[done.item])))
                .unwrap_or_default(),
            "response.completed" => serde_json::from_str::<CompletionEvent<'_>>(data).map_or(Self::Ended, |done| {
                Self::Complete { output: items_of_output(&done.response.output), id: done.response.id }
            }),
            "response.failed" | "response.incomplete" => Self::Ended,
            "error" => Self::Error,
            _ => Self::Passes,
        }
    }
}

impl ErrorEvent {
    /// Makes one of our own.
    pub(super) fn new(status: StatusCode, code: &str, message: &str, param: Option<&str>) -> Self {
        let kind = if status.is_client_error() { "invalid_request_error" } else { "server_error" };
        Self {
            status: status.as_u16(),
            error: object(json!({"type": kind, "code": code, "message": message, "param": param})),
            headers: Map::new(),
            sequence_number: None,
        }
    }

    /// Reads the answer to a request that was refused.
    pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let said = serde_json::from_slice::<Value>(body).ok();
        let error = said.and_then(|mut said| match said.get_mut("error").map(Value::take) {
            Some(Value::Object(error)) => Some(error),
            Some(Value::String(message)) => Some(object(json!({"message": message}))),
            _ => None,
        });
        let mut event = Self::new(status, "upstream_error", "The request was refused.", None);
        if let Some(said) = error {
            event.error.extend(said);
        }
        let is_shown = |name: &str| SHOWN.contains(&name) || SHOWN_PREFIXES.iter().any(|start| name.starts_with(start));
        let shown = headers.iter().filter(|(name, _)| is_shown(name.as_str()));
        event.headers = shown
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?))))
            .collect();
        event
    }

    /// Reads an error event of a stream, which has no object `error` within it.
    pub(super) fn of_stream(data: &str) -> Self {
        let mut said = serde_json::from_str::<Value>(data).ok().map(object).unwrap_or_default();
        let mut event = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "The response failed.", None);
        if let Some(status) = said.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok()) {
            event.status = status;
        }
        event.sequence_number = said.remove("sequence_number");
        if let Some(Value::Object(error)) = said.remove("error") {
            event.error.extend(error);
        }
        for key in ["code", "message", "param"] {
            if let Some(value) = said.remove(key) {
                event.error.insert(key.to_owned(), value);
            }
        }
        event
    }

    /// Returns the event as a message.
    pub(super) fn message(&self, lane: Option<&str>) -> String {
        let mut error = self.error.clone();
        if !self.headers.is_empty() {
            error.insert("headers".to_owned(), Value::Object(self.headers.clone()));
        }
        let mut event = object(json!({"type": "error", "status": self.status, "error": error}));
        if !self.headers.is_empty() {
            event.insert("headers".to_owned(), Value::Object(self.headers.clone())); // where Codex reads them
        }
        let more = [("sequence_number", self.sequence_number.clone()), ("stream_id", lane.map(Value::from))];
        event.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Value::Object(event).to_string()
    }
}

/// Returns an event's data as the message of a lane.
pub(super) fn in_lane(data: String, lane: Option<&str>) -> String {
    let Some((lane, rest)) = lane.zip(data.trim_start().strip_prefix('{')) else { return data };
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    format!("{{\"stream_id\":{}{comma}{rest}", Value::from(lane))
}

/// Returns the events of a whole answer: a response that was not streamed.
pub(super) fn events_of_whole(body: &[u8]) -> Option<[String; 2]> {
    let done: Value = serde_json::from_slice(body).ok()?;
    if done.get("object")? != "response" {
        return None;
    }
    let status = done.get("status").and_then(Value::as_str).unwrap_or("completed").to_owned();
    let mut begun = done.clone();
    (begun["status"], begun["output"]) = (json!("in_progress"), json!([]));
    let event = |kind: &str, number: u64, response: Value| {
        json!({"type": kind, "sequence_number": number, "response": response}).to_string()
    };
    let last = if matches!(&*status, "failed" | "incomplete") { status } else { "completed".to_owned() };
    Some([event("response.created", 0, begun), event(&format!("response.{last}"), 1, done)])
}

/// Returns the type of an event.
pub(super) fn kind_of(data: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    serde_json::from_str(data).ok().map(|Kind { r#type }| r#type)
}

/// Returns whether an answer is a stream of events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.starts_with(b"text/event-stream")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
