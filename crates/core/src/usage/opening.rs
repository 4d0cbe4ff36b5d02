//! The opening of an answer with a good status: whether an answer follows, or an error that came too late for its
//! status.
//!
//! A provider that has sent `200 text/event-stream` can only say in an event that it is overloaded; some send JSON with
//! `error` in a 200 as well. Nothing of such an answer is of use to a client, so whoever holds it back until
//! [`AnswerOpening`] has seen the first real event can still ask elsewhere.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::sse::{EventLines, EventPiece};
use super::{AnswerFraming, openai};

/// The largest opening of a stream that is looked at: `response.created` repeats the whole request.
const MAX_EVENTS: usize = 1 << 20;

/// The largest whole answer that is looked at; an error is shorter.
const MAX_JSON: usize = 64 * 1024;

/// The types of events that come before a model has written anything.
const PRELUDE: [&str; 6] =
    ["ping", "keepalive", "message_start", "response.created", "response.queued", "response.in_progress"];

/// Reads the opening of an answer, chunk by chunk.
#[derive(Debug)]
pub struct AnswerOpening {
    framing: AnswerFraming,
    lines: EventLines,
    /// The data of the event that is open, or the document so far.
    data: Vec<u8>,
    /// The bytes that came.
    seen: usize,
    verdict: OpeningVerdict,
}

/// The verdict on an opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpeningVerdict {
    /// Nothing real has come.
    Open,
    /// An answer has begun.
    Begun,
    /// An error has come instead of an answer.
    Error(Box<AnswerError>),
    /// The answer ended, and nothing real had come.
    Empty,
}

/// An error that a provider put into an answer with a good status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerError {
    /// The status, 400 to 599, that the error names by number or by its type; `None` where it names none.
    pub status: Option<u16>,
    /// The error's type, such as `overloaded_error`.
    pub kind: Option<String>,
    /// The error's code, such as `rate_limit_exceeded`.
    pub code: Option<String>,
    /// The provider's words; empty where it has none.
    pub message: String,
}

/// The parts of an event or a document that tell what it is.
#[derive(Deserialize)]
struct OpeningEvent<'b> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'b, str>>,
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    response: Option<OpeningResponse>,
    #[serde(default)]
    choices: Option<ChoiceCount>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    code: Option<Value>,
}

/// The response that an event of the responses API speaks of.
#[derive(Deserialize)]
struct OpeningResponse {
    #[serde(default)]
    error: Option<Value>,
}

/// A list of choices, of which only whether there is one is kept.
struct ChoiceCount {
    is_empty: bool,
}

impl<'de> Deserialize<'de> for ChoiceCount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        let inside = value.get().trim_start_matches('[').trim_start();
        Ok(Self { is_empty: inside.starts_with(']') || value.get() == "null" })
    }
}

impl AnswerOpening {
    /// Makes a reader of the opening of an answer in that framing.
    #[must_use]
    pub fn new(framing: AnswerFraming) -> Self {
        Self { framing, lines: EventLines::default(), data: Vec::new(), seen: 0, verdict: OpeningVerdict::Open }
    }

    /// Returns the verdict so far.
    #[must_use]
    pub const fn verdict(&self) -> &OpeningVerdict {
        &self.verdict
    }

    /// Reads on, until there is a verdict.
    pub fn push(&mut self, chunk: &[u8]) -> &OpeningVerdict {
        if self.verdict == OpeningVerdict::Open && !chunk.is_empty() {
            self.seen += chunk.len();
            match self.framing {
                AnswerFraming::Events => self.read_events(chunk),
                AnswerFraming::Json => self.read_document(chunk),
            }
        }
        &self.verdict
    }

    /// Notes that the answer is over.
    pub fn finish(&mut self) -> &OpeningVerdict {
        if self.verdict == OpeningVerdict::Open {
            self.verdict = match self.framing {
                // An end without an empty line: the last event is not one (WHATWG, 9.2.6).
                AnswerFraming::Events => OpeningVerdict::Empty,
                AnswerFraming::Json => self.document(),
            };
            self.data = Vec::new();
        }
        &self.verdict
    }

    fn read_events(&mut self, chunk: &[u8]) {
        let Self { lines, data, verdict, .. } = self;
        lines.feed(chunk, |piece| match piece {
            _ if *verdict != OpeningVerdict::Open => {}
            EventPiece::Opened(_) => data.clear(),
            EventPiece::Data(bytes) => data.extend_from_slice(bytes),
            EventPiece::Joined => data.push(b'\n'),
            EventPiece::Ended(_) => *verdict = verdict_on(data),
        });
        if self.seen > MAX_EVENTS && self.verdict == OpeningVerdict::Open {
            self.verdict = OpeningVerdict::Begun;
        }
        if self.verdict != OpeningVerdict::Open {
            self.data = Vec::new();
        }
    }

    fn read_document(&mut self, chunk: &[u8]) {
        self.data.extend_from_slice(chunk);
        if self.data.len() > MAX_JSON {
            self.verdict = OpeningVerdict::Begun;
            self.data = Vec::new();
        }
    }

