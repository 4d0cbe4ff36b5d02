//! The opening of an answer with a good status: whether an answer follows, or an error that came too late for its
//! status.
//!
//! A provider that has sent `200 text/event-stream` can only say in an event that it is overloaded; some send JSON with
//! `error` in a 200 as well. Nothing of such an answer is of use to a client, so whoever holds it back until
//! [`AnswerOpening`] has seen the first real event can still ask elsewhere.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::sse::{EventLines, EventPiece};
use super::{AnswerFraming, anthropic, openai};

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
    /// The name of the event that is open.
    name: Vec<u8>,
    /// True once the first line of a document, which may be the whole of it, was looked at.
    has_first_line: bool,
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
    choices: Option<OpeningChoices>,
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

/// A list of choices, of which is kept whether there is one, and the error that stands in every one's place.
struct OpeningChoices {
    is_empty: bool,
    error: Option<Value>,
}

/// A choice, as OpenRouter writes one that failed.
#[derive(Deserialize)]
struct OpeningChoice {
    #[serde(default)]
    error: Option<Value>,
}

impl<'de> Deserialize<'de> for OpeningChoices {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&serde_json::value::RawValue>::deserialize(deserializer)?.get();
        let inside = value.trim_start_matches('[').trim_start();
        let may_fail = memchr::memmem::find(value.as_bytes(), b"\"error\"").is_some();
        let choices = may_fail.then(|| serde_json::from_str::<Vec<OpeningChoice>>(value).ok()).flatten();
        let errors = choices.unwrap_or_default().into_iter().map(|choice| choice.error.filter(is_something));
        let errors: Option<Vec<Value>> = errors.collect();
        let error = errors.and_then(|errors| errors.into_iter().next());
        Ok(Self { is_empty: inside.starts_with(']') || value == "null", error })
    }
}

impl AnswerOpening {
    /// Makes a reader of the opening of an answer in that framing.
    #[must_use]
    pub fn new(framing: AnswerFraming) -> Self {
        Self {
            framing,
            lines: EventLines::default(),
            data: Vec::new(),
            name: Vec::new(),
            has_first_line: false,
            seen: 0,
            verdict: OpeningVerdict::Open,
        }
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
        let Self { lines, data, name, verdict, .. } = self;
        lines.feed(chunk, |piece| match piece {
            _ if *verdict != OpeningVerdict::Open => {}
            EventPiece::Opened(_) => {
                data.clear();
                name.clear();
            }
            EventPiece::Name(bytes) => name.extend_from_slice(bytes),
            EventPiece::Data { bytes, .. } => data.extend_from_slice(bytes),
            EventPiece::Joined => data.push(b'\n'),
            EventPiece::Ended(_) if name == b"error" => *verdict = OpeningVerdict::Error(Box::new(error_event(data))),
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
        if self.data.trim_ascii_start().starts_with(b"[") && chunk.contains(&b'}') {
            self.verdict = first_of_list(&self.data).map_or(OpeningVerdict::Open, verdict_of); // of a list that streams
        }
        let line = memchr::memchr(b'\n', &self.data).filter(|_| !self.has_first_line);
        self.has_first_line |= line.is_some();
        if self.verdict != OpeningVerdict::Open {
            // Known by its first document.
        } else if let Some(line) = line.map(|end| self.data[..end].trim_ascii_end())
            && line.ends_with(b"}")
            && serde_json::from_slice::<IgnoredAny>(line).is_ok()
        {
            self.verdict = self.document(); // of many, one in a line
        } else if self.data.len() > MAX_JSON {
            self.verdict = OpeningVerdict::Begun;
        }
        if self.verdict != OpeningVerdict::Open {
            self.data = Vec::new();
        }
    }

    fn document(&self) -> OpeningVerdict {
        let text = self.data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.data).trim_ascii();
        if text.is_empty() {
            return OpeningVerdict::Empty;
        }
        if memchr::memmem::find(text, b"error").is_none() {
            return OpeningVerdict::Begun;
        }
        let error = first_document(text).and_then(OpeningEvent::error);
        error.map_or(OpeningVerdict::Begun, |error| OpeningVerdict::Error(Box::new(error)))
    }
}

/// Returns the first document of a text: that of a list (Gemini), or of many.
fn first_document(text: &[u8]) -> Option<OpeningEvent<'_>> {
    if text.starts_with(b"[") {
        return serde_json::from_slice::<Vec<OpeningEvent<'_>>>(text).ok()?.into_iter().next();
    }
    serde_json::Deserializer::from_slice(text).into_iter().next()?.ok()
}

/// Returns the first document of a list, if it is whole.
fn first_of_list(text: &[u8]) -> Option<OpeningEvent<'_>> {
    let inside = text.trim_ascii_start().strip_prefix(b"[")?;
    serde_json::Deserializer::from_slice(inside).into_iter().next()?.ok()
}

/// Returns what a document says of the answer that it is the first one of.
fn verdict_of(document: OpeningEvent<'_>) -> OpeningVerdict {
    document.error().map_or(OpeningVerdict::Begun, |error| OpeningVerdict::Error(Box::new(error)))
}

/// Returns what an event with this data says of the answer that it is part of.
fn verdict_on(data: &[u8]) -> OpeningVerdict {
    if data.is_empty() {
        return OpeningVerdict::Open;
    }
    if data == openai::DONE {
        return OpeningVerdict::Empty;
    }
    let Some(event) = first_document(data.trim_ascii()) else { return OpeningVerdict::Begun };
    let is_kind = |kinds: &[&str]| event.kind.as_ref().is_some_and(|kind| kinds.contains(&&**kind));
    let is_prelude = is_kind(&PRELUDE) || event.choices.as_ref().is_some_and(|choices| choices.is_empty);
    let is_end = is_kind(&[anthropic::END]);
    match event.error() {
        Some(error) => OpeningVerdict::Error(Box::new(error)),
        None if is_end => OpeningVerdict::Empty,
        None if is_prelude => OpeningVerdict::Open,
        None => OpeningVerdict::Begun,
    }
}

/// Returns the error of an event that is called so, whatever its data is.
fn error_event(data: &[u8]) -> AnswerError {
    let said = first_document(data).and_then(OpeningEvent::error);
    said.unwrap_or_else(|| match serde_json::from_slice(data) {
        Ok(Value::Object(fields)) => AnswerError::of(|key| fields.get(key).cloned()),
        Ok(Value::String(message)) => AnswerError { message, ..AnswerError::default() },
        _ => AnswerError { message: String::from_utf8_lossy(data).into_owned(), ..AnswerError::default() },
    })
}

impl OpeningEvent<'_> {
    /// Returns the error that this is, if it is one: `error` with something in it, here or in every choice, OpenAI's flat `error` event and
    /// `response.failed`, and the flat object of servers whose `object` is `error`.
    fn error(self) -> Option<AnswerError> {
        let is_flat = self.kind.as_deref() == Some("error") || self.object.as_ref().is_some_and(|of| of == "error");
        let nested = self.error.filter(is_something);
        let nested = nested.or_else(|| self.response?.error.filter(is_something)).or_else(|| self.choices?.error);
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
        // Google has a number for its code, and the name of the status beside it.
        let (kind, code) = (text("type").or_else(|| text("status")), text("code"));
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
mod tests;
