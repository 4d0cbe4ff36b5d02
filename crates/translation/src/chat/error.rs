//! Errors in the form of chat completions, read and written.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};
use crate::neutral::{ErrorKind, NeutralError};

/// The longest text of an error page that is passed on.
const LONGEST_PAGE: usize = 1000;

/// Reads the body of an error, in whichever shape a server of this API has it.
pub(super) fn read(status: u16, body: &[u8]) -> NeutralError<'_> {
    let kind = ErrorKind::of_status(status);
    match Fields::of_document(body) {
        Ok(fields) => read_fields(kind, &fields),
        Err(_) => {
            NeutralError { kind, message: page_message(status, body), code: None, param: None, retry_after: None }
        }
    }
}

/// Reads the members of an error's body, or of the event that ends a stream.
pub(super) fn read_fields<'b>(kind: ErrorKind, fields: &Fields<'b>) -> NeutralError<'b> {
    let error = fields.get("error");
    let inner = error.and_then(Fields::of);
    let words = error.and_then(json::text);
    let error = inner.as_ref().unwrap_or(fields);
    let code = error.get("code").map(plain).or_else(|| error.text("type"));
    let named = [code.as_deref(), error.text("type").as_deref()].into_iter().flatten().find_map(kind_of);
    // The most general types say less than a status.
    let is_general = matches!(named, Some(ErrorKind::InvalidRequest | ErrorKind::Server));
    let named = named.filter(|_| !is_general || kind == ErrorKind::Server);
    let code = error.get("code").filter(|raw| json::is_text(raw)).and_then(json::text);
    let message = words.or_else(|| message(error)).unwrap_or(Cow::Borrowed("the server gave no reason"));
    NeutralError { kind: named.unwrap_or(kind), message, code, param: error.text("param"), retry_after: None }
}

fn plain(raw: &RawValue) -> Cow<'_, str> {
    json::text(raw).unwrap_or_else(|| Cow::Borrowed(raw.get()))
}

/// Returns the message of an error: a text, else the JSON that is in its place.
fn message<'b>(error: &Fields<'b>) -> Option<Cow<'b, str>> {
    ["message", "detail", "msg", "error_description"].into_iter().find_map(|name| error.get(name)).map(plain)
}

/// Returns the kind of an error by its code or its type.
fn kind_of(word: &str) -> Option<ErrorKind> {
    Some(match word {
        "invalid_request_error" | "context_length_exceeded" | "invalid_prompt" | "400" => ErrorKind::InvalidRequest,
        "invalid_api_key" | "authentication_error" | "401" => ErrorKind::Authentication,
        "insufficient_quota" | "billing_not_active" | "402" => ErrorKind::Billing,
        "permission_error" | "403" => ErrorKind::Permission,
        "model_not_found" | "not_found_error" | "404" => ErrorKind::NotFound,
        "rate_limit_exceeded" | "rate_limit_error" | "429" => ErrorKind::RateLimit,
        "server_error" | "api_error" | "internal_server_error" | "500" | "502" => ErrorKind::Server,
        "timeout" | "timeout_error" | "408" | "504" => ErrorKind::Timeout,
        "overloaded" | "overloaded_error" | "engine_overloaded" | "server_overloaded" | "503" | "529" => {
            ErrorKind::Overloaded
        }
        _ => return None,
    })
}

/// Returns the words of a body that is no JSON: a short text, but no page of a web server's.
fn page_message(status: u16, body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.starts_with('<') || trimmed.len() > LONGEST_PAGE {
        return Cow::Owned(format!("the server answered with status {status} and no error of its API"));
    }
    Cow::Owned(trimmed.to_owned())
}

/// Writes the body of an error.
pub(super) fn write(error: &NeutralError<'_>, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::open(out);
    let mut inner = object.object("error");
    inner.and_text("message", &error.message).value("type", type_of(error.kind));
    inner.value("param", &error.param).value("code", &code_of(error)).close();
    object.close();
}

/// Returns the type of an error, in OpenAI's words.
const fn type_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::TooLarge => {
            "invalid_request_error"
        }
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::Permission => "permission_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Server | ErrorKind::Overloaded => "server_error",
    }
}

/// Returns the code of an error: the vendor's, else OpenAI's for the kind, by which its SDKs and agents know it.
fn code_of<'e>(error: &'e NeutralError<'_>) -> Option<&'e str> {
    let usual = match error.kind {
        ErrorKind::Authentication => Some("invalid_api_key"),
        ErrorKind::Billing => Some("insufficient_quota"),
        ErrorKind::RateLimit => Some("rate_limit_exceeded"),
        ErrorKind::Overloaded => Some("server_overloaded"),
        ErrorKind::InvalidRequest if is_too_long(&error.message) => Some("context_length_exceeded"),
        _ => None,
    };
    error.code.as_deref().or(usual)
}

/// Tells whether an error says that a prompt is too long, in the words of Anthropic's or Google's servers.
fn is_too_long(message: &str) -> bool {
    message.starts_with("prompt is too long") || message.contains("exceeds the maximum number of tokens")
}