    fn document(&self) -> OpeningVerdict {
        if self.data.iter().all(u8::is_ascii_whitespace) {
            return OpeningVerdict::Empty;
        }
        if memchr::memmem::find(&self.data, b"error").is_none() {
            return OpeningVerdict::Begun;
        }
        let error = serde_json::from_slice::<OpeningEvent<'_>>(&self.data).ok().and_then(OpeningEvent::error);
        error.map_or(OpeningVerdict::Begun, |error| OpeningVerdict::Error(Box::new(error)))
    }
}

/// Returns what an event with this data says of the answer that it is part of.
fn verdict_on(data: &[u8]) -> OpeningVerdict {
    if data.is_empty() {
        return OpeningVerdict::Open;
    }
    if data == openai::DONE {
        return OpeningVerdict::Empty;
    }
    let Ok(event) = serde_json::from_slice::<OpeningEvent<'_>>(data) else { return OpeningVerdict::Begun };
    let is_prelude = event.kind.as_ref().is_some_and(|kind| PRELUDE.contains(&&**kind))
        || event.choices.as_ref().is_some_and(|choices| choices.is_empty);
    match event.error() {
        Some(error) => OpeningVerdict::Error(Box::new(error)),
        None if is_prelude => OpeningVerdict::Open,
        None => OpeningVerdict::Begun,
    }
}

impl OpeningEvent<'_> {
    /// Returns the error that this is, if it is one: `error` with something in it, OpenAI's flat `error` event and
    /// `response.failed`, and the flat object of servers whose `object` is `error`.
    fn error(self) -> Option<AnswerError> {
        let is_flat = self.kind.as_deref() == Some("error") || self.object.as_ref().is_some_and(|of| of == "error");
        let nested = self.error.filter(is_something).or_else(|| self.response?.error.filter(is_something));
        match nested {
            Some(Value::Object(fields)) => Some(AnswerError::of(|key| fields.get(key).cloned())),
            Some(Value::String(message)) => Some(AnswerError { message, ..AnswerError::default() }),
            Some(_) => Some(AnswerError::default()),
            None if is_flat => Some(AnswerError::of(|key| match key {
                "message" => self.message.clone(),
                "code" => self.code.clone(),
                _ => None,
            })),
            None if self.kind.as_deref() == Some("response.failed") => Some(AnswerError::default()),
            None => None,
        }
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

impl AnswerError {
    /// Returns the status of an answer that says as much: the one that the error names, else 502.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(502)
    }

    fn of(field: impl Fn(&str) -> Option<Value>) -> Self {
        let text = |key: &str| field(key).and_then(|value| value.as_str().map(str::to_owned));
        let numbers = ["status", "status_code", "code", "http_code"].map(|key| field(key).as_ref().and_then(status));
        let (kind, code) = (text("type"), text("code"));
        let named = || [&code, &kind].into_iter().flatten().find_map(|name| status_of(name));
        Self {
            status: numbers.into_iter().flatten().next().or_else(named),
            message: text("message").unwrap_or_default(),
            kind,
            code,
        }
    }
}

