//! Bodies of errors.

use std::borrow::Cow;

use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};
use crate::neutral::{ErrorKind, NeutralError};

/// The most of a body that is no JSON which a message repeats.
const LONGEST_TEXT: usize = 500;

/// Reads the body of an answer with an error's status.
pub(super) fn read(status: u16, body: &[u8]) -> NeutralError<'_> {
    let kind = ErrorKind::of_status(status);
    let fields = Fields::of_document(body).ok();
    let read = fields.as_ref().and_then(|fields| match fields.get("error") {
        Some(raw) if json::is_text(raw) => json::text(raw).map(|text| of_kind(kind, text)),
        Some(raw) => Fields::of(raw).and_then(|error| of_fields(&error, kind)),
        None => of_fields(fields, kind),
    });
    read.unwrap_or_else(|| of_kind(kind, plain_text(status, body)))
}

/// Reads an error's object; `None` where it says nothing.
pub(super) fn of_fields<'b>(fields: &Fields<'b>, kind: ErrorKind) -> Option<NeutralError<'b>> {
    let message = fields.text("message").or_else(|| fields.text("detail"))?;
    let code = fields.text("code");
    let kind = match (code.as_deref(), fields.text("type").as_deref()) {
        (Some("insufficient_quota"), _) => ErrorKind::Billing,
        (Some("rate_limit_exceeded"), _) => ErrorKind::RateLimit,
        (Some("invalid_api_key"), _) => ErrorKind::Authentication,
        (Some("server_is_overloaded" | "slow_down"), _) => ErrorKind::Overloaded,
        _ => kind,
    };
    Some(NeutralError { kind, message, code, param: fields.text("param"), retry_after: None })
}

/// Returns the kind of an error that came in a stream, by its code and type.
pub(super) fn kind_in_stream(fields: &Fields<'_>) -> ErrorKind {
    let code = fields.text("code").unwrap_or_default();
    let class = fields.text("type").unwrap_or_default();
    match (&*code, &*class) {
        ("context_length_exceeded" | "invalid_prompt", _) | (_, "invalid_request_error") => ErrorKind::InvalidRequest,
        _ if code.contains("image") => ErrorKind::InvalidRequest,
        _ => ErrorKind::Server,
    }
}

fn of_kind(kind: ErrorKind, message: Cow<'_, str>) -> NeutralError<'_> {
    NeutralError { kind, message, code: None, param: None, retry_after: None }
}

/// Returns what is known of a body that is no error of the API's: its text, unless that is a page for browsers.
fn plain_text(status: u16, body: &[u8]) -> Cow<'_, str> {
    let text = str::from_utf8(body).map(str::trim).unwrap_or_default();
    if text.is_empty() || text.starts_with(['<', '{', '[']) {
        return Cow::Owned(format!("the upstream answered with status {status} and no words on it"));
    }
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Borrowed(&text[..end])
}

/// Writes the body of an error.
pub(super) fn write(error: &NeutralError<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + error.message.len());
    let mut body = ObjectWriter::open(&mut out);
    let mut object = ObjectWriter::open(body.key("error"));
    object.text("message", &error.message);
    object.text("type", class(error.kind));
    match &error.param {
        Some(param) => object.text("param", param),
        None => object.raw("param", "null"),
    }
    match code(error) {
        Some(code) => object.text("code", code),
        None => object.raw("code", "null"),
    }
    object.close();
    body.close();
    out
}

/// Returns the error's code, in the API's words: clients decide by it whether to try again or to shorten the request.
pub(super) fn code<'e>(error: &'e NeutralError<'_>) -> Option<&'e str> {
    match (&error.code, error.kind) {
        (Some(code), _) => Some(code),
        (None, ErrorKind::InvalidRequest | ErrorKind::TooLarge) if is_too_long(&error.message) => {
            Some("context_length_exceeded")
        }
        (None, ErrorKind::Authentication) => Some("invalid_api_key"),
        (None, ErrorKind::Billing) => Some("insufficient_quota"),
        (None, ErrorKind::RateLimit) => Some("rate_limit_exceeded"),
        (None, ErrorKind::Overloaded) => Some("server_is_overloaded"),
        (None, _) => None,
    }
}

/// Returns the code of an error in a stream, which is one of a list there.
pub(super) fn code_in_stream<'e>(error: &'e NeutralError<'_>) -> &'e str {
    // The last two are in no type of OpenAI's, and still what its own servers and clients go by.
    const KNOWN: [&str; 7] = [
        "server_error",
        "rate_limit_exceeded",
        "invalid_prompt",
        "bio_policy",
        "image_content_policy_violation",
        "context_length_exceeded",
        "insufficient_quota",
    ];
    match (code(error).filter(|code| KNOWN.contains(code)), error.kind) {
        (Some(code), _) => code,
        (None, ErrorKind::InvalidRequest | ErrorKind::TooLarge) => "invalid_prompt",
        (None, _) => "server_error",
    }
}

/// Tells whether the words of a vendor without codes say that the conversation is longer than the model's window.
fn is_too_long(message: &str) -> bool {
    const WORDS: [&str; 5] = [
        "prompt is too long",
        "context length",
        "context window",
        "exceeds the maximum number of tokens",
        "input length and `max_tokens` exceed",
    ];
    WORDS.iter().any(|words| memchr::memmem::find(message.as_bytes(), words.as_bytes()).is_some())
}

const fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Authentication
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::TooLarge => "invalid_request_error",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Server | ErrorKind::Overloaded => "server_error",
    }
}
