//! Errors of Google's APIs: a status by name, the vendor's words, and details by their types.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::json::writer::{ListWriter, ObjectWriter};
use crate::json::{self, Fields};
use crate::neutral::{ErrorKind, NeutralError};

/// The longest text without a form that goes on as an error's words.
const LONGEST_TEXT: usize = 2_000;

/// Reads an error, whatever the body holds. A status of 0 is that of an error in a stream.
pub(super) fn read(status: u16, body: &[u8]) -> NeutralError<'_> {
    match error_fields(body) {
        Some(fields) => read_fields(status, &fields),
        None => NeutralError {
            kind: kind_of_status(status),
            message: words(status, body),
            code: None,
            param: None,
            retry_after: None,
        },
    }
}

/// Returns the fields of the error itself: the object may be in a list, as streams without events have it.
fn error_fields(body: &[u8]) -> Option<Fields<'_>> {
    let raw: &RawValue = serde_json::from_slice(body).ok()?;
    let raw = json::list(raw).and_then(|list| list.first().copied()).unwrap_or(raw);
    let fields = Fields::of(raw)?;
    match fields.get("error") {
        Some(error) => Fields::of(error).or(Some(fields)),
        None => Some(fields),
    }
}

/// Returns the wait that Google asks for: it says so in the details of an error, not in a header.
fn retry_delay(details: &[Fields<'_>]) -> Option<Duration> {
    let delay = details.iter().find_map(|detail| detail.text("retryDelay"))?;
    let seconds = delay.strip_suffix('s')?.parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn read_fields<'b>(status: u16, fields: &Fields<'b>) -> NeutralError<'b> {
    let details = fields.list("details");
    let details: Vec<_> = details.into_iter().filter_map(Fields::of).collect();
    let reason = details.iter().find_map(|detail| detail.text("reason"));
    let violations = details.iter().find_map(|detail| detail.get("fieldViolations").and_then(json::list));
    let param = violations.and_then(|list| Fields::of(list.first()?)?.text("field"));
    let message = fields.text("message").or_else(|| fields.text("error"));
    let message = message.unwrap_or_else(|| words(status, b""));
    let name = fields.text("status");
    let code = u16::try_from(fields.value::<u64>("code").unwrap_or_default()).unwrap_or_default();
    let status = if status == 0 { code } else { status };
    let kind = match reason.as_deref() {
        // Google says 400 of a key that is none.
        Some("API_KEY_INVALID") => ErrorKind::Authentication,
        Some("BILLING_DISABLED") => ErrorKind::Billing,
        _ => name.as_deref().and_then(kind_of_name).unwrap_or_else(|| kind_of_status(status)),
    };
    let is_too_long = kind == ErrorKind::InvalidRequest && message.contains("exceeds the maximum number of tokens");
    let code = if is_too_long { Some(Cow::Borrowed("context_length_exceeded")) } else { reason };
    NeutralError { kind, message, code, param, retry_after: retry_delay(&details) }
}

const fn kind_of_status(status: u16) -> ErrorKind {
    if status == 0 { ErrorKind::Server } else { ErrorKind::of_status(status) }
}

/// Returns a body's words where it has no form that is known: a page of a server between says nothing to a client.
fn words(status: u16, body: &[u8]) -> Cow<'_, str> {
    let text = str::from_utf8(body).unwrap_or_default().trim();
    if text.is_empty() || text.starts_with(['<', '{', '[']) || text.len() > LONGEST_TEXT {
        return Cow::Owned(format!("the upstream answered with status {status} and no error that could be read"));
    }
    Cow::Borrowed(text)
}

/// Returns the kind of a status of Google's by its name.
fn kind_of_name(name: &str) -> Option<ErrorKind> {
    Some(match name {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => ErrorKind::InvalidRequest,
        "UNAUTHENTICATED" => ErrorKind::Authentication,
        "PERMISSION_DENIED" => ErrorKind::Permission,
        "NOT_FOUND" => ErrorKind::NotFound,
        "ABORTED" | "ALREADY_EXISTS" => ErrorKind::Conflict,
        "RESOURCE_EXHAUSTED" => ErrorKind::RateLimit,
        "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "UNIMPLEMENTED" => ErrorKind::Server,
        "UNAVAILABLE" => ErrorKind::Overloaded,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        _ => return None,
    })
}

const fn name_of_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Billing | ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::Conflict => "ABORTED",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Server => "INTERNAL",
        ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
    }
}

/// Writes an error.
pub(super) fn write(error: &NeutralError<'_>, status: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut members = ObjectWriter::open(&mut out);
    members.within("error", |members| {
        members.number("code", status);
        members.text("message", &error.message);
        members.text("status", name_of_kind(error.kind));
        if error.code.is_none() && error.param.is_none() && error.retry_after.is_none() {
            return;
        }
        let mut details = ListWriter::open(members.key("details"));
        if let Some(code) = &error.code {
            let mut detail = ObjectWriter::open(details.next());
            detail.text("@type", "type.googleapis.com/google.rpc.ErrorInfo");
            detail.text("reason", code);
            detail.close();
        }
        if let Some(wait) = error.retry_after {
            let mut detail = ObjectWriter::open(details.next());
            detail.text("@type", "type.googleapis.com/google.rpc.RetryInfo");
            // Seconds with their fraction, as protobuf's JSON has a time span.
            detail.text("retryDelay", &format!("{}s", wait.as_secs_f64()));
            detail.close();
        }
        if let Some(param) = &error.param {
            let mut detail = ObjectWriter::open(details.next());
            detail.text("@type", "type.googleapis.com/google.rpc.BadRequest");
            let mut violations = ListWriter::open(detail.key("fieldViolations"));
            let mut violation = ObjectWriter::open(violations.next());
            violation.text("field", param);
            violation.text("description", &error.message);
            violation.close();
            violations.close();
            detail.close();
        }
        details.close();
    });
    members.close();
    out
}