/// Reads a status out of a number, or a text that is one.
fn status(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// Returns the status that an API answers with where it can still choose one, by the type or code of the error:
/// Anthropic's (docs of its errors), OpenAI's (types of openai 3.57.0), Google's (`google.rpc.Code`).
fn status_of(name: &str) -> Option<u16> {
    Some(match name.to_ascii_lowercase().as_str() {
        "invalid_request_error" | "invalid_argument" | "invalid_prompt" | "context_length_exceeded" => 400,
        "authentication_error" | "unauthenticated" | "invalid_api_key" => 401,
        "billing_error" => 402,
        "permission_error" | "permission_denied" => 403,
        "not_found_error" | "model_not_found" | "not_found" => 404,
        "request_too_large" => 413,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "too_many_requests"
        | "insufficient_quota"
        | "resource_exhausted"
        | "throttlingexception" => 429,
        "api_error" | "server_error" | "internal_error" | "internal" | "internal_server_error" => 500,
        "server_is_overloaded" | "slow_down" | "unavailable" | "service_unavailable" | "overloaded" => 503,
        "timeout_error" | "deadline_exceeded" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the verdict on a stream, however it is cut.
    fn opening(stream: &str) -> OpeningVerdict {
        let whole = read(AnswerFraming::Events, stream, stream.len().max(1));
        for size in [1, 3, 7] {
            assert_eq!(read(AnswerFraming::Events, stream, size), whole, "in pieces of {size}: {stream:?}");
        }
        whole
    }

    fn read(framing: AnswerFraming, text: &str, size: usize) -> OpeningVerdict {
        let mut opening = AnswerOpening::new(framing);
        for chunk in text.as_bytes().chunks(size) {
            opening.push(chunk);
        }
        opening.finish().clone()
    }

    fn status_in(verdict: OpeningVerdict) -> Option<u16> {
        match verdict {
            OpeningVerdict::Error(error) => error.status,
            other => panic!("no error: {other:?}"),
        }
    }

    #[test]
    fn an_error_before_anything_real_is_one_in_every_api_s_words() {
        for (stream, status) in [
            ("data: {\"error\": {\"message\": \"x\", \"code\": 503}}\n\ndata: [DONE]\n\n", Some(503)),
            ("data: {\"error\": {\"message\": \"x\", \"code\": \"429\"}}\n\n", Some(429)),
            (
                "event: ping\ndata: {\"type\": \"ping\"}\n\nevent: error\ndata: {\"type\": \"error\", \"error\": {\"type\": \"overloaded_error\", \"message\": \"Overloaded\"}}\n\n",
                Some(529),
            ),
            (
                "data: {\"type\": \"message_start\", \"message\": {\"id\": \"m\"}}\n\ndata: {\"type\": \"error\", \"error\": {\"type\": \"api_error\"}}\n\n",
                Some(500),
            ),
            (
                "data: {\"type\": \"response.created\", \"response\": {\"id\": \"r\", \"error\": null}}\n\ndata: {\"type\": \"error\", \"code\": \"server_is_overloaded\", \"message\": \"x\"}\n\n",
                Some(503),
            ),
            (
                "data: {\"type\": \"response.in_progress\", \"response\": {}}\n\ndata: {\"type\": \"response.failed\", \"response\": {\"error\": {\"code\": \"rate_limit_exceeded\", \"message\": \"x\"}}}\n\n",
                Some(429),
            ),
            ("data: {\"type\": \"response.failed\", \"response\": {\"error\": null}}\n\n", None),
            (": hi\n\ndata: {\"object\": \"error\", \"message\": \"no\", \"code\": 500}\n\n", Some(500)),
            ("data: {\"choices\": [], \"prompt_filter_results\": []}\n\ndata: {\"error\": \"no\"}\n\n", None),
            ("data: {\"error\": {\"status\": \"UNAVAILABLE\", \"code\": 503, \"message\": \"x\"}}\n\n", Some(503)),
        ] {
            assert_eq!(status_in(opening(stream)), status, "{stream}");
        }
    }

    #[test]
    fn the_first_real_event_begins_an_answer_whatever_follows() {
        for stream in [
            "data: {\"choices\": [{\"delta\": {\"role\": \"assistant\"}}]}\n\ndata: {\"error\": {}}\n\n",
            "data: {\"type\": \"message_start\"}\n\ndata: {\"type\": \"content_block_start\"}\n\n",
            "data: {\"type\": \"response.created\"}\n\ndata: {\"type\": \"response.output_item.added\"}\n\n",
            "data: {\"error\": null, \"choices\": [{}]}\n\n",
            "data: not json\n\n",
            "data: {\"candidates\": []}\n\n",
        ] {
            assert_eq!(opening(stream), OpeningVerdict::Begun, "{stream}");
        }
    }

    #[test]
    fn a_stream_without_a_real_event_is_empty() {
        for stream in
            ["", ": comment\n\n", "data: [DONE]\n\n", "event: x\n\n", "data: {\"type\": \"ping\"}\n\n", "data: {"]
        {
            assert_eq!(opening(stream), OpeningVerdict::Empty, "{stream}");
        }
    }

    #[test]
    fn a_whole_answer_is_an_error_where_its_error_is_something() {
        let read = |text: &str| read(AnswerFraming::Json, text, 5);

        assert_eq!(status_in(read("{\"error\": {\"message\": \"x\", \"code\": 429}}")), Some(429));
        assert_eq!(status_in(read("{\"type\": \"error\", \"error\": {\"type\": \"not_found_error\"}}")), Some(404));
        assert_eq!(status_in(read("{\"status\": \"failed\", \"error\": {\"code\": \"server_error\"}}")), Some(500));
        for answer in [
            "{\"error\": null, \"output\": []}",
            "{\"choices\": [{\"message\": {\"content\": \"an error: {\\\"error\\\": 1}\"}}]}",
            "{\"object\": \"list\"}",
            "[1]",
            "error",
        ] {
            assert_eq!(read(answer), OpeningVerdict::Begun, "{answer}");
        }
        assert_eq!(read(" "), OpeningVerdict::Empty);
    }

    #[test]
    fn what_is_too_large_to_be_an_opening_is_an_answer() {
        let mut json = AnswerOpening::new(AnswerFraming::Json);
        let mut events = AnswerOpening::new(AnswerFraming::Events);

        assert_eq!(*json.push(&vec![b' '; MAX_JSON + 1]), OpeningVerdict::Begun);
        assert_eq!(*events.push(format!(":{}", "x".repeat(MAX_EVENTS)).as_bytes()), OpeningVerdict::Begun);
    }

    #[test]
    fn the_provider_s_words_are_kept() {
        let stream =
            "data: {\"error\": {\"message\": \"Try later\", \"type\": \"overloaded_error\", \"code\": \"x\"}}\n\n";

        let OpeningVerdict::Error(error) = opening(stream) else { panic!("an error") };

        let words = (error.message.as_str(), error.kind.as_deref(), error.code.as_deref());
        assert_eq!(words, ("Try later", Some("overloaded_error"), Some("x")));
    }
}
