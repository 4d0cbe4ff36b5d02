//! Errors, read and written.

use std::borrow::Cow;

use crate::json::Fields;
use crate::json::writer::ObjectWriter;
use crate::neutral::{ErrorKind, NeutralError};

/// The longest piece of a body without JSON that an error's message holds.
const LONGEST_TEXT: usize = 1000;

/// OpenAI's code for a prompt that is longer than the model's window, which clients of every API go by.
const CONTEXT_CODE: &str = "context_length_exceeded";

/// Anthropic's words for it: agents go by them, and make the conversation shorter.
const CONTEXT_WORDS: &str = "prompt is too long";

/// Reads the body of an answer with an error's status.
pub(super) fn read(status: u16, body: &[u8]) -> NeutralError<'_> {
    match Fields::of_document(body) {
        Ok(fields) => read_fields(&fields, ErrorKind::of_status(status)),
        Err(_) => NeutralError {
            kind: ErrorKind::of_status(status),
            message: plain(status, body),
            code: None,
            param: None,
            retry_after: None,
        },
    }
}

/// Reads an error out of an object: Anthropic's form, or what servers before it answer.
pub(super) fn read_fields<'b>(fields: &Fields<'b>, kind: ErrorKind) -> NeutralError<'b> {
    let inner = fields.object("error");
    let error = inner.as_ref().unwrap_or(fields);
    let message = ["message", "detail", "error"].into_iter().find_map(|name| error.text(name));
    let message = message.unwrap_or(Cow::Borrowed("the upstream says nothing of the error"));
    let code = if message.to_ascii_lowercase().contains(CONTEXT_WORDS) {
        Some(Cow::Borrowed(CONTEXT_CODE))
    } else {
        let details = error.object("details");
        details.and_then(|details| details.text("error_code")).or_else(|| error.text("code"))
    };
    NeutralError {
        kind: error.text("type").and_then(|name| kind_of(&name)).unwrap_or(kind),
        message,
        code,
        param: error.text("param"),
        retry_after: None,
    }
}

/// Returns the text of a body that is no JSON.
fn plain(status: u16, body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(&body[..body.len().min(LONGEST_TEXT)]);
    let text = text.trim();
    if text.is_empty() {
        return Cow::Owned(format!("the upstream answered {status} without a body"));
    }
    if text.starts_with('<') {
        return Cow::Owned(format!("the upstream answered {status} with a page of HTML"));
    }
    Cow::Owned(text.to_owned())
}

fn kind_of(name: &str) -> Option<ErrorKind> {
    Some(match name {
        "invalid_request_error" => ErrorKind::InvalidRequest,
        "authentication_error" => ErrorKind::Authentication,
        "billing_error" => ErrorKind::Billing,
        "permission_error" => ErrorKind::Permission,
        "not_found_error" => ErrorKind::NotFound,
        "conflict_error" => ErrorKind::Conflict,
        "request_too_large" => ErrorKind::TooLarge,
        "rate_limit_error" => ErrorKind::RateLimit,
        "timeout_error" => ErrorKind::Timeout,
        "api_error" => ErrorKind::Server,
        "overloaded_error" => ErrorKind::Overloaded,
        _ => return None,
    })
}

/// Returns the name of a kind of error.
const fn name_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "billing_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::Conflict => "conflict_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Server => "api_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Overloaded => "overloaded_error",
    }
}

/// Writes an error, as a body and as the data of an event.
pub(super) fn write(out: &mut Vec<u8>, error: &NeutralError<'_>) {
    let mut object = ObjectWriter::of_type("error", out);
    let mut inner = ObjectWriter::of_type(name_of(error.kind), object.key("error"));
    inner.text("message", &words(error));
    inner.close();
    object.close();
}

/// Returns the vendor's words, behind Anthropic's own where agents must understand them.
fn words<'e>(error: &'e NeutralError<'_>) -> Cow<'e, str> {
    let is_known = error.message.to_ascii_lowercase().contains(CONTEXT_WORDS);
    if error.code.as_deref() == Some(CONTEXT_CODE) && !is_known {
        return Cow::Owned(format!("{CONTEXT_WORDS}: {}", error.message));
    }
    Cow::Borrowed(&*error.message)
}

/// Reads the data of an error event inside a stream.
pub(super) fn of_event(data: &str) -> NeutralError<'_> {
    match Fields::of_document(data.as_bytes()) {
        Ok(fields) => read_fields(&fields, ErrorKind::Server),
        Err(_) => {
            NeutralError { kind: ErrorKind::Server, message: data.into(), code: None, param: None, retry_after: None }
        }
    }
}
